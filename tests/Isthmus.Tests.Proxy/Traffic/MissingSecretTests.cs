using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Isthmus.Tests.Proxy.Tls;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>A gateway with several TLS servers on one port, some of whose certificates do not exist.</summary>
public sealed class MissingSecretTests : IDisposable
{
    private const string Identity = "spiffe://cluster.local/ns/shop/sa/web";

    private readonly ReservedPort _port = new();
    private readonly DiscoveredSecrets _discovered = new(TimeProvider.System);
    private readonly ManualClock _clock = new();
    private readonly DataPlane _plane;
    private readonly SnapshotSink _sink;
    private readonly Source _source;
    private int _version;
    private string _servers = "";   // more of what names a certificate
    private IReadOnlySet<string> _wanted = new HashSet<string>();

    public MissingSecretTests()
    {
        var ports = new ProxyPorts(_clock, new ThreadRandom(), new ProcessSockets(), new SystemResolver());
        _plane = DataPlane.Build(ProxySettings.Default(ProxyIdentity.Unknown, ProxySettings.Gateway), ports, _source = new Source(_discovered), new NoLogs(),
            NullLoggerFactory.Instance);
        _sink = new(_plane.State, _discovered, _source, _ => { });
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>The control plane is not asked for files and other identities; and once no server names them, nobody has to renew them.</summary>
    [Theory]
    [InlineData("file-cert:/etc/a/tls.crt~/etc/a/tls.key")]
    [InlineData(Identity)]
    public void Files_and_identities_are_told_when_nothing_names_them_any_more(string file)
    {
        Listen(("a.example", file, ""), ("b.example", "kubernetes://b", ""));
        Assert.Equal(["kubernetes://b"], _wanted);
        Assert.Equal(new[] { file, "kubernetes://b" }.Order(StringComparer.Ordinal), _source.Wanted);
        Assert.Empty(_source.Forgotten);
        Listen(("b.example", "kubernetes://b", ""));
        Assert.Equal([file], _source.Forgotten);
        Assert.Equal(2, _source.Wanted.Count);
    }

    [Fact]
    public async Task Other_servers_serve_and_the_one_without_a_certificate_refuses_until_it_comes()
    {
        Listen(("a.example", "kubernetes://a", ""), ("b.example", "kubernetes://b", ""));
        Assert.False(_plane.IsReady);
        Secrets([Made("a")], "kubernetes://b");
        Assert.True(_plane.IsReady);
        Assert.Equal("CN=a", await HandshakeAsync("a.example"));
        Assert.Null(await HandshakeAsync("b.example"));
        Assert.Equal("b.example: kubernetes://b is not available, so handshakes are refused", Assert.Single(_plane.State.Current.Listeners["l"].Notes));
        Secrets([Made("b")]);
        Assert.Equal("CN=b", await HandshakeAsync("b.example"));
        Assert.Empty(_plane.State.Current.Listeners["l"].Notes);
    }

    [Fact]
    public async Task A_server_that_is_pointed_to_nothing_keeps_its_last_good_certificate_while_others_change()
    {
        Listen(("a.example", "kubernetes://a", ""), ("b.example", "kubernetes://b", ""));
        Secrets([Made("a"), Made("b")]);
        Listen(("a.example", "kubernetes://a2", ""), ("b.example", "kubernetes://gone", ""), ("c.example", "kubernetes://a", ""));
        Secrets([Made("a2")], "kubernetes://gone", "kubernetes://b");
        Assert.Equal("CN=a2", await HandshakeAsync("a.example"));
        Assert.Equal("CN=b", await HandshakeAsync("b.example"));
        Assert.Equal("CN=a", await HandshakeAsync("c.example"));
        Secrets([Made("gone")]);
        Assert.Equal("CN=gone", await HandshakeAsync("b.example"));
    }

    [Fact]
    public async Task A_server_that_was_removed_leaves_no_certificate_behind()
    {
        Listen(("a.example", "kubernetes://a", ""), ("b.example", "kubernetes://b", ""));
        Secrets([Made("a"), Made("b")]);
        Listen(("a.example", "kubernetes://a", ""));
        Assert.Equal("CN=a", await HandshakeAsync("a.example"));
        Assert.Equal(["kubernetes://a"], _discovered.View().Select(secret => secret.Name));
        // Another Secret of that name, which cannot be used.
        Listen(("a.example", "kubernetes://a", ""), ("b.example", "kubernetes://b", ""));
        Secrets([], "kubernetes://b");
        Assert.Equal("CN=a", await HandshakeAsync("a.example"));
        Assert.Null(await HandshakeAsync("b.example"));
    }

    [Fact]
    public async Task A_server_that_must_check_clients_and_cannot_lets_nobody_in()
    {
        Listen(("a.example", "kubernetes://a", ""));
        Secrets([Made("a")]);
        Listen(("a.example", "kubernetes://a", "kubernetes://a-cacert"), ("b.example", "kubernetes://a", ""));
        Secrets([], "kubernetes://a-cacert");
        Assert.Null(await HandshakeAsync("a.example"));
        Assert.Equal("CN=a", await HandshakeAsync("b.example"));
    }

    [Fact]
    public async Task A_broken_secret_holds_up_no_other_server()
    {
        Listen(("a.example", "kubernetes://a", ""), ("b.example", "kubernetes://b", ""));
        var broken = Made("b");
        broken.TlsCertificate.PrivateKey.InlineBytes = ByteString.CopyFromUtf8(TestCa.SelfSignedPair("other").Key);
        Assert.Single(Secrets([Made("a"), broken]));
        Assert.True(_plane.IsReady);
        Assert.Equal("CN=a", await HandshakeAsync("a.example"));
        Assert.Null(await HandshakeAsync("b.example"));
    }

    [Theory]
    [InlineData("kubernetes-gateway://shop/front")]
    [InlineData("configmap://shop/front")]
    [InlineData("sold-by-the-control-plane")]
    [InlineData(Identity)]
    [InlineData("default")]
    public async Task Whatever_the_control_plane_says_to_ask_it_for_is_asked_for_under_its_name(string secret)
    {
        _servers = """, "sds_config": {"ads": {} }""";
        Listen(("a.example", secret, ""));
        Assert.Equal([secret], _wanted);
        Secrets([Made("a", secret)]);
        Assert.Equal("CN=a", await HandshakeAsync("a.example"));
    }

    [Fact]
    public void A_secret_of_the_agent_is_not_asked_for()
    {
        Listen(("a.example", "default", "file-root:system"));
        Assert.Empty(_wanted);
    }

    [Theory]
    [InlineData("kubernetes://a")]
    [InlineData(Identity)]
    public void Without_a_word_about_it_a_listener_waits_for_a_secret_only_for_a_while_and_for_its_own_identity_always(string secret)
    {
        Listen(("a.example", secret, ""));
        _clock.Advance(TimeSpan.FromSeconds(14));
        _plane.State.Look();
        Assert.Empty(_plane.State.Current.Listeners);
        _clock.Advance(TimeSpan.FromSeconds(2));
        _plane.State.Look();
        Assert.Single(_plane.State.Current.Listeners);
        Listen("m", ("m.example", "default", ""));
        _clock.Advance(TimeSpan.FromMinutes(5));
        _plane.State.Look();
        Assert.False(_plane.State.Current.Listeners.ContainsKey("m"));
    }

    public void Dispose()
    {
        _plane.Dispose();
        _port.Dispose();
    }

    private static string Roots(string secret) =>
        $$""", "combined_validation_context": {"default_validation_context": {}, "validation_context_sds_secret_config": {"name": "{{secret}}"} }""";

    private void Listen(params (string Host, string Certificate, string Root)[] servers) => Listen("l", servers);

    private void Listen(string name, params (string Host, string Certificate, string Root)[] servers)
    {
        var chains = servers.Select(server => $$$"""
            {"filter_chain_match": {"server_names": ["{{{server.Host}}}"], "transport_protocol": "tls"},
             "filters": [{"name": "t", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
               "stat_prefix": "t", "cluster": "none"} }],
             "transport_socket": {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
               "require_client_certificate": {{{(server.Root.Length > 0 ? "true" : "false")}}},
               "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "{{{server.Certificate}}}" {{{_servers}}} }]
                 {{{(server.Root.Length > 0 ? Roots(server.Root) : "")}}} } } } }
            """);
        var listener = WireTypes.Strict.Parse<Listener>($$$"""
            {"name": "{{{name}}}", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{_port.Number}}} } },
             "listener_filters": [{"name": "envoy.filters.listener.tls_inspector",
               "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"} }],
             "filter_chains": [{{{string.Join(',', chains)}}}] }
            """);
        Assert.Empty(Apply(Isthmus.Wire.Xds.TypeUrls.Cluster, []));
        Assert.Empty(Apply(Isthmus.Wire.Xds.TypeUrls.Listener, [(name, listener)]));
    }

    private IReadOnlyList<XdsRejection> Secrets(Secret[] secrets, params string[] missing) =>
        Apply(Isthmus.Wire.Xds.TypeUrls.Secret, [.. secrets.Select(secret => (secret.Name, (IMessage)secret))], missing);

    private IReadOnlyList<XdsRejection> Apply(string type, (string Name, IMessage Message)[] resources, params string[] removed)
    {
        var version = $"{++_version}";
        var items = resources.Select(item => new XdsResource(item.Name, version, new Any { TypeUrl = type, Value = item.Message.ToByteString() }));
        var verdict = _sink.Apply(new(type, version, [.. items], removed));
        _wanted = verdict.Wanted[Isthmus.Wire.Xds.TypeUrls.Secret];
        return verdict.Rejected;
    }

    private static Secret Made(string name) => Made(name, $"kubernetes://{name}");

    private static Secret Made(string name, string secret)
    {
        var (certificate, key) = TestCa.SelfSignedPair(name);
        return new()
        {
            Name = secret,
            TlsCertificate = new()
            {
                CertificateChain = new() { InlineBytes = ByteString.CopyFromUtf8(certificate) },
                PrivateKey = new() { InlineBytes = ByteString.CopyFromUtf8(key) }
            },
        };
    }

    /// <summary>The subject of the server's certificate; null when it refuses the handshake.</summary>
    private async Task<string?> HandshakeAsync(string serverName)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, _port.Number, Stop);
        await using var tls = new SslStream(new NetworkStream(socket), false, (_, _, _, _) => true);
        try
        {
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = serverName, EnabledSslProtocols = SslProtocols.Tls12 }, Stop);
            return tls.RemoteCertificate!.Subject;
        }
        catch (Exception e) when (e is IOException or AuthenticationException)
        {
            return null;
        }
    }

    private sealed class Source(DiscoveredSecrets discovered) : ISecretSource
    {
        internal List<string> Wanted { get; } = [];

        internal List<string> Forgotten { get; } = [];

        public void Want(IReadOnlyCollection<string> names) => Wanted.AddRange(names);

        public void Forget(IReadOnlyCollection<string> names) => Forgotten.AddRange(names);

        public event Action<string>? Changed
        {
            add => discovered.Changed += value;
            remove => discovered.Changed -= value;
        }

        public CertificateSecret? FindCertificate(string name) => discovered.FindCertificate(name);

        public RootSecret? FindRoots(string name) => discovered.FindRoots(name);

        public bool IsAbsent(string name) => discovered.IsAbsent(name);

        public IReadOnlyList<SecretView> View() => [];
    }

    private sealed class NoLogs : ILogFiles
    {
        public Stream Open(string path) => Stream.Null;
    }
}
