using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.Mesh.Overflows;

/// <summary>Limits of connections and requests by which calls were refused within the last ten minutes, as proxies say: one problem for each object and field,
/// however many proxies there are. Pure.</summary>
public static class RefusedProblems
{
    /// <summary>Limits have refused calls.</summary>
    public const string Code = "ISM1551";

    private const string Pool = "connectionPool", OfRule = "spec.trafficPolicy";

    private static readonly TimeSpan Lately = TimeSpan.FromMinutes(10);

    private sealed record Place(string Cluster, string Object, string Path, string Host, string Remedy);

    private sealed record Sighting(Place Place, ProxyIdentity Proxy, RefusedCalls Calls);

    /// <returns>Each with the cluster of the object; empty for that of the control plane, whose DestinationRules and Sidecars proxies follow.</returns>
    public static IReadOnlyList<(string Cluster, Problem Problem)> Of(MeshView view, IReadOnlyList<RefusingProxy> proxies, DateTimeOffset now) =>
    [
        .. proxies.SelectMany(proxy => proxy.Refused.Where(calls => now - calls.Last < Lately)
                .Select(calls => new Sighting(PlaceOf(view, proxy.Proxy, calls), proxy.Proxy, calls)))
            .GroupBy(sighting => sighting.Place).OrderBy(group => group.Key.Object, StringComparer.Ordinal)
            .ThenBy(group => group.Key.Path, StringComparer.Ordinal).ThenBy(group => group.Key.Host, StringComparer.Ordinal)
            .Select(group => (group.Key.Cluster, Join(group, now))),
    ];

    private static Place PlaceOf(MeshView view, ProxyIdentity proxy, RefusedCalls calls)
    {
        const string more = "raise maxConnections, http1MaxPendingRequests or http2MaxRequests, or add Pods";
        var (isInbound, port, subset, host) = Split(calls.Cluster);
        if (RuleOf(view, calls.Config) is { } rule)
            return new("", $"DestinationRule {rule.Namespace}/{rule.Name}", FieldOf(rule, subset, port), isInbound ? "" : host, more);
        var sidecar = isInbound ? ScopeResolver.SidecarOf(proxy, new(view)) : null;
        var at = sidecar?.Ingress.Index().FirstOrDefault(one => one.Item.Port == port && one.Item.Pool is not null, (-1, null!)).Index ?? -1;
        if (sidecar is not null && (at >= 0 || sidecar.InboundPool is not null))
            return new("", $"Sidecar {sidecar.Namespace}/{sidecar.Name}", at < 0 ? "spec.inboundConnectionPool" : $"spec.ingress[{at}].{Pool}", "", more);
        return new(proxy.Cluster, $"Pod {proxy.Namespace}/{proxy.Name}", "", host,
            "give the host a DestinationRule with a larger connectionPool, or add Pods: no object sets the limits of its proxy");
    }

    /// <summary>The parts of a name such as <c>outbound|80|v1|host</c> or <c>inbound|80||</c>; others are a host as they stand.</summary>
    private static (bool IsInbound, int Port, string Subset, string Host) Split(string cluster) =>
        cluster.Split('|') is [var direction, var number, var subset, var host]
            && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            ? (direction == "inbound", port, subset, host.Length > 0 ? $"{host}:{port}" : "") : (false, 0, "", cluster);

    /// <summary>The rule, if there still is one: nobody is named at the word of a proxy alone.</summary>
    private static DestinationRule? RuleOf(MeshView view, string config) =>
        config.Split('/') is ["", "apis", _, _, "namespaces", var ns, "destination-rule", var name]
            ? view.Traffic.Rules.Values.SelectMany(rules => rules).FirstOrDefault(rule => rule.Namespace == ns && rule.Name == name)
            : null;

    private static string FieldOf(DestinationRule rule, string subset, int port)
    {
        var at = rule.Subsets.Index().FirstOrDefault(one => one.Item.Name == subset, (-1, null!));
        return (at.Index >= 0 && at.Item.Policy is { } own ? In($"spec.subsets[{at.Index}].trafficPolicy", own) : null) ?? In(OfRule, rule.Policy)
            ?? $"{OfRule}.{Pool}";

        string? In(string field, TrafficPolicy policy)
        {
            var of = policy.Ports.Index().FirstOrDefault(one => one.Item.Port == port && one.Item.Policy.Pool is not null, (-1, null!)).Index;
            return of >= 0 ? $"{field}.portLevelSettings[{of}].{Pool}" : policy.Pool is not null ? $"{field}.{Pool}" : null;
        }
    }

    private static Problem Join(IGrouping<Place, Sighting> seen, DateTimeOffset now)
    {
        var (place, count, ago) = (seen.Key, seen.Sum(sighting => sighting.Calls.Count), now - seen.Max(sighting => sighting.Calls.Last));
        var proxies = seen.Select(sighting => $"{sighting.Proxy.Id} in {sighting.Proxy.Cluster}").Distinct().Order(StringComparer.Ordinal).ToList();
        var (to, where) = (place.Host.Length > 0 ? $" to {place.Host}" : "",
            proxies.Count == 1 ? $"at proxy {proxies[0]}" : $"at {proxies.Count} proxies, for example {proxies[0]}");
        var last = ago < TimeSpan.FromMinutes(2) ? FormattableString.Invariant($"{Math.Max(0, ago.TotalSeconds):0} s")
            : FormattableString.Invariant($"{ago.TotalMinutes:0} min");
        return new(Code, place.Object, place.Path,
            $"its limits have refused {Counted.Of(count, "call")}{to} (503, response flag UO), the last one {last} ago, {where}: as many connections or "
                + "requests as they allow were in use", place.Remedy, Severity.Warning);
    }
}
