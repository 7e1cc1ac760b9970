using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

public sealed class UninstallerTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_revision_goes_with_all_that_is_its_own_and_leaves_the_other_whole()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace, new JsonObject { ["metadata"] = new JsonObject { ["name"] = "istio-system" } }, Stop);
        var (old, next) = (await InstallAsync(client, "1-0"), await InstallAsync(client, "1-1"));
        var uninstaller = new Uninstaller(client);
        await uninstaller.RunAsync(await uninstaller.PlanRevisionAsync("1-0", Stop), _ => { }, Stop);
        Assert.Equal(["ServiceAccount istio-system/istio-reader-service-account"], await StillThereAsync(client, old.Except(next)
            .Append(new(Kinds.ServiceAccount, "istio-system", "istio-reader-service-account"))));
        Assert.Equal(next.Count, (await StillThereAsync(client, next)).Count);

        var unknown = await Assert.ThrowsAsync<ProblemException>(() => uninstaller.PlanRevisionAsync("9-9", Stop));
        Assert.EndsWith("(installed revisions: 1-1)", unknown.Message, StringComparison.Ordinal);
        await uninstaller.RunAsync(await uninstaller.PlanRevisionAsync("1-1", Stop), _ => { }, Stop);
        Assert.Empty(await uninstaller.PlanRevisionAsync("1-1", Stop));
    }

    /// <summary>Gateways of the revision go, and Pods that it injected stay.</summary>
    [Fact]
    public async Task Whoever_misses_a_revision_is_named()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace, new JsonObject { ["metadata"] = new JsonObject { ["name"] = "shop" } }, Stop);
        await client.CreateAsync(Kinds.ServiceAccount, new JsonObject { ["metadata"] = new JsonObject { ["name"] = "default", ["namespace"] = "shop" } }, Stop);
        foreach (var (name, owner, revision) in (IEnumerable<(string, string, string)>)[("web-1", "web-7d", "1-0"), ("gw-1", "east-7d", "1-0"),
            ("new-1", "new-7d", "1-1")])
            await client.CreateAsync(Kinds.Pod, JsonNode.Parse($$$$"""
                {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "{{{{name}}}}", "namespace": "shop", "labels": {"pod-template-hash": "7d"},
                 "annotations": {"sidecar.istio.io/status": "{\"revision\": \"{{{{revision}}}}\"}"},
                 "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "{{{{owner}}}}", "uid": "u", "controller": true}]},
                 "spec": {"containers": [{"name": "app", "image": "app"}]}}
                """)!.AsObject(), Stop);
        var users = new RevisionUsers(client);
        Assert.Equal(
            ["Gateways of the revision go with it: Deployment shop/east. If the mesh needs them, install them with another revision first.",
                "1 Pod has its proxy from revision 1-0: shop/web-1. Without its control plane, they hear of no change: restart their workloads first, with "
                    + "another revision."],
            await users.DescribeAsync("1-0", [new(Kinds.Deployment, "istio-system", "istiod-1-0"), new(Kinds.Deployment, "shop", "east")], Stop));
        Assert.Empty(await users.DescribeAsync("1-2", [new(Kinds.Deployment, "istio-system", "istiod-1-2")], Stop));
    }

    [Fact]
    public async Task Node_agents_belong_to_the_cluster_and_end_before_their_rights()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var objects = Manifests.Render(OperatorSpec.Build([], ["profile=empty", "components.cni.enabled=true"], "1-0"))
            .SelectMany(component => component.Objects).ToList();
        foreach (var value in objects) await client.CreateAsync(Manifests.KindOf(value)!, value, Stop);
        var uninstaller = new Uninstaller(client);
        Assert.Empty(await uninstaller.PlanRevisionAsync("1-0", Stop));

        var plan = await uninstaller.PlanPurgeAsync(Stop);
        Assert.Equal(objects.Count, plan.Count);
        var removed = new List<string>();
        await uninstaller.StopAsync(plan, one => removed.Add(one.Kind.Kind), Stop);
        Assert.Equal(["DaemonSet"], removed);
        await uninstaller.RemoveAsync(plan, one => removed.Add(one.Kind.Kind), Stop);
        Assert.Equal(objects.Count, removed.Count);
    }

    /// <summary>Those of others stay, and their slices with them.</summary>
    [Fact]
    public async Task Imports_that_a_control_plane_has_written_go_with_the_last_one()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        foreach (var definition in YamlText.ParseAll(await File.ReadAllTextAsync(Repository.At("samples/multicluster/mcs-crds.yaml"), Stop), "CRDs")
            .OfType<JsonObject>())
            await client.CreateAsync(Kinds.CustomResourceDefinition, definition, Stop);
        var slice = Made(Kinds.EndpointSlice, "desk-1");
        (slice["addressType"], slice["endpoints"], slice["metadata"]!["namespace"]) = ("IPv4", new JsonArray(), "default");
        await client.CreateAsync(Kinds.EndpointSlice, slice, Stop);
        foreach (var (name, managed) in (IEnumerable<(string, string)>)[("ours", "true"), ("theirs", "false")])
        {
            await Eventually.TrueAsync(async () =>
            {
                try { return await client.CreateAsync(MeshApi.ServiceImport.Resource, Import(name, managed), Stop) is not null; }
                catch (KubeException e) when (e.IsNotFound) { return false; }
            });
        }
        var uninstaller = new Uninstaller(client);
        Assert.Empty(await uninstaller.PlanRevisionAsync("1-0", Stop));
        Assert.Equal(["EndpointSlice desk-1", "ServiceImport ours"],
            (await uninstaller.PlanPurgeAsync(Stop)).Select(one => $"{one.Kind.Kind} {one.Name}").Order(StringComparer.Ordinal));

        static JsonObject Import(string name, string managed)
        {
            var import = Made(MeshApi.ServiceImport.Resource, name);
            (import["metadata"]!["namespace"], import["metadata"]!["labels"]) = ("default", new JsonObject { [Labels.ManagedImport] = managed });
            import["spec"] = new JsonObject { ["type"] = "Headless", ["ports"] = new JsonArray(new JsonObject { ["port"] = 80 }) };
            return import;
        }
    }

    [Fact]
    public async Task An_uninstall_waits_for_the_Pods_of_its_own_revision_only()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace, new JsonObject { ["metadata"] = new JsonObject { ["name"] = "istio-system" } }, Stop);
        await client.CreateAsync(Kinds.ServiceAccount,
            new JsonObject { ["metadata"] = new JsonObject { ["name"] = "default", ["namespace"] = "istio-system" } }, Stop);
        await InstallAsync(client, "");
        await InstallAsync(client, "next");
        foreach (var set in (string[])["istiod", "istiod-next"]) await PodAsync(client, set);
        var uninstaller = new Uninstaller(client);
        var removed = uninstaller.RunAsync(await uninstaller.PlanRevisionAsync("default", Stop), _ => { }, Stop);
        await Eventually.TrueAsync(async () => await client.FindAsync(Kinds.Deployment, "istio-system", "istiod", Stop) is null);
        Assert.False(removed.IsCompleted);
        await client.DeleteAsync(Kinds.Pod, "istio-system", "istiod-abc-1", Stop, gracePeriodSeconds: 0);
        await removed;
        Assert.NotNull(await client.FindAsync(Kinds.Pod, "istio-system", "istiod-next-abc-1", Stop));
    }

    private static Task PodAsync(KubeClient client, string deployment) => client.CreateAsync(Kinds.Pod, JsonNode.Parse($$"""
        {"metadata": {"name": "{{deployment}}-abc-1", "namespace": "istio-system", "labels": {"pod-template-hash": "abc"},
          "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "{{deployment}}-abc", "uid": "1", "controller": true}]},
         "spec": {"containers": [{"name": "discovery", "image": "isthmus.internal/isthmus"}]} }
        """)!.AsObject(), Stop);

    /// <summary>A kubelet that is slow to collect its garbage holds nothing up, but containers that still run do.</summary>
    [Fact]
    public async Task What_a_control_plane_makes_is_removed_once_its_containers_have_ended()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace, new JsonObject { ["metadata"] = new JsonObject { ["name"] = "istio-system" } }, Stop);
        await InstallAsync(client, "1-0");
        await client.CreateAsync(Kinds.ServiceAccount,
            new JsonObject { ["metadata"] = new JsonObject { ["name"] = "default", ["namespace"] = "istio-system" } }, Stop);
        await client.CreateAsync(Kinds.Pod, JsonNode.Parse("""
            { "apiVersion": "v1", "kind": "Pod",
              "metadata": { "name": "istiod-1-0-abc-x", "namespace": "istio-system", "labels": { "pod-template-hash": "abc" },
                "finalizers": ["example.com/slow"],
                            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "istiod-1-0-abc", "uid": "1" }] },
              "spec": { "nodeName": "n", "containers": [{ "name": "discovery", "image": "pilot" }] } }
            """)!.AsObject(), Stop);
        await StateAsync(client, new JsonObject { ["running"] = new JsonObject() });
        await client.DeleteAsync(Kinds.Pod, "istio-system", "istiod-1-0-abc-x", Stop);
        await client.DeleteAsync(Kinds.ConfigMap, "istio-system", WellKnown.History("1-0"), Stop);

        var (uninstaller, stopped) = (new Uninstaller(client), new List<Removal>());
        var run = uninstaller.RunAsync(await uninstaller.PlanRevisionAsync("1-0", Stop), removal => { lock (stopped) stopped.Add(removal); }, Stop);
        await Eventually.TrueAsync(async () => await client.FindAsync(Kinds.Deployment, "istio-system", "istiod-1-0", Stop) is null);
        await StateAsync(client, new JsonObject { ["running"] = new JsonObject() });
        Assert.False(run.IsCompleted);
        Assert.DoesNotContain(stopped, removal => removal.Kind == Kinds.ServiceAccount);
        // Its last word, which was not there yet when all was planned.
        await client.CreateAsync(Kinds.ConfigMap, Made(Kinds.ConfigMap, WellKnown.History("1-0")), Stop);
        await StateAsync(client, new JsonObject { ["terminated"] = new JsonObject { ["exitCode"] = 0 } });
        await run;
        Assert.Contains(stopped, removal => removal.Kind == Kinds.ServiceAccount);
        Assert.Null(await client.FindAsync(Kinds.ConfigMap, "istio-system", WellKnown.History("1-0"), Stop));
        Assert.NotNull(await client.FindAsync(Kinds.Pod, "istio-system", "istiod-1-0-abc-x", Stop));
    }

    private static async Task StateAsync(KubeClient client, JsonObject state) =>
        await client.PatchAsync(Kinds.Pod, "istio-system", "istiod-1-0-abc-x", new JsonObject
    {
        ["status"] = new JsonObject
        {
            ["phase"] = "Running",
            ["containerStatuses"] = new JsonArray(new JsonObject
            {
                ["name"] = "discovery", ["image"] = "pilot", ["imageID"] = "", ["ready"] = false, ["restartCount"] = 0, ["state"] = state
            }),
        },
    }, PatchType.Merge, Stop, "status");

    /// <summary>The objects that an install and the control plane of a revision create, without the definitions.</summary>
    private static async Task<IReadOnlyList<Removal>> InstallAsync(KubeClient client, string revision)
    {
        JsonObject[] made = [Made(Kinds.Lease, WellKnown.WebhooksLease(revision)), Made(Kinds.Lease, WellKnown.History(revision)),
            Made(Kinds.ConfigMap, WellKnown.History(revision))];
        var objects = Manifests.Render(OperatorSpec.Build([], ["profile=minimal"], revision)).SelectMany(component => component.Objects).Concat(made)
            .Select(value => (Kind: Manifests.KindOf(value)!, Value: value)).Where(one => one.Kind != Kinds.CustomResourceDefinition).ToList();
        foreach (var (kind, value) in objects)
        {
            var (ns, name) = (value["metadata"]!["namespace"]?.ToString(), value["metadata"]!["name"]!.ToString());
            if (await client.FindAsync(kind, ns, name, Stop) is null) await client.CreateAsync(kind, value, Stop);
        }
        return [.. objects.Select(one => new Removal(one.Kind, one.Value["metadata"]!["namespace"]?.ToString(), one.Value["metadata"]!["name"]!.ToString()))];
    }

    /// <summary>As a control plane makes it.</summary>
    private static JsonObject Made(ResourceKind kind, string name) => new()
    {
        ["apiVersion"] = kind.ApiVersion, ["kind"] = kind.Kind,
        ["metadata"] = new JsonObject
        {
            ["name"] = name, ["namespace"] = "istio-system", ["labels"] = new JsonObject { [Labels.MadeBy] = Labels.Discovery },
        },
    };

    private static async Task<IReadOnlyList<string>> StillThereAsync(KubeClient client, IEnumerable<Removal> objects)
    {
        var found = new List<string>();
        foreach (var one in objects)
            if (await client.FindAsync(one.Kind, one.Namespace, one.Name, Stop) is not null) found.Add(one.ToString());
        return found;
    }
}
