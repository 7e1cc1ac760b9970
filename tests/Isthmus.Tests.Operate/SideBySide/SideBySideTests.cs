using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.SideBySide;

/// <summary>Isthmus beside a control plane of Istio, which has objects of the same names and labels.</summary>
public sealed class SideBySideTests
{
    private const string Home = "istio-system";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_revision_comes_gets_a_tag_and_goes_without_a_change_of_Istios_objects()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var theirs = await IstioAsync(client, "1-24");
        var before = await IstioObjects.ReadAsync(client, theirs);

        var components = await InstallAsync(client, "ours");
        var tags = new RevisionTags(client);
        Assert.Empty(await tags.SetAsync("next", "ours", overwrite: false, Stop));
        Assert.Equal(before, await IstioObjects.ReadAsync(client, theirs));

        // Nothing that another installation owns is pruned.
        var installer = new Installer(client, TimeProvider.System, new Silent());
        Assert.Empty(await installer.ExtraAsync(OperatorSpec.Build([], ["profile=minimal"], "ours"), components, Stop));

        await tags.RemoveAsync(await tags.FindAsync("next", Stop), Stop);
        var uninstaller = new Uninstaller(client);
        await uninstaller.RunAsync(await uninstaller.PlanRevisionAsync("ours", Stop), _ => { }, Stop);
        Assert.Equal(before, await IstioObjects.ReadAsync(client, theirs));
        Assert.Null(await client.FindAsync(Kinds.Deployment, Home, "istiod-ours", Stop));
    }

    [Fact]
    public async Task Namespaces_that_use_a_tag_move_to_Isthmus_and_back()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await IstioAsync(client, "1-24");
        await InstallAsync(client, "ours");
        var tags = new RevisionTags(client);
        var refused = await Assert.ThrowsAsync<ProblemException>(() => tags.SetAsync("prod", "ours", overwrite: false, Stop));
        Assert.Contains("points to revision 1-24 already (use --overwrite to move it)", refused.Message, StringComparison.Ordinal);
        foreach (var revision in (string[])["ours", "1-24"])
        {
            Assert.Empty(await tags.SetAsync("prod", revision, overwrite: true, Stop));
            var webhook = await client.GetAsync(Kinds.MutatingWebhookConfiguration, null, "istio-revision-tag-prod", Stop);
            Assert.All(webhook["webhooks"]!.AsArray(), one => Assert.Equal($"istiod-{revision}", one!["clientConfig"]!["service"]!["name"]!.ToString()));
        }
    }

    /// <summary>Otherwise their new Pods would have no sidecars, and nobody would say so.</summary>
    [Fact]
    public async Task The_default_tag_takes_over_the_namespaces_without_a_label()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await IstioObjects.NamespaceAsync(client, Home);
        await InstallAsync(client, "ours");
        var tags = new RevisionTags(client);
        await tags.SetAsync("default", "ours", overwrite: false, Stop);
        Assert.DoesNotContain("auto.sidecar-injector.istio.io", await NamesAsync());

        var injector = Manifests.Render(OperatorSpec.Build([], ["profile=minimal", "values.sidecarInjectorWebhook.enableNamespacesByDefault=true"], ""))
            .SelectMany(component => component.Objects)
            .Single(value => value["kind"]!.ToString() == "MutatingWebhookConfiguration");
        await client.ApplyAsync(Kinds.MutatingWebhookConfiguration, injector, Stop);
        await tags.SetAsync("default", "ours", overwrite: false, Stop);
        Assert.Contains("auto.sidecar-injector.istio.io", await NamesAsync());
        await tags.SetAsync("prod", "ours", overwrite: false, Stop);
        Assert.DoesNotContain("auto.sidecar-injector.istio.io", await NamesAsync("prod"));

        async Task<IEnumerable<string>> NamesAsync(string tag = "default") =>
            (await client.GetAsync(Kinds.MutatingWebhookConfiguration, null, $"istio-revision-tag-{tag}", Stop))["webhooks"]!.AsArray()
                .Select(webhook => webhook!["name"]!.ToString());
    }

    /// <summary>A Service of the tag leads to the Pods of its revision, and keeps its address when the tag moves.</summary>
    [Fact]
    public async Task A_tag_has_a_Service_that_moves_with_it()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await IstioObjects.NamespaceAsync(client, Home);
        foreach (var revision in (string[])["a", "b"]) await InstallAsync(client, revision);
        var tags = new RevisionTags(client);
        await tags.SetAsync("prod", "a", overwrite: false, Stop);
        var first = await client.GetAsync(Kinds.Service, Home, "istiod-revision-tag-prod", Stop);
        var own = await client.GetAsync(Kinds.Service, Home, "istiod-a", Stop);
        Assert.Equal(own["spec"]!["ports"]!.ToJsonString(), first["spec"]!["ports"]!.ToJsonString());
        Assert.Equal(("istiod", "a", "prod"),
            (first["metadata"]!["labels"]!["app"]!.ToString(), first["metadata"]!["labels"]!["istio.io/rev"]!.ToString(),
                first["metadata"]!["labels"]!["istio.io/tag"]!.ToString()));

        await tags.SetAsync("prod", "b", overwrite: true, Stop);
        var moved = await client.GetAsync(Kinds.Service, Home, "istiod-revision-tag-prod", Stop);
        Assert.Equal("""{"app":"istiod","istio.io/rev":"b"}""", moved["spec"]!["selector"]!.ToJsonString());
        Assert.Equal(first["spec"]!["clusterIP"]!.ToString(), moved["spec"]!["clusterIP"]!.ToString());
        Assert.Equal([("prod", "b")], (await tags.ListAsync(Stop)).Select(tag => (tag.Name, tag.Revision)));

        // Also what somebody without rights for webhooks has made is a tag.
        await client.DeleteAsync(Kinds.MutatingWebhookConfiguration, null, "istio-revision-tag-prod", Stop);
        await tags.RemoveAsync(await tags.FindAsync("prod", Stop), Stop);
        Assert.Null(await client.FindAsync(Kinds.Service, Home, "istiod-revision-tag-prod", Stop));
        Assert.Empty(await tags.ListAsync(Stop));
    }

    [Fact]
    public async Task Webhooks_of_the_two_judge_and_inject_different_objects()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await IstioAsync(client, "1-24");
        // The label of an object, and who validates it. Istio's default validator is the one for objects without a label.
        foreach (var (revision, labels) in ((string, string[])[])[("", ["", "default"]), ("ours", ["ours"])])
        {
            var validator = Manifests.Render(OperatorSpec.Build([], ["profile=minimal"], revision)).SelectMany(component => component.Objects)
                .Single(value => value["kind"]!.ToString() == "ValidatingWebhookConfiguration");
            foreach (var label in (string[])["", "default", "ours", "1-24", "prod"])
                Assert.Equal(labels.Contains(label) ? 1 : 0,
                    validator["webhooks"]!.AsArray().Where(webhook => webhook!["name"]!.ToString().EndsWith(".istio.io", StringComparison.Ordinal))
                        .Count(webhook => Selects((JsonObject)webhook!["objectSelector"]!, label)));
        }
        var injector = Manifests.Render(OperatorSpec.Build([], ["profile=minimal"], "ours")).SelectMany(component => component.Objects)
            .Single(value => value["kind"]!.ToString() == "MutatingWebhookConfiguration");
        Assert.All(injector["webhooks"]!.AsArray(), webhook => Assert.Contains("\"values\":[\"ours\"]", webhook!.ToJsonString(), StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("",
        "Deployment istio-system/istiod in test: is a control plane that Isthmus did not install (image docker.io/istio/pilot:1.24.0) (install beside it with "
            + "--revision NAME, and move namespaces one by one: docs/install/upgrade.md)")]
    [InlineData("1-24", "Deployment istio-system/istiod-1-24 in test: is a control plane that Isthmus did not install")]
    public async Task A_revision_of_Istios_is_not_taken_over(string revision, string message)
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var theirs = await IstioAsync(client, revision);
        var before = await IstioObjects.ReadAsync(client, theirs);
        var refused = await Assert.ThrowsAsync<ProblemException>(() => CheckAsync(client, OperatorSpec.Build([], ["profile=minimal"], revision)));
        Assert.Contains(message.Replace(" in test", $" in {client.Access.Name}", StringComparison.Ordinal), refused.Message, StringComparison.Ordinal);
        Assert.Equal(before, await IstioObjects.ReadAsync(client, theirs));
    }

    [Fact]
    public void The_account_for_other_clusters_gets_the_labels_of_its_first_installation_only()
    {
        var ours = Account("default");
        Assert.Equal(ours.ToJsonString(), Applier.Wanted(ours, Account(null)).ToJsonString());
        Assert.Null(Applier.Wanted(ours, Account("istios"))["metadata"]!["labels"]);

        static JsonObject Account(string? revision)
        {
            var labels = new JsonObject { ["release"] = "istio" };
            if (revision is not null) labels[Labels.Revision] = revision;
            return new()
            {
                ["apiVersion"] = "v1", ["kind"] = "ServiceAccount",
                ["metadata"] = new JsonObject { ["name"] = WellKnown.ReaderServiceAccount, ["namespace"] = "istio-system", ["labels"] = labels }
            };
        }
    }

    [Fact]
    public async Task A_gateway_of_Istios_is_not_taken_over()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await IstioAsync(client, "1-24");
        await IstioObjects.CreateAsync(client, IstioObjects.Parse(IstioObjects.Gateway));
        var refused = await Assert.ThrowsAsync<ProblemException>(() => CheckAsync(client, OperatorSpec.Build([], [], "ours")));
        Assert.Contains(
            "is a gateway that Isthmus did not install (image docker.io/istio/proxyv2:1.24.0) (choose another name for the gateway, or none: --set "
                + "profile=minimal",
            refused.Message, StringComparison.Ordinal);
        await CheckAsync(client, OperatorSpec.Build([], ["profile=minimal"], "ours"));
    }

    [Fact]
    public async Task A_CNI_agent_of_Istios_is_not_taken_over()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var spec = OperatorSpec.Build([], ["profile=minimal", "components.cni.enabled=true"], "ours");
        var agent = Manifests.Render(spec).SelectMany(component => component.Objects).Single(value => value["kind"]!.ToString() == "DaemonSet");
        var theirs = (JsonObject)agent.DeepClone();
        theirs["spec"]!["template"]!["spec"]!["containers"]![0]!["image"] = "docker.io/istio/install-cni:1.24.0";
        await client.CreateAsync(Kinds.DaemonSet, theirs, Stop);
        var refused = await Assert.ThrowsAsync<ProblemException>(() => CheckAsync(client, spec));
        Assert.Contains("is a CNI agent of Istio (image docker.io/istio/install-cni:1.24.0) (remove it first", refused.Message, StringComparison.Ordinal);
        await client.ApplyAsync(Kinds.DaemonSet, (JsonObject)agent.DeepClone(), Stop);
        await CheckAsync(client, spec);
    }

    [Fact]
    public async Task An_uninstall_does_not_remove_Istio()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var theirs = await IstioAsync(client, "1-24");
        await InstallAsync(client, "ours");
        var before = await IstioObjects.ReadAsync(client, theirs);
        var uninstaller = new Uninstaller(client);
        var purge = await Assert.ThrowsAsync<ProblemException>(() => uninstaller.PlanPurgeAsync(Stop));
        Assert.EndsWith(
            $"--purge: would remove the control plane istio-system/istiod-1-24 in {client.Access.Name} and what belongs to it, which Isthmus did not install "
                + $"(remove Isthmus's revisions one by one with --revision NAME)",
            purge.Message);
        var one = await Assert.ThrowsAsync<ProblemException>(() => uninstaller.PlanRevisionAsync("1-24", Stop));
        Assert.Contains("--revision 1-24: would remove the control plane istio-system/istiod-1-24", one.Message, StringComparison.Ordinal);
        Assert.Equal(before, await IstioObjects.ReadAsync(client, theirs));
    }

    /// <summary>Both write <c>istio-ca-root-cert</c> in every namespace.</summary>
    [Fact]
    public async Task A_control_plane_of_another_root_is_refused()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await IstioAsync(client, "1-24");
        using var root = new TestCa("root");
        await client.CreateAsync(Kinds.ConfigMap,
            Json("""{"metadata": {"name": "istio-ca-root-cert", "namespace": "istio-system"}}""", "data", "root-cert.pem", root.Pem), Stop);
        var spec = OperatorSpec.Build([], ["profile=minimal"], "ours");
        var refused = await Assert.ThrowsAsync<ProblemException>(() => CheckAsync(client, spec));
        Assert.Contains("ConfigMap istio-system/istio-ca-root-cert", refused.Message, StringComparison.Ordinal);
        Assert.EndsWith("(create the Secret cacerts in namespace istio-system with an intermediate CA of the same root (docs/guides/certificates.md))",
            refused.Message);
        await client.CreateAsync(Kinds.Secret,
            Json("""{"metadata": {"name": "cacerts", "namespace": "istio-system"}}""", "data", "root-cert.pem",
                Convert.ToBase64String(Encoding.UTF8.GetBytes($"# a comment\n{root.Pem}"))),
            Stop);
        await CheckAsync(client, spec);
    }

    private static bool Selects(JsonObject selector, string label) =>
        (selector["matchExpressions"] as JsonArray ?? []).All(expression => expression!["operator"]!.ToString() switch
    {
        "DoesNotExist" => label.Length == 0,
        "In" => expression["values"]!.AsArray().Any(value => value!.ToString() == label),
        _ => throw new NotSupportedException(expression.ToJsonString()),
    });

    private static async Task<IReadOnlyList<JsonObject>> IstioAsync(KubeClient client, string revision)
    {
        await IstioObjects.NamespaceAsync(client, Home);
        var objects = IstioObjects.Of(revision);
        await IstioObjects.CreateAsync(client, objects);
        return objects;
    }

    /// <summary>The checks and the objects of an installation; nothing runs here that it could wait for.</summary>
    private static async Task<IReadOnlyList<Component>> InstallAsync(KubeClient client, string revision)
    {
        var spec = OperatorSpec.Build([], ["profile=minimal"], revision);
        await CheckAsync(client, spec);
        var components = Manifests.Render(spec);
        foreach (var component in components) await new Applier(client, TimeProvider.System).ApplyAsync(component.Objects, Stop);
        return components;
    }

    private static Task CheckAsync(KubeClient client, OperatorSpec spec) =>
        new Preconditions(client, new ManualClock(), _ => { }).CheckAsync(spec, Manifests.Render(spec), Stop);

    private static JsonObject Json(string text, string part, string key, string value)
    {
        var json = JsonNode.Parse(text)!.AsObject();
        json[part] = new JsonObject { [key] = value };
        return json;
    }

    private sealed class Silent : IInstallProgress
    {
        public void Started(string component)
        {
        }

        public void Finished(string component, TimeSpan took)
        {
        }

        public void Note(string text)
        {
        }
    }
}
