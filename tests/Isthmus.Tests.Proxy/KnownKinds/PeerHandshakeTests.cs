using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Formats.Asn1;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>Certificates whose names others could read differently, in handshakes with another library: as client and as server.</summary>
public sealed class PeerHandshakeTests : IDisposable
{
    private const string Id = "spiffe://cluster.local/ns/shop/sa/orders";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TestCa Authority = new("mesh");

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

    public PeerHandshakeTests() => _listener.Start();

    public void Dispose() => _listener.Dispose();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true, Id)]
    [InlineData(false)]
    [InlineData(false, Id, "spiffe://cluster.local/ns/shop/sa/admin")]
    [InlineData(false, "spiffe://cluster.local/ns/shop/sa/admin", Id)]
    [InlineData(false, Id + "\0.example")]
    [InlineData(false, Id + "\r\nx")]
    [InlineData(false, Id + ";URI=spiffe://cluster.local/ns/shop/sa/admin")]
    public async Task A_peer_with_other_names_than_one_identity_gets_no_connection(bool accepted, params string[] uris)
    {
        foreach (var version in (SslProtocols[])[SslProtocols.Tls12, SslProtocols.Tls13])
        {
            Assert.Equal(accepted, await ConnectsAsync(uris, isServer: false, version));
            Assert.Equal(accepted, await ConnectsAsync(uris, isServer: true, version));
        }
    }

    /// <summary>Whether the proxy's side of the handshake completes.</summary>
    private async Task<bool> ConnectsAsync(string[] uris, bool isServer, SslProtocols version)
    {
        using var certificate = Authority.Signed(list =>
        {
            // An extension without a name is no extension.
            list.WriteOctetString("orders.shop"u8, new Asn1Tag(TagClass.ContextSpecific, 2));
            foreach (var uri in uris) list.WriteOctetString(Encoding.Latin1.GetBytes(uri), new Asn1Tag(TagClass.ContextSpecific, 6));
        });
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await near.ConnectAsync(_listener.LocalEndpoint, Stop);
        using var far = await _listener.AcceptSocketAsync(Stop);
        await using var tls = new SslStream(new NetworkStream(far), false, (_, _, _, _) => true);
        var settings = new TlsSettings(["default"], "ROOTCA", [], default, RequirePeer: true, "", version) { IsServer = !isServer };
        var socket = new SocketTransport(near);
        var other = IgnoreAsync(isServer
            ? tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = certificate }, Stop)
            : tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = "x", ClientCertificates = [certificate], LocalCertificateSelectionCallback = (_, _, _, _, _) => certificate
            },
                Stop));
        try
        {
            using var transport = new Ending(isServer
                ? await TlsTransport.ConnectAsync(socket, settings, "", [], new Secrets(), Patience, TimeProvider.System)
                : await TlsTransport.AcceptAsync(socket, settings, null, default, new Secrets(), Patience, TimeProvider.System));
            Assert.Equal(uris, transport.Peer.Uris);
            return true;
        }
        catch (TransportException e)
        {
            Assert.Contains("verify_cert_failed", e.Message, StringComparison.Ordinal);
            return false;
        }
        finally
        {
            far.Dispose();
            await other;
        }
    }

    private static async Task IgnoreAsync(Task handshake)
    {
        try
        {
            await handshake;
        }
        catch (Exception e) when (e is IOException or AuthenticationException or ObjectDisposedException)
        {
            // The proxy has ended it.
        }
    }

    private sealed class Ending(TlsTransport transport) : IDisposable
    {
        internal TlsPeer Peer => transport.Peer;

        public void Dispose() => transport.Abort();
    }

    private sealed class Secrets : ISecretSource
    {
        private static readonly CertificateSecret Own = Load();

        public event Action<string>? Changed
        {
            add { }
            remove { }
        }

        public CertificateSecret? FindCertificate(string name) => Own;

        public RootSecret? FindRoots(string name) => RootSecret.Load("ROOTCA", Authority.Pem);

        public IReadOnlyList<SecretView> View() => [];

        private static CertificateSecret Load()
        {
            using var certificate = Authority.Server(Id);
            using var key = certificate.GetECDsaPrivateKey()!;
            return CertificateSecret.Load("default", certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
        }
    }
}
