using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Guides;

/// <summary>Runs the pages of docs/tasks as a reader types them, all on one lab. They need the mesh of the quickstart, and leave it as it was.</summary>
[Collection(nameof(PlacedMesh))]
[Trait("shard", nameof(TaskTests))]
public sealed class TaskTests(PlacedMeshRig mesh)
{
    /// <summary>What pages create. The rest of a namespace goes with it.</summary>
    private static readonly IReadOnlyList<ResourceKind> Created =
    [
        Kinds.Namespace, Kinds.Deployment, Kinds.Service, Kinds.ServiceAccount, Kinds.Secret, Kinds.Ingress, Kinds.IngressClass,
        .. ((KindDescriptor[])
        [
            MeshApi.Gateway, MeshApi.VirtualService, MeshApi.DestinationRule, MeshApi.ServiceEntry, MeshApi.Sidecar, MeshApi.EnvoyFilter,
            MeshApi.PeerAuthentication, MeshApi.RequestAuthentication, MeshApi.AuthorizationPolicy, MeshApi.Telemetry,
        ]).Select(kind => new ResourceKind(kind.Group, kind.ReadVersion, kind.Kind, kind.Plural, true)),
    ];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static TheoryData<string> Pages =>
        [.. Directory.GetFiles(GuideShell.Tasks, "*.md").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task The_page_works_as_it_is_written(string page)
    {
        var lab = await mesh.LabAsync();
        await using var shell = GuideShell.In(lab);
        var blocks = GuidePage.Read(GuideShell.Tasks, page);
        Assert.NotEmpty(blocks);
        await AsQuickstartAsync();
        var objects = await ObjectsAsync(lab);
        var config = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var cluster in MeshRig.Clusters) config[cluster] = await MeshConfigAsync(lab, cluster);
        async Task<IEnumerable<ClusterObject>> LeftAsync() => (await ObjectsAsync(lab)).Except(objects);
        try
        {
            await shell.TypeAsync(blocks);
            foreach (var cluster in MeshRig.Clusters) Assert.Equal(config[cluster], await MeshConfigAsync(lab, cluster));
            // What the page deletes takes its dependents along in the background.
            await MeshRig.UntilAsync(async () => string.Join('\n', await LeftAsync()), text => text.Length == 0, "the page leaves no objects behind");
        }
        finally
        {
            // A page that fails halfway must not spoil the others.
            foreach (var value in await LeftAsync())
                await lab.KubectlAsync([$"--context={value.Context}", "delete", "--ignore-not-found", .. value.Name.Split(' ')]);
            await RestoreAsync(lab, config);
        }
    }

    /// <summary>Waits until callers of both clusters get answers as after the quickstart: what an earlier page deleted leaves their proxies a
    /// moment later.</summary>
    private async Task AsQuickstartAsync()
    {
        const int calls = 20;
        foreach (var cluster in MeshRig.Clusters)
        {
            await MeshRig.UntilAsync(() => mesh.ScriptAsync(cluster, "sample", "deploy/sleep", "sleep",
                $"curl -sS -m 20 'helloworld.sample:5000/hello?call=[1-{calls}]'; true"),
                text => text.Split("Hello version: v1,").Length + text.Split("Hello version: v2,").Length == calls + 2
                    && text.Contains("v1,", StringComparison.Ordinal) && text.Contains("v2,", StringComparison.Ordinal),
                $"both versions answer {calls} calls of {cluster}");
        }
    }

    private static async Task<HashSet<ClusterObject>> ObjectsAsync(LabRig lab)
    {
        var found = new HashSet<ClusterObject>();
        foreach (var cluster in MeshRig.Clusters)
        {
            using var client = lab.Client(cluster);
            foreach (var kind in Created)
            {
                foreach (var one in await client.ListAllAsync<JsonObject>(kind, null, new(), Stop))
                    found.Add(new(cluster, $"{(one["metadata"]!["namespace"] is { } ns ? $"-n {ns} " : "")}{kind} {one["metadata"]!["name"]}"));
            }
        }
        return found;
    }

    private static async Task<string> MeshConfigAsync(LabRig lab, string cluster)
    {
        using var client = lab.Client(cluster);
        return (await client.GetAsync(Kinds.ConfigMap, "istio-system", "istio", Stop))["data"]!["mesh"]!.ToString().TrimEnd();
    }

    private static async Task RestoreAsync(LabRig lab, Dictionary<string, string> config)
    {
        foreach (var (cluster, mesh) in config)
        {
            if (await MeshConfigAsync(lab, cluster) == mesh) continue;
            using var client = lab.Client(cluster);
            await client.PatchAsync(Kinds.ConfigMap, "istio-system", "istio", new JsonObject { ["data"] = new JsonObject { ["mesh"] = mesh } }, PatchType.Merge,
                Stop);
        }
    }
}
