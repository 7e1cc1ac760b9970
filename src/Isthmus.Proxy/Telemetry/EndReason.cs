using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Telemetry;

/// <summary>Why a request or a TCP connection ended. Each ends with exactly one, unless its client left before it was known what it is. Access log, metrics
/// and tests read this value.</summary>
internal enum EndReason
{
    Completed,
    NoFilterChain,
    RouteNotFound,
    ClusterNotFound,
    NoHealthyUpstream,
    ConnectFailed,
    UpstreamReset,
    UpstreamTimeout,
    UpstreamProtocolError,
    Overflow,
    ClientClosed,
    ClientProtocolError,
    ClientTlsFailed,
    DeniedByPolicy,
    Unauthorized,
    RateLimited,
    RateLimitFailed,
    FaultInjected,
    DirectResponse,
    IdleTimeout,
    DurationLimit,
    StreamDuration,
    RequestTimeout,
    UpstreamDuration,
    Draining,
    Bug,
}

/// <summary>Envoy's names for how things end (access log operator RESPONSE_FLAGS).</summary>
internal static class EndReasons
{
    public static string Flag(EndReason reason) => reason switch
    {
        EndReason.NoFilterChain or EndReason.RouteNotFound => "NR",
        EndReason.ClusterNotFound => "NC",
        EndReason.NoHealthyUpstream => "UH",
        EndReason.ConnectFailed => "UF",
        EndReason.UpstreamReset => "UC",
        EndReason.UpstreamTimeout => "UT",
        EndReason.UpstreamProtocolError => "UPE",
        EndReason.Overflow => "UO",
        EndReason.ClientClosed => "DC",
        EndReason.ClientProtocolError => "DPE",
        EndReason.Unauthorized => "UAEX",
        EndReason.RateLimited => "RL",
        EndReason.RateLimitFailed => "RLSE",
        EndReason.FaultInjected => "FI",
        EndReason.IdleTimeout => "SI",
        EndReason.DurationLimit => "DT",
        EndReason.UpstreamDuration => "UMSDR",
        EndReason.Draining => "DC",
        EndReason.Bug => "LR",
        _ => "",
    };

    /// <summary>The flags of a record as Envoy's bits.</summary>
    public static long Bits(TrafficRecord record) =>
        Bit(Flag(record.Reason)) | (record.DelayInjected ? Bit("DI") : 0) | (record.RetriesExhausted ? Bit("URX") : 0);

    private static readonly string[] InOrder =
    [
        "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT",
        "UPE", "NC", "OM", "DF",
    ];

    public static long Bit(string flag) => Array.IndexOf(InOrder, flag) is >= 0 and var place ? 1L << place : 0;

    private static readonly string[] LongInOrder =
    [
        "FailedLocalHealthCheck", "NoHealthyUpstream", "UpstreamRequestTimeout", "LocalReset", "UpstreamRemoteReset", "UpstreamConnectionFailure",
        "UpstreamConnectionTermination", "UpstreamOverflow",
        "NoRouteFound", "DelayInjected", "FaultInjected", "RateLimited", "UnauthorizedExternalService", "RateLimitServiceError",
        "DownstreamConnectionTermination", "UpstreamRetryLimitExceeded",
        "StreamIdleTimeout", "InvalidEnvoyRequestHeaders", "DownstreamProtocolError", "UpstreamMaxStreamDurationReached", "ResponseFromCacheFilter",
        "NoFilterConfigFound", "DurationTimeout",
        "UpstreamProtocolError", "NoClusterFound", "OverloadManagerTerminated", "DnsResolutionFailed",
    ];

    /// <summary>Writes the flags of a record by their long names.</summary>
    /// <returns>False when it has none.</returns>
    public static bool WriteLong(TrafficRecord record, ByteWriter into)
    {
        var bits = Bits(record);
        var start = into.Length;
        for (var i = 0; i < LongInOrder.Length; i++)
        {
            if ((bits & (1L << i)) == 0) continue;
            if (into.Length > start) into.Write(","u8);
            into.Write(LongInOrder[i]);
        }
        return bits != 0;
    }
}
