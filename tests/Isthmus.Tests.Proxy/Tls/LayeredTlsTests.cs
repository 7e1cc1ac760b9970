using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Tls;

/// <summary>TLS on transports other than sockets: here on TLS, as within a tunnel to a proxy that is reached over TLS.</summary>
public sealed class LayeredTlsTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly TestCa Authority = new("layers");
    private static readonly CertificateSecret Own = Load(Authority.Server("spiffe://test/layer"));
    private static readonly RootSecret Roots = RootSecret.Load("ROOTCA", Authority.Pem);

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public LayeredTlsTests()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
    }

    public void Dispose() => _listener.Dispose();

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task Both_directions_carry_more_than_the_buffers_hold(SslProtocols version)
    {
        var (client, server) = await LayersAsync(version, 3);
        var up = RandomNumberGenerator.GetBytes(3 << 20);
        var down = RandomNumberGenerator.GetBytes(2 << 20);

        var sending = Task.WhenAll(SendAsync(client, up), SendAsync(server, down));
        var received = await Task.WhenAll(ReceiveAsync(server), ReceiveAsync(client)).WaitAsync(Patience, TestContext.Current.CancellationToken);
        await sending;

        Assert.Equal(SHA256.HashData(up), received[0]);
        Assert.Equal(SHA256.HashData(down), received[1]);
        client.Abort();
        server.Abort();
    }

    [Fact]
    public async Task Each_layer_knows_its_own_peer()
    {
        var (client, server) = await LayersAsync(SslProtocols.Tls13, 2);

        Assert.Equal("spiffe://test/layer", client.Peer!.Identity);
        Assert.Equal("spiffe://test/layer", server.Peer!.Identity);
        Assert.Equal(_listener.LocalEndPoint, client.Remote);
        client.Abort();
        server.Abort();
    }

    [Fact]
    public async Task A_wait_without_a_buffer_ends_when_bytes_arrive_and_takes_none()
    {
        var (client, server) = await LayersAsync(SslProtocols.Tls13, 2);
        // What servers send after the handshake of TLS 1.3 is no data.
        await server.WriteAsync(new byte[1]);
        Assert.Equal(1, await client.ReadAsync(new byte[10]).AsTask().WaitAsync(Patience, TestContext.Current.CancellationToken));
        Assert.True(client.IsQuiet);

        var waiting = client.ReadAsync(Memory<byte>.Empty).AsTask();
        Assert.False(waiting.IsCompleted);
        await server.WriteAsync("hello"u8.ToArray());
        await waiting.WaitAsync(Patience, TestContext.Current.CancellationToken);

        Assert.False(client.IsQuiet);
        var buffer = new byte[10];
        Assert.Equal(5, await client.ReadAsync(buffer).AsTask().WaitAsync(Patience, TestContext.Current.CancellationToken));
        client.Abort();
        server.Abort();
    }

    [Fact]
    public async Task A_transport_below_that_breaks_ends_what_is_pending()
    {
        var (client, server) = await LayersAsync(SslProtocols.Tls13, 2);
        var reading = client.ReadAsync(new byte[10]).AsTask();

        server.Abort(reset: true);

        await Assert.ThrowsAsync<TransportException>(() => reading.WaitAsync(Patience, TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<TransportException>(async () =>
        {
            while (true) await client.WriteAsync(new byte[50_000]).AsTask().WaitAsync(Patience, TestContext.Current.CancellationToken);
        });
        client.Abort();
    }

    private async Task<(Transport Client, Transport Server)> LayersAsync(SslProtocols version, int layers)
    {
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await near.ConnectAsync(_listener.LocalEndPoint!);
        Transport client = new SocketTransport(near), server = new SocketTransport(await _listener.AcceptAsync());
        var settings = new TlsSettings(["default"], "ROOTCA", [], default, RequirePeer: true, "", version);
        for (var layer = 0; layer < layers; layer++)
        {
            var connecting = TlsTransport.ConnectAsync(client, settings, "", [], new Secrets(), Patience, TimeProvider.System).AsTask();
            server = await TlsTransport.AcceptAsync(server, settings, null, default, new Secrets(), Patience, TimeProvider.System);
            client = await connecting;
        }
        return (client, server);
    }

    private static async Task SendAsync(Transport to, byte[] bytes)
    {
        await Task.Yield();
        for (var at = 0; at < bytes.Length; at += 100_000) await to.WriteAsync(bytes.AsMemory(at, Math.Min(100_000, bytes.Length - at)));
        await to.CloseWriteAsync();
    }

    private static async Task<byte[]> ReceiveAsync(Transport from)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[30_000];
        while (await from.ReadAsync(buffer) is > 0 and var count) hash.AppendData(buffer.AsSpan(0, count));
        return hash.GetHashAndReset();
    }

    private static CertificateSecret Load(X509Certificate2 certificate)
    {
        using var key = certificate.GetECDsaPrivateKey()!;
        return CertificateSecret.Load("default", certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    private sealed class Secrets : ISecretSource
    {
        public event Action<string>? Changed
        {
            add { }
            remove { }
        }

        public CertificateSecret? FindCertificate(string name) => Own;

        public RootSecret? FindRoots(string name) => Roots;

        public IReadOnlyList<SecretView> View() => [];
    }
}
