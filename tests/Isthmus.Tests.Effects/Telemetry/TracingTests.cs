using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire.Reports;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Telemetry;

/// <summary>Traces, from Istio's objects to what a collector gets.</summary>
public sealed class TracingTests
{
    private const string Zipkin = "zipkin: {service: authorizer.example, port: 8000}";
    private const string Grpc = "opentelemetry: {service: authorizer.example, port: 9000}";
    private const string Http =
        "opentelemetry: {service: shop/authorizer.example, port: 8000, http: {path: /v1/traces, headers: [{name: x-key, value: secret}]}}";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>A gateway, configured by Istio's objects, calls a workload through its sidecar, configured as a real istiod would do it.</summary>
    [Theory]
    [InlineData(Zipkin,
        """
        {"name": "z", "typed_config": {"@type": "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig", "collector_cluster": "collector",
          "collector_endpoint": "/api/v2/spans", "collector_endpoint_version": "HTTP_JSON", "trace_id_128bit": true}}
        """)]
    [InlineData(Http,
        """
        {"name": "o", "typed_config": {"@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig", "service_name": "web.shop",
          "http_service": {"http_uri": {"uri": "http://authorizer.example:8000/v1/traces", "cluster": "collector", "timeout": "3s"}}}}
        """)]
    [InlineData(Grpc,
        """
        {"name": "o", "typed_config": {"@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig", "service_name": "web.shop",
          "grpc_service": {"envoy_grpc": {"cluster_name": "collector"}}}}
        """)]
    public async Task Spans_of_a_gateway_and_a_sidecar_line_up(string provider, string sidecars)
    {
        await using var collector = await TraceCollector.StartAsync(provider == Grpc ? HttpProtocols.Http2 : HttpProtocols.Http1);
        await using var origin = await EchoAsync();
        using var sidecar = new LoopbackProxy([LoopbackProxy.Cluster("app"), LoopbackProxy.Cluster("collector", http2: provider == Grpc)],
            """ "decorator": {"operation": "web.shop.svc.cluster.local:80/*"}, "route": {"cluster": "app"} """,
            direction: "INBOUND", more: $$"""
            "tracing": {"random_sampling": {"value": 0}, "provider": {{sidecars}} },
            """);
        sidecar.Endpoints("app", origin.Port);
        sidecar.Endpoints("collector", collector.Port);
        using var gateway = Gateway(provider,
            "randomSamplingPercentage: 100, customTags: {team: {literal: {value: blue}}, agent: {header: {name: User-Agent, defaultValue: none}}, home: "
                + "{environment: {name: HOME_OF_NOBODY, defaultValue: away}}, way: {environment: {name: PATH, defaultValue: none}}}",
            sidecar.Port, collector.Port);

        var seen = await gateway.CallAsync("/orders?page=2", "user-agent: tests");
        Assert.Equal(200, seen.Status);
        var spans = await collector.SpansAsync(2);
        var client = spans.Single(span => span.Kind == "CLIENT");
        var server = spans.Single(span => span.Kind == "SERVER");
        Assert.Equal((client.Trace, client.Id, ""), (server.Trace, server.Parent, client.Parent));
        Assert.Equal((32, 16), (client.Trace.Length, client.Id.Length));
        Assert.NotEqual(client.Id, server.Id);
        // The application learns the span that called it.
        Assert.Contains(server.Id, seen.Body, StringComparison.Ordinal);
        Assert.Equal(("web.example:80/*", "edge.shop"), (client.Name, client.Service));
        Assert.Equal("web.example:80/*", server.Name); // as the caller calls it
        foreach (var (name, value) in new Dictionary<string, string>
        {
            ["component"] = "proxy", ["http.method"] = "GET", ["http.url"] = "http://web.example/orders?page=2", ["http.status_code"] = "200",
            ["http.protocol"] = "HTTP/1.1", ["user_agent"] = "tests",
            ["upstream_cluster"] = "outbound|80||web.example", ["upstream_address"] = $"127.0.0.1:{sidecar.Port}", ["response_flags"] = "-",
            ["peer.address"] = "127.0.0.1",
            ["node_id"] = Identity.NodeId, ["istio.canonical_service"] = "edge", ["istio.canonical_revision"] = "v1", ["istio.namespace"] = "shop",
            ["istio.cluster_id"] = "c1", ["istio.mesh_id"] = "unknown",
            ["team"] = "blue", ["agent"] = "tests", ["home"] = "away", ["way"] = Environment.GetEnvironmentVariable("PATH")!,
        }) Assert.Equal((name, value), (name, client.Tags.GetValueOrDefault(name)));
        Assert.Equal(client.Tags["guid:x-request-id"], server.Tags["guid:x-request-id"]);
        // The sidecar samples nothing on its own: the decision is in the request's ID.
        Assert.Equal('9', client.Tags["guid:x-request-id"][14]);
        if (provider == Http) Assert.Contains(collector.Reports, report => report.GetValueOrDefault("x-key") == "secret");
        var stats = provider == Zipkin ? "tracing.zipkin" : "tracing.opentelemetry";
        await CountedAsync(gateway, $"{stats}.spans_sent");
        Assert.Equal((1, 0), (gateway.Count($"{stats}.reports_sent"), gateway.Count($"{stats}.spans_dropped")));
    }

