using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

/// <summary>What commands of istioctl 1.31 read of an installation without asking whether it is there: with a part missing, they end with a panic, or compare
/// Pods with the name of an image that nobody uses.</summary>
public sealed class IstioctlReadsTests
{
    public static TheoryData<string[]> Installations => new(
        [],
        ["revision=canary"],
        ["values.global.hub=registry.example.com/mesh", "values.global.tag=1.2.3"],
        ["values.global.proxy.image=registry.example.com/other:1"],
        ["profile=remote", "values.global.remotePilotAddress=192.0.2.1"],
        ["profile=remote", "values.istiodRemote.injectionURL=https://192.0.2.1:25017/inject/cluster/c9/net/n9"]);

    /// <summary><c>analyze</c> (codes IST0102, IST0158), <c>kube-inject</c>.</summary>
    [Theory]
    [MemberData(nameof(Installations))]
    public void The_values_of_the_injector_are_JSON_with_the_image_of_injected_Pods(string[] flags)
    {
        foreach (var map in Of(flags, "ConfigMap").Where(map => Name(map).StartsWith("istio-sidecar-injector", StringComparison.Ordinal)))
        {
            var values = JsonNode.Parse(map["data"]!["values"]!.ToString())!;
            Assert.IsType<bool>(values["sidecarInjectorWebhook"]!["enableNamespacesByDefault"]!.GetValue<bool>());
            var (global, image) = (values["global"]!, values["global"]!["proxy"]!["image"]!.ToString());
            var read = image.Contains('/', StringComparison.Ordinal) ? image : $"{global["hub"]}/{image}:{global["tag"]}";
            Assert.Equal(flags.FirstOrDefault(flag => flag.Contains("proxy.image", StringComparison.Ordinal))?.Split('=')[1]
                ?? (flags.Any(flag => flag.Contains("hub", StringComparison.Ordinal))
                    ? "registry.example.com/mesh/isthmus:1.2.3"
                    : $"isthmus.internal/isthmus:{BuildVersion.Current}"),
                read);
            foreach (var key in (string[])["policy", "templates", "defaultTemplates", "alwaysInjectSelector", "neverInjectSelector"])
                Assert.NotNull(YamlText.Parse(map["data"]!["config"]!.ToString(), "config")![key]);
        }
    }

    /// <summary><c>x workload entry configure</c> gives a machine the name that the cluster has here.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("east", "values.global.multiCluster.clusterName=east")]
    public void The_values_of_the_injector_name_the_cluster(string name, params string[] flags)
    {
        var map = Of(flags, "ConfigMap").Single(map => Name(map) == "istio-sidecar-injector");
        Assert.Equal(name, JsonNode.Parse(map["data"]!["values"]!.ToString())!["global"]!["multiCluster"]!["clusterName"]!.ToString());
    }

    /// <summary><c>analyze</c>, <c>describe</c>, <c>kube-inject</c>, <c>x precheck</c>.</summary>
    [Theory]
    [MemberData(nameof(Installations))]
    public void The_settings_of_the_mesh_are_in_both_keys(string[] flags)
    {
        foreach (var map in Of(flags, "ConfigMap").Where(map => Name(map) is "istio" or "istio-canary"))
            foreach (var key in (string[])["mesh", "meshNetworks"]) Assert.IsType<JsonObject>(YamlText.Parse(map["data"]![key]!.ToString(), key));
    }

    /// <summary><c>x check-inject</c>, <c>kube-inject</c>, <c>tag</c>, <c>x injector list</c>, <c>proxy-status --revision</c>.</summary>
    [Theory]
    [MemberData(nameof(Installations))]
    public void Webhooks_have_both_selectors_a_revision_and_a_port_and_path(string[] flags)
    {
        var objects = Of(flags, "MutatingWebhookConfiguration").ToList();
        Assert.NotEmpty(objects);
        foreach (var configuration in objects)
        {
            Assert.NotEmpty(configuration["metadata"]!["labels"]!["istio.io/rev"]!.ToString());
            foreach (var webhook in configuration["webhooks"]!.AsArray())
            {
                Assert.EndsWith("istio.io", webhook!["name"]!.ToString(), StringComparison.Ordinal);
                Assert.NotNull(webhook["namespaceSelector"]);
                Assert.NotNull(webhook["objectSelector"]);
                if (webhook["clientConfig"]!["service"] is not { } service) continue;
                Assert.True((int)service["port"]! > 0 && service["path"]!.ToString().StartsWith('/'));
                var of = Of(flags, "Service").Single(one => Name(one) == service["name"]!.ToString());
                var port = of["spec"]!["ports"]!.AsArray().Single(port => (int)port!["port"]! == (int)service["port"]!);
                Assert.True(port!["targetPort"] is null || (int)port["targetPort"]! > 0);
            }
        }
    }

    /// <summary>All that ask a control plane look for its Pods, and then for a container.</summary>
    [Theory]
    [InlineData("default")]
    [InlineData("canary")]
    public void Pods_of_the_control_plane_are_found_by_label_and_revision(string revision)
    {
        var deployment = Of(revision == "default" ? [] : [$"revision={revision}"], "Deployment")
            .Single(one => one["metadata"]!["labels"]!["app"]?.ToString() == "istiod");
        var pod = deployment["spec"]!["template"]!;
        Assert.Equal(("istiod", revision), (pod["metadata"]!["labels"]!["app"]!.ToString(), pod["metadata"]!["labels"]!["istio.io/rev"]!.ToString()));
        Assert.Equal("discovery", pod["spec"]!["containers"]![0]!["name"]!.ToString());
    }

    private static IEnumerable<JsonObject> Of(string[] flags, string kind) => Manifests.Render(OperatorSpec.Build([], flags, null))
        .SelectMany(component => component.Objects).Where(value => value["kind"]!.ToString() == kind);

    private static string Name(JsonObject value) => value["metadata"]!["name"]!.ToString();
}
