using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Google.Protobuf;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Own;

/// <summary>Calls of gRPC that the proxy itself makes: one message there, one back.</summary>
internal static class GrpcMessages
{
    private const int FrameHead = 5;

    public static (RequestHead Head, ReadOnlyMemory<byte> Body) Request(string authority, ReadOnlySpan<byte> path, TimeSpan patience, IMessage message)
    {
        var head = new RequestHead { Method = "POST", Version = HttpVersions.Http2, Authority = authority };
        head.SetTarget(path);
        head.Headers.Add("te"u8, "trailers"u8);
        head.Headers.Add("content-type"u8, "application/grpc"u8);
        head.Headers.Add("grpc-timeout"u8, $"{(long)Math.Clamp(patience.TotalMilliseconds, 1, 99_999_999)}m");
        var body = new byte[FrameHead + message.CalculateSize()];
        BinaryPrimitives.WriteUInt32BigEndian(body.AsSpan(1), (uint)(body.Length - FrameHead));
        message.WriteTo(body.AsSpan(FrameHead));
        return (head, body);
    }

    public static (RequestHead Head, ReadOnlyMemory<byte> Body) Request(Collector collector, IMessage message)
    {
        var (head, body) = Request(collector.Authority, Encoding.UTF8.GetBytes(collector.Path), collector.Timeout, message);
        foreach (var (name, value) in collector.Headers) head.Headers.Set(Encoding.ASCII.GetBytes(name), value);
        return (head, body);
    }

    /// <summary>Whether the call succeeded.</summary>
    public static bool IsOk(OwnAnswer answer) => answer.Failure == OwnFailure.None && answer.Head.Status == 200 && StatusOf(answer) == 0;

    /// <summary>The call's status; null when the answer has none, so that it is not one of gRPC.</summary>
    public static int? StatusOf(OwnAnswer answer) =>
        int.TryParse(answer.Trailers?.GetString("grpc-status"u8) ?? answer.Head.Headers.GetString("grpc-status"u8), NumberStyles.None,
            CultureInfo.InvariantCulture, out var status)
            ? status
            : null;

    /// <summary>Null when the call failed, or the answer is not one message.</summary>
    public static T? Read<T>(OwnAnswer answer, MessageParser<T> parser) where T : class, IMessage<T>
    {
        var body = answer.Body.Span;
        if (!IsOk(answer)) return null;
        if (body.Length < FrameHead || body[0] != 0 || BinaryPrimitives.ReadUInt32BigEndian(body[1..]) != body.Length - FrameHead) return null;
        try
        {
            return parser.ParseFrom(body[FrameHead..]);
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    /// <summary>Whether a field from elsewhere is one field: a value with a line break would become another one.</summary>
    public static bool IsValid(Wire.Envoy.HeaderValue? field) => field is not null && ValueOf(field) is var value && field.Key.ToLowerInvariant() switch
    {
        ":method" => HeadRules.IsToken(value),
        ":path" => value.Length > 0 && HeadRules.IsTarget(value),
        ":authority" or "host" => HeadRules.IsAuthority(value),
        [':', .. var name] => HeadRules.IsToken(name) && HeadRules.IsValue(value),
        var name => HeadRules.IsToken(name) && HeadRules.IsValue(value),
    };

    /// <summary>The bytes, which need not be UTF-8.</summary>
    public static byte[] ValueOf(Wire.Envoy.HeaderValue field) =>
        field.RawValue.Length > 0 ? field.RawValue.ToByteArray() : Encoding.UTF8.GetBytes(field.Value);
}
