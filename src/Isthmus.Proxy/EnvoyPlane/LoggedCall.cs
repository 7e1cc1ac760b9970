using System.Net;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.AccessLoggers;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>Reads an entry of an Envoy's access log as what a proxy of Isthmus remembers of a call.</summary>
internal static class LoggedCall
{
    public static SeenTraffic Read(TCPAccessLogEntry entry) => Read(entry.CommonProperties ?? new(), 0, "");

    public static SeenTraffic Read(HTTPAccessLogEntry entry) =>
        Read(entry.CommonProperties ?? new(), (int)(entry.Response?.ResponseCode ?? 0), entry.Response?.ResponseCodeDetails ?? "");

    /// <summary>Also of a host behind an internal listener, which is named by where it is.</summary>
    public static IPEndPoint? PointOf(Address? address) =>
        address?.SocketAddress is { } socket && IPAddress.TryParse(socket.Address, out var ip) ? new(ip, (int)socket.PortValue)
            : address?.EnvoyInternalAddress is { } inside && IPEndPoint.TryParse(inside.EndpointId, out var point) ? point : null;

    private static SeenTraffic Read(AccessLogCommon common, int status, string details) => new(
        "", Direction.Outbound, common.StartTime?.ToDateTimeOffset() ?? default,
        (common.Duration ?? common.TimeToLastDownstreamTxByte)?.ToTimeSpan() ?? default,
        common.TimeToFirstUpstreamRxByte?.ToTimeSpan(), false, status, Flags(common.ResponseFlags ?? new()),
        details.Length > 0 ? details : common.ConnectionTerminationDetails, common.UpstreamTransportFailureReason, common.RouteName, common.UpstreamCluster,
        PointOf(common.UpstreamRemoteAddress)?.ToString() ?? "", PointOf(common.UpstreamLocalAddress), "", PointOf(common.DownstreamRemoteAddress), "",
        common.TlsProperties?.TlsSniHostname ?? "", (int)common.UpstreamRequestAttemptCount);

    /// <summary>As Envoy's operator RESPONSE_FLAGS writes them.</summary>
    private static string Flags(ResponseFlags flags)
    {
        IEnumerable<(bool IsSet, string Name)> all =
        [
            (flags.FailedLocalHealthcheck, "LH"), (flags.NoHealthyUpstream, "UH"), (flags.UpstreamRequestTimeout, "UT"), (flags.LocalReset, "LR"),
            (flags.UpstreamRemoteReset, "UR"), (flags.UpstreamConnectionFailure, "UF"), (flags.UpstreamConnectionTermination, "UC"),
            (flags.UpstreamOverflow, "UO"), (flags.NoRouteFound, "NR"), (flags.DelayInjected, "DI"), (flags.FaultInjected, "FI"), (flags.RateLimited, "RL"),
            (flags.UnauthorizedDetails is not null, "UAEX"), (flags.RateLimitServiceError, "RLSE"), (flags.DownstreamConnectionTermination, "DC"),
            (flags.UpstreamRetryLimitExceeded, "URX"), (flags.StreamIdleTimeout, "SI"), (flags.InvalidEnvoyRequestHeaders, "IH"),
            (flags.DownstreamProtocolError, "DPE"), (flags.UpstreamMaxStreamDurationReached, "UMSDR"), (flags.ResponseFromCacheFilter, "RFCF"),
            (flags.NoFilterConfigFound, "NFCF"), (flags.DurationTimeout, "DT"), (flags.UpstreamProtocolError, "UPE"), (flags.NoClusterFound, "NC"),
            (flags.OverloadManager, "OM"), (flags.DnsResolutionFailure, "DF"),
        ];
        return string.Join(',', all.Where(flag => flag.IsSet).Select(flag => flag.Name)) is { Length: > 0 } set ? set : "-";
    }
}
