using System.Buffers.Binary;
using System.Text.Json.Nodes;
using Isthmus.Testing;
using Isthmus.Wire.OpenTelemetry;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Telemetry;

/// <summary>A span as a collector got it.</summary>
internal sealed record CollectedSpan(string Trace, string Id, string Parent, string Kind, string Name, string Service, IReadOnlyDictionary<string, string> Tags)
{
    public string State { get; init; } = "";

    /// <summary>What an OTLP report says of the workload.</summary>
    public IReadOnlyDictionary<string, string> Resource { get; init; } = new Dictionary<string, string>();
}

/// <summary>A collector of traces that speaks Zipkin, OTLP over HTTP, and, with HTTP/2 only, OTLP over gRPC.</summary>
internal sealed class TraceCollector : IAsyncDisposable
{
    private readonly List<CollectedSpan> _spans = [];
    private Exception? _failure; // guarded by _spans, as they are
    private OriginServer _server = null!;

    internal int Port => _server.Port;

    /// <summary>The header fields of each report.</summary>
    internal List<IReadOnlyDictionary<string, string>> Reports { get; } = [];

    /// <param name="answer">What happens instead of an answer; null: the collector takes the spans.</param>
    internal static async Task<TraceCollector> StartAsync(HttpProtocols protocols = HttpProtocols.Http1, RequestDelegate? answer = null)
    {
        var collector = new TraceCollector();
        collector._server = await OriginServer.StartAsync(protocols, answer ?? collector.TakeAsync);
        return collector;
    }

    /// <summary>The spans, once there are as many.</summary>
    internal async Task<IReadOnlyList<CollectedSpan>> SpansAsync(int count)
    {
        await Eventually.TrueAsync(() =>
        {
            lock (_spans) return _failure is not null || _spans.Count >= count;
        }, $"{count} spans");
        lock (_spans) return _failure is null ? [.. _spans] : throw new InvalidOperationException("a report cannot be read", _failure);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task TakeAsync(HttpContext context)
    {
        try
        {
            await ReadAsync(context);
        }
        catch (Exception e)
        {
            lock (_spans) _failure = e;
        }
    }

    private async Task ReadAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        var spans = context.Request.Path.Value switch
        {
            "/api/v2/spans" => Zipkin(body.ToArray()),
            "/v1/traces" => Otlp(body.ToArray()),
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Otlp(Message(body.ToArray())),
            var other => throw new InvalidOperationException(other),
        };
        lock (_spans)
        {
            _spans.AddRange(spans);
            Reports.Add(context.Request.Headers.ToDictionary(field => field.Key.ToLowerInvariant(), field => field.Value.ToString()));
        }
        if (context.Request.ContentType != "application/grpc")
        {
            context.Response.StatusCode = 202;
            return;
        }
        context.Response.ContentType = "application/grpc";
        context.Response.DeclareTrailer("grpc-status");
        await context.Response.Body.WriteAsync(new byte[5]);
        context.Response.AppendTrailer("grpc-status", "0");
    }

    private static byte[] Message(byte[] frame)
    {
        Assert.Equal((0, frame.Length - 5), (frame[0], BinaryPrimitives.ReadInt32BigEndian(frame.AsSpan(1))));
        return frame[5..];
    }

    private static List<CollectedSpan> Zipkin(byte[] body) =>
    [
        .. JsonNode.Parse(body)!.AsArray().Select(span =>
        {
            Assert.True((long)span!["timestamp"]! > 0 && (long)span["duration"]! > 0);
            return new CollectedSpan(Text(span, "traceId"), Text(span, "id"), Text(span, "parentId"), Text(span, "kind"), Text(span, "name"),
                Text(span["localEndpoint"]!, "serviceName"),
                span["tags"]!.AsObject().ToDictionary(tag => tag.Key, tag => tag.Value!.ToString()));
        }),
    ];

    private static string Text(JsonNode node, string name) => node[name]?.ToString() ?? "";

    private static List<CollectedSpan> Otlp(byte[] body) =>
    [
        .. from resource in ExportTraceServiceRequest.Parser.ParseFrom(body).ResourceSpans
           from scope in resource.ScopeSpans
           from span in scope.Spans
           select Otlp(span, resource.Resource.Attributes.ToDictionary(attribute => attribute.Key, attribute => attribute.Value.StringValue)),
    ];

    private static CollectedSpan Otlp(Span span, Dictionary<string, string> resource)
    {
        Assert.True(span.EndTimeUnixNano >= span.StartTimeUnixNano && span.StartTimeUnixNano > 0);
        return new(Hex(span.TraceId), Hex(span.SpanId), Hex(span.ParentSpanId), span.Kind.ToString().ToUpperInvariant(), span.Name, resource["service.name"],
            span.Attributes.ToDictionary(attribute => attribute.Key, attribute => attribute.Value.StringValue))
            {
                State = span.TraceState, Resource = resource
            };
    }

    private static string Hex(Google.Protobuf.ByteString bytes) => Convert.ToHexStringLower(bytes.Span);
}
