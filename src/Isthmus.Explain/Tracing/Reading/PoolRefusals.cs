using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Reports;

namespace Isthmus.Explain.Tracing.Reading;

/// <summary>What the limits of a cluster have refused since the proxy started.</summary>
/// <param name="Count">Requests and connections.</param>
/// <param name="Ago">How long ago the last one was.</param>
internal sealed record PoolRefusals(long Count, TimeSpan Ago)
{
    /// <summary>What is longer ago has nothing to do with calls that fail now.</summary>
    private static readonly TimeSpan Recent = TimeSpan.FromMinutes(10);

    /// <param name="list">As <c>/inspect</c> has it; null from a proxy that does not.</param>
    public static IReadOnlyDictionary<string, PoolRefusals> Read(IReadOnlyList<RefusalReport>? list)
    {
        var found = new Dictionary<string, PoolRefusals>(StringComparer.Ordinal);
        foreach (var one in list ?? [])
            if (one is { Count: > 0, SecondsAgo: >= 0 }) found[one.Cluster] = new(one.Count, TimeSpan.FromSeconds(Math.Min(one.SecondsAgo, int.MaxValue)));
        return found;
    }

    /// <param name="rule">The DestinationRule of the cluster, with its context; empty for none.</param>
    /// <param name="caller">Whose proxy it is.</param>
    /// <returns>Null when it is too long ago.</returns>
    public Problem? Describe(string rule, string caller) =>
        Ago > Recent ? null : Faults.Of("ISM2097", rule.Length > 0 ? $"DestinationRule {rule}" : caller, "spec.trafficPolicy.connectionPool",
        string.Create(CultureInfo.InvariantCulture,
            $"its limits have refused {Counted.Of(Count, "call")} of this caller, the last one {Text(Ago)} ago: as many connections or requests "
                + $"as they allow were in use"),
        "raise maxConnections, http1MaxPendingRequests or http2MaxRequests, or add Pods");

    private static string Text(TimeSpan ago) =>
        ago < TimeSpan.FromMinutes(2) ? FormattableString.Invariant($"{ago.TotalSeconds:0} s") : FormattableString.Invariant($"{ago.TotalMinutes:0} min");
}
