using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Tls;

/// <summary>TLS between two sockets of this process.</summary>
public sealed class TlsTransportTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly TestCa Authority = new("tls");
    private static readonly CertificateSecret Own = Load(Authority.Server("spiffe://test/server"));
    private static readonly RootSecret Roots = RootSecret.Load("ROOTCA", Authority.Pem);

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly Secrets _near = new();
    private readonly Secrets _far = new();

    public TlsTransportTests()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
    }

    public void Dispose() => _listener.Dispose();

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
        await Eventually.TrueAsync(() => server.IsQuiet);
        await client.WriteAsync(new byte[10]);

        await server.ReadAsync(Memory<byte>.Empty);
        Assert.Equal(4, await server.ReadAsync(new byte[4]));
        Assert.False(server.IsQuiet);
        Assert.Equal(6, await server.ReadAsync(new byte[100]));
        await Eventually.TrueAsync(() => server.IsQuiet);
        client.Abort();
        server.Abort();
    }

    [Fact]
    public async Task A_client_that_never_finishes_its_handshake_is_ended()
    {
        var (near, far) = await SocketsAsync();
        far.Unread(new byte[] { 22, 3, 1 });
        var failure = await Assert.ThrowsAsync<TransportException>(async () =>
            await TlsTransport.AcceptAsync(far, Settings(), null, default, _far, TimeSpan.FromMilliseconds(50), TimeProvider.System));
        Assert.Equal((TransportFailure.TimedOut, "TLS handshake timeout"), (failure.Failure, failure.Message));
        near.Abort();
    }

    [Fact]
    public void Clusters_that_differ_in_names_only_share_what_is_expensive()
    {
        var first = Settings() with { Sni = "a.example.com" };
        var second = Settings() with { Sni = "b.example.com", Peers = [] };
        var (own, roots) = (Own, Roots);

        Assert.Same(TlsContext.For(first, own, roots, isServer: false), TlsContext.For(second, own, roots, isServer: false));
        Assert.NotSame(TlsContext.For(first, own, roots, isServer: false), TlsContext.For(first, own, roots, isServer: true));
        Assert.NotSame(TlsContext.For(first, own, roots, isServer: false),
            TlsContext.For(first, own, RootSecret.Load("ROOTCA", Authority.Pem), isServer: false));
        Assert.NotSame(TlsContext.For(first, own, roots, isServer: false),
            TlsContext.For(first with { Protocols = SslProtocols.Tls13 }, own, roots, isServer: false));
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task A_connection_to_the_same_server_resumes_the_session_of_the_one_before(SslProtocols version)
    {
        var (near, far) = (Settings(version) with { Sni = "a" }, Settings(version));
        var first = await ExchangeAsync(near, far);
        var second = await ExchangeAsync(near, far);
        var third = await ExchangeAsync(near, far);

        Assert.Equal((false, false), first.Resumed);
        Assert.Equal((true, true), second.Resumed);
        Assert.Equal((true, true), third.Resumed);
        Assert.Equivalent(first.Peers, second.Peers, strict: true);
        Assert.Equal(["spiffe://test/server"], third.Peers[1].Uris);
    }

    [Theory]
    [InlineData("the client's certificate")]
    [InlineData("the server's certificate")]
    [InlineData("the client's roots")]
    [InlineData("the server's roots")]
    [InlineData("the server's rule for clients")]
    [InlineData("the client's settings")]
    public async Task A_session_is_not_resumed_after_a_change_of(string what)
    {
        var (near, far) = (Settings(), Settings());
        await ExchangeAsync(near, far);
        switch (what)
        {
            case "the client's certificate": _near.Certificate = Load(Authority.Server("spiffe://test/other")); break;
            case "the server's certificate": _far.Certificate = Load(Authority.Server("spiffe://test/other")); break;
            case "the client's roots": _near.Trusted = RootSecret.Load("ROOTCA", Authority.Pem); break;
            case "the server's roots": _far.Trusted = RootSecret.Load("ROOTCA", Authority.Pem); break;
            case "the server's rule for clients": far = far with { RequirePeer = false }; break;
            default: near = near with { ServiceHost = "other" }; break;
        }

        Assert.Equal((false, false), (await ExchangeAsync(near, far)).Resumed);
        Assert.Equal((true, true), (await ExchangeAsync(near, far)).Resumed);
    }

    /// <summary>As of two clusters with the same hosts, where a proxy speaks for two workloads.</summary>
    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task A_client_with_two_identities_resumes_with_each_only_its_own_sessions(SslProtocols version)
    {
        const string A = "spiffe://test/a", B = "spiffe://test/b";
        var (a, b, far) = (Settings(version) with { Certificates = [A] }, Settings(version) with { Certificates = [B] }, Settings(version));
        foreach (var name in (string[])[A, B]) _near.Others[name] = Load(Authority.Server(name));
        for (var round = 0; round < 3; round++) await CallAsync(resumed: round > 0);
        _near.Others[A] = Load(Authority.Server(A));
        Assert.Equal((false, false), (await ExchangeAsync(a, far)).Resumed);
        for (var round = 0; round < 2; round++) await CallAsync(resumed: true);

        async Task CallAsync(bool resumed)
        {
            foreach (var (near, name) in ((TlsSettings, string)[])[(a, A), (b, B)])
            {
                var exchange = await ExchangeAsync(near, far);
                Assert.Equal((resumed, resumed), exchange.Resumed);
                Assert.Equal([name], exchange.Peers[1].Uris);
            }
        }
    }

    [Fact]
    public async Task A_server_sends_its_sessions_with_its_first_bytes()
    {
        var (client, server, socket) = await RawPairAsync(Settings(SslProtocols.Tls13), Settings(SslProtocols.Tls13));
        Assert.Equal(0, socket.Available);
        await server.WriteAsync(new byte[3]);
        await Eventually.TrueAsync(() => socket.Available > 100);
        Assert.Equal(3, await client.ReadAsync(new byte[100]));
        client.Abort();
        server.Abort();
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task The_end_of_TLS_follows_the_last_bytes(SslProtocols version)
    {
        var (client, server) = await PairAsync(Settings(version), Settings(version));
        await server.WriteLastAsync(new byte[7]);
        server.Abort();

        Assert.Equal(7, await client.ReadAsync(new byte[100]));
        Assert.Equal(0, await client.ReadAsync(new byte[100]));
        client.Abort();
    }

    [Fact]
    public async Task The_last_bytes_may_be_more_than_the_socket_holds()
    {
        var (client, server) = await PairAsync(Settings(), Settings());
        var last = RandomNumberGenerator.GetBytes(8 << 20);
        var writing = server.WriteLastAsync(last).AsTask();

        Assert.Equal(SHA256.HashData(last), await ReceiveAsync(client).WaitAsync(Patience, TestContext.Current.CancellationToken));
        await writing;
        client.Abort();
        server.Abort();
    }

    [Fact]
    public async Task Who_resumes_a_session_must_still_have_an_accepted_name()
    {
        var (near, far) = (Settings(SslProtocols.Tls12), Settings(SslProtocols.Tls12));
        await ExchangeAsync(near, far);
        var stricter = far with { Peers = [new(NameKind.Uri, TextMatch.Exact("spiffe://test/other"))] };

        var failure = await Assert.ThrowsAsync<TransportException>(async () => await ExchangeAsync(near, stricter));
        Assert.Contains("verify_cert_failed:_SAN_matcher", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task No_session_outlives_the_certificate_of_the_peer(bool isServer)
    {
        // Whoever accepts any certificate also takes those that have expired, in full handshakes.
        var expired = Load(Authority.Until(DateTimeOffset.UtcNow.AddDays(-1), "spiffe://test/expired"));
        var careless = Settings() with { Root = "" };
        var (near, far) = isServer ? (careless, Settings()) : (Settings(), careless);
        (isServer ? _far : _near).Certificate = expired;

        for (var i = 0; i < 3; i++)
        {
            var exchange = await ExchangeAsync(near, far);
            Assert.Equal((false, false), exchange.Resumed);
            Assert.Equal(["spiffe://test/expired"], exchange.Peers[isServer ? 0 : 1].Uris);
        }
    }

    [Fact]
    public async Task The_chain_of_a_peer_that_comes_back_is_verified_once()
    {
        var (near, far) = (Settings(), Settings());
        _near.Certificate = Load(Authority.Server("spiffe://test/client"));
        _far.Certificate = Load(Authority.Server("spiffe://test/server"));
        // Other names: no session is resumed.
        for (var i = 0; i < 3; i++) Assert.Equal((false, false), (await ExchangeAsync(near with { Sni = $"name-{i}" }, far)).Resumed);

        Assert.Equal(1, TlsContext.For(near, _near.Certificate, _near.Trusted, isServer: false).Chains.Verified);
        Assert.Equal(1, TlsContext.For(far, _far.Certificate, _far.Trusted, isServer: true).Chains.Verified);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_chain_that_was_verified_is_refused_when_it_has_expired(bool isServer)
    {
        var brief = Load(Authority.Until(DateTimeOffset.UtcNow.AddSeconds(8), "spiffe://test/brief"));
        (isServer ? _far : _near).Certificate = brief;
        await ExchangeAsync(Settings(), Settings());

        var reason = "";
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                await ExchangeAsync(Settings(), Settings());
                return false;
            }
            catch (TransportException e)
            {
                reason = e.Message;
                return true;
            }
        });
        Assert.Contains("expired", reason, StringComparison.Ordinal);
    }

    /// <summary>Connects, sends a byte each way, and closes.</summary>
    private async Task<((bool Client, bool Server) Resumed, TlsPeer[] Peers)> ExchangeAsync(TlsSettings near, TlsSettings far)
    {
        var (client, server) = await PairAsync(near, far);
        await client.WriteAsync(new byte[1]);
        Assert.Equal(1, await server.ReadAsync(new byte[1]));
        await server.WriteAsync(new byte[1]);
        Assert.Equal(1, await client.ReadAsync(new byte[1]));
        client.Abort();
        server.Abort();
        return ((client.IsResumed, server.IsResumed), [client.Peer, server.Peer]);
    }

    private static TlsSettings Settings(SslProtocols versions = SslProtocols.Tls12 | SslProtocols.Tls13) =>
        new(["default"], "ROOTCA", [], default, RequirePeer: true, "", versions);

    private async Task<(SocketTransport Near, SocketTransport Far)> SocketsAsync()
    {
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await near.ConnectAsync(_listener.LocalEndPoint!);
        var far = await _listener.AcceptAsync();
        // Other tests dial ports that nobody listens on, and this may have become one of them.
        while (!far.RemoteEndPoint!.Equals(near.LocalEndPoint))
        {
            far.Dispose();
            far = await _listener.AcceptAsync();
        }

        return (new(near), new(far));
    }

    private async Task<(TlsTransport Client, TlsTransport Server)> PairAsync(TlsSettings near, TlsSettings far)
    {
        var (client, server, _) = await RawPairAsync(near, far);
        return (client, server);
    }

    private async Task<(TlsTransport Client, TlsTransport Server, Socket Socket)> RawPairAsync(TlsSettings near, TlsSettings far)
    {
        var sockets = await SocketsAsync();
        var connecting = TlsTransport.ConnectAsync(sockets.Near, near, "", near.Alpn, _near, Patience, TimeProvider.System).AsTask();
        var accepting = TlsTransport.AcceptAsync(sockets.Far, far, far.Alpn.FirstOrDefault(), default, _far, Patience, TimeProvider.System).AsTask();
        var server = await accepting;
        return (await connecting, server, sockets.Near.Socket);
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

    private static CertificateSecret Load(X509Certificate2 certificate)
    {
        using var key = certificate.GetECDsaPrivateKey()!;
        return CertificateSecret.Load("default", certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    private sealed class Secrets : ISecretSource
    {
        internal CertificateSecret Certificate { get; set; } = Own;

        internal Dictionary<string, CertificateSecret> Others { get; } = [];

        internal RootSecret Trusted { get; set; } = Roots;

        public event Action<string>? Changed
        {
            add { }
            remove { }
        }

        public CertificateSecret? FindCertificate(string name) => Others.GetValueOrDefault(name, Certificate);

        public RootSecret? FindRoots(string name) => Trusted;

        public IReadOnlyList<SecretView> View() => [];
    }
}
