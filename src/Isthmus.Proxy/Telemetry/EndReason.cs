namespace Isthmus.Proxy.Telemetry;

/// <summary>Why a connection or request ended. Each ends with exactly one; access log, metrics and tests read this value.</summary>
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
}
