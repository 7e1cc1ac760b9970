using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Http;

/// <summary>How clients and the access log learn of a time limit: with Envoy's codes and texts.</summary>
internal static class TimeLimits
{
    public const string HeadDetails = "request_header_timeout";
    public const string RequestDetails = "request_overall_timeout";

    /// <param name="limit">The limit.</param>
    /// <param name="isRequestComplete">Whether the client did its part: then the server was too slow.</param>
    public static (int Status, string Text, string Details, EndReason Reason) Answer(TimeLimit limit, bool isRequestComplete)
    {
        var status = isRequestComplete ? 504 : 408;
        return limit switch
        {
            TimeLimit.Try => (504, LocalReply.UpstreamTimeout, "upstream_per_try_timeout", EndReason.UpstreamTimeout),
            TimeLimit.Idle => (status, "stream timeout", "stream_idle_timeout", EndReason.IdleTimeout),
            TimeLimit.Duration => (status, "downstream duration timeout", "max_duration_timeout", EndReason.StreamDuration),
            TimeLimit.Request => (408, "request timeout", RequestDetails, EndReason.RequestTimeout),
            TimeLimit.UpstreamDuration => (504, "upstream max stream duration reached", "upstream_max_stream_duration_reached", EndReason.UpstreamDuration),
            _ => (504, LocalReply.UpstreamTimeout, "upstream_response_timeout", EndReason.UpstreamTimeout),
        };
    }

    /// <summary>The text for a client that did not complete its head in time.</summary>
    public static string HeadText(string details) => details == RequestDetails ? "request timeout" : "request header timeout";

    /// <summary>Whether the request ends in any case, also when its response has begun and the client does not read it.</summary>
    public static bool EndsStream(TimeLimit limit) => limit is TimeLimit.Idle or TimeLimit.Duration or TimeLimit.UpstreamDuration;

    /// <summary>Whether the host was too slow.</summary>
    public static bool BlamesHost(TimeLimit limit) => limit is TimeLimit.Response or TimeLimit.Try or TimeLimit.UpstreamDuration;
}
