using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Trace;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Tests.Proxy.Telemetry;
using Isthmus.Wire.Dns;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Requests to a cluster that is at its connection limit: they wait for a connection, as in Envoy.</summary>
public sealed class ConnectionLimitTests
{
    private const string ToUp = """ "route": {"cluster": "up", "timeout": "0s"} """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Requests_beyond_the_limit_wait_and_are_served_in_order(bool closesEach)
    {
        await using var gate = await GatedServer.StartAsync(closesEach);
        using var proxy = Proxy(connections: 1, pending: null);
        proxy.Endpoints("up", gate.Port);
        using var client = new HttpClient();
        var answers = new List<Task<string>>();
        for (var i = 0; i < 4; i++)
        {
            answers.Add(client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/{i}", Stop));
            if (i == 0) await gate.ArrivedAsync(1);
            else await Eventually.TrueAsync(() => Use(proxy).PendingRequests == i);
        }
        Assert.Single(gate.Seen);
        // A request is counted as waiting before its overflow is.
        await Eventually.TrueAsync(() => Counters(proxy).ConnectionOverflows == 3);
        Assert.Equal(4, Counters(proxy).PendingTotal);
        gate.Open();
        Assert.Equal(["/0", "/1", "/2", "/3"], await Task.WhenAll(answers));
        Assert.Equal(["/0", "/1", "/2", "/3"], gate.Seen);
        Assert.Equal(closesEach ? 4 : 1, Counters(proxy).Connects);
        Assert.Equal(0, Use(proxy).PendingRequests);
    }

    [Fact]
    public async Task A_full_queue_answers_503_at_once_and_the_counters_say_which_limit()
    {
        await using var gate = await GatedServer.StartAsync(closesEach: false);
        using var proxy = Proxy(connections: 1, pending: 1);
        proxy.Endpoints("up", gate.Port);
        proxy.Route(""" "route": {"cluster": "up", "timeout": "0s", "retry_policy": {"retry_on": "5xx,reset,connect-failure", "num_retries": 2} } """);
        using var client = new HttpClient();
        var first = client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/1", Stop);
        await gate.ArrivedAsync(1);
        var second = client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/2", Stop);
        await Eventually.TrueAsync(() => Use(proxy).PendingRequests == 1);
        using var third = await client.GetAsync($"http://127.0.0.1:{proxy.Port}/3", Stop);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, third.StatusCode);
        Assert.Equal("true", third.Headers.GetValues("x-envoy-overloaded").Single());
        Assert.Equal("upstream connect error or disconnect/reset before headers. reset reason: overflow", await third.Content.ReadAsStringAsync(Stop));
        await Eventually.TrueAsync(() => Use(proxy).ActiveRequests == 2); // the third ends after its response
        var stats = StatsText.Plain(proxy.Plane, "^cluster.up.");
        foreach (var line in (string[])[
            "upstream_cx_overflow: 1", "upstream_rq_pending_overflow: 1", "upstream_rq_pending_active: 1", "upstream_rq_pending_total: 2",
            "upstream_rq_active: 1",
            "upstream_rq_retry: 0", "circuit_breakers.default.remaining_cx: 0", "circuit_breakers.default.remaining_pending: 0",
            "circuit_breakers.default.cx_open: 1",
            "circuit_breakers.default.rq_pending_open: 1"])
            Assert.Contains($"cluster.up.{line}\n", stats);
        Assert.Contains("envoy_cluster_circuit_breakers_default_remaining_pending{cluster_name=\"up\"} 0\n", ScrapedText.Of(proxy.Plane));
        // A trace that comes later tells of it.
        var pod = new PodRoutes(proxy.Plane.Ports, new PlaneEntry(proxy.Plane));
        var inspection = await new TraceRoutes(proxy.Plane, pod).InspectAsync(new Dictionary<string, string>(), null, ResolverSettings.Parse(""), Stop);
        var refused = Assert.Single(JsonNode.Parse(inspection.Body.Span)!["pod"]!["refusals"]!.AsArray())!;
        Assert.Equal(("up", 1), (refused["cluster"]!.ToString(), (int)refused["count"]!));
        Assert.InRange((long)refused["seconds_ago"]!, 0, 3600);
        gate.Open();
        Assert.Equal(["/1", "/2"], await Task.WhenAll(first, second));
        await Eventually.TrueAsync(() => proxy.LogText.Contains("GET 503 UO upstream_reset_before_response_started{overflow}", StringComparison.Ordinal));
    }

