using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Tokens;
using Isthmus.Wire.Logs;

namespace Isthmus.Proxy.Telemetry;

/// <summary>Writes the value of one of Envoy's <c>%OPERATORS%</c>.</summary>
/// <returns>False when the record has no such value; then nothing was written.</returns>
internal delegate bool LogValue(TrafficRecord record, ByteWriter into);

/// <summary>The operators, chosen once when a format is parsed. None of them creates objects per request.</summary>
internal static class LogValues
{
    /// <param name="name">One of <see cref="LogFormatText.Names"/>.</param>
    /// <param name="argument">What is in parentheses after it.</param>
    public static LogValue Find(string name, string argument = "") => name switch
    {
        "START_TIME" => Time(argument, static r => r.Start),
        "EMIT_TIME" => Time(argument, static r => r.Start + r.Duration),
        "REQ" => Fields(argument, RequestField),
        "RESP" => Fields(argument, ResponseField),
        "TRAILER" => Fields(argument, TrailerField),
        "REQ_WITHOUT_QUERY" => WithoutQuery(Fields(argument, RequestField)),
        "GRPC_STATUS" => GrpcStatus(argument),
        "GRPC_STATUS_NUMBER" => GrpcStatus("NUMBER"),
        "DYNAMIC_METADATA" => Metadata(argument),
        "CEL" => Expression.Value(argument),
        "ENVIRONMENT" => Fixed(Environment.GetEnvironmentVariable(argument)),
        "HOSTNAME" => Fixed(Environment.MachineName),
        "PROTOCOL" => static (r, into) => r.Request is { } request && Text(HttpVersions.Text(request.Version), into),
        "RESPONSE_CODE" => static (r, into) => Number(r.Status, into),
        "RESPONSE_FLAGS" => static (r, into) => Text(r.Flags, into),
        "RESPONSE_FLAGS_LONG" => static (r, into) => EndReasons.WriteLong(r, into),
        "RESPONSE_CODE_DETAILS" => static (r, into) => Text(r.Details, into),
        "CONNECTION_TERMINATION_DETAILS" => static (r, into) => Text(r.TerminationDetails, into),
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => static (r, into) => Text(r.TransportFailure, into),
        "BYTES_RECEIVED" => static (r, into) => Number(r.BytesReceived, into),
        "BYTES_SENT" => static (r, into) => Number(r.BytesSent, into),
        "DURATION" => static (r, into) => Number((long)r.Duration.TotalMilliseconds, into),
        "RESPONSE_DURATION" => static (r, into) => r.ResponseAfter is { } after && Number((long)after.TotalMilliseconds, into),
        "RESPONSE_TX_DURATION" => static (r, into) => r.ResponseAfter is { } after && Number((long)(r.Duration - after).TotalMilliseconds, into),
        "UPSTREAM_HOST" or "UPSTREAM_REMOTE_ADDRESS" => static (r, into) => Address(r.Host?.Endpoint.Address, into),
        "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => static (r, into) => Host(r.Host?.Endpoint.Address, into),
        "UPSTREAM_REMOTE_PORT" => static (r, into) => Port(r.Host?.Endpoint.Address, into),
        "UPSTREAM_CLUSTER" or "UPSTREAM_CLUSTER_RAW" => static (r, into) => Text(r.ClusterName, into),
        "UPSTREAM_LOCAL_ADDRESS" => static (r, into) => Address(r.UpstreamLocal, into),
        "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => static (r, into) => Host(r.UpstreamLocal, into),
        "UPSTREAM_LOCAL_PORT" => static (r, into) => Port(r.UpstreamLocal, into),
        "UPSTREAM_REQUEST_ATTEMPT_COUNT" => static (r, into) => Number(r.Attempts, into),
        "UPSTREAM_PEER_URI_SAN" => static (r, into) => Names(r.UpstreamPeer?.Uris, into),
        "UPSTREAM_PEER_DNS_SAN" => static (r, into) => Names(r.UpstreamPeer?.DnsNames, into),
        "UPSTREAM_PEER_SUBJECT" => static (r, into) => Text(r.UpstreamPeer?.Subject, into),
        "UPSTREAM_PEER_FINGERPRINT_256" => static (r, into) => Text(r.UpstreamPeer?.Sha256, into),
        "DOWNSTREAM_LOCAL_ADDRESS" => static (r, into) => Address(r.DownstreamLocal, into),
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => static (r, into) => Host(r.DownstreamLocal, into),
        "DOWNSTREAM_LOCAL_PORT" => static (r, into) => Port(r.DownstreamLocal, into),
        "DOWNSTREAM_REMOTE_ADDRESS" or "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" => static (r, into) => Address(r.DownstreamRemote, into),
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" or "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => static (r, into) => Host(r.DownstreamRemote, into),
        "DOWNSTREAM_REMOTE_PORT" or "DOWNSTREAM_DIRECT_REMOTE_PORT" => static (r, into) => Port(r.DownstreamRemote, into),
        "DOWNSTREAM_PEER_URI_SAN" => static (r, into) => Names(r.DownstreamPeer?.Uris, into),
        "DOWNSTREAM_LOCAL_URI_SAN" => static (r, into) => Names(r.DownstreamPeer?.OwnUris, into),
        "DOWNSTREAM_PEER_DNS_SAN" => static (r, into) => Names(r.DownstreamPeer?.DnsNames, into),
        "DOWNSTREAM_PEER_SUBJECT" => static (r, into) => Text(r.DownstreamPeer?.Subject, into),
        "DOWNSTREAM_PEER_FINGERPRINT_256" => static (r, into) => Text(r.DownstreamPeer?.Sha256, into),
        "REQUESTED_SERVER_NAME" => static (r, into) => Text(r.ServerName, into),
        "ROUTE_NAME" => static (r, into) => Text(r.RouteName, into),
        "FILTER_CHAIN_NAME" => static (r, into) => Text(r.ChainName, into),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };

