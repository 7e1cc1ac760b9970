using System.Globalization;
using System.Text;
using Isthmus.Testing;
using Isthmus.WebConsole.Traffic;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>From the pages of proxies' metrics to rates.</summary>
public sealed class TrafficTests
{
    private static readonly DateTimeOffset Start = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);

    private static string Labels(string reporter, string code, string more = "") =>
        LongLines.Joined($$"""
            {reporter="{{reporter}}",source_workload="buyer",source_workload_namespace="shop",source_principal="spiffe://cluster.local/ns/shop/sa/buyer",\
            source_cluster="c1",destination_workload="orders-v1",\
            destination_principal="{{(reporter == "source" ? "unknown" : "spiffe://cluster.local/ns/shop/sa/orders")}}",destination_cluster="c2",\
            destination_service="orders.shop.svc.cluster.local",destination_service_name="orders",destination_service_namespace="shop",\
            request_protocol="http",response_code="{{code}}",grpc_response_status="",response_flags="{{(code == "200" ? "-" : "UF")}}",\
            connection_security_policy="{{(reporter == "source" ? "unknown" : "mutual_tls")}}"{{more}}}
            """);

    private static async Task<IReadOnlyDictionary<Call, CallTotals>> ReadAsync(ProxyCounters counters, string text) =>
        await counters.ReadAsync(new SlowStream(Encoding.UTF8.GetBytes(text)), TestContext.Current.CancellationToken);

    [Fact]
    public async Task Requests_errors_and_latencies_of_a_call_are_summed()
    {
        var text = $"""
            # TYPE istio_requests_total counter
            istio_requests_total{Labels("source", "200")} 90
            istio_requests_total{Labels("source", "503")} 10
            istio_requests_total{Labels("destination", "200")} 90
            istio_requests_total{Labels("destination", "403")} 10
            istio_request_duration_milliseconds_bucket{Labels("source", "200", ",le=\"5\"")} 45
            istio_request_duration_milliseconds_bucket{Labels("source", "200", ",le=\"+Inf\"")} 90
            istio_request_duration_milliseconds_sum{Labels("source", "200")} 450
            envoy_cluster_upstream_rq_total{"{cluster_name=\"istio_\"}"} 7

            """;
        var totals = await ReadAsync(new(), text);
        Assert.Equal(2, totals.Count);
        var (call, sums) = totals.Single(item => item.Key.BySource);
        Assert.Equal(new Call(new("buyer", "shop", "c1"), new("orders", "shop", "c2"), true, "http"), call);
        Assert.Equal((100, 10, KeyValuePair.Create("UF", 10.0), null), (sums.Requests, sums.Errors, Assert.Single(sums.Flags), sums.IsMutualTls));
        Assert.Equal((0, 10), (sums.Denied, totals.Single(item => !item.Key.BySource).Value.Denied));
        Assert.Equal((45, 90), (sums.Buckets[2], sums.Buckets[^1]));
        Assert.Equal((true, "spiffe://cluster.local/ns/shop/sa/buyer"),
            (totals.Single(item => !item.Key.BySource).Value.IsMutualTls, totals.Single(item => !item.Key.BySource).Value.Identity));
    }

    [Fact]
    public async Task Labels_may_have_quotation_marks_and_lines_of_any_other_form_are_skipped()
    {
        var text = LongLines.Joined("""
            istio_tcp_connections_opened_total{reporter="destination",source_workload="a\"b\\c,d=\"e",destination_service_name="db",\
            destination_service_namespace="data",destination_cluster="c1",request_protocol="tcp",connection_security_policy="none"} 3
            istio_tcp_sent_bytes_total{reporter="destination",source_workload="a\"b\\c,d=\"e",destination_service_name="db",\
            destination_service_namespace="data",destination_cluster="c1",request_protocol="tcp",connection_security_policy="none"} 1000
            istio_requests_total{reporter="source",destination_service_name="unknown"} 5
            istio_requests_total 5
            istio_requests_total{reporter="source",destination_service_name="db"} many
            istio_build{component="proxy"} 1
            nonsense
            """) + "\n";
        var (call, sums) = Assert.Single(await ReadAsync(new(), text));
        Assert.Equal(("a\"b\\c,d=\"e", "tcp"), (call.Source.Name, call.Protocol));
        Assert.Equal((3, 1000, false), (sums.Connections, sums.Bytes, sums.IsMutualTls));
    }

    [Fact]
    public async Task A_line_without_an_end_is_refused() =>
        await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync(new(), new string('x', 100_000)));

    [Fact]
    public async Task Rates_are_those_of_the_last_seconds_and_a_proxy_may_start_anew()
    {
        var (window, counters) = (new TrafficWindow(TimeSpan.FromSeconds(10)), new ProxyCounters());
        async Task<CallRate> AtAsync(int second, int good, int bad)
        {
            var text = string.Create(CultureInfo.InvariantCulture,
                $"istio_requests_total{Labels("source", "200")} {good}\nistio_requests_total{Labels("source", "503")} {bad}\n");
            window.Add("c1/shop/buyer", Start.AddSeconds(second), await ReadAsync(counters, text));
            return Assert.Single(window.Rates());
        }
        Assert.Equal((0, 0), (await AtAsync(0, 1000, 500) is var first ? (first.Rate, first.Errors) : default));
        Assert.Equal(10, (await AtAsync(1, 1010, 500)).Rate);
        var later = await AtAsync(10, 1070, 530);
        Assert.Equal((10, 0.3), (later.Rate, Math.Round(later.Errors, 6)));
        // What was before the window does not count.
        Assert.Equal(0, (await AtAsync(30, 1070, 530)).Errors);
        Assert.Equal(0.2, (await AtAsync(35, 5, 0)).Rate, 6);
        window.Keep(new HashSet<string>());
        Assert.Empty(window.Rates());
    }

    [Fact]
    public void A_percentile_lies_within_its_bucket()
    {
        var counts = new double[LatencyBuckets.Count];
        Assert.Null(LatencyBuckets.Percentile(counts, 0.5));
        // 50 of 100 calls took up to 5 ms, the others up to 10 ms.
        for (var i = LatencyBuckets.IndexOf("5"); i < counts.Length; i++) counts[i] = 50;
        for (var i = LatencyBuckets.IndexOf("10"); i < counts.Length; i++) counts[i] = 100;
        Assert.Equal(5, LatencyBuckets.Percentile(counts, 0.5));
        Assert.Equal(9.5, LatencyBuckets.Percentile(counts, 0.95)!.Value, 6);
        Assert.Equal(-1, LatencyBuckets.IndexOf("7"));
        Assert.Equal(counts.Length - 1, LatencyBuckets.IndexOf("+Inf"));
    }

    /// <summary>Gives a few bytes at a time, as a network may.</summary>
    private sealed class SlowStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(7, buffer.Length)], cancellationToken);
    }
}
