using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Telemetry;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.AccessLoggers;
using Isthmus.Wire.OpenTelemetry;
using Isthmus.Wire.Reports;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Telemetry;

/// <summary>Access logs to services that speak OpenTelemetry's or Envoy's protocol, from Istio's objects to what they get.</summary>
public sealed class LogServiceTests
{
    private const string Settings = """
        extensionProviders:
        - {name: lines, envoyOtelAls: {service: shop/authorizer.example, port: 9000, logName: front, logFormat: {text: "line %REQ(:PATH)%", labels: {status: "%RESPONSE_CODE%", team: blue}}}}
        """;

    [Fact]
    public async Task A_service_gets_the_lines_that_a_Telemetry_selects()
    {
        var collected = new ConcurrentQueue<ResourceLogs>();
        await using var collector = await OriginServer.StartAsync(HttpProtocols.Http2, context => TakeAsync(context, collected));
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway(Settings, Telemetry("providers: [{name: lines}], filter: {expression: \"request.url_path != '/unwanted'\"}"),
            origin.Port, collector.Port);
        await gateway.CallAsync("/unwanted");
        await gateway.CallAsync("/a?b");
        await gateway.CallAsync("/c", "x-way: blocked");
        await Eventually.TrueAsync(() => collected.Sum(logs => logs.ScopeLogs[0].LogRecords.Count) == 2);
        Assert.All(collected, logs => Assert.Equal("front", logs.Resource.Attributes.Single(item => item.Key == "log_name").Value.StringValue));
        var lines = collected.SelectMany(logs => logs.ScopeLogs[0].LogRecords).OrderBy(line => line.Body.StringValue, StringComparer.Ordinal).ToList();
        Assert.Equal(["line /a?b", "line /c"], lines.Select(line => line.Body.StringValue));
        Assert.Equal(["200", "418"], lines.Select(line => line.Attributes.Single(item => item.Key == "status").Value.StringValue));
        Assert.All(lines, line => Assert.Equal("blue", line.Attributes.Single(item => item.Key == "team").Value.StringValue));
        Assert.All(lines, line => Assert.True(line.TimeUnixNano > 0));
        await Eventually.TrueAsync(() => gateway.Count("access_logs.open_telemetry_access_log.logs_written") == 2);
    }

    /// <summary>Requests are served, and the lost lines counted.</summary>
    [Theory]
    [InlineData(false)] // nobody listens
    [InlineData(true)] // it answers nonsense
    public async Task A_service_that_does_not_take_lines_holds_nothing_up(bool answers)
    {
        await using var broken = await OriginServer.StartAsync(HttpProtocols.Http2, context => context.Response.WriteAsync("no"));
        using var nobody = new ReservedPort();
        var port = answers ? broken.Port : nobody.Number;
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway(Settings, Telemetry("providers: [{name: lines}]"), origin.Port, port);
        Assert.Equal(200, (await gateway.CallAsync("/a")).Status);
        await Eventually.TrueAsync(() => gateway.Count("access_logs.open_telemetry_access_log.logs_dropped") == 1);
        var loss = Assert.Single(gateway.Plane.Told().Losses);
        Assert.Equal((TelemetryLoss.Types.Kind.Logs, "access_logs.open_telemetry_access_log.logs_dropped", "outbound|9000||authorizer.example"),
            (loss.Kind, loss.Counter, loss.Target));
        Assert.Equal(answers ? TelemetryLoss.Types.Reason.Nonsense : TelemetryLoss.Types.Reason.Unreachable, loss.Reason);
    }