    [Fact]
    public async Task A_span_says_what_the_files_of_Dynatrace_say_of_the_host()
    {
        await using var collector = await TraceCollector.StartAsync(HttpProtocols.Http1);
        await using var origin = await EchoAsync();
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("app"), LoopbackProxy.Cluster("collector")], """ "route": {"cluster": "app"} """, more: """
            "tracing": {"random_sampling": {"value": 100},
             "provider": {"name": "o", "typed_config": {"@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig", "service_name": "web.shop",
              "http_service": {"http_uri": {"uri": "http://authorizer.example:8000/v1/traces", "cluster": "collector", "timeout": "3s"} },
              "resource_detectors": [{"name": "d",
                "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.tracers.opentelemetry.resource_detectors.v3.DynatraceResourceDetectorConfig"} }]} } },
            """, files: file => file == "/var/lib/dynatrace/enrichment/dt_metadata.properties" ? "service.name=detected\nhost.name=node-1\n" : null);
        proxy.Endpoints("app", origin.Port);
        proxy.Endpoints("collector", collector.Port);
        using var client = new HttpClient();
        using var response = await client.GetAsync($"http://127.0.0.1:{proxy.Port}/", Stop);
        var span = Assert.Single(await collector.SpansAsync(1));
        Assert.Equal(("detected", "node-1"), (span.Service, span.Resource["host.name"]));
    }

    [Theory]
    [InlineData("0", "", '4', false)]
    [InlineData("100", "", '9', true)]
    // A gateway at the edge gives each request an ID of its own, and lets no client force a trace.
    [InlineData("0", "x-request-id: a0eebc99-9c0b-9ef8-bb6d-6bb9bd380a11", '4', false)]
    [InlineData("0", "x-envoy-force-trace: 1", '4', false)]
    [InlineData("0", "x-client-trace-id: mine", 'b', true)]
    // Clients decide for the traces that they began.
    [InlineData("0", "x-b3-traceid: 463ac35c9f6413ad48485a3953bb6124\nx-b3-spanid: a2fb4a1d1a96d312\nx-b3-sampled: 1", '4', true)]
    [InlineData("100", "x-b3-sampled: 0", '9', false)]
    [InlineData("100", "b3: 0", '9', false)]
    [InlineData("0", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", '4', true)]
    public async Task The_decision_is_made_once_and_passed_on(string percent, string header, char reason, bool traced)
    {
        await using var collector = await TraceCollector.StartAsync();
        await using var origin = await EchoAsync();
        using var gateway = Gateway(Zipkin, $"randomSamplingPercentage: {percent}", origin.Port, collector.Port);
        var fields = Fields((await gateway.CallAsync("/", header)).Body);
        Assert.Equal(reason, fields["x-request-id"][14]);
        Assert.Equal(traced ? "1" : "0", fields["x-b3-sampled"]);
        // Reports are sent in the order of requests.
        await gateway.CallAsync("/last", "x-b3-sampled: 1");
        var spans = await collector.SpansAsync(1);
        if (traced) spans = await collector.SpansAsync(2);
        Assert.Equal(traced ? 2 : 1, spans.Count);
    }

    [Theory]
    [InlineData(Zipkin, "x-b3-traceid: 463ac35c9f6413ad48485a3953bb6124\nx-b3-spanid: a2fb4a1d1a96d312\nx-b3-parentspanid: 0020000000000001",
        "x-b3-traceid: 463ac35c9f6413ad48485a3953bb6124|x-b3-parentspanid: a2fb4a1d1a96d312|x-b3-sampled: 1")]
    [InlineData(Zipkin, "x-b3-traceid: 48485a3953bb6124\nx-b3-spanid: a2fb4a1d1a96d312", "x-b3-traceid: 48485a3953bb6124|x-b3-parentspanid: a2fb4a1d1a96d312")]
    [InlineData(Zipkin, "x-b3-traceid: nonsense\nx-b3-spanid: a2fb4a1d1a96d312", "x-b3-sampled: 1")]
    [InlineData(Zipkin, "b3: 463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-1-0020000000000001",
        "x-b3-traceid: 463ac35c9f6413ad48485a3953bb6124|x-b3-parentspanid: a2fb4a1d1a96d312|b3: 463ac35c9f6413ad48485a3953bb6124-*-1-a2fb4a1d1a96d312")]
    [InlineData(Zipkin, "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\ntracestate: vendor=1",
        "x-b3-traceid: 0af7651916cd43dd8448eb211c80319c|x-b3-parentspanid: b7ad6b7169203331|traceparent: 00-0af7651916cd43dd8448eb211c80319c-*-01|tracestate: "
            + "vendor=1")]
    [InlineData("zipkin: {service: authorizer.example, port: 8000, traceContextOption: USE_B3_WITH_W3C_PROPAGATION}", "",
        "x-b3-sampled: 1|traceparent: 00-*-01")]
    [InlineData("zipkin: {service: authorizer.example, port: 8000, enable64bitTraceId: true}", "", "x-b3-traceid: ????????????????")]
    [InlineData(Http, "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\ntracestate: vendor=1",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-*-01|tracestate: vendor=1")]
    [InlineData(Http, "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\ntracestate: vendor=1", "traceparent: 00-*-01|tracestate: ")]
    [InlineData(Http, "traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "traceparent: 00-*-01")]
    [InlineData(Http, "traceparent: cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-*-01")]
    [InlineData(Http, "b3: 463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-d",
        "traceparent: 00-463ac35c9f6413ad48485a3953bb6124-*-01|b3: 463ac35c9f6413ad48485a3953bb6124-*-1-a2fb4a1d1a96d312|x-b3-traceid: ")]
    public async Task The_next_hop_learns_the_span_in_the_formats_of_the_collector_and_of_the_caller(string provider, string header, string expected)
    {
        await using var collector = await TraceCollector.StartAsync();
        await using var origin = await EchoAsync();
        using var gateway = Gateway(provider, "randomSamplingPercentage: 100", origin.Port, collector.Port);
        var fields = Fields((await gateway.CallAsync("/", header)).Body);
        foreach (var field in expected.Split('|'))
        {
            var (name, pattern) = (field.Split(": ")[0], field.Split(": ")[1]);
            Assert.Matches("^" + pattern.Replace("*", ".+", StringComparison.Ordinal).Replace('?', '.') + "$", fields.GetValueOrDefault(name, ""));
        }
        var span = Assert.Single(await collector.SpansAsync(1));
        Assert.Contains(fields.Values, value => value.Contains(span.Id, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Zipkin)]
    [InlineData(Http)]
    [InlineData("zipkin: {service: authorizer.example, port: 8000, traceContextOption: USE_B3_WITH_W3C_PROPAGATION}")]
    public async Task The_next_hop_learns_nothing_of_the_trace_where_a_Telemetry_says_so(string provider)
    {
        await using var collector = await TraceCollector.StartAsync();
        await using var origin = await EchoAsync();
        using var gateway = Gateway(provider, "randomSamplingPercentage: 0, disableContextPropagation: true", origin.Port, collector.Port);
        const string caller =
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\ntracestate: vendor=1\nb3: "
                + "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1\n"
            + "x-b3-traceid: 0af7651916cd43dd8448eb211c80319c\nx-b3-spanid: b7ad6b7169203331\nx-b3-parentspanid: 0020000000000001\nx-b3-sampled: "
            + "1\nx-b3-flags: 1";
        var fields = Fields((await gateway.CallAsync("/", caller)).Body);
        Assert.DoesNotContain(fields.Keys, name => name is "traceparent" or "tracestate" or "b3" || name.StartsWith("x-b3", StringComparison.Ordinal));
        // The span is reported, in the trace of the caller.
        var span = Assert.Single(await collector.SpansAsync(1));
        Assert.Equal(("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"), (span.Trace, span.Parent));
    }

    [Fact]
    public async Task Tags_have_what_access_logs_could_say()
    {
        await using var collector = await TraceCollector.StartAsync();
        await using var origin = await EchoAsync();
        using var gateway = Gateway(Zipkin,
            "randomSamplingPercentage: 100, customTags: {call: {formatter: {value: '%REQ(:METHOD)% to %REQ(X-TEAM?USER-AGENT)%: %RESPONSE_CODE%'}}, none: "
                + "{formatter: {value: '%REQ(X-NOBODY)%'}}}",
            origin.Port, collector.Port);
        await gateway.CallAsync("/", "user-agent: tests");
        var span = Assert.Single(await collector.SpansAsync(1));
        Assert.Equal("GET to tests: 200", span.Tags["call"]);
        Assert.DoesNotContain("none", span.Tags.Keys);
    }

    [Fact]
    public async Task Reports_to_Zipkin_have_header_fields_of_their_own()
    {
        await using var collector = await TraceCollector.StartAsync();
        await using var origin = await EchoAsync();
        using var gateway = Gateway("zipkin: {service: authorizer.example, port: 8000, timeout: 9s, headers: [{name: X-Key, value: secret}]}",
            "randomSamplingPercentage: 100", origin.Port, collector.Port);
        await gateway.CallAsync("/", "");
        Assert.Single(await collector.SpansAsync(1));
        Assert.Contains(collector.Reports, report => report.GetValueOrDefault("x-key") == "secret");
    }

    [Theory]
    [InlineData("disableSpanReporting: true")]
    [InlineData("match: {mode: CLIENT}, disableSpanReporting: true")]
    [InlineData("providers: [{name: nowhere}]")]
    public async Task A_Telemetry_ends_tracing_and_its_removal_begins_it_again(string rule)
    {
        await using var collector = await TraceCollector.StartAsync();
        await using var origin = await EchoAsync();
        using var gateway = Gateway(Zipkin, "randomSamplingPercentage: 100", origin.Port, collector.Port);
        Assert.Contains("x-b3-sampled", Fields((await gateway.CallAsync()).Body).Keys);
        gateway.Apply(Telemetry(rule, "edge", "app: edge"));
        Assert.DoesNotContain("x-b3-sampled", Fields((await gateway.CallAsync()).Body).Keys);
        gateway.Apply(Telemetry("match: {mode: SERVER}, disableSpanReporting: true", "edge", "app: edge"));
        Assert.Contains("x-b3-sampled", Fields((await gateway.CallAsync()).Body).Keys);
    }

    /// <summary>Without Telemetries and default providers, the Zipkin address of ProxyConfig applies.</summary>
    [Theory]
    [InlineData("defaultConfig: {tracing: {sampling: 100, zipkin: {address: 'authorizer.example:8000'}}}", true)]
    [InlineData("enableTracing: false\ndefaultConfig: {tracing: {sampling: 100, zipkin: {address: 'authorizer.example:8000'}}}", false)]
    [InlineData("defaultConfig: {tracing: {sampling: 100, zipkin: {address: 'nowhere.example:8000'}}}", false)]
    [InlineData("defaultConfig: {tracing: {sampling: 100}}", false)]
    public async Task The_address_of_ProxyConfig_is_the_last_resort(string settings, bool traced)
    {
        await using var collector = await TraceCollector.StartAsync();
        await using var origin = await EchoAsync();
        using var gateway = new GuardedGateway(settings, "", origin.Port, collector.Port, identity: Identity);
        Assert.Equal(traced, Fields((await gateway.CallAsync()).Body).ContainsKey("x-b3-sampled"));
        if (traced) Assert.Equal("web.example:80/*", Assert.Single(await collector.SpansAsync(1)).Name);
    }

    /// <summary>Traffic never notices.</summary>
    [Theory]
    [InlineData(Zipkin, "refuses", "tracing.zipkin", "reports_dropped")]
    [InlineData(Zipkin, "away", "tracing.zipkin", "reports_failed")]
    [InlineData(Zipkin, "nonsense", "tracing.zipkin", "reports_failed")]
    [InlineData(Http, "refuses", "tracing.opentelemetry", "reports_dropped")]
    [InlineData(Http, "away", "tracing.opentelemetry", "reports_failed")]
    [InlineData(Http, "nonsense", "tracing.opentelemetry", "reports_failed")]
    [InlineData(Grpc, "refuses", "tracing.opentelemetry", "reports_dropped")] // over HTTP/2, but not as gRPC
    [InlineData(Grpc, "away", "tracing.opentelemetry", "reports_failed")]
    [InlineData(Grpc, "nonsense", "tracing.opentelemetry", "reports_failed")]
    public async Task A_collector_that_takes_nothing_is_counted(string provider, string kind, string stats, string counted)
    {
        await using var refusing = await TraceCollector.StartAsync(provider == Grpc ? HttpProtocols.Http2 : HttpProtocols.Http1, context =>
        {
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        });
        using var dead = new ReservedPort();
        using var babbling = new BabblingServer();
        await using var origin = await EchoAsync();
        using var gateway = Gateway(provider, "randomSamplingPercentage: 100", origin.Port,
            kind == "away" ? dead.Number : kind == "nonsense" ? babbling.Port : refusing.Port);
        Assert.Equal(200, (await gateway.CallAsync()).Status);
        await CountedAsync(gateway, $"{stats}.{counted}");
        await CountedAsync(gateway, $"{stats}.spans_dropped");
        Assert.Equal(200, (await gateway.CallAsync()).Status);
        Assert.Equal(0, gateway.Count($"{stats}.spans_sent"));
        var loss = Assert.Single(gateway.Plane.Told().Losses);
        Assert.Equal((TelemetryLoss.Types.Kind.Spans, $"{stats}.spans_dropped"), (loss.Kind, loss.Counter));
        Assert.Equal((kind, kind == "refuses" ? 500 : 0), (loss.Reason switch
        {
            TelemetryLoss.Types.Reason.Refused => "refuses",
            TelemetryLoss.Types.Reason.Unreachable => "away",
            TelemetryLoss.Types.Reason.Nonsense => "nonsense",
            var other => other.ToString(),
        }, loss.Status));
    }

    /// <summary>Some answers that are none of OTLP, or cannot be true, too.</summary>
    [Theory]
    [InlineData(Http, "0a020801", 1)]
    [InlineData(Grpc, "0a020801", 1)]
    [InlineData(Grpc, "0a0308e807", 1)] // 1,000 of one
    [InlineData(Http, "0a0b08ffffffffffffffffff01", 0)] // -1
    [InlineData(Http, "0a0412026e6f", 0)] // a warning only
    [InlineData(Http, "ffff", 0)]
    [InlineData(Grpc, "ffff", 0)]
    public async Task Spans_that_a_collector_refuses_in_a_report_that_it_takes_are_counted_as_lost(string provider, string answer, int refused)
    {
        await using var collector = await TraceCollector.StartAsync(provider == Grpc ? HttpProtocols.Http2 : HttpProtocols.Http1, async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            var message = Convert.FromHexString(answer);
            context.Response.ContentType = provider == Grpc ? "application/grpc" : "application/x-protobuf";
            if (provider == Grpc) context.Response.DeclareTrailer("grpc-status");
            if (provider == Grpc) message = [0, 0, 0, 0, (byte)message.Length, .. message];
            await context.Response.Body.WriteAsync(message);
            if (provider == Grpc) context.Response.AppendTrailer("grpc-status", "0");
        });
        await using var origin = await EchoAsync();
        using var gateway = Gateway(provider, "randomSamplingPercentage: 100", origin.Port, collector.Port);
        Assert.Equal(200, (await gateway.CallAsync()).Status);
        await CountedAsync(gateway, "tracing.opentelemetry.reports_sent");
        await CountedAsync(gateway, $"tracing.opentelemetry.spans_{(refused > 0 ? "dropped" : "sent")}");
        Assert.Equal((1 - refused, refused), (gateway.Count("tracing.opentelemetry.spans_sent"), gateway.Count("tracing.opentelemetry.spans_dropped")));
        Assert.Equal(refused > 0 ? [TelemetryLoss.Types.Reason.PartlyRefused] : [], gateway.Plane.Told().Losses.Select(loss => loss.Reason));
    }

    [Theory]
    [InlineData(Zipkin, "tracing.zipkin")]
    [InlineData("opentelemetry: {service: authorizer.example, port: 8000, http: {path: /v1/traces, timeout: 600s}}", "tracing.opentelemetry")]
    [InlineData("opentelemetry: {service: authorizer.example, port: 9000, grpc: {timeout: 600s}}", "tracing.opentelemetry")]
    public async Task A_collector_that_does_not_answer_holds_up_nothing_and_costs_a_bounded_number_of_spans(string provider, string stats)
    {
        var over = new TaskCompletionSource();
        await using var slow = await TraceCollector.StartAsync(provider.Contains("grpc", StringComparison.Ordinal) ? HttpProtocols.Http2 : HttpProtocols.Http1,
            _ => over.Task);
        using var origin = new ReservedPort();
        using var gateway = Gateway(provider, "randomSamplingPercentage: 100", origin.Number, slow.Port);
        await Parallel.ForEachAsync(Enumerable.Range(0, 4), Stop, async (_, _) =>
        {
            using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await client.ConnectAsync(IPAddress.Loopback, gateway.Port, Stop);
            while (gateway.Count($"{stats}.spans_dropped") == 0) await CallManyAsync(client);
        });
        Assert.Equal(0, gateway.Count($"{stats}.spans_sent"));
        Assert.Contains(Assert.Single(gateway.Plane.Told().Losses).Reason,
            (TelemetryLoss.Types.Reason[])[TelemetryLoss.Types.Reason.TooSlow, TelemetryLoss.Types.Reason.Timeout]);
        over.SetResult();
    }

    /// <summary>What its Pod's annotation <c>proxy.istio.io/config</c> says, arrives with the proxy's metadata.</summary>
    [Fact]
    public void A_proxy_with_settings_of_its_own_follows_them()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "zipkin", "10.96.0.9", "10.244.0.9");
        rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        var own = rig.Connect(Proxy("own",
            new(40, "zipkin.shop:80", new Dictionary<string, TraceTag> { ["a"] = new(TraceTagKind.Literal, "b", "") }.ToValueMap(), 17)));
        var plain = rig.Connect(Proxy("plain", null));
        rig.Push();
        var tracing = HttpOf(own).Tracing;
        Assert.Equal((40, (uint?)17, "b"),
            (tracing.RandomSampling.Value, tracing.MaxPathTagLength, tracing.CustomTags.Single(tag => tag.Tag == "a").Literal.Value));
        Assert.Null(HttpOf(plain).Tracing);

        // A collector that appears later is found, too.
        rig.Settings("defaultConfig: {tracing: {zipkin: {address: 'late.shop:80'}}}");
        rig.Push();
        Assert.Null(HttpOf(plain).Tracing);
        rig.App("c1", "late", "10.96.0.8", "10.244.0.8");
        rig.Push();
        Assert.Equal(1, HttpOf(plain).Tracing.RandomSampling.Value);
    }

    /// <summary>Mesh, then namespace, then workload; each for clients or servers.</summary>
    [Fact]
    public void Telemetries_inherit_from_the_more_general_ones()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "zipkin", "10.96.0.9", "10.244.0.9");
        rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        rig.Settings("extensionProviders: [{name: a, zipkin: {service: zipkin.shop.svc.cluster.local, port: 80}}]");
        var (web, guest) = (rig.Connect(Proxy("web-10.244.0.1", null)), rig.Sidecar("c1", "guest", "10.244.0.30", ns: "other"));
        rig.Config(Telemetry("providers: [{name: a}], randomSamplingPercentage: 5", "mesh", "", "istio-system"));
        rig.Config(Telemetry("randomSamplingPercentage: 50", "ns", ""));
        rig.Config(Telemetry("match: {mode: SERVER}, randomSamplingPercentage: 90", "web", "app: web"));
        rig.Push();
        Assert.Equal((50, 90, 5), (Outbound(web), Inbound(web), Outbound(guest)));
        rig.Writer.RemoveConfig("c1", "Telemetry", MeshRig.Namespace, "ns");
        rig.Push();
        Assert.Equal((5, 90, 5), (Outbound(web), Inbound(web), Outbound(guest)));
        Assert.Empty(rig.Mesh.Graph.Verify());

        static double Outbound(Isthmus.ControlPlane.Push.ProxyFeed feed) => HttpOf(feed).Tracing.RandomSampling.Value;
        static double Inbound(Isthmus.ControlPlane.Push.ProxyFeed feed) => Manager(MeshRig.Listener(feed, "virtualInbound")!).Tracing.RandomSampling.Value;
    }

    private static readonly Isthmus.Proxy.Telemetry.ProxyIdentity Identity =
        new("router~10.244.0.99~edge-0.shop~shop.svc.cluster.local", "edge", "shop", "edge", "v1", "edge", "v1", "c1", "edge", "");

    private static ProxyIdentity Proxy(string name, ProxyTracing? tracing) => new(
        ProxyKind.Sidecar, name, MeshRig.Namespace, $"{MeshRig.Namespace}.svc.cluster.local", "c1", "net-c1", default, [Address.Parse("10.244.0.1")],
            default, "default", name,
        "node", "REDIRECT", true, false, "", "", Locality.Unknown) { Tracing = tracing };

    private static Isthmus.Wire.Envoy.NetworkFilters.HttpConnectionManager HttpOf(Isthmus.ControlPlane.Push.ProxyFeed feed) =>
        Manager(MeshRig.Listener(feed, "0.0.0.0_80")!);

    private static Isthmus.Wire.Envoy.NetworkFilters.HttpConnectionManager Manager(Isthmus.Wire.Envoy.Listeners.Listener listener) =>
        listener.FilterChains.SelectMany(chain => chain.Filters)
        .Select(filter => filter.TypedConfig).First(config => config.Is(Isthmus.Wire.Envoy.NetworkFilters.HttpConnectionManager.Descriptor))
        .Unpack<Isthmus.Wire.Envoy.NetworkFilters.HttpConnectionManager>();

    private static GuardedGateway Gateway(string provider, string rule, int origin, int collector) =>
        new($"extensionProviders: [{{name: spans, {provider}}}]\ndefaultProviders: {{tracing: [spans]}}", Telemetry(rule, "traces", ""), origin, collector,
            identity: Identity);

    private static string Telemetry(string rule, string name, string labels, string ns = MeshRig.Namespace) => $$"""
        apiVersion: telemetry.istio.io/v1
        kind: Telemetry
        metadata: {name: {{name}}, namespace: {{ns}} }
        spec: {selector: {matchLabels: { {{labels}} } }, tracing: [{ {{rule}} }] }
        """;

    private static Task CountedAsync(GuardedGateway gateway, string counter) => Eventually.TrueAsync(() => gateway.Count(counter) > 0, counter);

    /// <summary>Sends requests that the gateway answers itself, without waiting for answers between them, and waits until all are answered.</summary>
    private static async Task CallManyAsync(Socket client)
    {
        const int Calls = 50;
        await client.SendAsync(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("GET / HTTP/1.1\r\nhost: web.example\r\nx-way: blocked\r\n\r\n",
            Calls))),
            SocketFlags.None, Stop);
        var (answers, length) = (new byte[64 * 1024], 0);
        while (answers.AsSpan(0, length).Count("HTTP/1.1 418 "u8) < Calls || !answers.AsSpan(0, length).EndsWith("\r\n\r\n"u8))
        {
            var count = await client.ReceiveAsync(answers.AsMemory(length), SocketFlags.None, Stop);
            Assert.True(count > 0, $"closed after '{Encoding.ASCII.GetString(answers, 0, length)}'");
            length += count;
        }
    }

    /// <summary>Answers with the fields of the request.</summary>
    private static Task<OriginServer> EchoAsync() => OriginServer.StartAsync(HttpProtocols.Http1, context =>
        context.Response.WriteAsync(string.Join('\n', context.Request.Headers.Select(field => $"{field.Key.ToLowerInvariant()}: {field.Value}"))));

    private static Dictionary<string, string> Fields(string body) =>
        body.Split('\n').Select(line => line.Split(": ", 2)).ToDictionary(pair => pair[0], pair => pair[1]);
}
