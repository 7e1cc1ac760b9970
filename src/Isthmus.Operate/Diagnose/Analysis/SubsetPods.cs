using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Subsets whose labels no workload of the host has, in any cluster. Pure.</summary>
public static class SubsetPods
{
    /// <summary>Labels that endpoints have from their place, not from their Pods.</summary>
    private static readonly HashSet<string> OfPlaces = new([Labels.Network, Labels.Cluster, Labels.Subzone, Labels.Region, Labels.Zone, Labels.Hostname],
        StringComparer.Ordinal);

    public static Analyzer Analyzer
    {
        get;
    } = new("destinationrule.PodNotSelectedAnalyzer", "Checks that the labels of subsets select workloads", [IstioCodes.SubsetSelectsNothing],
        // Clusters that were not read may have such workloads.
        ["DestinationRule", "Service", "Pod"], mesh => mesh.ReadsAll ? mesh.Clusters.SelectMany(config => Check(mesh, config)) : []);

    private static IEnumerable<Finding> Check(MeshSnapshot mesh, ConfigCluster config)
    {
        // Those of other clusters choose by the same names at the gateway here.
        var used = mesh.Clusters.Where(other => other == config || MeshSnapshot.ShareHosts(other.Cluster, config.Cluster))
            .SelectMany(RouteDestinations.Of).Where(placed => placed.Destination.Subset.Length > 0)
            .Select(placed => (placed.Destination.Host, placed.Destination.Subset)).ToHashSet();
        foreach (var rule in config.Cluster.Istio<DestinationRule>().Where(rule => rule.Subsets.Count > 0))
        {
            var workloads = Labelled(mesh, rule.Host);
            if (workloads.Count == 0 && !mesh.Hosts.Find(rule.Host).Any(known => known.Service?.Spec.Selector.Count > 0)) continue; // They are not known.
            foreach (var (i, subset) in rule.Subsets.Index())
            {
                var labels = subset.Labels.Where(label => !OfPlaces.Contains(label.Key) || label.Value.Length == 0).ToDictionary(StringComparer.Ordinal);
                if (workloads.Any(has => LabelSelector.Selects(labels, has)) || IsUnselected(mesh, rule.Host, labels)) continue;
                var isUsed = used.Contains((rule.Host, subset.Name));
                yield return IstioCodes.SubsetSelectsNothing.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", $"spec.subsets[{i}].labels",
                    $"the subset {subset.Name} selects no workload of {rule.Host} in any "
                        + $"cluster{(isUsed ? ": requests that are routed to it get 503" : "; nothing is routed to it")}",
                    Remedy(labels, workloads), isUsed && workloads.Count > 0 ? Severity.Error : Severity.Info);
            }
        }
    }

    /// <summary>Whether a Service of the host selects nothing where the Service of another cluster would select workloads with the labels: its selector is
    /// wrong, and not the subset.</summary>
    private static bool IsUnselected(MeshSnapshot mesh, string host, Dictionary<string, string> labels)
    {
        var services = mesh.Hosts.Find(host).Where(known => known.Service is { Spec.Selector.Count: > 0 }).ToList();
        return services.Exists(known => mesh.Workloads.First(area => area.Cluster == known.Cluster) is var area && !area.Selected(known.Service!).Any()
            && area.In(known.Service!.Metadata.Namespace).Any(workload => LabelSelector.Selects(labels, workload.Labels)
                && services.Exists(other => LabelSelector.Selects(other.Service!.Spec.Selector, workload.Labels))));
    }

    /// <summary>The labels of what is behind a host.</summary>
    private static List<IReadOnlyDictionary<string, string>> Labelled(MeshSnapshot mesh, string host)
    {
        var found = new List<IReadOnlyDictionary<string, string>>();
        foreach (var known in mesh.Hosts.Find(host))
        {
            var area = mesh.Workloads.First(area => area.Cluster == known.Cluster);
            if (known.Service is { } service) found.AddRange(area.Selected(service).Select(workload => workload.Labels));
            else if (known.Entry!.WorkloadSelector.Count > 0)
                found.AddRange(area.In(known.Entry.Namespace).Where(workload => LabelSelector.Selects(known.Entry.WorkloadSelector, workload.Labels))
                    .Select(workload => workload.Labels));
            else found.AddRange(known.Entry.Endpoints.Select(endpoint => (IReadOnlyDictionary<string, string>)endpoint.Labels));
        }
        return found;
    }

    private static string? Remedy(Dictionary<string, string> wanted, List<IReadOnlyDictionary<string, string>> workloads)
    {
        var values = wanted.Select(label => (label.Key,
            Values: workloads.Select(has => has.GetValueOrDefault(label.Key)).OfType<string>().Distinct().Order(StringComparer.Ordinal).ToList()))
            .Where(label => label.Values.Count > 0 && !label.Values.Contains(wanted[label.Key])).ToList();
        return values.Count == 0 ? null : $"the workloads have {string.Join("; ", values.Select(label => $"{label.Key}: {string.Join(", ", label.Values)}"))}";
    }
}
