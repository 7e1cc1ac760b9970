using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Traffic;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Endpoints;
using Xunit;
using static Isthmus.Rigs.Mesh.TestResources;

namespace Isthmus.Tests.Mesh.Proxy;

/// <summary>
/// Proxies configured from files, without a control plane: a caller in one network, a service in another whose Pods have
/// the same addresses, and a gateway between them.
/// </summary>
[Trait("shard", "cluster")]
public sealed class DataPlaneAloneTests
{
    private const string Caller = "spiffe://cluster.local/ns/shop/sa/caller";
    private const string Callee = "spiffe://cluster.local/ns/stock/sa/orders";
    private const string Host = "orders.stock.svc.cluster.local";
    private const string GatewayAddress = "172.18.0.3:15443";

    /// <summary>Longer than any request takes: a proxy that drains ends when its last one has.</summary>
    private static readonly TimeSpan Drain = TimeSpan.FromMinutes(1);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Curl_reaches_a_server_in_the_other_network_and_the_server_sees_who_calls()
    {
        await using var network = TestNetwork.Create();
        using var mesh = await Mesh.CreateAsync(network);
        var answer = await mesh.Client.Pod.RunAsync("curl", "-sS", "-m", "10", "--resolve", $"{Host}:8000:10.96.7.7", "-i", $"http://{Host}:8000/stock?item=1");
        Assert.Contains("HTTP/1.1 200 OK", answer);
        Assert.Contains("served-by: orders", answer);
        Assert.Contains("path: /stock?item=1", answer);
        Assert.Contains($"x-forwarded-client-cert: By={Callee};Hash=", answer);
        Assert.Contains($"URI={Caller}", answer);
        Assert.Contains("x-envoy-attempt-count: 1", answer);
        Assert.Contains("x-request-id: ", answer);
        Assert.Contains("server: envoy", answer);

        var caller = await mesh.Client.WaitForLogAsync("/stock?item=1");
        Assert.Equal($"\"GET /stock?item=1 HTTP/1.1\" 200 - via_upstream - {GatewayAddress} outbound|8000||{Host} 10.96.7.7:8000 -", caller);
        var callee = await mesh.Server.WaitForLogAsync("/stock?item=1");
        Assert.Equal($"\"GET /stock?item=1 HTTP/1.1\" 200 - via_upstream - 10.244.0.10:8000 inbound|8000|| 10.244.0.10:8000 outbound_.8000_._.{Host}", callee);
    }

    [Fact]
    public async Task The_gateway_carries_many_requests_on_one_connection_without_ending_TLS()
    {
        await using var network = TestNetwork.Create();
        using var mesh = await Mesh.CreateAsync(network);
        var url = $"http://{Host}:8000/";
        var answer = await mesh.Client.Pod.RunAsync("curl", "-sS", "-m", "10", "--resolve", $"{Host}:8000:10.96.7.7", url, url, url, url);
        Assert.Equal(4, answer.Split("served-by: orders").Length - 1);
        var cluster = mesh.Client.Plane.State.Current.Clusters[$"outbound|8000||{Host}"];
        Assert.Equal((4L, 1L), (cluster.Counters.Requests, cluster.Counters.Connects));
        Assert.Equal(1, mesh.Gateway.Plane.Report.Total);
    }

    [Fact]
    [Trait("runs", "soak")]
    public async Task A_connection_whose_peer_was_cut_off_is_given_up_before_its_caller_does()
    {
        await using var network = TestNetwork.Create();
        using var mesh = await Mesh.CreateAsync(network);
        var url = $"http://{Host}:8000/";
        Assert.Contains("served-by: orders", await mesh.Client.Pod.RunAsync("curl", "-sS", "-m", "10", "--resolve", $"{Host}:8000:10.96.7.7", url));
        Assert.Equal("",
            await mesh.Gateway.Pod.RunAsync("nft", "table inet cut { chain in { type filter hook prerouting priority -300; tcp dport 15443 drop; }; }"));
        // On the connection from before: nothing reports that its peer is gone, and there is no other host.
        var begun = TimeProvider.System.GetTimestamp();
        Assert.Equal("503",
            await mesh.Client.Pod.RunAsync("curl", "-sS", "-m", "120", "-d", "order", "-o", "/dev/null", "-w", "%{http_code}", "--resolve",
                $"{Host}:8000:10.96.7.7", url));
        TestContext.Current.TestOutputHelper?.WriteLine($"given up after {TimeProvider.System.GetElapsedTime(begun).TotalSeconds:0.0} s");
        Assert.Equal(1, mesh.Client.Plane.State.Current.Clusters[$"outbound|8000||{Host}"].Counters.Connects);
    }

