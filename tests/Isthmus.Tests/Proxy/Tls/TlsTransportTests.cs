using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tcp;
using Isthmus.Proxy.Tls;
using Isthmus.Tests.Proxy.System;
using Xunit;

namespace Isthmus.Tests.Proxy.Tls;

/// <summary>TLS between two sockets of this process.</summary>
public sealed class TlsTransportTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TestCa _authority = new("tls");
    private readonly Secrets _secrets;

    public TlsTransportTests() => _secrets = new(_authority);

    public void Dispose() => _authority.Dispose();

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task Both_directions_carry_more_than_the_sockets_hold(SslProtocols version)
    {
        var (client, server) = await PairAsync(Settings(version), Settings(version));
        var up = RandomNumberGenerator.GetBytes(8 << 20);
        var down = RandomNumberGenerator.GetBytes(6 << 20);

        var sending = Task.WhenAll(SendAsync(client, up), SendAsync(server, down));
        var received = await Task.WhenAll(ReceiveAsync(server), ReceiveAsync(client)).WaitAsync(Patience, TestContext.Current.CancellationToken);
        await sending;

        Assert.Equal(SHA256.HashData(up), received[0]);
        Assert.Equal(SHA256.HashData(down), received[1]);
        client.Abort();
        server.Abort();
    }

    [Fact]
    public async Task The_sides_know_whom_they_speak_to()
    {
        var (client, server) = await PairAsync(Settings() with { Sni = "shop.example.com", Alpn = ["b", "a"] }, Settings() with { Alpn = ["a"] });

        Assert.Equal(["spiffe://test/server"], client.Peer.Uris);
        Assert.Equal(["spiffe://test/server"], server.Peer.Uris);
        Assert.Equal(("a", "a"), (client.Peer.Alpn, server.Peer.Alpn));
        Assert.Equal(64, server.Peer.Sha256.Length);
        Assert.StartsWith("-----BEGIN CERTIFICATE-----", server.Peer.Pem, StringComparison.Ordinal);
        client.Abort();
        server.Abort();
    }

    [Fact]
    public async Task Aborting_at_any_time_ends_what_is_pending_and_nothing_else()
    {
        for (var round = 0; round < 60; round++)
        {
            var (client, server) = await PairAsync(Settings(), Settings());
            var work = new[] { client, server }.SelectMany(side => new[] { WriteOnAsync(side), ReadOnAsync(side) }).ToArray();
            var delay = round % 6;
            await Task.Run(async () =>
            {
                for (var i = 0; i < delay; i++) await Task.Yield();
                (round % 2 == 0 ? client : server).Abort(reset: round % 3 == 0);
            }, TestContext.Current.CancellationToken);
            await Task.WhenAll(work).WaitAsync(Patience, TestContext.Current.CancellationToken);
            client.Abort();
            server.Abort();
        }
    }

    [Fact]
    public async Task A_stream_that_ends_without_the_end_of_TLS_has_ended()
    {
        var (client, server, socket) = await RawPairAsync(Settings(), Settings());
        await client.WriteAsync("last"u8.ToArray());
        socket.Shutdown(SocketShutdown.Send);

        var buffer = new byte[100];
        Assert.Equal(4, await server.ReadAsync(buffer));
        Assert.Equal(0, await server.ReadAsync(buffer));
        Assert.Equal(0, await server.ReadAsync(buffer));
        client.Abort();
        server.Abort();
    }

    [Fact]
    public async Task A_connection_with_a_part_of_a_record_is_not_quiet()
    {
        var (client, server) = await PairAsync(Settings(), Settings());
        Assert.True(await BecomesAsync(() => server.IsQuiet));
        await client.WriteAsync(new byte[10]);

        await server.ReadAsync(Memory<byte>.Empty);
        Assert.Equal(4, await server.ReadAsync(new byte[4]));
        Assert.False(server.IsQuiet);
        Assert.Equal(6, await server.ReadAsync(new byte[100]));
        Assert.True(await BecomesAsync(() => server.IsQuiet));
        client.Abort();
        server.Abort();
    }

    [Fact]
    public async Task A_client_that_never_finishes_its_handshake_is_ended()
    {
        var (near, far) = await SocketsAsync();
        far.Unread(new byte[] { 22, 3, 1 });
        var failure = await Assert.ThrowsAsync<TransportException>(async () =>
            await TlsTransport.AcceptAsync(far, Settings(), null, default, _secrets, TimeSpan.FromMilliseconds(50), TimeProvider.System));
        Assert.Equal((TransportFailure.TimedOut, "TLS handshake timeout"), (failure.Failure, failure.Message));
        near.Abort();
    }

    [Fact]
    public void Clusters_that_differ_in_names_only_share_what_is_expensive()
    {
        var first = Settings() with { Sni = "a.example.com" };
        var second = Settings() with { Sni = "b.example.com", Peers = [] };
        var (own, roots) = (_secrets.FindCertificate("default"), _secrets.FindRoots("ROOTCA"));

        Assert.Same(TlsContext.For(first, own, roots, isServer: false), TlsContext.For(second, own, roots, isServer: false));
        Assert.NotSame(TlsContext.For(first, own, roots, isServer: false), TlsContext.For(first, own, roots, isServer: true));
        Assert.NotSame(TlsContext.For(first, own, roots, isServer: false), TlsContext.For(first, own, RootSecret.Load("ROOTCA", _authority.Pem), isServer: false));
        Assert.NotSame(TlsContext.For(first, own, roots, isServer: false), TlsContext.For(first with { Protocols = SslProtocols.Tls13 }, own, roots, isServer: false));
    }

    private static TlsSettings Settings(SslProtocols versions = SslProtocols.Tls12 | SslProtocols.Tls13) => new(["default"], "ROOTCA", [], default, RequirePeer: true, "", versions);

    private static async Task<(SocketTransport Near, SocketTransport Far)> SocketsAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await near.ConnectAsync(listener.LocalEndPoint!);
        return (new(near), new(await listener.AcceptAsync()));
    }

    private async Task<(TlsTransport Client, TlsTransport Server)> PairAsync(TlsSettings near, TlsSettings far)
    {
        var (client, server, _) = await RawPairAsync(near, far);
        return (client, server);
    }

    private async Task<(TlsTransport Client, TlsTransport Server, Socket Socket)> RawPairAsync(TlsSettings near, TlsSettings far)
    {
        var sockets = await SocketsAsync();
        var connecting = TlsTransport.ConnectAsync(sockets.Near, near, "", near.Alpn, _secrets, Patience, TimeProvider.System).AsTask();
        var accepting = TlsTransport.AcceptAsync(sockets.Far, far, far.Alpn.FirstOrDefault(), default, _secrets, Patience, TimeProvider.System).AsTask();
        return (await connecting, await accepting, sockets.Near.Socket);
    }

    private static async Task SendAsync(TlsTransport to, byte[] bytes)
    {
        await Task.Yield();
        for (var at = 0; at < bytes.Length; at += 100_000) await to.WriteAsync(bytes.AsMemory(at, Math.Min(100_000, bytes.Length - at)));
        await to.CloseWriteAsync();
    }

    private static async Task<byte[]> ReceiveAsync(TlsTransport from)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[30_000];
        while (await from.ReadAsync(buffer) is > 0 and var count) hash.AppendData(buffer.AsSpan(0, count));
        return hash.GetHashAndReset();
    }

    private static async Task WriteOnAsync(TlsTransport to)
    {
        await Task.Yield();
        try
        {
            while (true) await to.WriteAsync(new byte[20_000]);
        }
        catch (TransportException)
        {
            // Aborted, by this side or the other.
        }
    }

    private static async Task ReadOnAsync(TlsTransport from)
    {
        await Task.Yield();
        var buffer = new byte[10_000];
        try
        {
            while (await from.ReadAsync(buffer) > 0)
            {
                // Until the end.
            }
            from.Abort();
        }
        catch (TransportException)
        {
            // Aborted, by this side or the other.
        }
    }

    private static async Task<bool> BecomesAsync(Func<bool> condition)
    {
        for (var left = 1000; left > 0 && !condition(); left--) await Task.Delay(5);
        return condition();
    }

    private sealed class Secrets(TestCa authority) : ISecretSource
    {
        private readonly CertificateSecret _own = Load(authority);
        private readonly RootSecret _roots = RootSecret.Load("ROOTCA", authority.Pem);

        public event Action<string>? Changed
        {
            add { }
            remove { }
        }

        public CertificateSecret? FindCertificate(string name) => _own;

        public RootSecret? FindRoots(string name) => _roots;

        public IReadOnlyList<SecretView> View() => [];

        private static CertificateSecret Load(TestCa authority)
        {
            using var certificate = authority.Server("spiffe://test/server");
            using var key = global::System.Security.Cryptography.X509Certificates.ECDsaCertificateExtensions.GetECDsaPrivateKey(certificate)!;
            return CertificateSecret.Load("default", certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
        }
    }
}