    [Fact]
    public async Task Lines_that_a_service_refuses_in_a_report_that_it_takes_are_counted_as_lost()
    {
        await using var picky = await OriginServer.StartAsync(HttpProtocols.Http2, async context =>
        {
            context.Response.ContentType = "application/grpc";
            context.Response.DeclareTrailer("grpc-status");
            await context.Response.Body.WriteAsync(new byte[] { 0, 0, 0, 0, 4, 0x0a, 2, 8, 1 });
            context.Response.AppendTrailer("grpc-status", "0");
        });
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway(Settings, Telemetry("providers: [{name: lines}]"), origin.Port, picky.Port);
        Assert.Equal(200, (await gateway.CallAsync("/a")).Status);
        await Eventually.TrueAsync(() => gateway.Count("access_logs.open_telemetry_access_log.logs_dropped") == 1);
        Assert.Equal(0, gateway.Count("access_logs.open_telemetry_access_log.logs_written"));
        Assert.Equal(TelemetryLoss.Types.Reason.PartlyRefused, Assert.Single(gateway.Plane.Told().Losses).Reason);
    }

    private const string EntrySettings = """
        extensionProviders:
        - name: http
          envoyHttpAls:
            service: shop/authorizer.example
            port: 9000
            logName: front
            additionalRequestHeadersToLog: [X-Team]
            additionalResponseHeadersToLog: [x-answer]
            additionalResponseTrailersToLog: [x-last]
        - {name: tcp, envoyTcpAls: {service: shop/authorizer.example, port: 9000}}
        """;