    [Fact]
    public async Task A_server_that_speaks_first_is_heard_through_the_mesh()
    {
        await using var network = TestNetwork.Create();
        using var mesh = await Mesh.CreateAsync(network);
        mesh.Server.Pod.ServeTcp(7000, "greeting");
        // The connection that the server sees comes from its own sidecar.
        Assert.Equal("greeting 127.0.0.6", await mesh.Client.Pod.AskAsync("10.96.7.5", 7000));
        Assert.Contains("outbound|7000||", await mesh.Client.WaitForLogAsync("outbound|7000||"));
    }

    [Fact]
    public async Task Inbound_plain_bytes_mesh_TLS_and_the_applications_own_TLS_are_told_apart()
    {
        await using var network = TestNetwork.Create();
        using var mesh = await Mesh.CreateAsync(network);
        // Plain text, from a neighbor without a proxy.
        var plain = await mesh.Neighbour.RunAsync("curl", "-sS", "-m", "10", "http://10.244.0.10:8000/plain");
        Assert.Contains("served-by: orders", plain);
        Assert.DoesNotContain("x-forwarded-client-cert", plain);
        // The application's own TLS arrives unchanged.
        using var own = new OwnTlsServer(mesh.Server.Pod, 7000);
        var tls = await mesh.Neighbour.RunAsync("curl", "-sS", "-k", "-m", "10", "https://10.244.0.10:7000/own");
        Assert.Contains("the application's own TLS", tls);
        Assert.Contains("inbound|7000||", await mesh.Server.WaitForLogAsync("inbound|7000||"));
    }

    [Fact]
    public async Task A_silent_client_of_a_plain_port_is_served_after_a_moment()
    {
        await using var network = TestNetwork.Create();
        using var mesh = await Mesh.CreateAsync(network);
        mesh.Server.Pod.ServeTcp(7000, "greeting");
        Assert.Equal("greeting 127.0.0.6", await mesh.Neighbour.AskAsync("10.244.0.10", 7000));
    }

    [Fact]
    public async Task A_callee_of_another_root_is_refused_with_a_reason_that_the_log_names()
    {
        await using var network = TestNetwork.Create();
        using var mesh = await Mesh.CreateAsync(network, otherRoot: true);
        var answer = await mesh.Client.Pod.RunAsync("curl", "-sS", "-m", "10", "--resolve", $"{Host}:8000:10.96.7.7", "-i", $"http://{Host}:8000/");
        Assert.Contains("HTTP/1.1 503 Service Unavailable", answer);
        Assert.Contains("upstream connect error or disconnect/reset before headers", answer);
        var line = await mesh.Client.WaitForLogAsync("503");
        Assert.Contains(" 503 UF,URX ", line);
        Assert.Contains("CERTIFICATE_VERIFY_FAILED", line);
    }

    [Fact]
    public async Task Without_the_gateway_the_local_endpoint_carries_on_and_nobody_notices()
    {
        await using var network = TestNetwork.Create();
        using var mesh = await Mesh.CreateAsync(network, withLocal: true);
        async Task<string> AskAsync() =>
            await mesh.Client.Pod.RunAsync("curl", "-sS", "-m", "10", "--resolve", $"{Host}:8000:10.96.7.7", "-w", "%{http_code}", $"http://{Host}:8000/");
        var answers = new List<string>();
        for (var i = 0; i < 40; i++) answers.Add(await AskAsync());
        Assert.Contains(answers, a => a.Contains("served-by: orders", StringComparison.Ordinal));
        Assert.Contains(answers, a => a.Contains("served-by: local", StringComparison.Ordinal));

        mesh.Gateway.Plane.CloseListeners();
        mesh.Gateway.Plane.Connections.Cut();
        for (var i = 0; i < 20; i++) answers.Add(await AskAsync());
        Assert.All(answers, a => Assert.EndsWith("200", a));
        Assert.All(answers.Skip(40), a => Assert.Contains("served-by: local", a));
    }

