using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Export;

/// <summary>Spans as JSON of Zipkin's API, version 2.</summary>
internal static class ZipkinReport
{
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static (RequestHead Head, ReadOnlyMemory<byte> Body) Request(Collector collector, IReadOnlyList<FinishedSpan> spans, IPAddress? address)
    {
        var head = new RequestHead { Method = "POST", Version = HttpVersions.Http11, Authority = collector.Authority };
        head.SetTarget(Encoding.UTF8.GetBytes(collector.Path));
        head.Headers.Add("content-type"u8, "application/json"u8);
        foreach (var (name, value) in collector.Headers) head.Headers.Set(Encoding.ASCII.GetBytes(name), value);
        var body = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(body, Plain))
        {
            json.WriteStartArray();
            foreach (var span in spans) Write(json, span, address);
            json.WriteEndArray();
        }
        head.ContentLength = body.WrittenCount;
        return (head, body.WrittenMemory);
    }

    private static void Write(Utf8JsonWriter json, FinishedSpan span, IPAddress? address)
    {
        var context = span.Context;
        json.WriteStartObject();
        json.WriteString("traceId"u8, context.TraceText);
        if (context.Parent != 0) json.WriteString("parentId"u8, $"{context.Parent:x16}");
        json.WriteString("id"u8, $"{context.Id:x16}");
        json.WriteString("kind"u8, span.IsServer ? "SERVER"u8 : "CLIENT"u8);
        json.WriteString("name"u8, span.Name);
        json.WriteNumber("timestamp"u8, (span.Start - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond);
        // Zero would mean that it has not ended.
        json.WriteNumber("duration"u8, Math.Max(1, span.Duration.Ticks / TimeSpan.TicksPerMicrosecond));
        json.WriteStartObject("localEndpoint"u8);
        json.WriteString("serviceName"u8, span.Service);
        if (address is not null) json.WriteString(address.AddressFamily == AddressFamily.InterNetwork ? "ipv4"u8 : "ipv6"u8, address.ToString());
        json.WriteEndObject();
        json.WriteStartObject("tags"u8);
        foreach (var (name, value) in span.Tags) json.WriteString(name, value);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
