using System.Globalization;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Subsets that VirtualServices route to, and that callers of these routes do not know: the DestinationRules that define them are not
/// exported to these. Pure.</summary>
public static class HiddenSubsets
{
    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.SubsetExportAnalyzer", "Checks that callers see the DestinationRules that define the subsets of their routes",
        [RouteCodes.SubsetHidden], ["VirtualService", "DestinationRule", "Gateway", "Sidecar", "Service", "Pod"], mesh =>
        from config in mesh.Clusters
        let settings = config.Cluster.Mesh ?? MeshConfig.Default
        let rules = config.Cluster.Istio<DestinationRule>().ToList()
        from placed in RouteDestinations.Of(config).Where(placed => placed.Destination.Subset.Length > 0)
        let hosts = mesh.Hosts.Find(placed.Destination.Host).ToList()
        let defining = rules.Where(rule => Hosts.Covers(rule.Host, placed.Destination.Host)
            && rule.Subsets.Any(subset => subset.Name == placed.Destination.Subset)).ToList()
        where hosts.Count > 0 && defining.Count > 0 && !IsForSome(placed)
        let without = Callers(config, placed.Owner).Where(ns => hosts.Exists(host => host.IsVisibleTo(ns))
            && !defining.Exists(rule => Visibility.Allows(rule.ExportTo.IsEmpty ? settings.DefaultDestinationRuleExportTo : rule.ExportTo, rule.Namespace, ns)))
            .Order(StringComparer.Ordinal).ToList()
        where without.Count > 0
        let rule = defining[0]
        select RouteCodes.SubsetHidden.At(config.Cluster, placed.Name, $"{placed.Path}.subset",
            $"is {placed.Destination.Subset} of {placed.Destination.Host}, which DestinationRule {rule.Namespace}/{rule.Name} defines, exported to "
                + $"{string.Join(", ", rule.ExportTo.IsEmpty ? settings.DefaultDestinationRuleExportTo : rule.ExportTo)} only: callers in namespace "
                + $"{string.Join(", ", without.Take(3))}{(without.Count > 3 ? ", …" : "")}, to whom the route applies, get 503",
            $"add {without[0]} to spec.exportTo of DestinationRule {rule.Namespace}/{rule.Name}, or limit spec.exportTo of {placed.Name} to the same "
                + $"namespaces{SubsetsDiffer.NeededBeyond(mesh, config, placed)}"));

    /// <summary>Whether the route itself chooses its callers.</summary>
    private static bool IsForSome(PlacedDestination placed)
    {
        var end = placed.Path.IndexOf(']', StringComparison.Ordinal);
        var index = int.Parse(placed.Path[(placed.Path.IndexOf('[', StringComparison.Ordinal) + 1)..end], CultureInfo.InvariantCulture);
        return placed.Path.StartsWith("spec.http[", StringComparison.Ordinal) && placed.Owner.Http[index].Matches is { IsEmpty: false } matches
            && matches.All(match => match.SourceNamespace.Length > 0 || match.SourceLabels.Count > 0 || !match.Gateways.IsEmpty);
    }

    /// <summary>The namespaces of the proxies that get the routes. Of those with a Sidecar, nobody says what they call.</summary>
    private static IEnumerable<string> Callers(ConfigCluster config, VirtualService routes)
    {
        var (sidecars, gateways) = (config.Cluster.Istio<Sidecar>().Select(sidecar => sidecar.Namespace).ToHashSet(StringComparer.Ordinal),
            config.Cluster.Istio<Gateway>().Where(gateway => routes.Gateways.Contains(gateway.FullName)).ToList());
        var exportTo = routes.ExportTo.IsEmpty ? (config.Cluster.Mesh ?? MeshConfig.Default).DefaultVirtualServiceExportTo : routes.ExportTo;
        return config.Reach.SelectMany(area => area.All).Where(workload => workload is { Pod: not null, HasProxy: true }
            && Visibility.Allows(exportTo, routes.Namespace, workload.Namespace)
            && (workload.IsGateway ? gateways.Exists(gateway => Kubernetes.Objects.LabelSelector.Selects(gateway.Selector.Items, workload.Labels)
                && (gateway.PodNamespace.Length == 0 || gateway.PodNamespace == workload.Namespace))
                : routes.ForSidecars && !sidecars.Contains(workload.Namespace) && !sidecars.Contains(config.Cluster.RootNamespace)))
            .Select(workload => workload.Namespace).Distinct();
    }
}
