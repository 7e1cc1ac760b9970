using Isthmus.Operate.Certificates;
using Xunit;

namespace Isthmus.Tests.Mesh.Mesh;

/// <summary>Clusters that cannot trust each other: no call between them works, and every report explains why.</summary>
public sealed class DifferentRootsTests(MeshRig mesh) : IClassFixture<MeshRig>
{
    [Fact]
    public async Task Calls_fail_with_a_certificate_error_that_the_log_and_the_cluster_list_name()
    {
        var lab = await mesh.LabAsync();
        Assert.DoesNotContain("certificate errors", (await lab.IsthmusAsync("remote-clusters", "--context=cluster1")).Expect(0), StringComparison.Ordinal);
        await UseAnotherRootAsync("cluster2");
        foreach (var cluster in MeshRig.Clusters) await mesh.ApplyAsync(cluster, "services.yaml");
        foreach (var cluster in MeshRig.Clusters) await mesh.ReadyAsync(cluster, "shop");

        Task<string> Ask() => mesh.ScriptAsync("cluster1", "shop", "deploy/buyer", "client", "curl -sS -m 5 -w ' %{http_code}' mirror.shop:8000/headers; true");
        await MeshRig.UntilAsync(Ask, text => text.EndsWith(" 503", StringComparison.Ordinal) && text.Contains("CERTIFICATE_VERIFY_FAILED", StringComparison.Ordinal),
            "the caller is told of the certificate");
        var log = await mesh.KubectlAsync("cluster1", "-n shop logs deploy/buyer -c istio-proxy");
        Assert.Contains(log.Split('\n'), line => line.Contains("/headers", StringComparison.Ordinal) && line.Contains("CERTIFICATE_VERIFY_FAILED", StringComparison.Ordinal));

        var trace = await lab.IsthmusAsync("trace", "deploy/buyer.shop", "mirror.shop:8000/headers", "--context=cluster1");
        Assert.Contains("(ISM1010)", trace.Expect(1), StringComparison.Ordinal);
        Assert.Contains("object  CA of cluster2", trace.Output, StringComparison.Ordinal);

        foreach (var cluster in MeshRig.Clusters)
        {
            await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync("remote-clusters", $"--context={cluster}")).Expect(0),
                text => text.Contains("is not ours", StringComparison.Ordinal) && text.Contains("certificate errors", StringComparison.Ordinal), $"{cluster} tells that the roots differ");
        }
    }

    private async Task UseAnotherRootAsync(string cluster)
    {
        var folder = Directory.CreateTempSubdirectory("isthmus-ca-").FullName;
        try
        {
            var files = new CaFiles(folder, TimeProvider.System);
            var request = new CaRequest(Wire.Tls.KeyKind.EcP256, 10);
            files.MakeRoot(request);
            files.MakeIntermediate(cluster, request, "istio-system");
            await mesh.KubectlAsync(cluster, "-n istio-system delete secret cacerts");
            await mesh.KubectlAsync(cluster, "-n istio-system create secret generic cacerts "
                + string.Join(' ', CaFiles.ClusterFiles.Select(file => $"--from-file={Path.Combine(folder, cluster, file)}")));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        await mesh.KubectlAsync(cluster, "-n istio-system rollout restart deployment/istiod");
        await mesh.KubectlAsync(cluster, "-n istio-system rollout status deployment/istiod --timeout=90s");
    }
}
