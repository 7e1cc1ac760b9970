using System.Collections.Immutable;
using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.WebConsole.Reading;

namespace Isthmus.WebConsole.Picture;

/// <summary>Calls that proxies refused lately, because as many connections or requests as their limits allow were in use. Calls may get through again
/// when somebody looks.</summary>
internal sealed class PoolOverflows
{
    private const string Code = "ISM2097";

    /// <summary>As long as <c>isthmus trace</c> remembers them.</summary>
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(10);

    public static readonly PoolOverflows None = new(ImmutableDictionary<(string From, string To), (Flow Flow, DateTimeOffset At)>.Empty, default);

    private readonly ImmutableDictionary<(string From, string To), (Flow Flow, DateTimeOffset At)> _seen;
    private readonly DateTimeOffset _now;

    private PoolOverflows(ImmutableDictionary<(string From, string To), (Flow Flow, DateTimeOffset At)> seen, DateTimeOffset now) => (_seen, _now) = (seen, now);

    /// <param name="flows">What was seen last.</param>
    public PoolOverflows Next(IEnumerable<Flow> flows, DateTimeOffset now) => new(
        _seen.RemoveRange(_seen.Where(pair => now - pair.Value.At > Remembered).Select(pair => pair.Key))
            .SetItems(flows.Where(flow => flow.Flags.Any(flags => flags.Split(',').Contains("UO")))
                .Select(flow => KeyValuePair.Create((flow.From, flow.To), (flow, now)))),
        now);

    /// <summary>One row for each Service: an error while calls are refused, a warning afterwards.</summary>
    /// <param name="callers">Nodes that call.</param>
    public IEnumerable<ProblemRow> Rows(MeshState mesh, Topology topology, IReadOnlyList<ServiceNode> callers) =>
        from calls in _seen.Values.GroupBy(one => one.Flow.To, StringComparer.Ordinal)
        join node in topology.Services on calls.Key equals node.Id
        orderby node.Id
        let last = calls.MaxBy(one => one.At)
        let whose = string.Join(", ", calls.Select(one => one.Flow.From).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        select ProblemRow.Of("console", node.Cluster, new(Code, $"Service {node.Namespace}/{node.Name}", "",
            $"the limits of a connection pool refuse calls from {whose} (response flag UO){Ago(last.At)}: as many connections or requests as they allow "
                + "were in use", Remedy(TypedCommand.Trace(last.Flow, node, mesh, callers)), last.At == _now ? Severity.Error : Severity.Warning));

    private string Ago(DateTimeOffset at) => at == _now ? "" : string.Create(CultureInfo.InvariantCulture,
        $", the last ones {(_now - at < TimeSpan.FromMinutes(2) ? $"{(_now - at).TotalSeconds:0} s" : $"{(_now - at).TotalMinutes:0} min")} ago");

    private static string Remedy(string trace) =>
        $"raise maxConnections, http1MaxPendingRequests or http2MaxRequests of the DestinationRule, or add Pods{(trace.Length > 0 ? $": {trace} tells which rule it is" : "")}";
}
