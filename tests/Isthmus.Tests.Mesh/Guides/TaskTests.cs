using System.Text.Json.Nodes;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Mesh;
using Xunit;

namespace Isthmus.Tests.Mesh.Guides;

/// <summary>Runs the pages of docs/tasks as a reader types them, all on one lab. They need the mesh of the quickstart, and leave it as it was.</summary>
[Collection(nameof(PlacedMesh))]
[Trait("shard", nameof(TaskTests))]
public sealed class TaskTests(PlacedMeshRig mesh)
{
    /// <summary>What pages create. The rest of a namespace goes with it.</summary>
    private const string Kinds = "namespaces,deployments,services,serviceaccounts,secrets,ingresses,ingressclasses,gateways.networking.istio.io,virtualservices,destinationrules,serviceentries,"
        + "sidecars,envoyfilters,peerauthentications,requestauthentications,authorizationpolicies,telemetries";

    public static TheoryData<string> Pages => [.. Directory.GetFiles(GuideShell.Tasks, "*.md").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task The_page_works_as_it_is_written(string page)
    {
        var lab = await mesh.LabAsync();
        await using var shell = GuideShell.In(lab);
        var blocks = GuidePage.Read(GuideShell.Tasks, page);
        Assert.NotEmpty(blocks);
        var objects = await ObjectsAsync(lab);
        var config = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var cluster in MeshRig.Clusters) config[cluster] = await MeshConfigAsync(lab, cluster);
        var left = new HashSet<ClusterObject>();
        try
        {
            await shell.TypeAsync(blocks);
            foreach (var cluster in MeshRig.Clusters) Assert.Equal(config[cluster], await MeshConfigAsync(lab, cluster));
        }
        finally
        {
            // A page that fails halfway must not spoil the others.
            left = await ObjectsAsync(lab);
            left.ExceptWith(objects);
            foreach (var value in left) await lab.KubectlAsync([$"--context={value.Context}", "delete", "--ignore-not-found", .. value.Name.Split(' ')]);
            await RestoreAsync(lab, config);
        }
        Assert.Empty(left);
    }

    private static async Task<HashSet<ClusterObject>> ObjectsAsync(LabRig lab)
    {
        var found = new HashSet<ClusterObject>();
        foreach (var cluster in MeshRig.Clusters)
        {
            var lines = (await lab.KubectlAsync($"--context={cluster}", "get", Kinds, "-A", "-o", "custom-columns=:.kind,:.metadata.namespace,:.metadata.name", "--no-headers")).Expect(0);
            foreach (var words in lines.Split('\n').Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(words => words.Length == 3))
                found.Add(new(cluster, words[1] == "<none>" ? $"{words[0]} {words[2]}" : $"-n {words[1]} {words[0]} {words[2]}"));
        }
        return found;
    }

    private static async Task<string> MeshConfigAsync(LabRig lab, string cluster) =>
        (await lab.KubectlAsync($"--context={cluster}", "-n", "istio-system", "get", "configmap", "istio", "-o", "jsonpath={.data.mesh}")).Expect(0).TrimEnd();

    private static async Task RestoreAsync(LabRig lab, Dictionary<string, string> config)
    {
        foreach (var (cluster, mesh) in config)
        {
            if (await MeshConfigAsync(lab, cluster) == mesh) continue;
            var patch = new JsonObject { ["data"] = new JsonObject { ["mesh"] = mesh } };
            (await lab.KubectlAsync($"--context={cluster}", "-n", "istio-system", "patch", "configmap", "istio", "--type=merge", "-p", patch.ToJsonString())).Expect(0);
        }
    }
}
