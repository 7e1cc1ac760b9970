using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.WhatIf;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.History;
using Isthmus.Operate.Install;
using Isthmus.Testing;
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
        await mesh.UntilAsync(async () => $"{await mesh.Client("cluster1").FindAsync<Namespace>(Kinds.Namespace, null, Foreign, Stop)}", found => found.Length == 0, "the foreign control plane is gone");
    }

    [Fact]
    public async Task What_only_control_planes_of_Isthmus_know_is_named_as_unknown()
    {
        var pod = (await Query.ControlPlanesAsync(Stop))[0].Metadata.Name;
        var unknown = Assert.Single(await Query.ProblemsAsync(Stop));
        Assert.Equal((Severity.Info, $"Pod {Foreign}/{pod}"), (unknown.Severity, unknown.Object));
        Assert.EndsWith("what it finds wrong with objects and proxies is not known", unknown.Message, StringComparison.Ordinal);

        var history = await MeshHistory.AskAsync([(mesh.Client("cluster1"), Foreign), (mesh.Client("cluster1"), WellKnown.SystemNamespace)], new("", "", TimeSpan.FromHours(1)), Stop);
        Assert.Empty(history.Silent);
        var without = Assert.Single(history.WithoutHistory);
        Assert.Equal((pod, $"Pod {Foreign}/{pod}"), (without.Pod, without.Problem.Object));
        Assert.NotEqual(pod, Assert.Single(history.ControlPlanes).Pod);
    }

    /// <summary>A control plane of Istio, and one that does not answer, in the namespace of ours: what ours knows is shown, and the others are named.</summary>
    [Fact]
    public async Task Beside_ours_others_are_rows_with_the_reason()
    {
        var client = mesh.Client("cluster1");
        var query = new MeshQuery(client, WellKnown.SystemNamespace);
        var ours = (await query.ControlPlanesAsync(Stop)).Select(pod => pod.Metadata.Name).ToHashSet(StringComparer.Ordinal);
        await mesh.ApplyAsync("cluster1", Other("other", 8080) + "\n---\n" + Other("mute", 8081));
        try
        {
            await mesh.UntilAsync(async () => $"{(await query.ControlPlanesAsync(Stop)).Count}", count => count == $"{ours.Count + 2}", "the others run");
            var answers = await query.AskEachControlPlaneAsync("/debug/syncz", Stop);
            Assert.All(answers, answer => Assert.Equal(ours.Contains(answer.Pod), answer.Answer is not null));
            Assert.Equal(MeshQuery.Foreign, answers.Single(answer => answer.Pod.StartsWith("other", StringComparison.Ordinal)).Why);
            Assert.StartsWith("does not respond to GET /debug/syncz on port 8080", answers.Single(answer => answer.Pod.StartsWith("mute", StringComparison.Ordinal)).Why, StringComparison.Ordinal);

            var route = await RouteAsync(client);
            Distribution distribution = null!;
            await Eventually.TrueAsync(async () =>
            {
                distribution = await Distribution.AskAsync(query, MeshApi.VirtualService, route["metadata"]!["resourceVersion"]!.ToString(), Stop);
                return distribution.Reaches(1);
            });
            Assert.NotEmpty(distribution.Proxies);
            Assert.All(distribution.Proxies, proxy => Assert.Contains(proxy.ControlPlane, ours));
            AreSilent(distribution.Silent, "what its proxies have is not known");

            route["spec"]!["http"]![0]!["timeout"] = "7s";
            var diff = await MeshDiff.AskAsync(client, [client], WellKnown.SystemNamespace, [route], Stop);
            Assert.True(diff.Connected > 0);
            AreSilent(diff.Silent, "what the files would change for its proxies is not known");
        }
        finally
        {
            foreach (var name in (string[])["other", "mute"]) await client.DeleteAsync(Kinds.Deployment, WellKnown.SystemNamespace, name, default);
            await mesh.UntilAsync(async () => $"{(await query.ControlPlanesAsync(Stop)).Count}", count => count == $"{ours.Count}", "the others are gone");
        }

        static void AreSilent(IReadOnlyList<Problem> silent, string what)
        {
            Assert.Equal(2, silent.Count);
            Assert.Contains(silent, problem => problem.Object.StartsWith("Pod istio-system/other", StringComparison.Ordinal) && problem.Message == $"{MeshQuery.Foreign}: {what}");
            Assert.Contains(silent, problem => problem.Object.StartsWith("Pod istio-system/mute", StringComparison.Ordinal) && problem.Message.Contains($": {what}", StringComparison.Ordinal));
        }
    }

    private async Task<JsonObject> RouteAsync(KubeClient client)
    {
        await mesh.ApplyAsync("cluster1", """
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: aside, namespace: foreign}
            spec: {hosts: [aside.example], http: [{route: [{destination: {host: aside.example} }]}]}
            """);
        return (await client.FindAsync(Manifests.ResourceOf(MeshApi.VirtualService), Foreign, "aside", Stop))!;
    }

    /// <summary>A Pod that is called a control plane, and serves something else.</summary>
    private static string Other(string name, int port) => $$"""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: {{name}}, namespace: istio-system}
        spec:
          selector: {matchLabels: {other: {{name}} } }
          template:
            metadata: {labels: {app: istiod, other: {{name}} } }
            spec: {containers: [{name: istiod, image: "docker.io/istio/pilot:1.31.0", args: ["{{port}}"]}]}
        """;

    [Fact]
    public async Task The_mesh_is_verified_and_packed_as_without_it()
    {
        Assert.DoesNotContain(await mesh.VerifyAsync(), problem => problem.Code == "ISM1001" || problem.Message.Contains("404", StringComparison.Ordinal));
        var pack = await mesh.PackAsync(mesh.Access("cluster1"));
        Assert.DoesNotContain(pack.Manifest.Clusters.SelectMany(cluster => cluster.Missing), missing => missing.Contains("/debug/", StringComparison.Ordinal));
    }
}
