using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>DestinationRules for hosts that no cluster has. Pure.</summary>
public static class DestinationRuleHosts
{
    public static Analyzer Analyzer
    {
        get;
    } = new("destinationrule.HostAnalyzer", "Checks that the hosts of DestinationRules exist", [IstioCodes.UnknownRuleHost], ["DestinationRule", "Service"],
        mesh =>
        from config in mesh.Clusters
        // Clusters that were not read may have them.
        where mesh.ReadsAll
        from rule in config.Cluster.Istio<DestinationRule>()
        where !rule.Host.StartsWith('*') && mesh.Hosts.Find(rule.Host).Count == 0
        let named = Meant(mesh, rule)
        select IstioCodes.UnknownRuleHost.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", "spec.host",
            $"Referenced host not found: \"{rule.Host}\": the rule has no effect",
            named.Count == 0 ? null : $"write the host as {string.Join(" or ", named.Take(3))}{(named.Count > 3 ? " …" : "")}"));

    /// <summary>The hosts for which the rule would have an effect, the surest ones alone: a route to one of its subsets tells which is meant, or Pods that
    /// its subsets select, or that the host is of the namespace in which the name was looked for.</summary>
    private static List<string> Meant(MeshSnapshot mesh, DestinationRule rule)
    {
        var (name, ns) = rule.Host.Split('.') is [var first, var second, ..] ? (first, second) : (rule.Host, rule.Namespace);
        var found = mesh.Readable.SelectMany(cluster => cluster.Services).Where(service => service.Metadata.Name == name
            || (service.Metadata.Namespace == ns && Spelling.IsMistyped(name, service.Metadata.Name))).Select(HostTable.NameOf).Distinct()
            .Where(host => mesh.Hosts.Find(host).Any(known => known.IsVisibleTo(rule.Namespace))).Order(StringComparer.Ordinal).ToList();
        foreach (var isMeant in (Func<string, bool>[])
            [
                host => mesh.Clusters.SelectMany(RouteDestinations.Of).Any(placed => placed.Destination.Host == host
                    && rule.Subsets.Any(subset => subset.Name == placed.Destination.Subset)),
                host => rule.Subsets.Count > 0 && rule.Subsets.All(subset =>
                    Pods(mesh, host).Any(pod => LabelSelector.Selects(subset.Labels.Items, pod.Labels))),
                host => host.StartsWith($"{name}.", StringComparison.Ordinal),
            ])
            if (found.FindAll(host => isMeant(host)) is { Count: > 0 } meant) return meant;
        return found;
    }

    private static IEnumerable<Workload> Pods(MeshSnapshot mesh, string host) => mesh.Hosts.Find(host).Where(known => known.Service is not null)
        .SelectMany(known => mesh.Workloads.First(area => area.Cluster == known.Cluster).Behind(known.Service!));
}
