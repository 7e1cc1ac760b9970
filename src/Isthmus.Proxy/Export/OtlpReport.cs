using System.Buffers.Binary;
using System.Text;
using Google.Protobuf;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Own;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.OpenTelemetry;

namespace Isthmus.Proxy.Export;

/// <summary>Spans and lines of logs as OTLP, over gRPC or HTTP.</summary>
internal static class OtlpReport
{
    public static (RequestHead Head, ReadOnlyMemory<byte> Body) Request(Collector collector,
        IReadOnlyList<FinishedSpan> spans) => Request(collector, Message(spans));

    public static (RequestHead Head, ReadOnlyMemory<byte> Body) Request(Collector collector, string service, string logName, IReadOnlyList<LogLine> lines)
    {
        var of = new ScopeLogs { Scope = new() { Name = "isthmus" } };
        of.LogRecords.AddRange(lines.Select(Record));
        return Request(collector, new ExportLogsServiceRequest
        {
            ResourceLogs =
            {
                new ResourceLogs { Resource = new() { Attributes = { Pair("service.name", service), Pair("log_name", logName) } }, ScopeLogs = { of } }
            },
        });
    }

    /// <summary>How many spans the collector refuses, by what it answers to a request that succeeded (OTLP, Partial Success).</summary>
    public static long RefusedSpans(Collector collector, OwnAnswer answer) =>
        Answer(collector, answer, ExportTraceServiceResponse.Parser)?.PartialSuccess?.RejectedSpans ?? 0;

    public static long RefusedLines(Collector collector, OwnAnswer answer) =>
        Answer(collector, answer, ExportLogsServiceResponse.Parser)?.PartialSuccess?.RejectedLogRecords ?? 0;

    /// <summary>Null when it says nothing that can be read: the status counts.</summary>
    private static T? Answer<T>(Collector collector, OwnAnswer answer, MessageParser<T> parser) where T : class, IMessage<T>
    {
        if (collector.IsGrpc) return GrpcMessages.Read(answer, parser);
        try
        {
            return parser.ParseFrom(answer.Body.Span);
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    private static LogRecord Record(LogLine line)
    {
        var record = new LogRecord { TimeUnixNano = (ulong)(line.Time - DateTimeOffset.UnixEpoch).Ticks * 100, Body = new() { StringValue = line.Body } };
        record.Attributes.AddRange(line.Attributes.Select(item => Pair(item.Key, item.Value)));
        return record;
    }

    private static (RequestHead Head, ReadOnlyMemory<byte> Body) Request(Collector collector, IMessage message)
    {
        if (collector.IsGrpc) return GrpcMessages.Request(collector, message);
        var head = new RequestHead { Method = "POST", Version = HttpVersions.Http11, Authority = collector.Authority };
        head.SetTarget(Encoding.UTF8.GetBytes(collector.Path));
        head.Headers.Add("content-type"u8, "application/x-protobuf"u8);
        foreach (var (name, value) in collector.Headers) head.Headers.Set(Encoding.ASCII.GetBytes(name), value);
        var body = message.ToByteArray();
        head.ContentLength = body.Length;
        return (head, body);
    }

    private static ExportTraceServiceRequest Message(IReadOnlyList<FinishedSpan> spans)
    {
        var request = new ExportTraceServiceRequest();
        foreach (var workload in spans.GroupBy(span => (span.Service, span.Resource)))
        {
            var of = new ScopeSpans { Scope = new() { Name = "isthmus" } };
            of.Spans.AddRange(workload.Select(Span));
            var attributes = workload.Key.Resource.Others.Select(attribute => Pair(attribute.Key, attribute.Value))
                .Prepend(Pair("service.name", workload.Key.Service));
            request.ResourceSpans.Add(new ResourceSpans { Resource = new() { Attributes = { attributes } }, ScopeSpans = { of } });
        }
        return request;
    }

    private static Span Span(FinishedSpan span)
    {
        var context = span.Context;
        var start = (ulong)(span.Start - DateTimeOffset.UnixEpoch).Ticks * 100;
        var made = new Span
        {
            TraceId = Bytes(context.High, context.Low), SpanId = Bytes(context.Id), TraceState = span.State, Name = span.Name,
            Kind = span.IsServer ? Wire.OpenTelemetry.Span.Types.SpanKind.Server : Wire.OpenTelemetry.Span.Types.SpanKind.Client,
            StartTimeUnixNano = start, EndTimeUnixNano = start + (ulong)span.Duration.Ticks * 100,
            Status = span.IsError ? new() { Code = Status.Types.StatusCode.Error } : null,
        };
        if (context.Parent != 0) made.ParentSpanId = Bytes(context.Parent);
        made.Attributes.AddRange(span.Tags.Select(tag => Pair(tag.Key, tag.Value)));
        return made;
    }

    private static KeyValue Pair(string key, string value) => new() { Key = key, Value = new() { StringValue = value } };

    private static ByteString Bytes(params ReadOnlySpan<ulong> numbers)
    {
        var bytes = new byte[numbers.Length * 8];
        for (var i = 0; i < numbers.Length; i++) BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(8 * i), numbers[i]);
        return ByteString.CopyFrom(bytes);
    }
}
