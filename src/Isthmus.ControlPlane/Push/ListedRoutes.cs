using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.ControlPlane.Push;

/// <summary>Other routes of an object at a gateway than before.</summary>
/// <param name="Before">As its tables have them; null: none.</param>
/// <param name="Now">As the gateway sees them; null: none.</param>
internal readonly record struct RouteChange(RouteSet? Before, RouteSet? Now)
{
    /// <summary>The hosts that the object names now, whether the gateway sees it or not.</summary>
    public ValueList<string> Named { get; init; }

    public bool RoutesConnections => Before?.RoutesConnections == true || Now?.RoutesConnections == true;

    /// <summary>The Gateways that it is at, or was.</summary>
    public IEnumerable<string> Gateways => (Before?.Gateways ?? []).Concat(Now?.Gateways ?? []).Distinct(StringComparer.Ordinal);

    /// <summary>What of it is at a Gateway.</summary>
    public RouteChange At(string gateway) => new(Of(Before, gateway), Of(Now, gateway));

    private static RouteSet? Of(RouteSet? routes, string gateway) => routes?.Gateways.Contains(gateway, StringComparer.Ordinal) == true ? routes : null;
}

/// <summary>The routes of VirtualServices and Ingress objects at a gateway, and which of them are others now.</summary>
internal sealed class ListedRoutes(ProxyScope scope, GatewayScope gateway)
{
    // Those of each Gateway, whether the gateway sees them or not. What did not change is the same object,
    private readonly Dictionary<string, ValueList<RouteSet>> _all = new(StringComparer.Ordinal);
    // and as the gateway sees them.
    private readonly Dictionary<ObjectKey, RouteSet> _seen = [];

    /// <summary>Everything may be another.</summary>
    /// <param name="seen">What the gateway sees.</param>
    public void Reset(MeshView view, IEnumerable<RouteSet> seen)
    {
        foreach (var name in gateway.Gateways.Select(item => item.FullName)) _all[name] = view.Traffic.ListedByGateway.GetValueOrDefault(name);
        _seen.Clear();
        foreach (var routes in seen) _seen[routes.Key] = routes;
    }

    /// <summary>Finds what is other at some Gateways, by the identity of what stayed.</summary>
    /// <param name="gateways">Some of those that the gateway serves.</param>
    public List<RouteChange> Take(MeshView view, IEnumerable<string> gateways)
    {
        var changed = new Dictionary<ObjectKey, RouteSet?>();
        foreach (var name in gateways)
        {
            var (before, now) = (_all.GetValueOrDefault(name), view.Traffic.ListedByGateway.GetValueOrDefault(name));
            _all[name] = now;
            AddDifferences(before.Items.AsSpan(), now.Items.AsSpan(), changed);
        }
        var changes = new List<RouteChange>(changed.Count);
        foreach (var (key, routes) in changed)
        {
            var now = routes is null ? null : view.Seen(routes, scope);
            changes.Add(new(_seen.GetValueOrDefault(key), now) { Named = routes?.Hosts ?? default });
            if (now is null) _seen.Remove(key);
            else _seen[key] = now;
        }
        return changes;
    }

    /// <summary>Both are in the order of keys, so a change that stands alone is all that is left between what they begin and end with.</summary>
    private static void AddDifferences(ReadOnlySpan<RouteSet> before, ReadOnlySpan<RouteSet> now, Dictionary<ObjectKey, RouteSet?> changed)
    {
        var (first, last) = (0, 1);
        while (first < before.Length && first < now.Length && ReferenceEquals(before[first], now[first])) first++;
        before = before[first..];
        now = now[first..];
        while (last <= before.Length && last <= now.Length && ReferenceEquals(before[^last], now[^last])) last++;
        var others = new HashSet<RouteSet>(ReferenceEqualityComparer.Instance);
        foreach (var routes in before[..^(last - 1)]) others.Add(routes);
        foreach (var routes in now[..^(last - 1)])
            if (!others.Remove(routes)) changed[routes.Key] = routes;
        foreach (var gone in others) changed.TryAdd(gone.Key, null);
    }
}