    /// <summary>Whether JSON has the operator's value as a number.</summary>
    public static bool IsNumber(string name) =>
        name is "RESPONSE_CODE" or "BYTES_RECEIVED" or "BYTES_SENT" or "DURATION" or "RESPONSE_DURATION" or "RESPONSE_TX_DURATION"
            or "UPSTREAM_REQUEST_ATTEMPT_COUNT" or "GRPC_STATUS_NUMBER"
            or "DOWNSTREAM_LOCAL_PORT" or "DOWNSTREAM_REMOTE_PORT" or "DOWNSTREAM_DIRECT_REMOTE_PORT" or "UPSTREAM_LOCAL_PORT" or "UPSTREAM_REMOTE_PORT";

    private static LogValue Fields(string argument, Func<string, LogValue> field)
    {
        var names = argument.ToLowerInvariant().Split('?', 2);
        return Either(field(names[0]), names.Length > 1 ? field(names[1]) : null);
    }

    private static LogValue WithoutQuery(LogValue path) => (r, into) =>
    {
        var start = into.Length;
        if (!path(r, into)) return false;
        if (into.Written.Span[start..].IndexOf((byte)'?') is >= 0 and var question) into.Truncate(start + question);
        return true;
    };

    private static LogValue Fixed(string? text) => (_, into) => Text(text, into);

    private static LogValue GrpcStatus(string style)
    {
        string[] names =
        [
            "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied", "ResourceExhausted",
            "FailedPrecondition", "Aborted", "OutOfRange",
            "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated",
        ];
        if (style == "SNAKE_STRING")
            names = [.. names.Select((name, code) => code == 0
                ? name
                : string.Concat(name.Select((c, at) => char.IsUpper(c) && at > 0 ? $"_{c}" : $"{char.ToUpperInvariant(c)}")))];
        return style == "NUMBER" ? static (r, into) => r.GrpcStatus is { } code && Number(code, into)
            : (r, into) => r.GrpcStatus is { } code && (code < names.Length ? Text(names[code], into) : Number(code, into));
    }

    private static LogValue Either(LogValue first, LogValue? second) => second is null ? first : (r, into) => first(r, into) || second(r, into);

    private static bool Text(string? text, ByteWriter into)
    {
        if (string.IsNullOrEmpty(text)) return false;
        into.Write(text);
        return true;
    }

    private static bool Number(long value, ByteWriter into)
    {
        into.WriteNumber(value);
        return true;
    }

