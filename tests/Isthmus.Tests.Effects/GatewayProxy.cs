using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Push;
using Isthmus.Proxy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Listeners;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Effects;

/// <summary>A gateway from its Gateway objects to the connection: the control plane generates the listener, a real proxy serves it on the
/// loopback interface.</summary>
internal sealed class GatewayProxy : IDisposable
{
    /// <summary>The CA of clients, which Gateways name <c>/ca</c>.</summary>
    internal static readonly TestCa Clients = new("clients");

    private static readonly TestCa Servers = new("servers");

    private readonly ReservedPort _port = new();
    private readonly DataPlane _plane;

    /// <param name="servers">The servers of the Gateway: of each, the host and the TLS settings.</param>
    internal GatewayProxy(params (string Host, string Tls)[] servers)
        : this(new MeshRig("c1"), servers)
    {
    }

    internal GatewayProxy(MeshRig rig, params (string Host, string Tls)[] servers)
    {
        Rig = rig;
        rig.EastWest("c1", "172.18.201.1");
        for (var i = 0; i < servers.Length; i++)
        {
            rig.Config($$"""
                apiVersion: networking.istio.io/v1
                kind: Gateway
                metadata: {name: front-{{i}}, namespace: shop}
                spec: {selector: {app: eastwest},
                  servers: [{port: {number: 15443, name: https-{{i}}, protocol: HTTPS}, hosts: ['{{servers[i].Host}}'], tls: { {{servers[i].Tls}} } }]}
                """);
        }
        Feed = rig.Router("c1", "eastwest");
        rig.Push();
        var ports = new ProxyPorts(TimeProvider.System, new ThreadRandom(), new ProcessSockets(), new SystemResolver());
        _plane = DataPlane.Build(ProxySettings.Default(ProxyIdentity.Unknown, ProxySettings.Gateway), ports, Secrets, new NoLogs(), NullLoggerFactory.Instance);
        var listener = MeshRig.Listener(Feed, "0.0.0.0_15443")!;
        listener.Address = new() { SocketAddress = new() { Address = "127.0.0.1", PortValue = (uint)_port.Number } };
        foreach (var type in (string[])[TypeUrls.Cluster, TypeUrls.Endpoints, TypeUrls.Route])
            Apply(type, Feed.Snapshot!.Types[type].All.Select(item => new NamedResource(item.Name, "1", item.Body)));
        Rejected = Apply(TypeUrls.Listener, [new(listener.Name, "1", new Any { TypeUrl = TypeUrls.Listener, Value = listener.ToByteString() })],
            mayReject: true);
        Assert.Empty(_plane.ListenerFailures);
    }

    internal MeshRig Rig { get; }

    internal ProxyFeed Feed { get; }

    internal FileNames Secrets { get; } = new();

    internal IReadOnlyList<string> Rejected { get; }

    internal int Port => _port.Number;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>The paths of problems with stored objects.</summary>
    internal IEnumerable<string> Reported => Rig.Mesh.Sources.Problems.Items.Values.SelectMany(item => item.Problems).Select(problem => problem.Path);

    /// <summary>Makes a request; null when the gateway refuses it before its HTTP part.</summary>
    internal Task<Handshake?> CallAsync(string host = "a.example.com", X509Certificate2? certificate = null, SslProtocols versions = SslProtocols.None,
        params TlsCipherSuite[] suites) =>
        CallAsync(stream => stream, host, certificate, versions, suites);

