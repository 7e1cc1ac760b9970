using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.History;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>A control plane of Istio beside those of Isthmus: what it cannot tell is said, and the rest is told.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class ForeignControlPlaneTests(LoopbackMeshRig mesh) : IAsyncLifetime
{
    private const string Foreign = "foreign", Objects = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: foreign}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: istiod, namespace: foreign, labels: {app: istiod}}
        spec:
          selector: {matchLabels: {app: istiod}}
          template:
            metadata: {labels: {app: istiod}}
            spec: {containers: [{name: istiod, image: "docker.io/istio/pilot:1.31.0", args: ["8080"]}]}
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private MeshQuery Query => new(mesh.Client("cluster1"), Foreign);

    public async ValueTask InitializeAsync()
    {
        await mesh.ApplyAsync("cluster1", Objects);
        await mesh.UntilAsync(async () => $"{(await Query.ControlPlanesAsync(Stop)).Count}", count => count == "1", "the foreign control plane runs");
    }

    public async ValueTask DisposeAsync()
    {
        await mesh.Client("cluster1").DeleteAsync(Kinds.Namespace, null, Foreign, default);
        await mesh.UntilAsync(async () => $"{await mesh.Client("cluster1").FindAsync<Namespace>(Kinds.Namespace, null, Foreign, Stop)}",
            found => found.Length == 0, "the foreign control plane is gone");
    }

    [Fact]
    public async Task What_only_control_planes_of_Isthmus_know_is_named_as_unknown()
    {
        var pod = (await Query.ControlPlanesAsync(Stop))[0].Metadata.Name;
        var unknown = Assert.Single(await Query.ProblemsAsync(Stop));
        Assert.Equal((Severity.Info, $"Pod {Foreign}/{pod}"), (unknown.Severity, unknown.Object));
        Assert.EndsWith("what it finds wrong with objects and proxies is not known", unknown.Message, StringComparison.Ordinal);

        var history = await MeshHistory.AskAsync([(mesh.Client("cluster1"), Foreign), (mesh.Client("cluster1"), WellKnown.SystemNamespace)],
            new("", "", TimeSpan.FromHours(1)), Stop);
        Assert.Empty(history.Silent);
        var without = Assert.Single(history.WithoutHistory);
        Assert.Equal((pod, $"Pod {Foreign}/{pod}"), (without.Pod, without.Problem.Object));
        Assert.NotEqual(pod, Assert.Single(history.ControlPlanes).Pod);
    }

    [Fact]
    public async Task The_mesh_is_verified_and_packed_as_without_it()
    {
        Assert.DoesNotContain(await mesh.VerifyAsync(), problem => problem.Code == "ISM1001" || problem.Message.Contains("404", StringComparison.Ordinal));
        var pack = await mesh.PackAsync(mesh.Access("cluster1"));
        Assert.DoesNotContain(pack.Manifest.Clusters.SelectMany(cluster => cluster.Missing), missing => missing.Contains("/debug/", StringComparison.Ordinal));
    }
}
