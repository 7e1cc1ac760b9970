using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose.History;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>What is installed into clusters whose control plane runs elsewhere, and next to control planes of other
/// clusters.</summary>
public sealed class RemoteInstallTests
{
    [Fact]
    public void Pods_of_a_remote_cluster_are_injected_as_its_own_although_nobody_gave_a_path()
    {
        var objects = Render("profile=remote", "values.global.remotePilotAddress=172.18.201.2", "values.global.multiCluster.clusterName=east/1",
            "values.global.network=net-1");
        Assert.All(Webhooks(objects),
            webhook => Assert.Equal("/inject/cluster/east--slash--1/net/net-1", (string?)webhook["clientConfig"]!["service"]!["path"]));
    }

    [Fact]
    public void A_given_path_or_address_of_the_injector_is_taken_as_it_is()
    {
        var path = Render("profile=remote", "values.global.remotePilotAddress=172.18.201.2", "values.istiodRemote.injectionPath=/inject/cluster/c9/team/t");
        Assert.All(Webhooks(path), webhook => Assert.Equal("/inject/cluster/c9/team/t", (string?)webhook["clientConfig"]!["service"]!["path"]));
        var url = Render("profile=remote", "values.global.remotePilotAddress=172.18.201.2",
            "values.istiodRemote.injectionURL=https://mesh.example.org:15017/inject/cluster/c9");
        Assert.All(Webhooks(url), webhook => Assert.Equal("https://mesh.example.org:15017/inject/cluster/c9", (string?)webhook["clientConfig"]!["url"]));
    }

    [Fact]
    public void An_injector_at_an_address_is_enough_to_find_the_control_plane()
    {
        var objects = Render("profile=remote", "values.istiodRemote.injectionURL=https://172.18.201.2:25017/inject/cluster/c9/net/n9");
        Assert.All(Webhooks(objects), webhook => Assert.Equal("/inject/cluster/c9/net/n9", (string?)webhook["clientConfig"]!["service"]!["path"]));
        var slice = Assert.Single(objects, value => (string?)value["kind"] == "EndpointSlice");
        Assert.Equal("172.18.201.2", (string?)slice["endpoints"]![0]!["addresses"]![0]);
        Assert.Equal(["15012", "25017"], ((JsonArray)slice["ports"]!).Select(port => port!["port"]!.ToString()));
        Assert.Throws<ProblemException>(() => Render("profile=remote", "values.istiodRemote.injectionURL=172.18.201.2:15017"));
    }

    [Fact]
    public void A_remote_cluster_without_any_way_to_a_control_plane_is_refused_in_words()
    {
        var error = Assert.Throws<ProblemException>(() => Render("profile=remote"));
        Assert.Contains("remotePilotAddress", error.Message);
    }

    [Fact]
    public void Proxies_find_the_control_plane_by_its_usual_name_and_both_ports_lead_to_the_gateway()
    {
        var objects = Render("profile=remote", "values.global.remotePilotAddress=172.18.201.2", "revision=blue");
        var service = Assert.Single(objects, value => (string?)value["kind"] == "Service");
        Assert.Equal("istiod-blue", (string?)service["metadata"]!["name"]);
        Assert.Null(service["spec"]!["selector"]);
        Assert.Equal(["15012>15012", "443>15017"], ((JsonArray)service["spec"]!["ports"]!).Select(port => $"{port!["port"]}>{port["targetPort"]}"));
        var slice = Assert.Single(objects, value => (string?)value["kind"] == "EndpointSlice");
        Assert.Equal("172.18.201.2", (string?)slice["endpoints"]![0]!["addresses"]![0]);
    }

    [Fact]
    public void Several_primaries_are_several_addresses_behind_one_name()
    {
        var slice = Assert.Single(Render("profile=remote", "values.global.remotePilotAddress=172.18.201.2,172.18.202.1"),
            value => (string?)value["kind"] == "EndpointSlice");
        Assert.Equal(["172.18.201.2", "172.18.202.1"], ((JsonArray)slice["endpoints"]!).Select(endpoint => (string?)endpoint!["addresses"]![0]));
        Assert.Throws<ProblemException>(() => Render("profile=remote", "values.global.remotePilotAddress=172.18.201.2,mesh.example.org"));
    }

    [Fact]
    public void A_host_name_of_the_control_plane_is_left_to_be_resolved_and_never_an_external_name()
    {
        var objects = Render("profile=remote", "values.global.remotePilotAddress=mesh.example.org");
        var service = Assert.Single(objects, value => (string?)value["kind"] == "Service");
        Assert.Equal("mesh.example.org", (string?)service["metadata"]!["annotations"]!["isthmus.internal/control-plane-host"]);
        Assert.Null(service["spec"]!["type"]);
        Assert.DoesNotContain(objects, value => (string?)value["kind"] is "EndpointSlice" or "Endpoints");
    }