    /// <param name="wire">What carries the bytes of the handshake.</param>
    internal async Task<Handshake?> CallAsync(Func<Stream, Stream> wire, string host, X509Certificate2? certificate = null,
        SslProtocols versions = SslProtocols.None, params TlsCipherSuite[] suites)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, Port, Stop);
        await using var tls = new SslStream(wire(new NetworkStream(socket)), false, (_, _, _, _) => true);
        var options = new SslClientAuthenticationOptions { TargetHost = host, EnabledSslProtocols = versions };
        if (suites.Length > 0) options.CipherSuitesPolicy = new(suites);
        if (certificate is not null) options.ClientCertificateContext = SslStreamCertificateContext.Create(certificate, null, offline: true);
        try
        {
            await tls.AuthenticateAsClientAsync(options, Stop);
            // With TLS 1.3, a client learns only now that its certificate was refused.
            await tls.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), Stop);
            var buffer = new byte[64];
            var count = await tls.ReadAtLeastAsync(buffer, 12, throwOnEndOfStream: true, Stop);
            Assert.StartsWith("HTTP/1.1 ", Encoding.ASCII.GetString(buffer, 0, count), StringComparison.Ordinal);
            return new(tls.SslProtocol, tls.NegotiatedCipherSuite, tls.RemoteCertificate!.GetKeyAlgorithm() == "1.2.840.113549.1.1.1" ? "RSA" : "ECDSA");
        }
        catch (Exception e) when (e is IOException or AuthenticationException or EndOfStreamException)
        {
            return null;
        }
    }

    /// <summary>Makes a request to <paramref name="authority"/> over a connection whose handshake names <paramref name="sni"/>; empty: none.</summary>
    internal async Task<int> StatusAsync(Version version, string sni, string authority, X509Certificate2? certificate)
    {
        using var client = new HttpClient(new SocketsHttpHandler { ConnectCallback = ConnectAsync });
        using var request = new HttpRequestMessage(HttpMethod.Get,
            "http://gateway/") { Version = version, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Headers.Host = authority;
        using var response = await client.SendAsync(request, Stop);
        return (int)response.StatusCode;

        // The handler itself would take the name of the handshake from the request.
        async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken stop)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(IPAddress.Loopback, Port, stop);
            var tls = new SslStream(new NetworkStream(socket, ownsSocket: true), false, (_, _, _, _) => true);
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = sni,
                ApplicationProtocols = [version == HttpVersion.Version20 ? SslApplicationProtocol.Http2 : SslApplicationProtocol.Http11],
                ClientCertificateContext = certificate is null ? null : SslStreamCertificateContext.Create(certificate, null, offline: true),
            }, stop);
            return tls;
        }
    }

    /// <summary>The application protocol that the gateway selects; empty when it selects none.</summary>
    internal async Task<string> NegotiateAsync(string host, params string[] offered)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, Port, Stop);
        await using var tls = new SslStream(new NetworkStream(socket), false, (_, _, _, _) => true);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = host, ApplicationProtocols = offered.Length == 0 ? null : [.. offered.Select(name => new SslApplicationProtocol(name))]
        },
            Stop);
        return tls.NegotiatedApplicationProtocol.ToString();
    }

    /// <summary>Hands the Secrets that the control plane sends to the proxy.</summary>
    internal void ReadSecrets()
    {
        foreach (var item in Feed.Snapshot!.Types[TypeUrls.Secret].All)
            Secrets.Discovered.Put(item.Version, Isthmus.Wire.Envoy.Secret.Parser.ParseFrom(item.Body.Value));
        _plane.State.Look();
    }

    public void Dispose()
    {
        _plane.Dispose();
        _port.Dispose();
        Assert.Equal(0, _plane.FailedTasks);
    }

    private IReadOnlyList<string> Apply(string typeUrl, IEnumerable<NamedResource> resources, bool mayReject = false)
    {
        var rejected = _plane.State.Apply(new(typeUrl, [.. resources], [], "1")).Select(item => $"{item}").ToList();
        if (!mayReject) Assert.Empty(rejected);
        return rejected;
    }

    /// <summary>The files that Gateways name: certificates <c>/ec</c> and <c>/rsa</c>, each with its key, and the roots <c>/ca</c>.</summary>
    internal sealed class FileNames : ISecretSource
    {
        private static readonly CertificateSecret Ec = Load("file-cert:/ec~/ec", Servers.Server("a.example.com", "*.b.example.com"));
        private static readonly CertificateSecret Rsa = Load("file-cert:/rsa~/rsa", Servers.RsaServer("a.example.com", "*.b.example.com"));

        public event Action<string>? Changed
        {
            add => Discovered.Changed += value;
            remove => Discovered.Changed -= value;
        }

        internal DiscoveredSecrets Discovered { get; } = new(TimeProvider.System);

        public CertificateSecret? FindCertificate(string name) =>
            name == Ec.Name || name == "default" ? Ec : name == Rsa.Name ? Rsa : Discovered.FindCertificate(name);

        public RootSecret? FindRoots(string name) => name is "file-root:/ca" or "ROOTCA" ? RootSecret.Load(name, Clients.Pem) : Discovered.FindRoots(name);

        public bool IsAbsent(string name) => FindCertificate(name) is null && FindRoots(name) is null;

        public IReadOnlyList<SecretView> View() => [];

        private static CertificateSecret Load(string name, X509Certificate2 certificate)
        {
            using var key = (AsymmetricAlgorithm?)certificate.GetECDsaPrivateKey() ?? certificate.GetRSAPrivateKey()!;
            return CertificateSecret.Load(name, certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
        }
    }

    private sealed class NoLogs : ILogFiles
    {
        public Stream Open(string path) => Stream.Null;
    }
}

/// <summary>What client and gateway agreed on.</summary>
internal sealed record Handshake(SslProtocols Version, TlsCipherSuite Suite, string Key);
