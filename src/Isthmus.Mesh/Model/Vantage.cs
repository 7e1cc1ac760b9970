using System.Net.Sockets;
using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>From where a proxy calls: which endpoints of a host it reaches, how, and which of them it prefers.</summary>
/// <param name="NetworkView">The networks whose endpoints it may reach; empty: all.</param>
/// <param name="Locality">Unknown unless some policy prefers localities.</param>
/// <param name="Labels">Those that failover policies select by.</param>
/// <param name="Node">Empty unless some Service keeps to Nodes.</param>
/// <param name="Family">The only family of addresses that it can dial; null for any.</param>
public sealed record Vantage(
    ProxyKind Kind, string Cluster, string Network, ValueList<string> NetworkView, Locality Locality, ValueMap<string> Labels, string Node,
    AddressFamily? Family);

/// <summary>What routes ask about their callers.</summary>
/// <param name="Namespace">Empty where no match asks for it.</param>
/// <param name="Labels">Empty where no match asks for them.</param>
/// <param name="CountsAttempts">Whether requests carry the number of their attempt.</param>
public sealed record RouteCaller(string Namespace, ValueMap<string> Labels, bool CountsAttempts)
{
    /// <summary>A rule asks an authorizer, and the proxy lacks the filter for that: it must not serve the rule.</summary>
    public bool CannotAsk { get; init; }

    public static RouteCaller Of(ProxyScope scope, RouteSet? routing)
    {
        var (asksNamespace, asksLabels) = (false, false);
        foreach (var match in routing?.Rules.SelectMany(rule => rule.Matches) ?? [])
        {
            asksNamespace |= match.SourceNamespace.Length > 0;
            asksLabels |= match.SourceLabels.Count > 0;
        }
        return new(asksNamespace ? scope.Namespace : "", asksLabels ? scope.RuleLabels : default, scope.Headers.HasAttemptCount)
        {
            CannotAsk = !scope.Software.ComposesFilters && routing?.Rules.Any(rule => rule.Filters.Authorizer is not null) == true,
        };
    }
}
