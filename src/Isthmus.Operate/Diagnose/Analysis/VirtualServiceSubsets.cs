using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Subsets that VirtualServices route to: a DestinationRule of the host must define them. Pure.</summary>
public static class VirtualServiceSubsets
{
    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.DestinationRuleAnalyzer", "Checks that DestinationRules define the subsets of VirtualServices",
        [IstioCodes.ReferencedResourceNotFound], ["VirtualService", "DestinationRule"], mesh => mesh.Clusters.SelectMany(Check));

    private static IEnumerable<Finding> Check(ConfigCluster config)
    {
        var rules = config.Cluster.Istio<DestinationRule>().ToList();
        foreach (var placed in RouteDestinations.Of(config).Where(placed => placed.Destination.Subset.Length > 0))
        {
            var (host, subset) = (placed.Destination.Host, placed.Destination.Subset);
            var subsets = rules.Where(rule => Hosts.Covers(rule.Host, host)).SelectMany(rule => rule.Subsets).Select(known => known.Name).Distinct().ToList();
            if (subsets.Contains(subset)) continue;
            yield return IstioCodes.ReferencedResourceNotFound.At(config.Cluster, placed.Name, $"{placed.Path}.subset",
                $"Referenced host+subset in destinationrule not found: \"{host}+{subset}\": requests get 503",
                subsets.Count == 0
                    ? "create a DestinationRule with the subset, or remove the subset from the destination"
                    : $"use one of {string.Join(", ", subsets)}, or define the subset");
        }
    }
}
