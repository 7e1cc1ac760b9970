using System.Globalization;
using Google.Protobuf;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Istio.Stats;
using Isthmus.Wire.Reports;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Telemetry;

/// <summary>Istio's metrics with the changes of Telemetries, from the objects to a scrape.</summary>
public sealed class MetricTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_Telemetry_changes_the_labels_of_metrics()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway("", Telemetry("""
            {match: {metric: REQUEST_COUNT}, tagOverrides: {path: {value: request.url_path}, response_code: {operation: REMOVE}, source_app: {value: "'edge'"},
              gone: {value: "request.headers['none']"}}},
            {match: {metric: REQUEST_SIZE}, disabled: true}
            """), origin.Port, origin.Port);
        await gateway.CallAsync("/a?1");
        await gateway.CallAsync("/a?2");
        await gateway.CallAsync("/a", "x-way: blocked"); // another status, but the same labels
        await gateway.CallAsync("/b");
        await Eventually.TrueAsync(() => Sum(gateway, "istio_requests_total{") == 4);
        var text = ScrapedText.Of(gateway.Plane);
        var counts = text.Split('\n').Where(line => line.StartsWith("istio_requests_total{", StringComparison.Ordinal)).ToList();
        Assert.All(counts, line => Assert.DoesNotContain("response_code=", line, StringComparison.Ordinal));
        Assert.All(counts, line => Assert.Contains("source_app=\"edge\"", line, StringComparison.Ordinal));
        Assert.All(counts, line => Assert.Contains("gone=\"unknown\"", line, StringComparison.Ordinal));
        Assert.Equal(1, counts.Where(line => line.Contains("path=\"/b\"", StringComparison.Ordinal)).Sum(Value));
        Assert.Equal(3, counts.Where(line => line.Contains("path=\"/a\"", StringComparison.Ordinal)).Sum(Value));
        Assert.Equal(counts.Count, counts.Select(line => line[..line.LastIndexOf(' ')]).Distinct().Count());
        Assert.DoesNotContain("istio_request_bytes", text, StringComparison.Ordinal);
        Assert.Contains("istio_response_bytes_count{", text, StringComparison.Ordinal);
        Assert.Contains("response_code=\"418\"", text, StringComparison.Ordinal); // of the other metrics
        var chosen = ScrapedText.Of(gateway.Plane, "istio_(requests_total|tcp_)").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(counts.Order(StringComparer.Ordinal), chosen.Where(line => line[0] != '#').Order(StringComparer.Ordinal));
        Assert.Throws<ResourceException>(() => ScrapedText.Of(gateway.Plane, "("));
    }

    [Fact]
    public async Task Nothing_is_counted_where_metrics_are_disabled()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway("", Telemetry("{disabled: true}"), origin.Port, origin.Port);
        await gateway.CallAsync("/off");
        gateway.Apply(Telemetry("{disabled: false}"));
        await gateway.CallAsync("/on");
        await Eventually.TrueAsync(() => Sum(gateway, "istio_requests_total{") > 0);
        Assert.Equal(1, Sum(gateway, "istio_requests_total{"));
    }

    /// <summary>Istio adds the filter to the ports of gRPC.</summary>
    [Theory]
    [InlineData("application/grpc", true, 3, 2)]
    [InlineData("application/grpc+proto", true, 3, 2)]
    [InlineData("application/grpc-web", true, 0, 0)]
    [InlineData("text/plain", true, 0, 0)]
    [InlineData("application/grpc", false, 0, 0)]
    public async Task Messages_of_gRPC_are_counted(string type, bool counts, int requests, int responses)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            await context.Response.Body.WriteAsync(new byte[10]);
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up"} """, $$"""
            {"name": "envoy.filters.http.grpc_stats",
             "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
              "emit_filter_state": {{(counts ? "true" : "false")}}} },
            """);
        proxy.Endpoints("up", origin.Port);
        using var client = new HttpClient();
        using var body = new ByteArrayContent(new byte[15]);
        body.Headers.ContentType = new(type);
        using (await client.PostAsync(new Uri($"http://127.0.0.1:{proxy.Port}/s/m"), body, TestContext.Current.CancellationToken))
        {
        }
        await Eventually.TrueAsync(() => proxy.Plane.MeshMetrics.Http.Any());
        var seen = proxy.Plane.MeshMetrics.Http.Single();
        Assert.Equal(1, seen.Requests);
        // Both directions count for themselves.
        (int, int) Counted() =>
            ((int)proxy.Plane.MeshMetrics.Calls.Sum(counts => counts.RequestMessages),
                (int)proxy.Plane.MeshMetrics.Calls.Sum(counts => counts.ResponseMessages));
        await Eventually.TrueAsync(() => Counted() == (requests, responses));
        Assert.Equal(requests > 0, ScrapedText.Of(proxy.Plane).Contains("istio_request_messages_total{", StringComparison.Ordinal));
    }

    /// <summary>As Istio's filter does: a stream that lasts for days would otherwise be missing for days. A tag may need what is known later.</summary>
    [Theory]
    [InlineData("""{"name": "request_duration_milliseconds", "drop": true}""", "")]
    [InlineData("""{"name": "request_messages_total", "dimensions": {"way": "request.headers['x-way']"}}""", "way=\"there\"")]
    public async Task Messages_of_gRPC_are_counted_while_a_call_is_open(string metric, string label)
    {
        var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            await context.Response.Body.WriteAsync(new byte[10]);
            await enough.Task;
            await context.Response.Body.WriteAsync(new byte[5]);
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up"} """, $$$"""
            {"name": "envoy.filters.http.grpc_stats", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig", "emit_filter_state": true} },
            {"name": "istio.stats", "typed_config": {"@type": "type.googleapis.com/udpa.type.v1.TypedStruct", "type_url": "type.googleapis.com/stats.PluginConfig",
              "value": {"tcp_reporting_duration": "1s", "metrics": [{{{metric}}}]} } },
            """);
        proxy.Endpoints("up", origin.Port);
        using var client = new HttpClient();
        using var body = new ByteArrayContent(new byte[15]);
        body.Headers.ContentType = new("application/grpc");
        body.Headers.Add("x-way", "there");
        var call = client.PostAsync(new Uri($"http://127.0.0.1:{proxy.Port}/s/m"), body, TestContext.Current.CancellationToken);
        await Eventually.TrueAsync(() => Messages() == (3, 2));
        Assert.Empty(proxy.Plane.MeshMetrics.Http);
        enough.SetResult();
        using (await call)
        {
        }
        await Eventually.TrueAsync(() => proxy.Plane.MeshMetrics.Http.Any() && Messages() == (3, 3));
        // How the call ended made no other series.
        var line = Assert.Single(ScrapedText.Of(proxy.Plane, "istio_request_messages_total").Split('\n'),
            line => line.StartsWith("istio_request_messages_total{", StringComparison.Ordinal));
        Assert.Contains("request_protocol=\"grpc\"", line, StringComparison.Ordinal);
        Assert.Contains(label, line, StringComparison.Ordinal);
        Assert.All((string[])["response_code", "response_flags", "grpc_response_status"], name => Assert.DoesNotContain(name, line, StringComparison.Ordinal));

        (long Requests, long Responses) Messages() =>
            (proxy.Plane.MeshMetrics.Calls.Sum(counts => counts.RequestMessages), proxy.Plane.MeshMetrics.Calls.Sum(counts => counts.ResponseMessages));
    }

    [Theory]
    [InlineData(null, "----x----x--")]
    [InlineData("2s", "-x-x-x-x-x-x")]
    [InlineData("1.5s", "-x-x-x-x-x-x")]
    [InlineData("1s", "xxxxxxxxxxxx")]
    [InlineData("0s", "------------")]
    public void Open_connections_are_counted_at_the_interval_of_the_filter(string? interval, string expected)
    {
        var config = new PluginConfig { Metrics = { new MetricConfig { Name = "requests_total", Drop = true } } };
        if (interval is not null) config.TcpReportingDuration = WireTypes.Strict.Parse<Google.Protobuf.WellKnownTypes.Duration>($"\"{interval}\"");
        var period = new ReportPeriod(MetricRules.Of(config, []));
        Assert.Equal(expected, string.Concat(expected.Select(_ => period.IsOver() ? 'x' : '-')));
    }

    [Fact]
    public void Histograms_have_the_buckets_of_the_annotation()
    {
        var buckets = HistogramBuckets.Read("""{"istiocustom.istio_request_d":[10,1],"istiocustom":[100],"other":[7]}""");
        var metrics = new MeshMetrics(ProxyIdentity.Unknown, buckets);
        metrics.Request(Direction.Outbound, SampleRecord.Make());
        var counts = metrics.Http.Single();
        // "istiocustom" comes first, and begins all of their names.
        Assert.Equal([100.0], counts.Duration.Bounds);
        Assert.Equal([100.0], counts.RequestBytes.Bounds);
        Assert.Equal([1.0, 10.0], HistogramBuckets.Read("""{"istiocustom.istio_request_d":[10,1]}""").Duration);
        Assert.Equal(HistogramBuckets.Default.ResponseBytes, HistogramBuckets.Read("""{"istiocustom.istio_request_d":[10,1]}""").ResponseBytes);
        Assert.Equal(19, HistogramBuckets.Read("").Duration.Length);
        Assert.Throws<Isthmus.Core.Problems.ProblemException>(() => HistogramBuckets.Read("""{"istiocustom":"1"}"""));
    }

    [Theory]
    [InlineData("{}", 0)]
    [InlineData("{proxyStatsMatcher: {inclusionPrefixes: [cluster.service-7.]}}", 1)]
    [InlineData("{proxyStatsMatcher: {inclusionSuffixes: [membership_total]}}", 1000)]
    public void A_scrape_of_a_proxy_that_knows_many_services_is_small(string config, int shown)
    {
        using var proxy = new LoopbackProxy(
            [.. Enumerable.Range(0, 1000).Select(i => LoopbackProxy.Cluster($"service-{i}"))], """ "route": {"cluster": "service-1"} """,
            stats: StatsSelection.Read(YamlText.Parse(config, "config")!));
        for (var i = 0; i < 1000; i++) proxy.Endpoints($"service-{i}", 1);
        var text = ScrapedText.Of(proxy.Plane);
        Assert.InRange(text.Length, 1, 1 << 20);
        Assert.Equal(shown, text.Split('\n').Count(line => line.StartsWith("envoy_cluster_membership_total{", StringComparison.Ordinal)));
        // All of them are on the admin port.
        Assert.Equal(1000, StatsText.Plain(proxy.Plane, "membership_total").Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public async Task Listeners_and_connection_managers_count_their_connections_and_requests()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway("", "", origin.Port, origin.Port);
        await gateway.CallAsync("/a");
        await gateway.CallAsync("/b");
        await gateway.CallAsync("/c", "x-way: blocked");
        var (http, listener) = ("http.outbound_0.0.0.0_8080",
            $"listener.{ListenerStats.NameOf(gateway.Plane.State.Current.Listeners["0.0.0.0_8080"].Address)}");
        await Eventually.TrueAsync(() => Stat($"{listener}.downstream_cx_active") == 0);
        Assert.Equal((3, 3, 0), (Stat($"{listener}.downstream_cx_total"), Stat($"{listener}.downstream_cx_destroy"), Stat($"{listener}.ssl.handshake")));
        Assert.Equal((3, 3, 0), (Stat($"{http}.downstream_cx_total"), Stat($"{http}.downstream_cx_http1_total"), Stat($"{http}.downstream_cx_http2_total")));
        Assert.Equal((3, 3, 0), (Stat($"{http}.downstream_rq_total"), Stat($"{http}.downstream_rq_completed"), Stat($"{http}.downstream_rq_active")));
        Assert.Equal((2, 1, 0), (Stat($"{http}.downstream_rq_2xx"), Stat($"{http}.downstream_rq_4xx"), Stat($"{http}.downstream_rq_5xx")));
        Assert.Contains("envoy_http_downstream_rq_total{http_conn_manager_prefix=\"outbound_0.0.0.0_8080\"} 3\n", ScrapedText.Of(gateway.Plane),
            StringComparison.Ordinal);
        // Nothing of a listener that is gone remains.
        gateway.Plane.Report.Downstream.Keep([]);
        Assert.DoesNotContain("listener.", StatsText.Plain(gateway.Plane, "downstream"), StringComparison.Ordinal);

        long Stat(string name) =>
            long.Parse(StatsText.Plain(gateway.Plane, "").Split('\n')
                .Single(line => line.StartsWith($"{name}: ", StringComparison.Ordinal))[(name.Length + 2)..],
                CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task Clusters_count_connections_requests_and_hosts_as_Envoy_does()
    {
        var never = new TaskCompletionSource();
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            if (context.Request.Path == "/cut") context.Abort();
            else if (context.Request.Path == "/slow") await never.Task;
            else context.Response.StatusCode = context.Request.Path == "/bad" ? 500 : 200;
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")],
            """ "route": {"cluster": "up", "retry_policy": {"retry_on": "5xx", "num_retries": 1, "per_try_timeout": "2s"} } """);
        proxy.Endpoints("up", origin.Port);
        using var client = new HttpClient();
        foreach (var path in (string[])["ok", "bad", "cut", "slow"])
        {
            using var answer = await client.GetAsync(new Uri($"http://127.0.0.1:{proxy.Port}/{path}"), TestContext.Current.CancellationToken);
            Assert.Equal(path switch { "ok" => 200, "bad" => 500, "cut" => 503, _ => 504 }, (int)answer.StatusCode);
        }
        never.SetResult();
        Assert.Equal((3, 1, 2), (Stat("upstream_rq_completed"), Stat("upstream_rq_2xx"), Stat("upstream_rq_5xx")));
        Assert.Equal((3, 3), (Stat("upstream_rq_retry"), Stat("upstream_rq_retry_limit_exceeded")));
        Assert.Equal((2, 0), (Stat("upstream_rq_per_try_timeout"), Stat("upstream_rq_timeout")));
        Assert.InRange(Stat("upstream_rq_rx_reset"), 2, 4); // a kept connection may close just as it is reused, which is tried again
        Assert.Equal((Stat("upstream_cx_total"), 0), (Stat("upstream_cx_http1_total"), Stat("upstream_cx_http2_total")));
        await Eventually.TrueAsync(() => Stat("upstream_cx_destroy") >= 4); // two were cut, and two given up
        Assert.Equal((1, 1, 1), (Stat("membership_total"), Stat("membership_healthy"), Stat("membership_change")));
        using var other = new ReservedPort();
        proxy.Endpoints("up", origin.Port, other.Number);
        proxy.Endpoints("up", origin.Port, other.Number);
        Assert.Equal((2, 2), (Stat("membership_total"), Stat("membership_change")));
        // As Istio's Envoy shows them to Prometheus: one metric, whose type is told once.
        var scrape = ScrapedText.Of(proxy.Plane).Split('\n');
        Assert.Single(scrape, "# TYPE envoy_cluster_upstream_rq counter");
        Assert.Contains("envoy_cluster_upstream_rq{response_code_class=\"5xx\",cluster_name=\"up\"} 2", scrape);
        Assert.Contains("envoy_http_downstream_rq{response_code_class=\"2xx\",http_conn_manager_prefix=\"in\"} 1", scrape);

        long Stat(string name) => long.Parse(StatsText.Plain(proxy.Plane, $"^cluster.up.{name}$").Split(": ")[1], CultureInfo.InvariantCulture);
    }

    /// <summary>As a real istiod sends it.</summary>
    [Fact]
    public void Equal_configurations_keep_their_series()
    {
        var (first, second) = (Rules(), Rules());
        Assert.Equal(first, second);
        Assert.Equal(first.GetHashCode(), second.GetHashCode());
        Assert.NotEqual(first, new(new() { Metrics = { new MetricConfig { Drop = true } } }, []));
    }

    [Fact]
    public void Tags_that_always_have_something_new_do_not_fill_the_memory_and_are_told()
    {
        var metrics = new MeshMetrics(ProxyIdentity.Unknown);
        var record = SampleRecord.Make();
        var rules = Rules();
        for (var i = 0; i < MeshMetrics.MostToldSeries + 10; i++)
        {
            record.Request!.Authority = $"host-{i}";
            metrics.Request(Direction.Outbound, record, rules);
        }
        Assert.Equal(MeshMetrics.MostToldSeries + 1, metrics.Http.Count());
        Assert.Equal(10, metrics.Overflows);
        Assert.Equal("overflow",
            metrics.Http.Single(counts => counts.Requests == 10).LabelsOf("istio_requests_total")!.Single(label => label.Key == "host").Value);
    }

    /// <summary>A proxy that runs for months meets more Pods than it may have series.</summary>
    [Fact]
    public void Peers_that_come_and_go_with_the_same_labels_are_one_series()
    {
        var metrics = new MeshMetrics(ProxyIdentity.Unknown);
        var record = SampleRecord.Make();
        record.DownstreamPeer = new(["spiffe://cluster.local/ns/shop/sa/web"], [], "", "ab", "", "", "");
        const int Pods = 3 * MeshMetrics.MostSeries;
        for (var i = 0; i < Pods; i++)
        {
            var said = new Google.Protobuf.WellKnownTypes.Struct
            {
                Fields =
                {
                    ["NAME"] = Google.Protobuf.WellKnownTypes.Value.ForString($"web-{i}"),
                    ["NAMESPACE"] = Google.Protobuf.WellKnownTypes.Value.ForString("shop"),
                    ["WORKLOAD_NAME"] = Google.Protobuf.WellKnownTypes.Value.ForString("web")
                }
            };
            record.PeerMetadata = Convert.ToBase64String(said.ToByteArray());
            metrics.Request(Direction.Inbound, record);
        }
        Assert.Equal(0, metrics.Overflows);
        var counts = Assert.Single(metrics.Http);
        Assert.Equal(Pods, counts.Requests);
        Assert.Contains("source_workload=\"web\"", counts.TextOf("istio_requests_total"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_are_served_and_the_loss_of_labels_reported_when_a_tag_always_has_something_new()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway("", Telemetry("{tagOverrides: {user: {value: \"request.headers['x-user']\"} } }"), origin.Port, origin.Port);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        // Thousands of requests that were counted before need no connection.
        var (before, rules) = (SampleRecord.Make(), Rules());
        for (var i = 0; i < MeshMetrics.MostToldSeries - 100; i++)
        {
            before.Request!.Authority = $"host-{i}";
            gateway.Plane.MeshMetrics.Request(Direction.Outbound, before, rules);
        }
        await Parallel.ForEachAsync(Enumerable.Range(0, 200), new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = Stop }, async (i, stop) =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{gateway.Port}/") { Headers = { Host = "web.example" } };
            request.Headers.Add("x-user", $"user-{i}");
            using var response = await client.SendAsync(request, stop);
            Assert.True(response.IsSuccessStatusCode);
        });
        TelemetryReport report = new();
        await Eventually.TrueAsync(() => (report = gateway.Plane.Told()).Losses.Count > 0);
        var loss = Assert.Single(report.Losses);
        Assert.Equal((TelemetryLoss.Types.Kind.Labels, "isthmus.metric_series_overflows_total"), (loss.Kind, loss.Counter));
        Assert.InRange(gateway.Plane.MeshMetrics.Http.Count(), MeshMetrics.MostToldSeries, MeshMetrics.MostToldSeries + 10);
    }

    /// <summary>A client chooses the value: it is cut, between characters.</summary>
    [Fact]
    public async Task Values_of_tags_are_cut()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway("", Telemetry("{tagOverrides: {user: {value: \"request.headers['x-user']\"} } }"), origin.Port, origin.Port);
        await gateway.CallAsync("/", $"x-user: {new string('u', 5000)}");
        await gateway.CallAsync("/", $"x-user: {new string('u', 5000)}v");
        await Eventually.TrueAsync(() => Sum(gateway, "istio_requests_total{") == 2);
        // Both are the same series.
        var line = Assert.Single(ScrapedText.Of(gateway.Plane).Split('\n'), line => line.StartsWith("istio_requests_total{", StringComparison.Ordinal));
        var user = line[(line.IndexOf("user=\"", StringComparison.Ordinal) + 6)..].Split('"')[0];
        Assert.Equal(new string('u', MetricRules.MostOfTag), user);
    }

    [Fact]
    public void Requests_that_are_alike_create_no_objects()
    {
        var metrics = new MeshMetrics(ProxyIdentity.Unknown);
        var (record, rules) = (SampleRecord.Make(), Rules());
        metrics.Request(Direction.Outbound, record, rules);
        Assert.Equal(0, Allocations.Least(() => metrics.Request(Direction.Outbound, record, rules)));
    }

    [Fact]
    public void A_tag_that_cannot_be_evaluated_is_refused() =>
        Assert.Throws<ResourceException>(() => new MetricRules(new() { Metrics = { new MetricConfig { Dimensions = { ["a"] = "no.such" } } } }, []));

    private static MetricRules Rules()
    {
        var config = WireTypes.Strict.Parse<PluginConfig>(
            """
            {"disable_host_header_fallback": true, "metrics": [{"name": "requests_total", "dimensions": {"host": "request.host"},
               "tags_to_remove": ["response_flags"]}, {"name": "request_bytes", "drop": true}]}
            """);
        return new(config, []);
    }

    private static string Telemetry(string overrides) => $$"""
        apiVersion: telemetry.istio.io/v1
        kind: Telemetry
        metadata: {name: metrics, namespace: shop}
        spec: {metrics: [{providers: [{name: prometheus}], overrides: [{{overrides.ReplaceLineEndings(" ")}}]}]}
        """;

    private static long Value(string line) => long.Parse(line[(line.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture);

    private static long Sum(GuardedGateway gateway, string metric) =>
        ScrapedText.Of(gateway.Plane).Split('\n').Where(line => line.StartsWith(metric, StringComparison.Ordinal)).Sum(Value);
}
