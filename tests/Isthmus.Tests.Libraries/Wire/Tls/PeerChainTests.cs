using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.Libraries.Wire.Tls;

/// <summary>What a callback gets that judges peers itself, from a handshake that does not.</summary>
public sealed class PeerChainTests : IDisposable
{
    private readonly DateTimeOffset _now = TimeProvider.System.GetUtcNow();
    private readonly Issuer _root;
    private readonly Issuer _intermediate;

    public PeerChainTests()
    {
        _root = Issuer.SelfSigned(new("Istio", "Root CA"), Keys.Create(KeyKind.EcP256), _now.AddDays(-1), _now.AddDays(1));
        _intermediate = _root.IssueIntermediate(new("Istio", "Intermediate CA"), Keys.Create(KeyKind.EcP256), SubjectNames.None, _now.AddDays(-1),
            _now.AddDays(1));
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_handshake_trusts_nobody_and_passes_on_what_the_peer_sent()
    {
        var sent = new List<string[]>();
        var errors = new List<SslPolicyErrors>();
        // Connections of one client share their options.
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = "shop.example",
            CertificateChainPolicy = PeerChain.Unjudged(),
            RemoteCertificateValidationCallback = (_, _, chain, found) =>
            {
                sent.Add([.. chain!.ChainPolicy.ExtraStore.Concat(chain.ChainElements.Select(element => element.Certificate)).Select(one => one.Thumbprint)
                    .Distinct()]);
                errors.Add(found);
                return true;
            },
        };
        using var first = Certificate(_intermediate);
        using var second = Certificate(_root);
        await ShakeAsync(options, first, _intermediate.Certificate);
        await ShakeAsync(options, second);

        Assert.Contains(_intermediate.Certificate.Thumbprint, sent[0]);
        Assert.DoesNotContain(_root.Certificate.Thumbprint, sent[0]);
        Assert.Equal([second.Thumbprint], sent[1]);
        Assert.Equal([SslPolicyErrors.RemoteCertificateChainErrors, SslPolicyErrors.RemoteCertificateChainErrors], errors);
    }

    [Fact]
    public async Task Without_a_callback_nobody_is_trusted()
    {
        using var certificate = Certificate(_intermediate);
        var options = new SslClientAuthenticationOptions { TargetHost = "shop.example", CertificateChainPolicy = PeerChain.Unjudged() };
        await Assert.ThrowsAsync<AuthenticationException>(() => ShakeAsync(options, certificate, _intermediate.Certificate, _root.Certificate));
    }

    public void Dispose()
    {
        _intermediate.Dispose();
        _root.Dispose();
    }

    private static async Task ShakeAsync(SslClientAuthenticationOptions options, X509Certificate2 certificate, params X509Certificate2[] above)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var near = new TcpClient();
        await near.ConnectAsync((IPEndPoint)listener.LocalEndpoint, Stop);
        using var far = await listener.AcceptTcpClientAsync(Stop);
        await using var client = new SslStream(near.GetStream());
        await using var server = new SslStream(far.GetStream());
        var serving = server.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
        {
            ServerCertificateContext = SslStreamCertificateContext.Create(certificate, [.. above], offline: true),
        }, Stop);
        await client.AuthenticateAsClientAsync(options, Stop);
        await serving;
    }

    private X509Certificate2 Certificate(Issuer issuer)
    {
        using var key = Keys.Create(KeyKind.EcP256);
        using var leaf = issuer.IssueLeaf(new(new PublicKey(key), new([], ["shop.example"], []), _now.AddMinutes(-2), _now.AddHours(1)));
        using var joined = Keys.Join(leaf, key);
        return X509CertificateLoader.LoadPkcs12(joined.Export(X509ContentType.Pkcs12), null);
    }
}