    [Fact]
    public async Task Under_a_steady_load_neither_a_drained_gateway_nor_a_callee_that_leaves_costs_a_request()
    {
        await using var network = TestNetwork.Create();
        using var mesh = await Mesh.CreateAsync(network, withLocal: true);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var answers = new ConcurrentQueue<string>();
        var load = Enumerable.Range(0, 4).Select(_ => mesh.AskUntilAsync(answers, over.Token)).ToArray();
        async Task MoreAsync()
        {
            var before = answers.Count;
            await Eventually.TrueAsync(() => answers.Count >= before + 50);
        }

        await MoreAsync();
        // Its clients keep their connections: it drains until the end of its time.
        await mesh.Gateway.Plane.DrainAsync(TimeSpan.FromSeconds(5));
        await MoreAsync();
        mesh.RestartGateway();
        await mesh.WaitForAsync("orders");
        // The control plane removes the endpoints first, then the Pod stops.
        mesh.Client.Plane.State.Apply(mesh.OnlyLocal());
        await mesh.Server.Plane.DrainAsync(Drain);
        await MoreAsync();
        await over.CancelAsync();
        await Task.WhenAll(load);
        Assert.All(answers, a => Assert.StartsWith("OK served-by: ", a));
        Assert.Contains(answers, a => a.EndsWith("orders", StringComparison.Ordinal));
        Assert.Contains(answers, a => a.EndsWith("local", StringComparison.Ordinal));
        Assert.Equal(0, mesh.Client.Plane.Report.Ends(EndReason.Bug));
    }

    [Fact]
    public async Task A_draining_proxy_finishes_what_it_has_and_asks_clients_to_leave()
    {
        await using var network = TestNetwork.Create();
        using var mesh = await Mesh.CreateAsync(network);
        Assert.Contains("served-by", await mesh.Neighbour.RunAsync("curl", "-sS", "-m", "10", "http://10.244.0.10:8000/"));
        await mesh.Server.Plane.DrainAsync(Drain);
        Assert.Equal(0, mesh.Server.Plane.Connections.Count);
        Assert.Equal(0, mesh.Server.Plane.Report.Active);
        Assert.Equal(0, mesh.Server.Plane.Report.Ends(EndReason.Bug));
    }

    private sealed class Mesh : IDisposable
    {
        private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);

        internal required TestProxy Client { get; init; }

        internal required TestProxy Gateway { get; set; }

        internal required ISecretSource GatewaySecrets { get; init; }

        internal required TestProxy Server { get; init; }

        /// <summary>A Pod next to the server, without a proxy.</summary>
        internal required TestPod Neighbour { get; init; }

        internal static async Task<Mesh> CreateAsync(TestNetwork network, bool otherRoot = false, bool withLocal = false)
        {
            var one = await network.NodeAsync(1);
            var two = await network.NodeAsync(2);
            var authority = new TestAuthority();
            var other = otherRoot ? new TestAuthority() : authority;
            var gatewaySecrets = authority.Issue("cluster2", "spiffe://cluster.local/ns/istio-system/sa/gateway");
            // The same address in both networks, on purpose.
            var mesh = new Mesh
            {
                GatewaySecrets = gatewaySecrets,
                Client = new TestProxy(await one.PodAsync("10.244.0.10"), authority.Issue("cluster1", Caller)),
                Gateway = new TestProxy(two.Self, gatewaySecrets),
                Server = new TestProxy(await two.PodAsync("10.244.0.10"), other.Issue("cluster2", Callee)),
                Neighbour = await two.PodAsync("10.244.0.11"),
            };
            mesh.Server.Pod.ServeHttp(8000, "orders", mesh._stop.Token);
            var local = withLocal ? await one.PodAsync("10.244.0.12") : null;
            local?.ServeHttp(8000, "local", mesh._stop.Token);
            mesh.LoadClient(withLocal);
            mesh.LoadGateway();
            mesh.LoadServer();
            await mesh.Client.CaptureAsync();
            await mesh.Server.CaptureAsync();
            return mesh;
        }