    private static bool Address(EndPoint? point, ByteWriter into)
    {
        if (point is not IPEndPoint ip) return Text(point?.ToString(), into);
        var isV6 = ip.AddressFamily == AddressFamily.InterNetworkV6;
        if (isV6) into.Write("["u8);
        Write(ip.Address, into);
        into.Write(isV6 ? "]:"u8 : ":"u8);
        return Number(ip.Port, into);
    }

    private static bool Port(EndPoint? point, ByteWriter into) => point is IPEndPoint ip && Number(ip.Port, into);

    private static bool Names(IReadOnlyList<string>? names, ByteWriter into)
    {
        if (names is not { Count: > 0 }) return false;
        for (var i = 0; i < names.Count; i++)
        {
            if (i > 0) into.Write(","u8);
            into.Write(names[i]);
        }
        return true;
    }

    private static bool Host(EndPoint? point, ByteWriter into)
    {
        if (point is not IPEndPoint ip) return false;
        Write(ip.Address, into);
        return true;
    }

    private static void Write(IPAddress address, ByteWriter into)
    {
        const int Longest = 65;
        address.TryFormat(into.Reserve(Longest), out var written);
        into.Commit(written);
    }

    private static bool DefaultTime(DateTime time, ByteWriter into)
    {
        // The round-trip format has seven digits of a second; three are written.
        const int Kept = 23;
        Utf8Formatter.TryFormat(time, into.Reserve(32), out _, 'O');
        into.Commit(Kept);
        into.Write("Z"u8);
        return true;
    }

    private static LogValue Time(string format, Func<TrafficRecord, DateTimeOffset> of)
    {
        // Nearly every line has it, so it is written in one piece.
        if (format is "" or LogTimeFormat.Default) return (r, into) => DefaultTime(of(r).UtcDateTime, into);
        var parts = LogTimeFormat.Parse(format).Select(LogTimes.Writer).ToArray();
        return (r, into) =>
        {
            var time = of(r).UtcDateTime;
            foreach (var part in parts) part(time, into);
            return true;
        };
    }

    /// <param name="path">A filter, and where the value is in its results: <c>FILTER:KEY:KEY</c>.</param>
    private static LogValue Metadata(string path)
    {
        var parts = path.Split(':');
        return (r, into) => r.Metadata?.Find(parts[0], parts[1..]) is { } value
            && Text(WebToken.StringOf(value) is { Length: > 0 } text ? text : value.ToJsonString(), into);
    }

    private static LogValue RequestField(string name) => name switch
    {
        ":method" => static (r, into) => Text(r.Request?.Method, into),
        ":path" => static (r, into) => r.Request is { Target.Length: > 0 } request && Bytes(request.Target, into),
        ":authority" => static (r, into) => Text(r.Request?.Authority, into),
        ":scheme" => static (r, into) => r.Request is not null && Text(r.Scheme, into),
        "x-envoy-original-path" => static (r, into) => r.Request is not null && Text(r.OriginalPath, into),
        _ => AnyRequestField(name),
    };

    private static LogValue AnyRequestField(string name)
    {
        var field = Encoding.ASCII.GetBytes(name);
        return (r, into) => r.Request is { } request && Field(request.Headers, field, into);
    }

    private static LogValue ResponseField(string name)
    {
        var field = Encoding.ASCII.GetBytes(name);
        return (r, into) => r.Response is { } response && Field(response.Headers, field, into);
    }

    private static LogValue TrailerField(string name)
    {
        var field = Encoding.ASCII.GetBytes(name);
        return (r, into) => Field(r.Trailers, field, into);
    }

    private static bool Bytes(ReadOnlySpan<byte> bytes, ByteWriter into)
    {
        into.Write(bytes);
        return true;
    }

    // Several fields of one name are one list (RFC 9110 section 5.3).
    private static bool Field(HeaderBlock headers, ReadOnlySpan<byte> name, ByteWriter into)
    {
        var found = false;
        for (var i = 0; i < headers.Count; i++)
        {
            if (!headers.Name(i).SequenceEqual(name)) continue;
            if (found) into.Write(","u8);
            into.Write(headers.Value(i));
            found = true;
        }
        return found;
    }
}