    [Fact]
    public async Task A_service_gets_entries_for_requests_with_the_headers_that_its_provider_names()
    {
        var collected = new ConcurrentQueue<StreamAccessLogsMessage>();
        await using var service = await OriginServer.StartAsync(HttpProtocols.Http2, context => StreamAsync(context, collected));
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.Headers["x-answer"] = "42";
            return context.Response.WriteAsync("ok");
        });
        using var gateway = new GuardedGateway(EntrySettings, Telemetry("providers: [{name: http}], filter: {expression: \"request.url_path != '/unwanted'\"}"),
            origin.Port, service.Port, identity: Edge);
        await gateway.CallAsync("/unwanted");
        await gateway.CallAsync("/a?b", "x-team: blue\nuser-agent: curl\nreferer: there", new StringContent("12345"));
        await gateway.CallAsync("/c", "x-way: blocked");
        await Eventually.TrueAsync(() => gateway.Count("access_logs.grpc_access_log.logs_written") == 2);
        Assert.All(collected,
            message => Assert.Equal(("front", Edge.NodeId, "edge.shop", "edge-0"),
                (message.Identifier.LogName, message.Identifier.Node.Id, message.Identifier.Node.Cluster,
                    message.Identifier.Node.Metadata.Fields["NAME"].StringValue)));
        var entries = collected.SelectMany(message => message.HttpLogs.LogEntry).OrderBy(entry => entry.Request.Path, StringComparer.Ordinal).ToList();
        Assert.Equal(["/a?b", "/c"], entries.Select(entry => entry.Request.Path));
        var (posted, blocked) = (entries[0], entries[1]);
        Assert.Equal((HTTPAccessLogEntry.Types.HTTPVersion.Http11, RequestMethod.Post, "http", "web.example"),
            (posted.ProtocolVersion, posted.Request.RequestMethod, posted.Request.Scheme, posted.Request.Authority));
        Assert.Equal(("curl", "there", 5UL), (posted.Request.UserAgent, posted.Request.Referer, posted.Request.RequestBodyBytes));
        Assert.NotEqual("", posted.Request.RequestId);
        Assert.Equal("blue", posted.Request.RequestHeaders["x-team"]);
        Assert.Equal((200U, 2UL, "via_upstream", "42"),
            (posted.Response.ResponseCode!.Value, posted.Response.ResponseBodyBytes, posted.Response.ResponseCodeDetails,
                posted.Response.ResponseHeaders["x-answer"]));
        var common = posted.CommonProperties;
        Assert.Equal("outbound|80||web.example", common.UpstreamCluster);
        Assert.Equal((uint)origin.Port, common.UpstreamRemoteAddress.SocketAddress.PortValue);
        Assert.Equal("127.0.0.1", common.DownstreamRemoteAddress.SocketAddress.Address);
        Assert.Equal(1U, common.UpstreamRequestAttemptCount);
        Assert.InRange(common.TimeToFirstUpstreamRxByte.ToTimeSpan(), TimeSpan.FromTicks(1), common.Duration.ToTimeSpan());
        Assert.Equal(new ResponseFlags(), common.ResponseFlags);
        Assert.True(common.StartTime.Seconds > 0);
        Assert.Equal((418U, "direct_response"), (blocked.Response.ResponseCode!.Value, blocked.Response.ResponseCodeDetails));
        Assert.Null(blocked.CommonProperties.UpstreamRemoteAddress);
    }

    [Fact]
    public async Task Flags_of_entries_tell_why_a_request_failed()
    {
        var collected = new ConcurrentQueue<StreamAccessLogsMessage>();
        await using var service = await OriginServer.StartAsync(HttpProtocols.Http2, context => StreamAsync(context, collected));
        using var nobody = new ReservedPort();
        using var gateway = new GuardedGateway(EntrySettings, Telemetry("providers: [{name: http}]"), nobody.Number, service.Port);
        Assert.Equal(503, (await gateway.CallAsync("/a")).Status);
        await Eventually.TrueAsync(() => !collected.IsEmpty);
        var failed = Assert.Single(collected.Single().HttpLogs.LogEntry);
        Assert.True(failed.CommonProperties.ResponseFlags.UpstreamConnectionFailure);
        Assert.Equal(503U, failed.Response.ResponseCode!.Value);
    }

    [Fact]
    public async Task A_service_gets_entries_for_TCP_connections()
    {
        var collected = new ConcurrentQueue<StreamAccessLogsMessage>();
        await using var service = await OriginServer.StartAsync(HttpProtocols.Http2, context => StreamAsync(context, collected));
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway(EntrySettings, Telemetry("providers: [{name: tcp}]"), origin.Port, service.Port);
        const string Request = "GET / HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n";
        var answer = await OverTcpAsync(gateway.TcpPort, Request);
        await Eventually.TrueAsync(() => !collected.IsEmpty);
        var message = collected.Single();
        Assert.Equal("tcp_envoy_accesslog", message.Identifier.LogName);
        var entry = Assert.Single(message.TcpLogs.LogEntry);
        Assert.Equal(((ulong)Request.Length, (ulong)answer.Length), (entry.ConnectionProperties.ReceivedBytes, entry.ConnectionProperties.SentBytes));
        Assert.Equal("outbound|9000||web.example", entry.CommonProperties.UpstreamCluster);
    }

    /// <summary>Requests are served, and the lost entries counted.</summary>
    [Theory]
    [InlineData(false)] // nobody listens
    [InlineData(true)] // it answers nonsense
    public async Task A_service_that_does_not_take_entries_holds_nothing_up(bool answers)
    {
        await using var broken = await OriginServer.StartAsync(HttpProtocols.Http2, context => context.Response.WriteAsync("no"));
        using var nobody = new ReservedPort();
        var port = answers ? broken.Port : nobody.Number;
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway(EntrySettings, Telemetry("providers: [{name: http}]"), origin.Port, port);
        Assert.Equal(200, (await gateway.CallAsync("/a")).Status);
        await Eventually.TrueAsync(() => gateway.Count("access_logs.grpc_access_log.logs_dropped") == 1);
    }

    /// <summary>While the service keeps a batch to itself, requests are served, and their lines wait.</summary>
    [Fact]
    public async Task A_slow_service_of_lines_holds_nothing_up()
    {
        var collected = new ConcurrentQueue<ResourceLogs>();
        var (arrived, goOn) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var service = await OriginServer.StartAsync(HttpProtocols.Http2, async context =>
        {
            arrived.TrySetResult();
            await goOn.Task;
            await TakeAsync(context, collected);
        });
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway(Settings, Telemetry("providers: [{name: lines}]"), origin.Port, service.Port);
        await gateway.CallAsync("/first");
        await arrived.Task;
        for (var i = 0; i < 10; i++) Assert.Equal(200, (await gateway.CallAsync("/later")).Status);
        Assert.Equal(0, gateway.Count("access_logs.open_telemetry_access_log.logs_written"));
        goOn.SetResult();
        await Eventually.TrueAsync(() => collected.Sum(logs => logs.ScopeLogs[0].LogRecords.Count) == 11);
    }

    /// <summary>While the service keeps a batch to itself, requests are served, and their entries wait.</summary>
    [Fact]
    public async Task A_slow_service_holds_nothing_up()
    {
        var collected = new ConcurrentQueue<StreamAccessLogsMessage>();
        var goOn = new TaskCompletionSource();
        await using var service = await OriginServer.StartAsync(HttpProtocols.Http2, context => StreamAsync(context, collected, goOn.Task));
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway(EntrySettings, Telemetry("providers: [{name: http}]"), origin.Port, service.Port);
        await gateway.CallAsync("/first");
        await Eventually.TrueAsync(() => !collected.IsEmpty);
        for (var i = 0; i < 10; i++) Assert.Equal(200, (await gateway.CallAsync("/later")).Status);
        Assert.Equal(0, gateway.Count("access_logs.grpc_access_log.logs_written"));
        goOn.SetResult();
        await Eventually.TrueAsync(() => collected.Sum(message => message.HttpLogs.LogEntry.Count) == 11);
    }

    private static async Task<byte[]> OverTcpAsync(int port, string request)
    {
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, port, TestContext.Current.CancellationToken);
        await using var stream = new NetworkStream(client);
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request), TestContext.Current.CancellationToken);
        using var answer = new MemoryStream();
        await stream.CopyToAsync(answer, TestContext.Current.CancellationToken);
        return answer.ToArray();
    }

    private static readonly ProxyIdentity Edge = new(
        "router~10.244.0.99~edge-0.shop~shop.svc.cluster.local", "", "shop", "edge", "", "", "", "", "",
        Convert.ToBase64String(new Struct { Fields = { ["NAME"] = Value.ForString("edge-0") } }.ToByteArray()));

    private static async Task StreamAsync(HttpContext context, ConcurrentQueue<StreamAccessLogsMessage> into, Task? before = null)
    {
        Assert.Equal("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", context.Request.Path.Value);
        into.Enqueue(StreamAccessLogsMessage.Parser.ParseFrom(await ReadAsync(context)));
        if (before is not null) await before;
        context.Response.ContentType = "application/grpc";
        context.Response.DeclareTrailer("grpc-status");
        await context.Response.Body.WriteAsync(new byte[5]);
        context.Response.AppendTrailer("grpc-status", "0");
    }

    /// <summary>The only message of a call.</summary>
    private static async Task<byte[]> ReadAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        var frame = body.ToArray();
        Assert.Equal(frame.Length - 5, BinaryPrimitives.ReadInt32BigEndian(frame.AsSpan(1)));
        return frame[5..];
    }

    private static async Task TakeAsync(HttpContext context, ConcurrentQueue<ResourceLogs> into)
    {
        Assert.Equal("/opentelemetry.proto.collector.logs.v1.LogsService/Export", context.Request.Path.Value);
        foreach (var logs in ExportLogsServiceRequest.Parser.ParseFrom(await ReadAsync(context)).ResourceLogs) into.Enqueue(logs);
        context.Response.ContentType = "application/grpc";
        context.Response.DeclareTrailer("grpc-status");
        await context.Response.Body.WriteAsync(new byte[5]);
        context.Response.AppendTrailer("grpc-status", "0");
    }

    private static string Telemetry(string rule) => $$"""
        apiVersion: telemetry.istio.io/v1
        kind: Telemetry
        metadata: {name: logs, namespace: shop}
        spec: {accessLogging: [{ {{rule}} }]}
        """;
}