    /// <summary>As with Istio: whoever applies an object there is told by <c>analyze</c>, and not by kubectl, that it has no effect.</summary>
    [Theory]
    [InlineData("remote")]
    [InlineData("external")]
    public void Istios_objects_can_be_written_to_a_remote_cluster(string profile)
    {
        string[] names = [.. Render($"profile={profile}", "values.global.remotePilotAddress=172.18.201.2")
            .Select(value => $"{value["kind"]}/{value["metadata"]!["name"]}")];
        Assert.Contains("CustomResourceDefinition/peerauthentications.security.istio.io", names);
        Assert.Contains("ServiceAccount/istio-reader-service-account", names);
        Assert.DoesNotContain(names, name => name.StartsWith("Deployment/", StringComparison.Ordinal));
        // It only tells who deletes and scales.
        Assert.Equal("ValidatingWebhookConfiguration/isthmus-history-istio-system", Assert.Single(names,
            name => name.StartsWith("ValidatingWebhook", StringComparison.Ordinal)));
        Assert.DoesNotContain(Render($"profile={profile}", "values.global.remotePilotAddress=172.18.201.2", "components.base.enabled=false"),
            value => value["kind"]!.ToString() == "CustomResourceDefinition");
    }

    [Fact]
    public void A_cluster_that_holds_the_configuration_of_its_mesh_has_definitions_validation_and_the_rights_of_a_control_plane()
    {
        var objects = Render("profile=external", "values.global.remotePilotAddress=172.18.201.2", "values.global.configCluster=true",
            "values.global.istioNamespace=control");
        string[] names = [.. objects.Select(value => $"{value["kind"]}/{value["metadata"]!["name"]}")];
        Assert.Contains("CustomResourceDefinition/virtualservices.networking.istio.io", names);
        Assert.Equal("ValidatingWebhookConfiguration/istio-validator-control", Assert.Single(names,
            name => name.StartsWith("ValidatingWebhook", StringComparison.Ordinal)));
        Assert.Contains("ServiceAccount/istiod", names);
        Assert.Contains("ClusterRole/istiod-clusterrole-control", names);
        Assert.DoesNotContain(names, name => name.StartsWith("Deployment/", StringComparison.Ordinal));
    }

    [Fact]
    public void A_control_plane_for_another_cluster_makes_no_webhooks_here_and_does_not_own_what_others_installed()
    {
        var external = Render("profile=empty", "components.pilot.enabled=true", "values.global.istioNamespace=control",
            "values.global.operatorManageWebhooks=true", "values.global.configValidation=false");
        Assert.DoesNotContain(external, value => ((string?)value["kind"])!.EndsWith("WebhookConfiguration", StringComparison.Ordinal));
        const string Owner = "install.operator.istio.io/owning-resource-namespace";
        Assert.All(external, value => Assert.Equal("control", (string?)value["metadata"]!["labels"]![Owner]));
        Assert.All(Render("profile=minimal").Where(value => (string?)value["kind"] != "CustomResourceDefinition"),
            value => Assert.Equal("istio-system", (string?)value["metadata"]!["labels"]![Owner]));
    }

    /// <summary>By that, 'isthmus history' finds the workloads of the cluster.</summary>
    [Fact]
    public void A_remote_cluster_tells_by_its_own_name_who_deletes_and_scales()
    {
        var told = Render("profile=remote", "values.global.remotePilotAddress=172.18.201.2", "values.global.multiCluster.clusterName=a/b")
            .Single(value => value["kind"]!.ToString() == "ValidatingWebhookConfiguration");
        Assert.All(told["webhooks"]!.AsArray(), webhook => Assert.Equal(("/history/cluster/a--slash--b", "Ignore", "1"),
            (webhook!["clientConfig"]!["service"]!["path"]!.ToString(), webhook["failurePolicy"]!.ToString(), webhook["timeoutSeconds"]!.ToString())));
        Assert.Equal("a/b", RemoteNames.Of(told));
        Assert.Equal("", RemoteNames.Of(Render("profile=minimal").Single(value => value["kind"]!.ToString() == "ValidatingWebhookConfiguration")));
        // Another URL does not say where the control plane is told.
        Assert.DoesNotContain(Render("profile=remote", "values.global.remotePilotAddress=172.18.201.2",
            "values.istiodRemote.injectionURL=https://a.example/inject"), value => value["kind"]!.ToString() == "ValidatingWebhookConfiguration");
    }

    private static List<JsonObject> Render(params string[] sets) =>
        [.. Manifests.Render(OperatorSpec.Build([], sets, null)).SelectMany(component => component.Objects)];

    private static IEnumerable<JsonNode> Webhooks(IEnumerable<JsonObject> objects) =>
        ((JsonArray)Assert.Single(objects, value => (string?)value["kind"] == "MutatingWebhookConfiguration")["webhooks"]!).Select(webhook => webhook!);
}
