using System.Collections.Concurrent;
using Google.Protobuf;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tls;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Rpc;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Active health checks, with real servers.</summary>
public sealed class HealthCheckTests
{
    private const string Times = """ "timeout": "60s", "interval": "0.02s", "no_traffic_interval": "0.02s", "unhealthy_threshold": 2, "healthy_threshold": 2 """;
    private const string OnHealth = """ "http_health_check": {"path": "/health"} """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("HTTP1", HttpProtocols.Http1)]
    [InlineData("HTTP2", HttpProtocols.Http2)]
    public async Task An_endpoint_that_goes_bad_gets_no_requests_until_it_comes_back(string codec, HttpProtocols protocol)
    {
        await using var good = await CheckedOrigin.StartAsync("good", protocol);
        await using var other = await CheckedOrigin.StartAsync("other", protocol);
        using var proxy = Proxy(protocol == HttpProtocols.Http2, Check($$""" "http_health_check": {"path": "/health", "codec_client_type": "{{codec}}"} """));
        proxy.Endpoints("up", good.Port, other.Port);
        await HealthyAsync(proxy, 2);
        Assert.Equal(["good", "other"], (await AnswersAsync(proxy)).Order(StringComparer.Ordinal));
        other.Status = 503;
        await HealthyAsync(proxy, 1);
        Assert.Equal(["good"], await AnswersAsync(proxy));
        Assert.Contains($"up::127.0.0.1:{other.Port}::health_flags::/failed_active_hc\n", ClusterDumps.Text(proxy.Plane), StringComparison.Ordinal);
        Assert.Contains($"up::127.0.0.1:{good.Port}::health_flags::healthy\n", ClusterDumps.Text(proxy.Plane), StringComparison.Ordinal);
        other.Status = 200;
        await HealthyAsync(proxy, 2);
        Assert.Equal(["good", "other"], (await AnswersAsync(proxy)).Order(StringComparer.Ordinal));
        var stats = StatsText.Plain(proxy.Plane, "^cluster.up.(health_check|membership)");
        Assert.Contains("cluster.up.health_check.healthy: 2\n", stats, StringComparison.Ordinal);
        Assert.Contains("cluster.up.membership_healthy: 2\n", stats, StringComparison.Ordinal);
        var counts = State(proxy).Counters.Checks;
        Assert.True(counts.Failures > 0 && counts.Successes > 0 && counts.Attempts >= counts.Failures + counts.Successes && counts.NetworkFailures == 0, stats);
    }

    [Fact]
    public async Task A_request_of_a_check_is_as_its_fields_say()
    {
        await using var origin = await CheckedOrigin.StartAsync("a");
        using var proxy = Proxy(false, Check("""
             "http_health_check": {"path": "/up?a=1", "host": "web.example", "method": "POST", "send": {"text": "68690a"}, "expected_statuses": [{"start": 200, "end": 300}],
               "request_headers_to_add": [{"header": {"key": "x-asks", "value": "%UPSTREAM_CLUSTER%"} }], "request_headers_to_remove": ["x-none"]}
            """));
        proxy.Endpoints("up", origin.Port);
        await HealthyAsync(proxy, 1);
        Assert.Equal("POST /up?a=1 web.example Envoy/HC up hi\n", origin.Checks.First());
    }

    [Theory]
    [InlineData("", 204, false)]
    [InlineData(""", "expected_statuses": [{"start": 200, "end": 205}]""", 204, true)]
    [InlineData(""", "expected_statuses": [{"start": 200, "end": 204}]""", 204, false)]
    [InlineData(""", "receive": [{"text": "6865"}, {"binary": "eQ=="}]""", 200, true)]
    [InlineData(""", "receive": [{"text": "79"}, {"text": "6865"}]""", 200, false)]
    [InlineData(""", "receive": [{"text": "79"}], "response_buffer_size": 3""", 200, false)]
    [InlineData(""", "receive": [{"text": "79"}], "response_buffer_size": 0""", 200, true)]
    [InlineData(""", "service_name_matcher": {"prefix": "shop"}""", 200, true)]
    [InlineData(""", "service_name_matcher": {"exact": "other"}""", 200, false)]
    public async Task An_answer_is_judged_as_the_fields_say(string fields, int status, bool isHealthy)
    {
        await using var origin = await CheckedOrigin.StartAsync("a");
        origin.Status = status;
        using var proxy = Proxy(false, Check($$""" "http_health_check": {"path": "/health" {{fields}} } """));
        proxy.Endpoints("up", origin.Port);
        await HealthyAsync(proxy, isHealthy ? 1 : 0);
        Assert.Equal(fields.Contains("service_name", StringComparison.Ordinal), State(proxy).Counters.Checks.VerifiedClusters > 0);
    }

    [Fact]
    public async Task A_retriable_status_counts_as_often_as_the_threshold_says()
    {
        await using var origin = await CheckedOrigin.StartAsync("a");
        using var proxy = Proxy(false,
            Check(""" "http_health_check": {"path": "/health", "retriable_statuses": [{"start": 500, "end": 501}]} """,
                Times.Replace("\"unhealthy_threshold\": 2", "\"unhealthy_threshold\": 1000000", StringComparison.Ordinal)));
        proxy.Endpoints("up", origin.Port);
        await HealthyAsync(proxy, 1);
        origin.Status = 500;
        await Eventually.TrueAsync(() => State(proxy).Counters.Checks.Failures > 3);
        Assert.Equal(1, State(proxy).HealthyHosts);
        origin.Status = 501;
        await HealthyAsync(proxy, 0);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Checks_use_the_connection_of_the_one_before_or_each_its_own(bool reuse)
    {
        foreach (var protocol in (HttpProtocols[])[HttpProtocols.Http1, HttpProtocols.Http2])
        {
            await using var origin = await CheckedOrigin.StartAsync("a", protocol);
            using var proxy = Proxy(false,
                Check(
                    $$"""
                    "reuse_connection": {{(reuse ? "true" : "false")}},
                    "http_health_check": {"path": "/health", "codec_client_type": "{{(protocol == HttpProtocols.Http2 ? "HTTP2" : "HTTP1")}}"}
                    """));
            proxy.Endpoints("up", origin.Port);
            await Eventually.TrueAsync(() => origin.Checks.Count >= 5);
            await HealthyAsync(proxy, 1);
            var (checks, connections) = (origin.Checks.Count, origin.Connections.Distinct().Count());
            Assert.True(reuse ? connections == 1 : connections >= 5, $"{checks} checks on {connections} connections");
            Assert.Equal((0, 0), (State(proxy).Counters.Connects, State(proxy).Use.ActiveConnections));
        }
    }

    [Fact]
    public async Task Grpc_asks_for_the_service()
    {
        var (serving, asked) = (HealthCheckResponse.Types.ServingStatus.Serving, new ConcurrentQueue<string>());
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http2, async context =>
        {
            var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body, Stop);
            asked.Enqueue(
                $"{context.Request.Path} {context.Request.Host} {HealthCheckRequest.Parser.ParseFrom(body.ToArray().AsSpan(5)).Service} "
                    + $"{context.Request.Headers["x-more"]}");
            var message = new HealthCheckResponse { Status = serving }.ToByteArray();
            context.Response.ContentType = "application/grpc";
            context.Response.DeclareTrailer("grpc-status");
            await context.Response.Body.WriteAsync((byte[])[0, 0, 0, 0, (byte)message.Length, .. message], Stop);
            context.Response.AppendTrailer("grpc-status", "0");
        });
        using var proxy = Proxy(true,
            Check(
                """ "grpc_health_check": {"service_name": "shop.Cart", "authority": "cart.example", "initial_metadata": [{"header": {"key": "x-more", "value": "yes"} }]} """));
        proxy.Endpoints("up", origin.Port);
        await HealthyAsync(proxy, 1);
        Assert.Equal("/grpc.health.v1.Health/Check cart.example shop.Cart yes", asked.First());
        serving = HealthCheckResponse.Types.ServingStatus.NotServing;
        await HealthyAsync(proxy, 0);
        serving = HealthCheckResponse.Types.ServingStatus.Serving;
        await HealthyAsync(proxy, 1);
    }

    [Fact]
    public async Task A_server_that_speaks_no_grpc_is_not_healthy()
    {
        await using var origin = await CheckedOrigin.StartAsync("a", HttpProtocols.Http2);
        using var proxy = Proxy(true, Check(""" "grpc_health_check": {} """));
        proxy.Endpoints("up", origin.Port);
        await Eventually.TrueAsync(() => State(proxy, waits: true)?.Counters.Checks is { Failures: > 1, NetworkFailures: 0 });
        await HealthyAsync(proxy, 0);
    }

    [Theory]
    [InlineData("{}", true)]
    [InlineData("""{"send": {"text": "50494E47"}}""", true)]
    [InlineData("""{"send": {"text": "50494E47"}, "receive": [{"text": "504F"}, {"text": "4E47"}]}""", true)]
    [InlineData("""{"send": {"binary": "UElORw=="}, "receive": [{"binary": "UE9ORw=="}]}""", true)]
    [InlineData("""{"send": {"text": "00"}, "receive": [{"text": "504F4E47"}]}""", false)]
    public async Task Tcp_connects_sends_and_waits_for_what_it_is_told(string probe, bool isHealthy)
    {
        using var server = new PingServer();
        using var proxy = Proxy(false,
            Check($$""" "tcp_health_check": {{probe}} """, Times.Replace("5s", isHealthy ? "5s" : "0.3s", StringComparison.Ordinal)));
        proxy.Endpoints("up", server.Port);
        await HealthyAsync(proxy, isHealthy ? 1 : 0);
        if (!isHealthy) Assert.Contains("::health_flags::/failed_active_hc/active_hc_timeout\n", ClusterDumps.Text(proxy.Plane), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_of_the_checks_remains_when_hosts_and_clusters_go()
    {
        using var server = new PingServer();
        using var second = new PingServer();
        using var proxy = Proxy(false,
            Check(""" "tcp_health_check": {"send": {"text": "50494E47"}, "receive": [{"text": "504F4E47"}]} """)
                + """, "ignore_health_on_host_removal": true """);
        proxy.Endpoints("up", server.Port, second.Port);
        await HealthyAsync(proxy, 2);
        Assert.Equal((1, 1), (server.Open, second.Open));
        proxy.Endpoints("up", server.Port);
        await Eventually.TrueAsync(() => second.Open == 0);
        Assert.Equal(1, server.Open);
        Assert.Empty(proxy.Plane.State.Apply(new(TypeUrls.Cluster, [], ["up"], "2")));
        await Eventually.TrueAsync(() => server.Open == 0);
    }

    [Fact]
    public async Task Connections_that_fail_count_and_nothing_but_checks_finds_the_host_again()
    {
        using var port = new ReservedPort();
        await using var good = await CheckedOrigin.StartAsync("good");
        using var proxy = Proxy(false, Check(OnHealth));
        proxy.Endpoints("up", good.Port, port.Number);
        await HealthyAsync(proxy, 1);
        Assert.Equal(["good"], await AnswersAsync(proxy));
        Assert.True(State(proxy).Counters.Checks.NetworkFailures > 0);
        Assert.Equal(0, State(proxy).Counters.ConnectFailures);
    }

    [Fact]
    public async Task Checks_go_through_the_transport_socket_of_the_cluster()
    {
        using var ca = new TestCa("public");
        await using var good = await CheckedOrigin.StartAsync("good", certificate: ca.Server("a.example"));
        await using var wrong = await CheckedOrigin.StartAsync("wrong", certificate: ca.Server("b.example"));
        await using var plain = await CheckedOrigin.StartAsync("plain");
        using var proxy = Proxy(false, Check(OnHealth) + """
            , "transport_socket": {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "a.example",
              "common_tls_context": {"combined_validation_context": {"default_validation_context": {"match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "a.example"} }]},
                "validation_context_sds_secret_config": {"name": "file-root:ca"} } } } }
            """, new OneRoot(ca));
        proxy.Endpoints("up", good.Port, wrong.Port, plain.Port);
        await HealthyAsync(proxy, 1);
        await Eventually.TrueAsync(() => State(proxy).Counters.Checks.NetworkFailures >= 2);
        Assert.Equal(["good"], await AnswersAsync(proxy));
        Assert.Empty(wrong.Checks);
    }

    /// <summary>Envoy's panic threshold: 50 means that less than half of the hosts must be healthy.</summary>
    [Theory]
    [InlineData("0", 0, "no healthy upstream")]
    [InlineData("1", 0, "a b c")]
    [InlineData("50", 1, "a b c")]
    [InlineData("50", 2, "a b")]
    [InlineData("30", 1, "a")]
    public async Task Below_the_panic_threshold_all_hosts_get_requests(string threshold, int healthy, string answers)
    {
        CheckedOrigin[] origins = [await CheckedOrigin.StartAsync("a"), await CheckedOrigin.StartAsync("b"), await CheckedOrigin.StartAsync("c")];
        for (var i = healthy; i < 3; i++) origins[i].Status = 500;
        using var proxy = Proxy(false, Check(OnHealth) + $$""", "common_lb_config": {"healthy_panic_threshold": {"value": {{threshold}} } }""");
        proxy.Endpoints("up", [.. origins.Select(origin => origin.Port)]);
        await HealthyAsync(proxy, healthy);
        await Eventually.TrueAsync(() => State(proxy).Hosts.All.All(host => host.Check!.HasResult));
        Assert.Equal(answers.Contains("upstream", StringComparison.Ordinal) ? [answers] : answers.Split(' '),
            (await AnswersAsync(proxy)).Order(StringComparer.Ordinal));
        foreach (var origin in origins) await origin.DisposeAsync();
    }

    [Fact]
    public async Task A_cluster_is_not_in_use_before_each_of_its_hosts_was_checked()
    {
        var answers = new TaskCompletionSource();
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            if (context.Request.Path == "/health") await answers.Task;
        });
        using var proxy = Proxy(false, Check(OnHealth, Times.Replace("5s", "60s", StringComparison.Ordinal)));
        proxy.Endpoints("up", origin.Port);
        await Eventually.TrueAsync(() => State(proxy, waits: true) is { Counters.Checks.Attempts: > 0 });
        Assert.Empty(proxy.Plane.State.Current.Clusters);
        Assert.False(proxy.Plane.State.HasListeners);
        answers.SetResult();
        await Eventually.TrueAsync(() => proxy.Plane.State.HasListeners);
        Assert.Equal(1, State(proxy).HealthyHosts);
    }

    [Fact]
    public async Task An_endpoint_says_where_and_how_it_is_checked()
    {
        await using var origin = await CheckedOrigin.StartAsync("a");
        await using var checks = await CheckedOrigin.StartAsync("checks");
        origin.Status = 500;
        using var proxy = new LoopbackProxy([$$"""
            {"name": "up", "type": "STATIC", {{Check(OnHealth)}}, "load_assignment": {"endpoints": [{"lb_endpoints": [
              {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{origin.Port}} } },
                "health_check_config": {"port_value": {{checks.Port}}, "hostname": "own.example"} } },
              {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 1} }, "health_check_config": {"disable_active_health_check": true} } }]}]} }
            """], """ "route": {"cluster": "up"} """);
        await Eventually.TrueAsync(() => proxy.Plane.State.Current.Clusters.GetValueOrDefault("up") is { HealthyHosts: 2 });
        Assert.Equal("GET /health own.example Envoy/HC  ", checks.Checks.First());
        Assert.Empty(origin.Checks);
        Assert.Equal(1, State(proxy).Health!.Passing);
    }

    [Fact]
    public async Task A_response_can_ask_for_no_more_requests()
    {
        await using var origin = await CheckedOrigin.StartAsync("a");
        await using var other = await CheckedOrigin.StartAsync("other");
        origin.WantsNoMore = true;
        using var proxy = Proxy(false, Check(OnHealth, Times.Replace("0.02s", "3600s", StringComparison.Ordinal)));
        proxy.Endpoints("up", origin.Port, other.Port);
        await HealthyAsync(proxy, 2);
        await Eventually.TrueAsync(() => AnswersAsync(proxy).GetAwaiter().GetResult() is ["other"]);
        Assert.Equal((1, 1), (State(proxy).Counters.Checks.PassiveFailures, State(proxy).HealthyHosts));
    }

    private static string Check(string probe, string times = Times) => $$"""
         "health_checks": [{ {{times}}, {{probe}} }]
        """;

    private static LoopbackProxy Proxy(bool http2, string fields, ISecretSource? secrets = null) =>
        new([LoopbackProxy.Cluster("up", http2, ", " + fields)], """ "route": {"cluster": "up", "timeout": "30s"} """, secrets: secrets);

    private static Task HealthyAsync(LoopbackProxy proxy, int hosts) =>
        Eventually.TrueAsync(() => proxy.Plane.State.HasListeners && proxy.Plane.State.Current.Clusters.GetValueOrDefault("up") is { } cluster
            && cluster.HealthyHosts == hosts);

    private static ClusterState State(LoopbackProxy proxy) => proxy.Plane.State.Current.Clusters["up"];

    private static ClusterState? State(LoopbackProxy proxy, bool waits) =>
        proxy.Plane.State.Read(books => books.Clusters.Values.Select(entry => waits ? entry.Waiting ?? entry.Active : entry.Active).FirstOrDefault());

    /// <summary>Who answers some requests.</summary>
    private static async Task<string[]> AnswersAsync(LoopbackProxy proxy)
    {
        using var client = new HttpClient();
        var answers = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < 30; i++) answers.Add(await (await client.GetAsync($"http://127.0.0.1:{proxy.Port}/", Stop)).Content.ReadAsStringAsync(Stop));
        return [.. answers];
    }

    /// <summary>A server that says its name, and how it is at other paths.</summary>
    private sealed class CheckedOrigin(string name) : IAsyncDisposable
    {
        private OriginServer? _server;

        internal int Status { get; set; } = 200;

        /// <summary>Its answers to requests say that it wants no more of them.</summary>
        internal bool WantsNoMore { get; set; }

        internal ConcurrentQueue<string> Checks { get; } = new();

        internal ConcurrentQueue<string> Connections { get; } = new();

        internal int Port => _server!.Port;

        internal static async Task<CheckedOrigin> StartAsync(string name, HttpProtocols protocols = HttpProtocols.Http1,
            System.Security.Cryptography.X509Certificates.X509Certificate2? certificate = null)
        {
            var origin = new CheckedOrigin(name);
            origin._server = await OriginServer.StartAsync(protocols, origin.AnswerAsync, certificate);
            return origin;
        }

        public ValueTask DisposeAsync() => _server!.DisposeAsync();

        private async Task AnswerAsync(HttpContext context)
        {
            if (context.Request.Path == "/")
            {
                if (WantsNoMore) context.Response.Headers["x-envoy-immediate-health-check-fail"] = "true";
                await context.Response.WriteAsync(name);
                return;
            }
            using var body = new StreamReader(context.Request.Body);
            var request = context.Request;
            Connections.Enqueue(context.Connection.Id);
            Checks.Enqueue(
                $"{request.Method} {request.Path}{request.QueryString} {request.Host} {request.Headers.UserAgent} {request.Headers["x-asks"]} "
                    + $"{await body.ReadToEndAsync()}");
            context.Response.StatusCode = Status;
            context.Response.Headers["x-envoy-upstream-healthchecked-cluster"] = "shop-cart";
            if (Status == 200) await context.Response.WriteAsync("healthy");
        }
    }

    private sealed class OneRoot(TestCa ca) : ISecretSource
    {
        public event Action<string>? Changed
        {
            add { }
            remove { }
        }

        public CertificateSecret? FindCertificate(string name) => null;

        public RootSecret? FindRoots(string name) => RootSecret.Load(name, ca.Pem);

        public bool IsAbsent(string name) => false;

        public IReadOnlyList<SecretView> View() => [];
    }
}
