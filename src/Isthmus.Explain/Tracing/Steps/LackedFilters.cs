using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Filters in the way of a call that the proxy of Isthmus does not have. That proxy refuses the call; what another one does, only it knows.</summary>
internal static class LackedFilters
{
    public const string Code = "ISM2103";

    /// <summary>Whether the call may get past the filters of a listener for a port.</summary>
    public static bool Pass(TraceRecord record, string hop, ProxyView view, string at, ListenerView listener, int port) =>
        listener.Lacked(port).All(filter => Pass(record, hop, view, at, listener.Name, filter));

    /// <summary>Whether the call may get past the filters of a chain.</summary>
    /// <param name="request">Null where none is known.</param>
    public static bool Pass(TraceRecord record, string hop, ProxyView view, string at, ChainView chain, AskedRequest? request) =>
        chain.Filters(request, "http").OfType<LackedFilterView>()
            .All(filter => Pass(record, hop, view, at, chain.Name, filter.Name)) && !chain.IsLacking;

    /// <summary>Whether the call may get past the filter.</summary>
    public static bool Pass(TraceRecord record, string hop, ProxyView view, string at, string place, string filter)
    {
        if (view.Stranger.Length == 0) return record.Fail(hop, $"{place}: lacks the filter {filter}", Problem(at, filter));
        record.Add(hop, HopStatus.Unknown, $"{place}: only the proxy of {at} knows what the filter {filter} does with the call", null);
        return true;
    }

    public static Problem Problem(string at, string filter) => Faults.Of(Code, at, filter,
        "its proxy, which is that of Isthmus, does not have this filter. The filter could decide who may call, so the proxy refuses the call "
            + "(403, or a closed connection)",
        "remove what adds the filter, as a rule an EnvoyFilter, or let the Pod run an Envoy (ProxyConfig binaryPath)");
}
