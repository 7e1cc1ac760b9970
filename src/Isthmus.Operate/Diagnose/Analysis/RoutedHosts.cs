using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The hosts for which VirtualServices have routes that sidecars follow.</summary>
public sealed class RoutedHosts
{
    private readonly HashSet<string> _hosts;
    private readonly HashSet<string> _wildcards;

    /// <summary>Wildcards within the first part of a name, such as <c>*-web.shop.svc.cluster.local</c>, which no index finds.</summary>
    private readonly List<string> _partial;

    internal RoutedHosts(IReadOnlyList<ClusterInventory> clusters)
    {
        _hosts = clusters.SelectMany(cluster => cluster.Istio<VirtualService>()).Where(routes => routes.ForSidecars).SelectMany(routes => routes.Hosts)
            .ToHashSet(StringComparer.Ordinal);
        _wildcards = _hosts.SelectMany(Hosts.Wildcards).ToHashSet(StringComparer.Ordinal);
        _partial = [.. _hosts.Where(IsPartial)];
    }

    /// <summary>Whether one of them is the host, or covers it.</summary>
    public bool Cover(string host) => _hosts.Contains(host) || Hosts.Wildcards(host).Any(_hosts.Contains) || _partial.Exists(wild => Hosts.Covers(wild, host));

    /// <summary>Whether one of them covers the host, which may be a wildcard, or is covered by it.</summary>
    public bool Meet(string host) => Cover(host) || _wildcards.Contains(host) || (IsPartial(host) && _hosts.Any(known => Hosts.Covers(host, known)));

    private static bool IsPartial(string host) => host is ['*', not '.', ..];
}
