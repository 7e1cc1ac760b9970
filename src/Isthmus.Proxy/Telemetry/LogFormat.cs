using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Balancing;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Snapshot;

namespace Isthmus.Proxy.Telemetry;

/// <summary>An access log format, parsed once: literal text and Envoy's <c>%OPERATORS%</c>.</summary>
internal sealed class LogFormat
{
    private readonly Piece[] _pieces;
    private readonly (string Key, LogFormat Value)[]? _fields;

    private sealed record Piece(string Literal, string Operator, string First, string Second, int MaxLength);

    private LogFormat(Piece[] pieces, (string, LogFormat)[]? fields)
    {
        _pieces = pieces;
        _fields = fields;
    }

    /// <exception cref="ResourceException">An operator without its end.</exception>
    public static LogFormat ParseText(string text)
    {
        var pieces = new List<Piece>();
        var literal = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '%')
            {
                literal.Append(text[i]);
                continue;
            }
            if (i + 1 < text.Length && text[i + 1] == '%')
            {
                literal.Append('%');
                i++;
                continue;
            }
            var end = FindEnd(text, i + 1);
            if (end < 0) throw new ResourceException($"access log format: '%' at {i} has no end");
            if (literal.Length > 0) pieces.Add(new(literal.ToString(), "", "", "", 0));
            literal.Clear();
            pieces.Add(ParseOperator(text[(i + 1)..end]));
            i = end;
        }
        if (literal.Length > 0) pieces.Add(new(literal.ToString(), "", "", "", 0));
        return new([.. pieces], null);
    }

    /// <summary>One JSON object per line; nested objects are not supported and are written as text.</summary>
    public static LogFormat ParseJson(Struct fields) => new([], [.. fields.Fields.OrderBy(f => f.Key, StringComparer.Ordinal)
        .Select(f => (f.Key, ParseText(f.Value.KindCase == Value.KindOneofCase.StringValue ? f.Value.StringValue : f.Value.ToString())))]);

    public void Write(TrafficRecord record, StringBuilder into)
    {
        if (_fields is null)
        {
            foreach (var piece in _pieces)
                into.Append(piece.Operator.Length == 0 ? piece.Literal : Limit(Evaluate(piece, record) ?? "-", piece.MaxLength));
            return;
        }
        into.Append('{');
        for (var i = 0; i < _fields.Length; i++)
        {
            if (i > 0) into.Append(',');
            into.Append('"').Append(JsonEncodedText.Encode(_fields[i].Key).Value).Append("\":");
            WriteJson(_fields[i].Value, record, into);
        }
        into.Append("}\n");
    }

    public string Format(TrafficRecord record)
    {
        var text = new StringBuilder();
        Write(record, text);
        return text.ToString();
    }

    private static void WriteJson(LogFormat value, TrafficRecord record, StringBuilder into)
    {
        // A lone operator keeps its type: numbers stay numbers, missing values are null.
        if (value._pieces is [{ Operator.Length: > 0 } only])
        {
            var text = Evaluate(only, record);
            if (text is null) into.Append("null");
            else if (only.Operator is "RESPONSE_CODE" or "BYTES_RECEIVED" or "BYTES_SENT" or "DURATION" or "RESPONSE_DURATION" or "UPSTREAM_REQUEST_ATTEMPT_COUNT") into.Append(text);
            else into.Append('"').Append(JsonEncodedText.Encode(Limit(text, only.MaxLength)).Value).Append('"');
            return;
        }
        into.Append('"').Append(JsonEncodedText.Encode(value.Format(record)).Value).Append('"');
    }

    private static int FindEnd(string text, int from)
    {
        var depth = 0;
        for (var i = from; i < text.Length; i++)
        {
            if (text[i] == '(') depth++;
            else if (text[i] == ')') depth--;
            else if (text[i] == '%' && depth == 0) return i;
        }
        return -1;
    }

    private static Piece ParseOperator(string text)
    {
        var open = text.IndexOf('(', StringComparison.Ordinal);
        var close = text.LastIndexOf(')');
        var max = 0;
        var tail = close >= 0 ? text[(close + 1)..] : open < 0 && text.Contains(':', StringComparison.Ordinal) ? text[text.IndexOf(':', StringComparison.Ordinal)..] : "";
        if (tail.StartsWith(':')) int.TryParse(tail[1..], out max);
        if (open < 0) return new("", tail.Length > 0 ? text[..^tail.Length] : text, "", "", max);
        var argument = text[(open + 1)..(close > open ? close : text.Length)];
        var name = text[..open];
        if (name is not ("REQ" or "RESP" or "TRAILER")) return new("", name, argument, "", max);
        var question = argument.IndexOf('?', StringComparison.Ordinal);
        var first = (question < 0 ? argument : argument[..question]).ToLowerInvariant();
        var second = question < 0 ? "" : argument[(question + 1)..].ToLowerInvariant();
        return new("", name, first, second, max);
    }

    private static string Limit(string text, int max) => max > 0 && text.Length > max ? text[..max] : text;

    private static string? Evaluate(Piece piece, TrafficRecord r) => piece.Operator switch
    {
        "START_TIME" => StartTime(r.Start, piece.First),
        "REQ" => RequestField(r, piece.First) ?? (piece.Second.Length > 0 ? RequestField(r, piece.Second) : null),
        "RESP" => ResponseField(r, piece.First) ?? (piece.Second.Length > 0 ? ResponseField(r, piece.Second) : null),
        "PROTOCOL" => r.Request is null ? null : HttpVersions.Text(r.Request.Version),
        "RESPONSE_CODE" => r.Status.ToString(CultureInfo.InvariantCulture),
        "RESPONSE_FLAGS" => r.Flags,
        "RESPONSE_CODE_DETAILS" => Known(r.Details),
        "CONNECTION_TERMINATION_DETAILS" => Known(r.TerminationDetails),
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => Known(r.TransportFailure),
        "BYTES_RECEIVED" => r.BytesReceived.ToString(CultureInfo.InvariantCulture),
        "BYTES_SENT" => r.BytesSent.ToString(CultureInfo.InvariantCulture),
        "DURATION" => Milliseconds(r.Duration),
        "RESPONSE_DURATION" => r.ResponseAfter is { } after ? Milliseconds(after) : null,
        "UPSTREAM_HOST" => Known(r.Host?.Endpoint.AddressText),
        "UPSTREAM_CLUSTER" => Known(r.ClusterName),
        "UPSTREAM_LOCAL_ADDRESS" => Known(Endpoint.Text(r.UpstreamLocal)),
        "UPSTREAM_REMOTE_ADDRESS" => Known(r.Host?.Endpoint.AddressText),
        "UPSTREAM_REQUEST_ATTEMPT_COUNT" => r.Attempts.ToString(CultureInfo.InvariantCulture),
        "UPSTREAM_PEER_URI_SAN" => Known(r.UpstreamPeer?.Identity),
        "DOWNSTREAM_LOCAL_ADDRESS" => Known(Endpoint.Text(r.DownstreamLocal)),
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => Address(r.DownstreamLocal),
        "DOWNSTREAM_LOCAL_PORT" => (r.DownstreamLocal as IPEndPoint)?.Port.ToString(CultureInfo.InvariantCulture),
        "DOWNSTREAM_REMOTE_ADDRESS" or "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" => Known(Endpoint.Text(r.DownstreamRemote)),
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" or "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => Address(r.DownstreamRemote),
        "DOWNSTREAM_PEER_URI_SAN" => Known(r.DownstreamPeer?.Identity),
        "DOWNSTREAM_PEER_SUBJECT" => Known(r.DownstreamPeer?.Subject),
        "REQUESTED_SERVER_NAME" => Known(r.ServerName),
        "ROUTE_NAME" => Known(r.RouteName),
        "FILTER_CHAIN_NAME" => Known(r.ChainName),
        _ => null,
    };

    private static string? Known(string? text) => string.IsNullOrEmpty(text) ? null : text;

    private static string? Address(EndPoint? point) => (point as IPEndPoint)?.Address.ToString();

    private static string Milliseconds(TimeSpan time) => ((long)time.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);

    private static string StartTime(DateTimeOffset time, string format) => format switch
    {
        "" => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture),
        "%s" => time.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
        "%s.%3f" => (time.ToUnixTimeMilliseconds() / 1000.0).ToString("F3", CultureInfo.InvariantCulture),
        _ => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture),
    };

    private static string? RequestField(TrafficRecord r, string name)
    {
        if (r.Request is not { } request) return null;
        switch (name)
        {
            case ":method": return Known(request.Method);
            case ":path": return Known(request.TargetText);
            case ":authority": return Known(request.Authority);
            case ":scheme": return r.DownstreamPeer is null ? "http" : "https";
            case "x-envoy-original-path": return Known(r.OriginalPath);
            default: return Field(request.Headers, name);
        }
    }

    private static string? ResponseField(TrafficRecord r, string name) => r.Response is null ? null : Field(r.Response.Headers, name);

    private static string? Field(HeaderBlock headers, string name)
    {
        Span<byte> bytes = stackalloc byte[name.Length];
        return headers.GetJoined(bytes[..Encoding.ASCII.GetBytes(name, bytes)]);
    }
}
