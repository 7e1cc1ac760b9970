using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Certificates;
using Isthmus.Operate.Install;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>Clusters that cannot trust each other: no call between them works, and every report explains why.</summary>
[Trait("shard", "LoopbackMesh")]
public sealed class DifferentRootsTests(LoopbackMeshRig mesh) : IClassFixture<LoopbackMeshRig>
{
    private const string Shop = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop, labels: {istio-injection: enabled}}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: buyer, namespace: shop, annotations: {in-cluster: cluster1}}
        spec:
          selector: {matchLabels: {app: buyer}}
          template:
            metadata: {labels: {app: buyer}}
            spec: {containers: [{name: client, image: host.lab.internal/rootfs}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: mirror, namespace: shop, annotations: {in-cluster: cluster2}}
        spec: {selector: {app: mirror}, ports: [{name: http, port: 8000, targetPort: 8081}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: mirror, namespace: shop, annotations: {in-cluster: cluster2}}
        spec:
          selector: {matchLabels: {app: mirror}}
          template:
            metadata: {labels: {app: mirror}}
            spec: {containers: [{name: web, image: docker.io/kong/httpbin, args: ["8081"]}]}
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Calls_fail_with_a_certificate_error_that_the_log_and_the_cluster_list_name()
    {
        Assert.DoesNotContain("certificate errors", await mesh.WatchedAsync("cluster1"), StringComparison.Ordinal);
        await UseAnotherRootAsync("cluster2");
        foreach (var cluster in LoopbackMeshRig.Clusters) await mesh.ApplyAsync(cluster, Shop);
        // While a Pod is not ready, that is what stops the call.
        await ReadyAsync("cluster1", "shop", "buyer");
        await ReadyAsync("cluster2", "shop", "mirror");

        CallTrace? trace = null;
        // The proxy says why only after its last attempt. On a busy machine, three that fail in the handshake take more than 3 s.
        await mesh.UntilAsync(async () => TraceText.Write(trace = await mesh.TraceAsync("deployment/buyer", "shop", "mirror.shop:8000/headers", seconds: 20),
            details: true),
            text => trace!.Call is { Status: 503 } call && call.Detail.Contains("CERTIFICATE_VERIFY_FAILED", StringComparison.Ordinal)
                && text.Contains("(ISM1010)", StringComparison.Ordinal) && text.Contains("object  CA of cluster2", StringComparison.Ordinal),
                "the caller is told of the certificate, and the trace of the root");
        Assert.False(trace!.Succeeds);
        // The proxy creates the file with the first lines.
        var log = mesh.Pod("cluster1", "shop", "buyer").AccessLog;
        await mesh.UntilAsync(async () => File.Exists(log) ? await File.ReadAllTextAsync(log, Stop) : "",
            lines => lines.Split('\n')
                .Any(line => line.Contains("/headers", StringComparison.Ordinal) && line.Contains("CERTIFICATE_VERIFY_FAILED", StringComparison.Ordinal)),
            "the log names the certificate");

        await mesh.UntilAsync(async () => string.Join('\n', (await mesh.VerifyAsync()).Select(problem => problem.Code)),
            codes => codes.Contains("ISM1010", StringComparison.Ordinal), "verify names the root");
        await mesh.UntilAsync(async () => string.Join('\n', (await mesh.AnalyzeAsync()).Select(finding => finding.Problem.Code)),
            codes => codes.Contains("ISM1454", StringComparison.Ordinal), "analyze names the root");

        foreach (var cluster in LoopbackMeshRig.Clusters)
        {
            await mesh.UntilAsync(() => mesh.WatchedAsync(cluster),
                listed => listed.Contains("is not ours", StringComparison.Ordinal) && listed.Contains("certificate errors", StringComparison.Ordinal),
                $"{cluster} tells that the roots differ");
        }
    }

    private async Task UseAnotherRootAsync(string cluster)
    {
        var folder = Directory.CreateTempSubdirectory("isthmus-ca-").FullName;
        var data = new JsonObject();
        try
        {
            var files = new CaFiles(folder, TimeProvider.System);
            var request = new CaRequest(KeyKind.EcP256, 10);
            files.MakeRoot(request);
            files.MakeIntermediate(cluster, request, WellKnown.SystemNamespace);
            foreach (var file in CaFiles.ClusterFiles)
                data[file] = Convert.ToBase64String(await File.ReadAllBytesAsync(Path.Combine(folder, cluster, file), Stop));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        await mesh.PatchAsync(cluster, Kinds.Secret, WellKnown.SystemNamespace, WellKnown.CaCerts, new() { ["data"] = data });
        await mesh.PatchAsync(cluster, Kinds.Deployment, WellKnown.SystemNamespace, WellKnown.Istiod,
            new()
            {
                ["spec"] = new JsonObject
                {
                    ["template"] = new JsonObject { ["metadata"] = new JsonObject { ["annotations"] = new JsonObject { ["restarted"] = "yes" } } }
                }
            });
        await ReadyAsync(cluster, WellKnown.SystemNamespace, WellKnown.Istiod);
    }

    private async Task ReadyAsync(string cluster, string ns, string deployment)
    {
        var client = mesh.Client(cluster);
        await new Applier(client, TimeProvider.System).ReadyAsync([await client.GetAsync(Kinds.Deployment, ns, deployment, Stop)], TimeSpan.FromSeconds(60),
            Stop);
    }
}
