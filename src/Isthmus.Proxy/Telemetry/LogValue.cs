using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Policy;

namespace Isthmus.Proxy.Telemetry;

/// <summary>Writes the value of one of Envoy's <c>%OPERATORS%</c>.</summary>
/// <returns>False when the record has no such value; then nothing was written.</returns>
internal delegate bool LogValue(TrafficRecord record, ByteWriter into);

/// <summary>The operators, chosen once when a format is parsed. None of them creates objects per request.</summary>
internal static class LogValues
{
    /// <param name="first">The operator's argument: a field in lower case, or a format.</param>
    /// <param name="second">The field that replaces the first one where it is missing; empty: none.</param>
    /// <returns>An operator that is not known never has a value.</returns>
    public static LogValue Find(string name, string first, string second) => name switch
    {
        "START_TIME" => StartTime(first),
        "REQ" => Either(RequestField(first), second.Length > 0 ? RequestField(second) : null),
        "RESP" => Either(ResponseField(first), second.Length > 0 ? ResponseField(second) : null),
        "PROTOCOL" => static (r, into) => r.Request is { } request && Text(HttpVersions.Text(request.Version), into),
        "RESPONSE_CODE" => static (r, into) => Number(r.Status, into),
        "RESPONSE_FLAGS" => static (r, into) => Text(r.Flags, into),
        "RESPONSE_CODE_DETAILS" => static (r, into) => Text(r.Details, into),
        "CONNECTION_TERMINATION_DETAILS" => static (r, into) => Text(r.TerminationDetails, into),
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => static (r, into) => Text(r.TransportFailure, into),
        "BYTES_RECEIVED" => static (r, into) => Number(r.BytesReceived, into),
        "BYTES_SENT" => static (r, into) => Number(r.BytesSent, into),
        "DURATION" => static (r, into) => Number((long)r.Duration.TotalMilliseconds, into),
        "RESPONSE_DURATION" => static (r, into) => r.ResponseAfter is { } after && Number((long)after.TotalMilliseconds, into),
        "UPSTREAM_HOST" or "UPSTREAM_REMOTE_ADDRESS" => static (r, into) => Address(r.Host?.Endpoint.Address, into),
        "UPSTREAM_CLUSTER" => static (r, into) => Text(r.ClusterName, into),
        "UPSTREAM_LOCAL_ADDRESS" => static (r, into) => Address(r.UpstreamLocal, into),
        "UPSTREAM_REQUEST_ATTEMPT_COUNT" => static (r, into) => Number(r.Attempts, into),
        "UPSTREAM_PEER_URI_SAN" => static (r, into) => Text(r.UpstreamPeer?.Identity, into),
        "DOWNSTREAM_LOCAL_ADDRESS" => static (r, into) => Address(r.DownstreamLocal, into),
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => static (r, into) => Host(r.DownstreamLocal, into),
        "DOWNSTREAM_LOCAL_PORT" => static (r, into) => r.DownstreamLocal is IPEndPoint local && Number(local.Port, into),
        "DOWNSTREAM_REMOTE_ADDRESS" or "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" => static (r, into) => Address(r.DownstreamRemote, into),
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" or "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => static (r, into) => Host(r.DownstreamRemote, into),
        "DOWNSTREAM_PEER_URI_SAN" => static (r, into) => Text(r.DownstreamPeer?.Identity, into),
        "DOWNSTREAM_PEER_SUBJECT" => static (r, into) => Text(r.DownstreamPeer?.Subject, into),
        "REQUESTED_SERVER_NAME" => static (r, into) => Text(r.ServerName, into),
        "ROUTE_NAME" => static (r, into) => Text(r.RouteName, into),
        "DYNAMIC_METADATA" => Metadata(first),
        "FILTER_CHAIN_NAME" => static (r, into) => Text(r.ChainName, into),
        _ => static (_, _) => false,
    };

    /// <summary>Whether JSON has the operator's value as a number.</summary>
    public static bool IsNumber(string name) =>
        name is "RESPONSE_CODE" or "BYTES_RECEIVED" or "BYTES_SENT" or "DURATION" or "RESPONSE_DURATION" or "UPSTREAM_REQUEST_ATTEMPT_COUNT";

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

    private static LogValue StartTime(string format) => format switch
    {
        "%s" => static (r, into) => Number(r.Start.ToUnixTimeSeconds(), into),
        "%s.%3f" => static (r, into) =>
        {
            var milliseconds = r.Start.ToUnixTimeMilliseconds();
            into.WriteNumber(milliseconds / 1000);
            into.Write("."u8);
            Utf8Formatter.TryFormat(milliseconds % 1000, into.Reserve(3), out var written, new('D', 3));
            into.Commit(written);
            return true;
        },
        _ => static (r, into) =>
        {
            // The round-trip format has seven digits of a second; three are written.
            const int Kept = 23;
            Utf8Formatter.TryFormat(r.Start.UtcDateTime, into.Reserve(32), out _, 'O');
            into.Commit(Kept);
            into.Write("Z"u8);
            return true;
        },
    };

    /// <param name="path">A filter, and where the value is in its results: <c>FILTER:KEY:KEY</c>.</param>
    private static LogValue Metadata(string path)
    {
        var parts = path.Split(':');
        return (r, into) => r.Metadata?.Find(parts[0], parts[1..]) is { } value && Text(WebToken.StringOf(value) is { Length: > 0 } text ? text : value.ToJsonString(), into);
    }

    private static LogValue RequestField(string name) => name switch
    {
        ":method" => static (r, into) => Text(r.Request?.Method, into),
        ":path" => static (r, into) => r.Request is { Target.Length: > 0 } request && Bytes(request.Target, into),
        ":authority" => static (r, into) => Text(r.Request?.Authority, into),
        ":scheme" => static (r, into) => r.Request is not null && Bytes(r.DownstreamPeer is null ? "http"u8 : "https"u8, into),
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
