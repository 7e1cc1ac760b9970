using System.Globalization;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Install;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary><c>isthmus experimental wait</c> against running control planes and proxies.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class DistributionTests(LoopbackMeshRig mesh)
{
    private const int Changes = 8;

    private const string Caller = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: awaited, labels: {istio-injection: enabled}}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: caller, namespace: awaited, annotations: {in-cluster: cluster1}}
        spec:
          selector: {matchLabels: {app: caller}}
          template:
            metadata: {labels: {app: caller}}
            spec: {containers: [{name: shell, image: host.lab.internal/rootfs, command: [sleep, infinity]}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: called, namespace: awaited}
        spec: {selector: {app: called}, ports: [{name: http, port: 5000}]}
        """;

    private static readonly ResourceKind Routes = Manifests.ResourceOf(MeshApi.VirtualService);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_proxy_that_is_said_to_have_a_change_has_it()
    {
        await mesh.ApplyAsync("cluster1", Caller);
        var client = mesh.Client("cluster1");
        var query = new MeshQuery(client, WellKnown.SystemNamespace);
        var pod = "";
        await mesh.UntilAsync(async () => pod = (await client.ListAllAsync<Pod>(Kinds.Pod, "awaited", new(), Stop))
            .FirstOrDefault(known => known.Status.IsReady)?.Metadata.Name
            ?? "",
            name => name.Length > 0, "the caller is ready");
        for (var seconds = 1; seconds <= Changes; seconds++)
        {
            await mesh.ApplyAsync("cluster1", $"""
                apiVersion: networking.istio.io/v1
                kind: VirtualService
                metadata:
                  name: called
                  namespace: awaited
                spec:
                  hosts: [called]
                  http:
                  - timeout: {seconds.ToString(CultureInfo.InvariantCulture)}s
                    route:
                    - destination:
                        host: called
                """);
            var version = (await client.GetAsync(Routes, "awaited", "called", Stop))["metadata"]!["resourceVersion"]!.ToString();
            await mesh.UntilAsync(async () => (await Distribution.AskAsync(query, MeshApi.VirtualService, version, Stop))
                .Of($"{pod}.awaited") is { Proxies.Count: 1 } one
                && one.Reaches(1)
                ? "all"
                : "",
                all => all.Length > 0, "the change is distributed");
            var routes = (await query.AskProxyAsync("awaited", pod, "/config_dump?resource=dynamic_route_configs", Stop)).ToJsonString();
            Assert.Contains($"\"timeout\":\"{seconds}s\"", routes, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_change_that_control_planes_have_not_seen_is_not_distributed()
    {
        var query = new MeshQuery(mesh.Client("cluster1"), WellKnown.SystemNamespace);
        var distribution = await Distribution.AskAsync(query, MeshApi.VirtualService, long.MaxValue.ToString(CultureInfo.InvariantCulture), Stop);
        Assert.NotEmpty(distribution.Lagging);
        Assert.NotEmpty(distribution.Proxies);
        Assert.False(distribution.Reaches(0));
        Assert.Equal(0, distribution.Synced);
    }

    [Fact]
    public async Task A_resource_version_that_is_no_number_is_an_error()
    {
        var query = new MeshQuery(mesh.Client("cluster1"), WellKnown.SystemNamespace);
        var refused = await Assert.ThrowsAsync<ProblemException>(() => Distribution.AskAsync(query, MeshApi.VirtualService, "newest", Stop));
        Assert.Contains("resourceVersion 'newest' is not a number", refused.Message, StringComparison.Ordinal);
    }
}
