using System.Net;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Telemetry;

/// <summary>What records say about Envoy's attributes.</summary>
internal static class TrafficAttributes
{
    public static Func<TrafficRecord, bool?> Truth(string name) => name switch
    {
        "connection.mtls" => static record => record.DownstreamPeer is { Sha256.Length: > 0 },
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };

    /// <summary>Numbers, and durations in ticks.</summary>
    public static Func<TrafficRecord, long?> Whole(string name) => name switch
    {
        "request.size" => static record => record.BytesReceived,
        "request.duration" => static record => record.Duration.Ticks,
        "response.code" => static record => record.Status > 0 ? record.Status : null,
        "response.flags" => static record => EndReasons.Bits(record),
        "response.grpc_status" => static record => record.GrpcStatus,
        "response.size" => static record => record.BytesSent,
        "source.port" => static record => (record.DownstreamRemote as IPEndPoint)?.Port,
        "destination.port" => static record => (record.DownstreamLocal as IPEndPoint)?.Port,
        "upstream.port" => static record => (record.Host?.Endpoint.Address as IPEndPoint)?.Port,
        "upstream.request_attempt_count" => static record => record.Attempts,
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };

    public static LogValue Text(string name) => name switch
    {
        "request.path" => LogValues.Find("REQ", ":path"),
        "request.url_path" => static (record, into) => Target(record, into, isQuery: false),
        "request.query" => static (record, into) => Target(record, into, isQuery: true),
        "request.host" => LogValues.Find("REQ", ":authority"),
        "request.scheme" => LogValues.Find("REQ", ":scheme"),
        "request.method" => LogValues.Find("REQ", ":method"),
        "request.protocol" => LogValues.Find("PROTOCOL"),
        "request.referer" => LogValues.Find("REQ", "referer"),
        "request.useragent" => LogValues.Find("REQ", "user-agent"),
        "request.id" => LogValues.Find("REQ", "x-request-id"),
        "response.code_details" => static (record, into) => Write(record.Details, into),
        "source.address" => LogValues.Find("DOWNSTREAM_REMOTE_ADDRESS"),
        "destination.address" => LogValues.Find("DOWNSTREAM_LOCAL_ADDRESS"),
        "connection.requested_server_name" => static (record, into) => Write(record.ServerName, into),
        "connection.termination_details" => static (record, into) => Write(record.TerminationDetails, into),
        "upstream.address" => LogValues.Find("UPSTREAM_HOST"),
        "upstream.local_address" => LogValues.Find("UPSTREAM_LOCAL_ADDRESS"),
        "upstream.transport_failure_reason" => static (record, into) => Write(record.TransportFailure, into),
        "xds.cluster_name" => static (record, into) => Write(record.ClusterName, into),
        "xds.route_name" => static (record, into) => Write(record.RouteName, into),
        "xds.filter_chain_name" => static (record, into) => Write(record.ChainName, into),
        _ => name.StartsWith("connection.", StringComparison.Ordinal) ? Peer(name["connection.".Length..], static record => record.DownstreamPeer)
            : Peer(name["upstream.".Length..], static record => record.UpstreamPeer),
    };

    private static LogValue Peer(string field, Func<TrafficRecord, TlsPeer?> of) => field switch
    {
        "uri_san_peer_certificate" => (record, into) => of(record) is { } peer && Write(peer.Identity, into),
        "dns_san_peer_certificate" => (record, into) => of(record) is { DnsNames: [var first, ..] } && Write(first, into),
        "subject_peer_certificate" => (record, into) => of(record) is { } peer && Write(peer.Subject, into),
        "sha256_peer_certificate_digest" => (record, into) => of(record) is { } peer && Write(peer.Sha256, into),
        _ => throw new ArgumentOutOfRangeException(nameof(field), field, null),
    };

    private static bool Target(TrafficRecord record, ByteWriter into, bool isQuery)
    {
        if (record.Request is not { } request) return false;
        var target = request.Target;
        var question = target.IndexOf((byte)'?');
        into.Write(isQuery ? question < 0 ? default : target[(question + 1)..] : question < 0 ? target : target[..question]);
        return true;
    }

    /// <summary>An empty text is a value, too.</summary>
    private static bool Write(string text, ByteWriter into)
    {
        into.Write(text);
        return true;
    }
}
