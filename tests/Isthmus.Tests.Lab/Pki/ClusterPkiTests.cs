using System.Net;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;
using Isthmus.Lab.ApiServer.Pki;
using Xunit;

namespace Isthmus.Tests.Lab.Pki;

public sealed class ClusterPkiTests : IDisposable
{
    private static readonly IPAddress Address = IPAddress.Parse("172.18.0.2");

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-pki-").FullName;

    [Fact]
    public async Task A_second_call_finds_the_same_keys()
    {
        using var first = await EnsureAsync(Address, TimeProvider.System);
        using var second = await EnsureAsync(Address, TimeProvider.System);
        Assert.Equal(first.Ca.Thumbprint, second.Ca.Thumbprint);
        Assert.Equal(first.ApiServer.Thumbprint, second.ApiServer.Thumbprint);
        Assert.Equal(first.ServiceAccountKey.ExportSubjectPublicKeyInfo(), second.ServiceAccountKey.ExportSubjectPublicKeyInfo());
    }

    [Fact]
    public async Task Another_address_renews_only_the_server_certificate()
    {
        using var first = await EnsureAsync(Address, TimeProvider.System);
        var admin = await first.ReadPairAsync(PkiNames.Admin, default);
        using var second = await EnsureAsync(IPAddress.Parse("172.18.0.3"), TimeProvider.System);
        Assert.NotEqual(first.ApiServer.Thumbprint, second.ApiServer.Thumbprint);
        Assert.Equal(admin, await second.ReadPairAsync(PkiNames.Admin, default));
        var names = second.ApiServer.Extensions.OfType<X509SubjectAlternativeNameExtension>().Single();
        Assert.Contains(IPAddress.Parse("172.18.0.3"), names.EnumerateIPAddresses());
        Assert.Contains("kubernetes.default.svc", names.EnumerateDnsNames());
    }

    [Fact]
    public async Task Certificates_are_renewed_before_they_end()
    {
        using var first = await EnsureAsync(Address, TimeProvider.System);
        using var later = await EnsureAsync(Address, new At(TimeProvider.System.GetUtcNow().AddDays(340)));
        Assert.Equal(first.Ca.Thumbprint, later.Ca.Thumbprint);
        Assert.NotEqual(first.ApiServer.Thumbprint, later.ApiServer.Thumbprint);
    }

    [Fact]
    public async Task Client_certificates_name_user_and_group()
    {
        using var pki = await EnsureAsync(Address, TimeProvider.System);
        var (pem, key) = await pki.ReadPairAsync(PkiNames.Node, default);
        using var node = X509Certificate2.CreateFromPem(pem, key);
        Assert.Contains("CN=system:node:east-control-plane", node.Subject, StringComparison.Ordinal);
        Assert.Contains("O=system:nodes", node.Subject, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Files_are_readable_by_their_owner_alone()
    {
        using var pki = await EnsureAsync(Address, TimeProvider.System);
        foreach (var file in Directory.GetFiles(Path.Combine(_directory, "pki"), "*.*").Where(f => !f.EndsWith(".lock", StringComparison.Ordinal)))
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
    }

    [Fact]
    public async Task A_damaged_file_is_named()
    {
        using (await EnsureAsync(Address, TimeProvider.System)) { }
        var path = Path.Combine(_directory, "pki", "ca.crt");
        await File.WriteAllTextAsync(path, "not a certificate");
        var problem = await Assert.ThrowsAsync<ProblemException>(() => EnsureAsync(Address, TimeProvider.System));
        Assert.Contains("ca.crt", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_users_kubeconfig_goes_through_the_proxy()
    {
        using var pki = await EnsureAsync(Address, TimeProvider.System);
        var text = await Kubeconfig.RenderAsync(pki, "east", new("https://172.18.0.2:6443"), new("http://127.0.0.1:8123"), default);
        Assert.Contains("    server: https://172.18.0.2:6443\n    proxy-url: http://127.0.0.1:8123\ncontexts:", text, StringComparison.Ordinal);
        var direct = await Kubeconfig.RenderAsync(pki, "east", new("https://172.18.0.2:6443"), null, default);
        Assert.DoesNotContain("proxy-url", direct, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private Task<ClusterPki> EnsureAsync(IPAddress address, TimeProvider time) =>
        ClusterPki.EnsureAsync(_directory, "east", address, time, default);

    private sealed class At(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
