using System.Net;
using System.Text;
using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.AccessLoggers;

namespace Isthmus.Proxy.Export;

/// <summary>Envoy's entries of access logs (<c>envoy.data.accesslog.v3</c>).</summary>
internal static class LogEntry
{
    public static TCPAccessLogEntry Tcp(TrafficRecord record) => new()
    {
        CommonProperties = Common(record),
        ConnectionProperties = new() { ReceivedBytes = (ulong)record.BytesReceived, SentBytes = (ulong)record.BytesSent },
    };

    public static HTTPAccessLogEntry Http(EntryLog log, TrafficRecord record)
    {
        var entry = new HTTPAccessLogEntry { CommonProperties = Common(record), Request = new(), Response = new() };
        if (record.Request is not { } request) return entry;
        entry.ProtocolVersion = request.Version switch
        {
            HttpVersions.Http10 => HTTPAccessLogEntry.Types.HTTPVersion.Http10,
            HttpVersions.Http2 => HTTPAccessLogEntry.Types.HTTPVersion.Http2,
            _ => HTTPAccessLogEntry.Types.HTTPVersion.Http11,
        };
        var headers = request.Headers;
        entry.Request = new()
        {
            RequestMethod = MethodOf(request.Method),
            Scheme = record.Scheme, Authority = request.Authority, Path = request.TargetText, OriginalPath = record.OriginalPath,
            UserAgent = headers.GetJoined("user-agent"u8) ?? "", Referer = headers.GetJoined("referer"u8) ?? "",
            ForwardedFor = headers.GetJoined("x-forwarded-for"u8) ?? "",
            RequestId = headers.GetJoined("x-request-id"u8) ?? "", RequestBodyBytes = (ulong)record.BytesReceived,
        };
        Copy(log.RequestHeaders, headers, entry.Request.RequestHeaders);
        entry.Response = new()
        {
            ResponseCode = record.Status > 0 ? (uint)record.Status : null, ResponseBodyBytes = (ulong)record.BytesSent, ResponseCodeDetails = record.Details
        };
        if (record.Response is { } response) Copy(log.ResponseHeaders, response.Headers, entry.Response.ResponseHeaders);
        Copy(log.ResponseTrailers, record.Trailers, entry.Response.ResponseTrailers);
        return entry;
    }

    private static RequestMethod MethodOf(string method) => method switch
    {
        "GET" => RequestMethod.Get,
        "HEAD" => RequestMethod.Head,
        "POST" => RequestMethod.Post,
        "PUT" => RequestMethod.Put,
        "DELETE" => RequestMethod.Delete,
        "CONNECT" => RequestMethod.Connect,
        "OPTIONS" => RequestMethod.Options,
        "TRACE" => RequestMethod.Trace,
        "PATCH" => RequestMethod.Patch,
        _ => RequestMethod.MethodUnspecified,
    };

    private static AccessLogCommon Common(TrafficRecord record) => new()
    {
        DownstreamRemoteAddress = AddressOf(record.DownstreamRemote), DownstreamDirectRemoteAddress = AddressOf(record.DownstreamRemote),
        DownstreamLocalAddress = AddressOf(record.DownstreamLocal),
        UpstreamRemoteAddress = AddressOf(record.Host?.Endpoint.Address), UpstreamLocalAddress = AddressOf(record.UpstreamLocal),
        UpstreamCluster = record.ClusterName,
        UpstreamTransportFailureReason = record.TransportFailure, UpstreamRequestAttemptCount = (uint)record.Attempts, RouteName = record.RouteName,
        StartTime = Timestamp.FromDateTimeOffset(record.Start), Duration = Duration.FromTimeSpan(record.Duration),
        TimeToLastDownstreamTxByte = Duration.FromTimeSpan(record.Duration),
        TimeToFirstUpstreamRxByte = record.ResponseAfter is { } after ? Duration.FromTimeSpan(after) : null,
        TlsProperties = Tls(record.DownstreamPeer, record.ServerName), ResponseFlags = Flags(record), ConnectionTerminationDetails = record.TerminationDetails,
        Metadata = Metadata(record),
    };

    private static Address? AddressOf(EndPoint? point) =>
        point is IPEndPoint ip ? new() { SocketAddress = new() { Address = ip.Address.ToString(), PortValue = (uint)ip.Port } } : null;

    private static TLSProperties? Tls(TlsPeer? peer, string serverName)
    {
        if (peer is null) return null;
        var certificate = new TLSProperties.Types.CertificateProperties { Subject = peer.Subject };
        certificate.SubjectAltName.AddRange(peer.Uris.Select(uri => new TLSProperties.Types.CertificateProperties.Types.SubjectAltName { Uri = uri }));
        certificate.SubjectAltName.AddRange(peer.DnsNames.Select(name => new TLSProperties.Types.CertificateProperties.Types.SubjectAltName { Dns = name }));
        return new() { TlsSniHostname = serverName, PeerCertificateProperties = certificate };
    }

    private static Metadata? Metadata(TrafficRecord record)
    {
        if (record.Metadata is not { } known) return null;
        var metadata = new Metadata();
        foreach (var (filter, values) in known.Filters) metadata.FilterMetadata[filter] = Struct.Parser.ParseJson(values!.ToJsonString());
        return metadata;
    }

    private static ResponseFlags Flags(TrafficRecord record)
    {
        var bits = EndReasons.Bits(record);
        bool Has(string flag) => (bits & EndReasons.Bit(flag)) != 0;
        return new()
        {
            NoHealthyUpstream = Has("UH"), UpstreamRequestTimeout = Has("UT"), LocalReset = Has("LR"), UpstreamRemoteReset = Has("UR"),
            UpstreamConnectionFailure = Has("UF"),
            UpstreamConnectionTermination = Has("UC"), UpstreamOverflow = Has("UO"), NoRouteFound = Has("NR"), DelayInjected = Has("DI"),
            FaultInjected = Has("FI"), RateLimited = Has("RL"),
            UnauthorizedDetails = Has("UAEX") ? new() { Reason = ResponseFlags.Types.Unauthorized.Types.Reason.ExternalService } : null,
            RateLimitServiceError = Has("RLSE"),
            DownstreamConnectionTermination = Has("DC"), UpstreamRetryLimitExceeded = Has("URX"), StreamIdleTimeout = Has("SI"),
            DownstreamProtocolError = Has("DPE"),
            UpstreamMaxStreamDurationReached = Has("UMSDR"), DurationTimeout = Has("DT"), UpstreamProtocolError = Has("UPE"), NoClusterFound = Has("NC"),
        };
    }

    private static void Copy(ValueList<string> names, HeaderBlock from, MapField<string, string> into)
    {
        foreach (var name in names)
            if (from.GetJoined(Encoding.ASCII.GetBytes(name)) is { } value) into[name] = value;
    }
}
