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

    /// <param name="owner">The object that sets the limits, with its context; the Pod whose proxy it is, where none does.</param>
    /// <param name="field">The field with them.</param>
    /// <param name="whose">Whose calls were refused, with a blank before it; empty: those of anybody.</param>
    /// <returns>Null when it is too long ago.</returns>
    public Problem? Describe(string owner, string field, string whose) => Ago > Recent ? null : Faults.Of("ISM2097", owner, field,
        string.Create(CultureInfo.InvariantCulture,
            $"its limits have refused {Counted.Of(Count, "call")}{whose}, the last one {Text(Ago)} ago: as many connections or requests "
                + $"as they allow were in use"),
        "raise maxConnections, http1MaxPendingRequests or http2MaxRequests, or add Pods");

    /// <summary>The same, where a DestinationRule sets the limits.</summary>
    /// <param name="rule">Its name; empty for none.</param>
    /// <param name="pod">Whose proxy it is.</param>
    public Problem? DescribeRule(string rule, ClusterObjects at, string pod, string whose) =>
        Describe(rule.Length > 0 ? $"DestinationRule {rule} in {at.Context}" : pod, "spec.trafficPolicy.connectionPool", whose);

    private static string Text(TimeSpan ago) =>
        ago < TimeSpan.FromMinutes(2) ? FormattableString.Invariant($"{ago.TotalSeconds:0} s") : FormattableString.Invariant($"{ago.TotalMinutes:0} min");
}
