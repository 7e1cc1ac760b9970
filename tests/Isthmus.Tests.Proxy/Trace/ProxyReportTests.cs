using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Json;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Trace;
using Isthmus.Proxy.Traffic;
using Isthmus.Reports;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire.Dns;
using Xunit;

namespace Isthmus.Tests.Proxy.Trace;

/// <summary>What proxies write and programs of Isthmus read is the same record, and the text between them stays as released proxies have it.</summary>
public sealed class ProxyReportTests
{
    private static readonly DateTimeOffset At = new(2026, 1, 31, 12, 0, 0, 250, TimeSpan.Zero);

    private static readonly SeenTraffic Seen = new("mark", Direction.Outbound, At, TimeSpan.FromMilliseconds(12.3456), TimeSpan.FromMilliseconds(8), false, 200,
        "-", "via_upstream", "", "default", "outbound|80||web", "10.0.0.2:8080", IPEndPoint.Parse("10.0.0.1:4711"), "spiffe://a/b", null, "", "", 1);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public void A_line_of_recent_traffic_has_only_what_is_known()
    {
        var text = DumpJson.Text([TraceRoutes.Report(Seen)], ProxyReports.Default.Recent);
        Assert.Equal("""
            [
             {
              "direction": "outbound",
              "start": "2026-01-31T12:00:00.250Z",
              "duration_ms": 12.346,
              "standing": false,
              "status": 200,
              "flags": "-",
              "attempts": 1,
              "response_after_ms": 8,
              "id": "mark",
              "details": "via_upstream",
              "route": "default",
              "cluster": "outbound|80||web",
              "upstream": "10.0.0.2:8080",
              "upstream_local": "10.0.0.1:4711",
              "upstream_peer": "spiffe://a/b"
             }
            ]

            """, text);
        Assert.Equal(TraceRoutes.Report(Seen), Assert.Single(StrictJson.Parse(text, ProxyReports.Default.Recent)));
    }

    [Fact]
    public void A_call_has_what_came_of_it()
    {
        var report = new CallReport
        {
            To = "10.0.0.9:80", At = At, Status = 503, Headers = new() { ["server"] = "istio-envoy" }, Body = "<no>", TookMs = 1.5,
            Seen = new() { Flags = "UH", Details = "no healthy upstream" },
        };
        var text = DumpJson.Text(report, ProxyReports.Default.CallReport);
        Assert.Equal("""
            {
             "to": "10.0.0.9:80",
             "at": "2026-01-31T12:00:00.250Z",
             "status": 503,
             "headers": {
              "server": "istio-envoy"
             },
             "body": "<no>",
             "took_ms": 1.5,
             "seen": {
              "flags": "UH",
              "details": "no healthy upstream"
             }
            }

            """, text);
        var read = StrictJson.Parse(text, ProxyReports.Default.CallReport);
        Assert.Equal("istio-envoy", read.Headers!["server"]);
        Assert.Equal(report, read with { Headers = report.Headers });
    }

    /// <summary>Nothing of a call is lost on the way, whichever characters its parts have.</summary>
    [Fact]
    public void A_call_is_asked_for_and_read_with_the_same_record()
    {
        var question = new CallQuestion("[2001:db8::1]:80")
        {
            Kind = "grpc", Authority = "web.shop:80", Path = "/a?b=c&d=%20#e", Method = "POST", Id = "mark", Timeout = "250",
            Headers = ["x-a: 1&2", "x-b: é"], Body = "one\ntwo=&",
        };
        var query = question.Request.Split('?', 2)[1].Split('&').Select(pair => pair.Split('=', 2))
            .ToDictionary(pair => pair[0], pair => Uri.UnescapeDataString(pair[1]));
        var read = CallQuestion.Read(query);
        Assert.Equal(question.Headers, read.Headers);
        Assert.Equal(question, read with { Headers = question.Headers });
        var plain = CallQuestion.Read(new Dictionary<string, string> { ["to"] = "10.0.0.9:80" });
        Assert.Equal(new CallQuestion("10.0.0.9:80"), plain with { Headers = plain.Headers.Count == 0 ? new CallQuestion("").Headers : plain.Headers });
    }

    [Fact]
    public async Task An_inspection_has_the_dump_the_clusters_and_the_Pod()
    {
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "direct_response": {"status": 200} """, role: "sidecar");
        var pod = new PodRoutes(proxy.Plane.Ports, new PlaneEntry(proxy.Plane));
        using var listening = new TcpListener(IPAddress.Loopback, 0);
        listening.Start();
        var page = await new TraceRoutes(proxy.Plane, pod).InspectAsync(new Dictionary<string, string> { ["host"] = "127.0.0.1" }, null,
            ResolverSettings.Parse("search shop.svc\n"), Stop);
        var read = StrictJson.Parse(System.Text.Encoding.UTF8.GetString(page.Body.Span), ProxyReports.Default.InspectReport);
        Assert.True(read.ConfigDump!["configs"]!.AsArray().Count > 0);
        Assert.NotNull(read.Clusters!["cluster_statuses"]);
        Assert.Contains(listening.LocalEndpoint.ToString(), read.Pod!.Listening!);
        Assert.Equal((false, "shop.svc", 0), (read.Pod.DnsCapture!.Value, Assert.Single(read.Pod.Search!), read.Pod.Refusals!.Count));
        Assert.Equal(("127.0.0.1", "127.0.0.1", "upstream"), (read.Pod.Name!.Host, Assert.Single(read.Pod.Name.Addresses!), read.Pod.Name.By));
        Assert.Null(read.Pod.Names);
        Assert.Equal(page.Body.Length,
            System.Text.Encoding.UTF8.GetByteCount(DumpJson.Text(read, ProxyReports.Default.InspectReport, indented: false)));
    }

    /// <summary>A proxy of an older release lacks fields, and one of a newer release has more.</summary>
    [Fact]
    public void Proxies_of_other_releases_are_read()
    {
        var old = StrictJson.Parse("""{"seen": {}}""", ProxyReports.Default.CallReport);
        Assert.Equal((null, null, null), (old.Status, old.At, old.Seen!.Flags));
        var newer = StrictJson.Parse("""[{"status": 200, "novelty": {"a": [1]}}]""", ProxyReports.Default.Recent);
        Assert.Equal(200, Assert.Single(newer).Status);
        var pod = StrictJson.Parse("""{"pod": {"listening": ["10.0.0.1:80"], "novelty": 1}}""", ProxyReports.Default.InspectReport).Pod!;
        Assert.Null(pod.DnsCapture);
        Assert.Contains("\"novelty\":1", DumpJson.Text(new InspectReport(Pod: pod), ProxyReports.Default.InspectReport, indented: false),
            StringComparison.Ordinal);
        Assert.Equal(("", false), (StrictJson.Parse("""{"connected": false}""", ProxyReports.Default.ReachReport).Error, false));
    }

    [Theory]
    [InlineData("""{"status": "many"}""")]
    [InlineData("""{"status": 1, "status": 2}""")]
    [InlineData("[]")]
    [InlineData("null")]
    public void What_is_no_report_is_refused(string text) =>
        Assert.Throws<System.Text.Json.JsonException>(() => StrictJson.Parse(text, ProxyReports.Default.CallReport));
}