    /// <summary>No endpoint can remember it.</summary>
    [Fact]
    public async Task A_cluster_tells_that_it_had_no_host_for_a_call()
    {
        using var proxy = Proxy(connections: 1, pending: null);
        proxy.Endpoints("up");
        using var client = new HttpClient();
        using var answer = await client.GetAsync($"http://127.0.0.1:{proxy.Port}/1", Stop);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        var pod = new PodRoutes(proxy.Plane.Ports, new PlaneEntry(proxy.Plane));
        var inspection = await new TraceRoutes(proxy.Plane, pod).InspectAsync(new Dictionary<string, string>(), null, ResolverSettings.Parse(""), Stop);
        var failed = Assert.Single(JsonNode.Parse(inspection.Body.Span)!["pod"]!["failures"]!.AsArray())!;
        Assert.Equal(("up", "UH"), (failed["cluster"]!.ToString(), failed["flag"]!.ToString()));
    }

    [Fact]
    public async Task A_request_leaves_the_queue_when_its_timeout_passes()
    {
        await using var gate = await GatedServer.StartAsync(closesEach: false);
        using var proxy = Proxy(connections: 1, pending: null);
        proxy.Endpoints("up", gate.Port);
        using var client = new HttpClient();
        var first = client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/1", Stop);
        await gate.ArrivedAsync(1);
        proxy.Route(""" "route": {"cluster": "up", "timeout": "0.1s"} """);
        using var second = await client.GetAsync($"http://127.0.0.1:{proxy.Port}/2", Stop);
        Assert.Equal(HttpStatusCode.GatewayTimeout, second.StatusCode);
        Assert.Equal(0, Use(proxy).PendingRequests);
        Assert.Equal(0, proxy.Plane.State.Current.Clusters["up"].AllHosts.Single().Counters.Timeouts);
        gate.Open();
        Assert.Equal("/1", await first);
        Assert.Equal(["/1"], gate.Seen);
        await Eventually.TrueAsync(() => proxy.LogText.Contains("GET 504 UT upstream_response_timeout", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_request_leaves_the_queue_when_its_client_leaves()
    {
        await using var gate = await GatedServer.StartAsync(closesEach: false);
        using var proxy = Proxy(connections: 1, pending: null);
        proxy.Endpoints("up", gate.Port);
        using var client = new HttpClient();
        var first = client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/1", Stop);
        await gate.ArrivedAsync(1);
        using (var leaver = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { LingerState = new(true, 0) })
        {
            await leaver.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
            await leaver.SendAsync("GET /2 HTTP/1.1\r\nhost: x\r\n\r\n"u8.ToArray(), Stop);
            await Eventually.TrueAsync(() => Use(proxy).PendingRequests == 1);
        }
        await Eventually.TrueAsync(() => Use(proxy).PendingRequests == 0);
        gate.Open();
        Assert.Equal("/1", await first);
        Assert.Equal("/3", await client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/3", Stop));
        Assert.Equal(["/1", "/3"], gate.Seen);
    }

    [Fact]
    public async Task Each_host_gets_a_connection_whatever_the_limit()
    {
        await using var one = await GatedServer.StartAsync(closesEach: false);
        await using var two = await GatedServer.StartAsync(closesEach: false);
        using var proxy = Proxy(connections: 1, pending: null);
        proxy.Endpoints("up", one.Port, two.Port);
        using var client = new HttpClient();
        var answers = Enumerable.Range(0, 6).Select(i => client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/{i}", Stop)).ToList();
        await Task.WhenAll(one.ArrivedAsync(1), two.ArrivedAsync(1));
        one.Open();
        two.Open();
        await Task.WhenAll(answers);
        Assert.Equal(2, Counters(proxy).Connects);
    }

    [Fact]
    public async Task A_host_that_refuses_fails_its_queue_too()
    {
        using var nobody = new ReservedPort();
        using var proxy = Proxy(connections: 1, pending: null);
        proxy.Endpoints("up", nobody.Number);
        using var client = new HttpClient();
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => client.GetAsync($"http://127.0.0.1:{proxy.Port}/{i}", Stop)));
        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode));
        Assert.Equal(0, Use(proxy).PendingRequests);
        Assert.Equal(0, Use(proxy).ActiveConnections);
    }

    [Fact]
    public async Task No_request_waits_in_vain_while_connections_break_and_clients_give_up()
    {
        var open = 0;
        var most = 0;
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            var number = int.Parse(context.Request.Path.Value![1..], System.Globalization.CultureInfo.InvariantCulture);
            // When a client gives up, the proxy closes the connection and may open another, while this server still answers.
            var counts = number % 13 != 0;
            if (counts) InterlockedMax(ref most, Interlocked.Increment(ref open));
            if (number % 3 == 0) await Task.Yield();
            if (number % 7 == 0) context.Response.Headers.Connection = "close";
            if (counts) Interlocked.Decrement(ref open);
            if (number % 11 == 0) context.Abort();
            else await context.Response.WriteAsync("ok");
        });
        using var proxy = Proxy(connections: 3, pending: null);
        proxy.Endpoints("up", origin.Port);
        using var client = new HttpClient();
        var answered = 0;
        await Parallel.ForEachAsync(Enumerable.Range(0, 3000), new ParallelOptions { MaxDegreeOfParallelism = 40, CancellationToken = Stop }, async (i, stop) =>
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
            if (i % 13 == 0) patience.CancelAfter(1);
            try
            {
                using var answer = await client.GetAsync($"http://127.0.0.1:{proxy.Port}/{i}", patience.Token);
                if (answer.IsSuccessStatusCode) Interlocked.Increment(ref answered);
            }
            catch (Exception e) when (e is OperationCanceledException or HttpRequestException && i % 13 == 0)
            {
                stop.ThrowIfCancellationRequested();
            }
        });
        Assert.True(answered > 2000, $"only {answered} answers");
        Assert.InRange(most, 1, 3);
        await Eventually.TrueAsync(() => Use(proxy) is { PendingRequests: 0, ActiveRequests: 0 });
        Assert.InRange(Use(proxy).ActiveConnections, 0, 3);
    }

    [Fact]
    public async Task A_limit_of_requests_that_connections_cannot_reach_does_not_shorten_the_queue()
    {
        await using var gate = await GatedServer.StartAsync(closesEach: false);
        using var proxy = Proxy(connections: 1, pending: 10, requests: 1);
        proxy.Endpoints("up", gate.Port);
        using var client = new HttpClient();
        var answers = Enumerable.Range(0, 4).Select(i => client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/{i}", Stop)).ToList();
        await gate.ArrivedAsync(1);
        gate.Open();
        await Task.WhenAll(answers);
        Assert.Equal(0, Counters(proxy).PendingOverflows);
    }

    [Fact]
    public async Task Requests_for_other_host_names_wait_at_the_limit_for_connections_of_their_own()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var seen = new ConcurrentQueue<string>();
        using var ca = new TestCa("ca");
        using var certificate = ca.Server("a.example", "b.example", "c.example");
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            seen.Enqueue(context.Request.Path);
            await open.Task;
            await OriginServer.ServerNameAsync(context);
        }, certificate);
        using var proxy = Named(ca, http2: false);
        proxy.Endpoints("up", origin.Port);
        var answers = new List<Task<(HttpStatusCode, string)>>();
        foreach (var host in (string[])["a", "b", "a", "c", "c", "b"])
        {
            answers.Add(GetAsync(proxy, $"{host}.example", answers.Count));
            if (answers.Count == 1) await Eventually.TrueAsync(() => seen.Count == 1);
            else await Eventually.TrueAsync(() => Use(proxy).PendingRequests == answers.Count - 1);
        }
        Assert.Equal(1, Use(proxy).ActiveConnections);
        open.SetResult();
        Assert.Equal(((string[])["a", "b", "a", "c", "c", "b"]).Select(host => (HttpStatusCode.OK, $"{host}.example")), await Task.WhenAll(answers));
        Assert.Equal(["/0", "/1", "/2", "/3", "/4", "/5"], seen);
        // c twice in a row shares one.
        Assert.Equal(5, Counters(proxy).Connects);
        await Eventually.TrueAsync(() => Use(proxy) is { PendingRequests: 0, ActiveRequests: 0 });
        Assert.InRange(Use(proxy).ActiveConnections, 0, 1);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_idle_connection_for_another_host_name_makes_room_at_the_limit(bool http2)
    {
        using var ca = new TestCa("ca");
        using var certificate = ca.Server("a.example", "b.example");
        await using var origin = await OriginServer.StartAsync(http2 ? HttpProtocols.Http2 : HttpProtocols.Http1, OriginServer.ServerNameAsync, certificate);
        using var proxy = Named(ca, http2);
        proxy.Endpoints("up", origin.Port);
        foreach (var host in (string[])["a.example", "b.example", "a.example"])
        {
            Assert.Equal((HttpStatusCode.OK, host), await GetAsync(proxy, host, 0));
            await Eventually.TrueAsync(() => Use(proxy) is { ActiveRequests: 0, ActiveConnections: 1 },
                $"after {host}: no request, one connection");
        }
        Assert.Equal(3, Counters(proxy).Connects);
    }

    [Fact]
    public async Task A_busy_shared_connection_for_another_host_name_stays_and_the_request_overflows()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var ca = new TestCa("ca");
        using var certificate = ca.Server("a.example", "b.example");
        var seen = 0;
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http2, async context =>
        {
            Interlocked.Increment(ref seen);
            await open.Task;
            await OriginServer.ServerNameAsync(context);
        }, certificate);
        using var proxy = Named(ca, http2: true);
        proxy.Endpoints("up", origin.Port);
        var first = GetAsync(proxy, "a.example", 0);
        await Eventually.TrueAsync(() => Volatile.Read(ref seen) == 1);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(proxy, "b.example", 1)).Status);
        open.SetResult();
        Assert.Equal((HttpStatusCode.OK, "a.example"), await first);
    }

    /// <summary>A cluster with one connection, whose server must prove the host name of each request.</summary>
    private static LoopbackProxy Named(TestCa ca, bool http2) => new([LoopbackProxy.Cluster("up", more: $$"""
        , "circuit_breakers": {"thresholds": [{"max_connections": 1}]}
        , "transport_socket": {"name": "tls",
          "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "common_tls_context": {
            {{(http2 ? "\"alpn_protocols\": [\"h2\"], " : "")}} "combined_validation_context": {"default_validation_context": {},
             "validation_context_sds_secret_config": {"name": "file-root:/ca"} } } } }
        , "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "upstream_http_protocol_options": {"auto_sni": true, "auto_san_validation": true},
            "explicit_http_config": { {{(http2 ? "\"http2_protocol_options\"" : "\"http_protocol_options\"")}}: {} } } }
        """)], ToUp, secrets: new Roots(ca));

    private static async Task<(HttpStatusCode Status, string Body)> GetAsync(LoopbackProxy proxy, string host, int number)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{proxy.Port}/{number}") { Headers = { Host = host } };
        using var response = await client.SendAsync(request, Stop);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Stop));
    }

    private sealed class Roots(TestCa ca) : ISecretSource
    {
        public event Action<string>? Changed
        {
            add { }
            remove { }
        }

        public CertificateSecret? FindCertificate(string name) => null;

        public RootSecret? FindRoots(string name) => RootSecret.Load(name, ca.Pem);

        public IReadOnlyList<SecretView> View() => [];
    }

    private static ClusterCounters Counters(LoopbackProxy proxy) => proxy.Plane.State.Current.Clusters["up"].Counters;

    private static ClusterUse Use(LoopbackProxy proxy) => proxy.Plane.State.Current.Clusters["up"].Use;

    private static void InterlockedMax(ref int most, int value)
    {
        int seen;
        while ((seen = Volatile.Read(ref most)) < value && Interlocked.CompareExchange(ref most, value, seen) != seen)
        {
        }
    }

    private static LoopbackProxy Proxy(int connections, int? pending, int? requests = null)
    {
        var more = (pending is null ? "" : $", \"max_pending_requests\": {pending}") + (requests is null ? "" : $", \"max_requests\": {requests}");
        return new([LoopbackProxy.Cluster("up", more: $$""", "circuit_breakers": {"thresholds": [{"max_connections": {{connections}}{{more}} }]} """)], ToUp);
    }

    /// <summary>Answers with the path of the request, once it is open.</summary>
    private sealed class GatedServer : IAsyncDisposable
    {
        private readonly TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private OriginServer _server = null!;

        internal ConcurrentQueue<string> Seen { get; } = [];

        internal int Port => _server.Port;

        internal static async Task<GatedServer> StartAsync(bool closesEach)
        {
            var gate = new GatedServer();
            gate._server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
            {
                gate.Seen.Enqueue(context.Request.Path);
                await gate._open.Task;
                if (closesEach) context.Response.Headers.Connection = "close";
                await context.Response.WriteAsync(context.Request.Path);
            });
            return gate;
        }

        internal Task ArrivedAsync(int count) => Eventually.TrueAsync(() => Seen.Count >= count);

        internal void Open() => _open.TrySetResult();

        public async ValueTask DisposeAsync()
        {
            Open();
            await _server.DisposeAsync();
        }
    }
}