        internal void RestartGateway()
        {
            var pod = Gateway.Pod;
            Gateway.Dispose();
            Gateway = new TestProxy(pod, GatewaySecrets);
            LoadGateway();
        }

        /// <summary>The update that removes the other network's endpoint.</summary>
        internal ResourceUpdate OnlyLocal()
        {
            var assignment = WireTypes.Strict.Parse<ClusterLoadAssignment>(Endpoints($"outbound|8000||{Host}", "10.244.0.12:8000"));
            return new(TypeUrls.Endpoints, [new(assignment.ClusterName, "2", new Any { TypeUrl = TypeUrls.Endpoints, Value = assignment.ToByteString() })], [],
                "2");
        }

        /// <summary>Sends requests repeatedly over persistent connections, and adds the status of each response and who sent
        /// it.</summary>
        internal async Task AskUntilAsync(ConcurrentQueue<string> answers, CancellationToken over)
        {
            using var client = NewClient();
            while (!over.IsCancellationRequested)
            {
                try
                {
                    answers.Enqueue(await AskAsync(client, Stop));
                }
                catch (HttpRequestException e)
                {
                    answers.Enqueue(e.Message);
                }
                await Task.Delay(10, Stop);
            }
        }

        internal async Task WaitForAsync(string name)
        {
            using var client = NewClient();
            await Eventually.TrueAsync(async () => (await AskAsync(client, Stop)).EndsWith(name, StringComparison.Ordinal), $"an answer from {name}");
        }

        private static async Task<string> AskAsync(HttpClient client, CancellationToken stop)
        {
            using var answer = await client.GetAsync($"http://{Host}:8000/load", stop);
            return $"{answer.StatusCode} {(await answer.Content.ReadAsStringAsync(stop)).Split('\n')[0]}";
        }

        private HttpClient NewClient()
        {
            var sockets = new NamespaceSockets(Client.Pod.Handle);
            return new(new SocketsHttpHandler
            {
                ConnectCallback = async (_, stop) =>
                {
                    var socket = sockets.Create(AddressFamily.InterNetwork);
                    await socket.ConnectAsync(IPEndPoint.Parse("10.96.7.7:8000"), stop);
                    return new NetworkStream(socket, ownsSocket: true);
                },
            });
        }

        private void LoadClient(bool withLocal)
        {
            string Cluster(int port) => MeshCluster($"outbound|{port}||{Host}", $"outbound_.{port}_._.{Host}", Callee);
            var http = Http("\"rds\": {\"config_source\": {\"ads\": {}}, \"route_config_name\": \"8000\"}", "\"use_remote_address\": false");
            string[] local = withLocal ? ["10.244.0.12:8000"] : [];
            Client.Load(
                Array(Cluster(8000), Cluster(7000), OriginalDestination("PassthroughCluster")),
                Array(Endpoints($"outbound|8000||{Host}", [$"+{GatewayAddress}", .. local]), Endpoints($"outbound|7000||{Host}", $"+{GatewayAddress}")),
                Array(Route("8000", Host, $"outbound|8000||{Host}")),
                Array(
                    $$$"""
                    {"name": "virtualOutbound", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 15001}}, "use_original_dst": true, "traffic_direction": "OUTBOUND",
                     "filter_chains": [{"filters": [{{{Tcp("PassthroughCluster")}}}]}]}
                    """,
                    $$$"""
                    {"name": "0.0.0.0_8000", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 8000}}, "bind_to_port": false, "traffic_direction": "OUTBOUND",
                     "listener_filters": [{{{TlsInspector}}}, {{{HttpInspector}}}], "listener_filters_timeout": "0s", "continue_on_listener_filters_timeout": true,
                     "filter_chains": [{"filter_chain_match": {"transport_protocol": "raw_buffer", "application_protocols": ["http/1.1", "h2c"]},
                       "filters": [{{{http}}}]}],
                     "default_filter_chain": {"filters": [{{{Tcp("PassthroughCluster")}}}]}}
                    """,
                    $$$"""
                    {"name": "10.96.7.5_7000", "address": {"socket_address": {"address": "10.96.7.5", "port_value": 7000}}, "bind_to_port": false, "traffic_direction": "OUTBOUND",
                     "filter_chains": [{"filters": [{{{Tcp($"outbound|7000||{Host}")}}}]}]}
                    """));
        }

