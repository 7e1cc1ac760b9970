using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Isthmus.Tests.Proxy.Tls;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Listeners;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>TCP peers of a mesh tell each other who they are, so that the metrics of both name both.</summary>
public sealed class PeerExchangeTests : IDisposable
{
    private const string Exchange =
        """
            {"name": "istio.metadata_exchange",
              "typed_config": {"@type": "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange", "protocol": "istio-peer-exchange"} }
            """;
    private const string Tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
    private const string Inspector =
        """
            {"name": "envoy.filters.listener.tls_inspector",
              "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"} }
            """;

    private const string Filters = ", \"filters\": [" + Exchange + "]";

    private readonly ReservedPort _clientPort = new(), _gatewayPort = new(), _serverPort = new();
    private readonly DataPlane _client = Plane("buyer"), _gateway = Plane("eastwest"), _server = Plane("ledger");
    private readonly TcpListener _application = new(IPAddress.Loopback, 0);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true, true, false)]
    [InlineData(true, true, true)] // through a gateway that passes TLS by its server name
    [InlineData(true, false, false)] // a proxy without the filter on either side
    [InlineData(false, true, false)]
    public async Task Both_reporters_name_both_workloads_and_the_bytes_stay_whole(bool clientExchanges, bool serverExchanges, bool acrossNetworks)
    {
        Server(serverExchanges);
        if (acrossNetworks) Gateway();
        Client(clientExchanges, acrossNetworks ? _gatewayPort.Number : _serverPort.Number);
        using var caller = await ConnectAsync(_clientPort.Number);
        using var callee = await _application.AcceptSocketAsync(Stop);
        // The server speaks first, as databases do.
        await callee.SendAsync("welcome"u8.ToArray(), Stop);
        Assert.Equal("welcome", await ReceiveAsync(caller, 7));
        await caller.SendAsync("select 1"u8.ToArray(), Stop);
        Assert.Equal("select 1", await ReceiveAsync(callee, 8));
        // While it is open, too.
        for (var second = 0; second < ReportPeriod.DefaultSeconds; second++) _server.Report.Open.Look();
        var open = _server.MeshMetrics.Tcp.Single();
        Assert.Equal((1, 0, 8), (open.Opened, open.Closed, open.ReceivedBytes));
        caller.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, await callee.ReceiveAsync(new byte[1], Stop));
        callee.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, await caller.ReceiveAsync(new byte[1], Stop));
        var known = clientExchanges && serverExchanges;
        var (atClient, atServer) = (await CountsAsync(_client), await CountsAsync(_server));
        Assert.Equal(("buyer", known ? "ledger" : "unknown"), (Label(atClient, "source_workload"), Label(atClient, "destination_workload")));
        Assert.Equal((known ? "buyer" : "unknown", "ledger"), (Label(atServer, "source_workload"), Label(atServer, "destination_workload")));
        if (known) Assert.Equal("shop", Label(atServer, "source_workload_namespace"));
        Assert.Equal((1, 1), (atServer.Opened, atServer.Closed));
        Assert.Equal((8, 7), (atServer.ReceivedBytes, atServer.SentBytes));
        Assert.Equal((8, 7), (atClient.ReceivedBytes, atClient.SentBytes));
    }

    [Fact]
    public async Task Istios_form_is_understood_and_spoken()
    {
        Server(exchanges: true);
        await using var tls = await HandshakeAsync("istio-peer-exchange", "istio");
        Assert.Equal("istio-peer-exchange", tls.NegotiatedApplicationProtocol.ToString());
        var body = Any.Pack(new Struct
        {
            Fields =
            {
                ["x-envoy-peer-metadata"] = Value.ForStruct(new()
                {
                    Fields = { ["WORKLOAD_NAME"] = Value.ForString("envoy"), ["NAMESPACE"] = Value.ForString("shop") }
                })
            }
        })
            .ToByteArray();
        var header = new byte[8];
        BinaryPrimitives.WriteUInt32BigEndian(header, 0x3D230467);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), (uint)body.Length);
        foreach (var piece in (byte[][])[header[..3], header[3..], body[..5], [.. body[5..], .. "hello"u8]])
        {
            await tls.WriteAsync(piece, Stop);
            await tls.FlushAsync(Stop);
        }
        using var callee = await _application.AcceptSocketAsync(Stop);
        Assert.Equal("hello", await ReceiveAsync(callee, 5));
        callee.Dispose();
        var answer = new byte[8];
        await tls.ReadExactlyAsync(answer, Stop);
        Assert.Equal(0x3D230467u, BinaryPrimitives.ReadUInt32BigEndian(answer));
        var said = new byte[BinaryPrimitives.ReadUInt32BigEndian(answer.AsSpan(4))];
        await tls.ReadExactlyAsync(said, Stop);
        var fields = Any.Parser.ParseFrom(said).Unpack<Struct>().Fields;
        Assert.Equal("ledger", fields["x-envoy-peer-metadata"].StructValue.Fields["WORKLOAD_NAME"].StringValue);
        Assert.Equal("sidecar~ledger", fields["x-envoy-peer-metadata-id"].StringValue);
        await tls.DisposeAsync();
        Assert.Equal("envoy", Label(await CountsAsync(_server), "source_workload"));
    }

    [Theory]
    [InlineData("h")] // shorter than any header
    [InlineData("=#hello")] // begins like one
    [InlineData("select 1, 2, 3")]
    public async Task A_client_that_agrees_and_then_says_nothing_of_itself_is_served_without_delay(string first)
    {
        Server(exchanges: true);
        await using var tls = await HandshakeAsync("istio-peer-exchange");
        await tls.WriteAsync(Encoding.ASCII.GetBytes(first), Stop);
        using var callee = await _application.AcceptSocketAsync(Stop);
        Assert.Equal(first, await ReceiveAsync(callee, first.Length));
    }

    [Fact]
    public async Task A_server_that_agrees_and_then_says_nothing_of_itself_is_used()
    {
        using var listener = new TcpListener(IPAddress.Loopback, _serverPort.Number);
        listener.Start();
        Client(exchanges: true, _serverPort.Number);
        using var caller = await ConnectAsync(_clientPort.Number);
        using var socket = await listener.AcceptSocketAsync(Stop);
        await using var tls = new SslStream(new NetworkStream(socket));
        var (certificate, key) = TestCa.SelfSignedPair("x");
        using var own = X509Certificate2.CreateFromPem(certificate, key);
        await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = own, ApplicationProtocols = [new("istio-peer-exchange")] },
            Stop);
        await tls.WriteAsync("welcome"u8.ToArray(), Stop);
        Assert.Equal("welcome", await ReceiveAsync(caller, 7));
    }

    [Fact]
    public async Task A_client_that_does_not_agree_gets_not_one_byte_more()
    {
        Server(exchanges: true);
        await using var tls = await HandshakeAsync("istio");
        Assert.Equal("", tls.NegotiatedApplicationProtocol.ToString());
        using var callee = await _application.AcceptSocketAsync(Stop);
        await callee.SendAsync("welcome"u8.ToArray(), Stop);
        callee.Shutdown(SocketShutdown.Both);
        using var all = new MemoryStream();
        await tls.CopyToAsync(all, Stop);
        Assert.Equal("welcome", Encoding.ASCII.GetString(all.ToArray()));
    }

    public void Dispose()
    {
        foreach (var plane in (DataPlane[])[_client, _gateway, _server])
        {
            plane.Dispose();
            Assert.Equal(0, plane.FailedTasks);
        }
        _application.Dispose();
        foreach (var port in (ReservedPort[])[_clientPort, _gatewayPort, _serverPort]) port.Dispose();
    }

    private void Server(bool exchanges)
    {
        _application.Start();
        Put(_server, Upstream("up", ((IPEndPoint)_application.LocalEndpoint).Port, ""));
        Put(_server, Listener("in", "INBOUND", _serverPort.Number, Inspector, exchanges ? Exchange + "," : "", $$"""
            , "filter_chain_match": {"transport_protocol": "tls"}, "transport_socket": {"name": "tls",
              "typed_config": {"@type": "{{Tls}}.DownstreamTlsContext", "require_client_certificate": true,
              "common_tls_context": {"alpn_protocols": ["istio-peer-exchange", "h2", "http/1.1"], "tls_certificate_sds_secret_configs": [{"name": "default"}],
               "validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"} } } }
            """));
    }

    private void Gateway()
    {
        Put(_gateway, Upstream("up", _serverPort.Number, ""));
        Put(_gateway,
            Listener("gw", "OUTBOUND", _gatewayPort.Number, Inspector, "",
                """, "filter_chain_match": {"server_names": ["x"], "application_protocols": ["istio", "istio-peer-exchange"]} """));
    }

    private void Client(bool exchanges, int port)
    {
        Put(_client, Upstream("up", port, $$"""
            {{(exchanges ? Filters : "")}}, "transport_socket": {"name": "tls", "typed_config": {"@type": "{{Tls}}.UpstreamTlsContext", "sni": "x",
              "common_tls_context": {"alpn_protocols": ["istio-peer-exchange", "istio"], "tls_certificate_sds_secret_configs": [{"name": "default"}],
               "validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"} } } }
            """));
        Put(_client, Listener("out", "OUTBOUND", _clientPort.Number, "", "", ""));
    }

    private static Cluster Upstream(string name, int port, string more) => WireTypes.Strict.Parse<Cluster>($$"""
        {"name": "{{name}}", "type": "STATIC", "connect_timeout": "5s", "load_assignment": {"cluster_name": "{{name}}", "endpoints": [{"lb_endpoints": [
          {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{port}}} } } }] }] } {{more}} }
        """);

    private static Listener Listener(string name, string direction, int port, string inspector, string filter, string more) =>
        WireTypes.Strict.Parse<Listener>($$"""
        {"name": "{{name}}", "traffic_direction": "{{direction}}", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{port}}} },
          "listener_filters": [{{inspector}}],
         "filter_chains": [{"filters": [{{filter}} {"name": "t",
             "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "t",
              "cluster": "up"} }] {{more}} }] }
        """);

    private static void Put(DataPlane plane, Cluster cluster) => Put(plane, TypeUrls.Cluster, cluster.Name, cluster);

    private static void Put(DataPlane plane, Listener listener) => Put(plane, TypeUrls.Listener, listener.Name, listener);

    private static void Put(DataPlane plane, string type, string name, IMessage message) =>
        Assert.Empty(plane.State.Apply(new(type, [new NamedResource(name, "1", new Any { TypeUrl = type, Value = message.ToByteString() })], [], "1")));

    private static DataPlane Plane(string workload)
    {
        var bare = new ProxyIdentity($"sidecar~{workload}", workload, "shop", workload, "v1", workload, "v1", "c1", workload, "");
        var identity = bare with { PeerMetadata = PeerMetadataText.Write(bare) };
        var ports = new ProxyPorts(TimeProvider.System, new ThreadRandom(), new ProcessSockets(), new SystemResolver());
        return DataPlane.Build(ProxySettings.Default(identity, "sidecar"), ports, new OneSecret(workload), new NoLogs(), NullLoggerFactory.Instance);
    }

    private static async Task<Socket> ConnectAsync(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, port, Stop);
        return socket;
    }

    private async Task<SslStream> HandshakeAsync(params string[] alpn)
    {
        var tls = new SslStream(new NetworkStream(await ConnectAsync(_serverPort.Number), ownsSocket: true), false, (_, _, _, _) => true);
        var (certificate, key) = Pair("envoy");
        using var ephemeral = X509Certificate2.CreateFromPem(certificate, key);
        var own = X509CertificateLoader.LoadPkcs12(ephemeral.Export(X509ContentType.Pkcs12), null);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "x", ClientCertificates = [own], ApplicationProtocols = [.. alpn.Select(name => new SslApplicationProtocol(name))]
        },
            Stop);
        return tls;
    }

    private static async Task<string> ReceiveAsync(Socket socket, int count)
    {
        var buffer = new byte[count];
        for (var at = 0; at < count;)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(at), Stop);
            Assert.NotEqual(0, read);
            at += read;
        }
        return Encoding.ASCII.GetString(buffer);
    }

    private static async Task<MeshCounts> CountsAsync(DataPlane plane)
    {
        await Eventually.TrueAsync(() => plane.MeshMetrics.Tcp.Sum(counts => Interlocked.Read(ref counts.Closed)) > 0);
        return plane.MeshMetrics.Tcp.Single();
    }

    private static string Label(MeshCounts counts, string name) => counts.Labels.Pairs.ToDictionary()[name];

    private static (string Certificate, string Key) Pair(string workload) => TestCa.SelfSignedPair("x", $"spiffe://cluster.local/ns/shop/sa/{workload}");

    private sealed class OneSecret(string workload) : ISecretSource
    {
        private readonly CertificateSecret _certificate = Load(workload);

        public event Action<string>? Changed
        {
            add { }
            remove { }
        }

        public CertificateSecret? FindCertificate(string name) => _certificate;

        public RootSecret? FindRoots(string name) => null;

        public IReadOnlyList<SecretView> View() => [];

        private static CertificateSecret Load(string workload)
        {
            var (certificate, key) = Pair(workload);
            return CertificateSecret.Load("default", certificate, key);
        }
    }

    private sealed class NoLogs : ILogFiles
    {
        public Stream Open(string path) => Stream.Null;
    }
}
