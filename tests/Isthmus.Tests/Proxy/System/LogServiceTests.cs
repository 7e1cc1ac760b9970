using System.Buffers.Binary;
using System.Collections.Concurrent;
using Isthmus.Wire.OpenTelemetry;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.System;

/// <summary>Access logs to a service that speaks OpenTelemetry's protocol, from Istio's objects to what it gets.</summary>
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
        using var gateway = new GuardedGateway(Settings, Telemetry("providers: [{name: lines}], filter: {expression: \"request.url_path != '/unwanted'\"}"), origin.Port, collector.Port);
        await gateway.CallAsync("/unwanted");
        await gateway.CallAsync("/a?b");
        await gateway.CallAsync("/c", "x-way: blocked");
        await Eventually(() => collected.Sum(logs => logs.ScopeLogs[0].LogRecords.Count) == 2);
        Assert.All(collected, logs => Assert.Equal("front", logs.Resource.Attributes.Single(item => item.Key == "log_name").Value.StringValue));
        var lines = collected.SelectMany(logs => logs.ScopeLogs[0].LogRecords).OrderBy(line => line.Body.StringValue, StringComparer.Ordinal).ToList();
        Assert.Equal(["line /a?b", "line /c"], lines.Select(line => line.Body.StringValue));
        Assert.Equal(["200", "418"], lines.Select(line => line.Attributes.Single(item => item.Key == "status").Value.StringValue));
        Assert.All(lines, line => Assert.Equal("blue", line.Attributes.Single(item => item.Key == "team").Value.StringValue));
        Assert.All(lines, line => Assert.True(line.TimeUnixNano > 0));
        await Eventually(() => gateway.Count("access_logs.open_telemetry_access_log.logs_sent") == 2);
    }

    /// <summary>Requests are served, and the lost lines counted.</summary>
    [Theory]
    [InlineData(false)] // nobody listens
    [InlineData(true)] // it answers nonsense
    public async Task A_service_that_does_not_take_lines_holds_nothing_up(bool answers)
    {
        await using var broken = await OriginServer.StartAsync(HttpProtocols.Http2, context => context.Response.WriteAsync("no"));
        var port = broken.Port;
        if (!answers) await broken.DisposeAsync();
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var gateway = new GuardedGateway(Settings, Telemetry("providers: [{name: lines}]"), origin.Port, port);
        Assert.Equal(200, (await gateway.CallAsync("/a")).Status);
        await Eventually(() => gateway.Count("access_logs.open_telemetry_access_log.logs_dropped") == 1);
    }

    private static async Task TakeAsync(HttpContext context, ConcurrentQueue<ResourceLogs> into)
    {
        Assert.Equal("/opentelemetry.proto.collector.logs.v1.LogsService/Export", context.Request.Path.Value);
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        var frame = body.ToArray();
        Assert.Equal(frame.Length - 5, BinaryPrimitives.ReadInt32BigEndian(frame.AsSpan(1)));
        foreach (var logs in ExportLogsServiceRequest.Parser.ParseFrom(frame[5..]).ResourceLogs) into.Enqueue(logs);
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

    private static async Task Eventually(Func<bool> holds)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!holds()) await Task.Delay(5, patience.Token);
    }
}