        private void LoadGateway()
        {
            string Chain(int port) =>
                $$$"""
                {"filter_chain_match": {"server_names": ["outbound_.{{{port}}}_._.{{{Host}}}"], "application_protocols": {{{MeshProtocols}}} },
                 "filters": [{{{Tcp($"outbound_.{port}_._.{Host}")}}}]}
                """;
            Gateway.Load(
                Array(RawCluster($"outbound_.8000_._.{Host}"), RawCluster($"outbound_.7000_._.{Host}")),
                Array(Endpoints($"outbound_.8000_._.{Host}", "10.244.0.10:8000"), Endpoints($"outbound_.7000_._.{Host}", "10.244.0.10:7000")),
                Array(),
                Array(
                    $$$"""
                    {"name": "0.0.0.0_15443", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 15443}}, "traffic_direction": "OUTBOUND",
                     "listener_filters": [{{{TlsInspector}}}], "filter_chains": [{{{Chain(8000)}}}, {{{Chain(7000)}}}]}
                    """));
        }

        private void LoadServer()
        {
            string Http8000() => Http(InlineRoute("inbound|8000||"), """
                "forward_client_cert_details": "APPEND_FORWARD", "set_current_client_cert_details": {"subject": true, "dns": true, "uri": true}, "server_name": "istio-envoy"
                """);
            Server.Load(
                Array(OriginalDestination("inbound|8000||", "127.0.0.6"), OriginalDestination("inbound|7000||", "127.0.0.6"),
                    OriginalDestination("InboundPassthroughClusterIpv4", "127.0.0.6")),
                Array(), Array(),
                Array(
                    $$$"""
                    {"name": "virtualInbound", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 15006}}, "traffic_direction": "INBOUND",
                     "listener_filters": [{"name": "envoy.filters.listener.original_dst",
                       "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst"}}, {{{TlsInspector}}},
                      {{{HttpInspector}}}],
                     "listener_filters_timeout": "0s", "continue_on_listener_filters_timeout": true,
                     "filter_chains": [
                       {"name": "virtualInbound", "filter_chain_match": {"prefix_ranges": [{"address_prefix": "0.0.0.0", "prefix_len": 0}],
                         "transport_protocol": "raw_buffer"}, "filters": [{{{Tcp("InboundPassthroughClusterIpv4")}}}]},
                       {"name": "0.0.0.0_8000", "filter_chain_match": {"destination_port": 8000, "transport_protocol": "tls",
                         "application_protocols": {{{MeshProtocols}}} }, "filters": [{{{Http8000()}}}], {{{ServerTls("h2", "http/1.1")}}} },
                       {"name": "0.0.0.0_8000", "filter_chain_match": {"destination_port": 8000, "transport_protocol": "raw_buffer"}, "filters": [{{{Http8000()}}}]},
                       {"name": "0.0.0.0_7000", "filter_chain_match": {"destination_port": 7000, "transport_protocol": "tls",
                         "application_protocols": {{{MeshProtocols}}} }, "filters": [{{{Tcp("inbound|7000||")}}}],
                        {{{ServerTls("istio-peer-exchange", "h2", "http/1.1")}}} },
                       {"name": "0.0.0.0_7000", "filter_chain_match": {"destination_port": 7000, "transport_protocol": "tls"}, "filters": [{{{Tcp("inbound|7000||")}}}]},
                       {"name": "0.0.0.0_7000", "filter_chain_match": {"destination_port": 7000, "transport_protocol": "raw_buffer"}, "filters": [{{{Tcp("inbound|7000||")}}}]}]}
                    """));
        }

        public void Dispose()
        {
            _stop.Cancel();
            Client.Dispose();
            Gateway.Dispose();
            Server.Dispose();
            _stop.Dispose();
        }
    }
}
