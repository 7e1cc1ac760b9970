using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Clusters;

/// <summary>A kubeconfig names the API server's certificate, because the address leads through a tunnel.</summary>
public sealed class NamedServerTests : IAsyncDisposable
{
    private readonly LoopbackCluster _cluster = new();

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task The_certificate_must_have_the_name_of_the_kubeconfig()
    {
        var access = (await _cluster.StartAsync()).Access;
        using var right = new KubeClient(access with { TlsServerName = "kubernetes.default.svc" });
        Assert.NotNull(await right.FindAsync(Kinds.Namespace, null, "default", TestContext.Current.CancellationToken));
        using var wrong = new KubeClient(access with { TlsServerName = "another.example" });
        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => wrong.FindAsync(Kinds.Namespace, null, "default",
            TestContext.Current.CancellationToken));
        Assert.Contains("RemoteCertificateNameMismatch", refused.InnerException?.Message, StringComparison.Ordinal);
    }
}
