
namespace Isthmus.Proxy.Messages;

/// <summary>Which time limit ended a request.</summary>
internal enum TimeLimit
{
    None,
    /// <summary>The route's <c>timeout</c>.</summary>
    Response,
    /// <summary><c>per_try_timeout</c> of the retry policy.</summary>
    Try,
    /// <summary><c>stream_idle_timeout</c>, or <c>idle_timeout</c> of the route.</summary>
    Idle,
    /// <summary><c>max_stream_duration</c> of the route or listener.</summary>
    Duration,
    /// <summary><c>request_timeout</c>: the client did not send the whole request in time.</summary>
    Request,
    /// <summary><c>max_stream_duration</c> of the cluster.</summary>
    UpstreamDuration,
}
