using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>
/// Subsets that callers of one control plane use, and that another control plane does not define: the server name carries
/// the subset, and each gateway's routes come from the DestinationRules of its own control plane. Pure.
/// </summary>
public static class SubsetsDiffer
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.DestinationRuleAnalyzer", "Checks that gateways of other networks know the subsets that VirtualServices route to",
        [OwnCodes.SubsetUnknownAtGateway],
        ["VirtualService", "DestinationRule", "Service", "Namespace", "Pod"], mesh =>
            from near in mesh.Clusters
            where MeshSnapshot.HasControlPlane(near.Cluster)
            from far in mesh.Clusters
            where MeshSnapshot.HasControlPlane(far.Cluster) && NetworkOf(near.Cluster) != NetworkOf(far.Cluster)
                && MeshSnapshot.ShareHosts(near.Cluster, far.Cluster)
            from used in RouteDestinations.Of(near).Where(placed => placed.Owner.ForSidecars && placed.Destination.Subset.Length > 0)
                .DistinctBy(placed => placed.Destination)
            from finding in Check(mesh, near.Cluster, far.Cluster, used)
            select finding);

    private static IEnumerable<Finding> Check(MeshSnapshot mesh, ClusterInventory near, ClusterInventory far, PlacedDestination used)
    {
        var (host, subset) = (used.Destination.Host, used.Destination.Subset);
        if (Rules(near, host).SelectMany(rule => rule.Subsets.Select(known => (Rule: rule, Subset: known)))
            .FirstOrDefault(known => known.Subset.Name == subset) is not { Rule: { } defining, Subset: { } defined })
            yield break;
        var labels = defined.Labels.ToDictionary(StringComparer.Ordinal);
        if (!Pods(mesh, far, host).Any(pod => LabelSelector.Selects(labels, pod.Labels))) yield break;
        var rules = Rules(far, host).ToList();
        if (rules.Find(rule => rule.Subsets.Any(known => known.Name == subset)) is { } other)
        {
            var (i, there) = other.Subsets.Index().First(known => known.Item.Name == subset);
            if (Pods(mesh, far, host).All(pod => there.Labels != defined.Labels && !LabelSelector.Selects(there.Labels.Items, pod.Labels)))
                yield return OwnCodes.SubsetUnknownAtGateway.At(far, $"DestinationRule {other.Namespace}/{other.Name}", $"spec.subsets[{i}].labels",
                    $"the subset {subset} of {host} has {there.Labels} in {far.Context}, which no Pod has there, and {defined.Labels} in {near.Context}, from where "
                        + $"{used.Name} routes to it: the gateway of {far.Context} has no Pods for these calls (503)",
                    $"set the labels to {defined.Labels}, as DestinationRule {defining.Namespace}/{defining.Name} of {near.Context} has them");
            yield break;
        }
        var own = rules.FirstOrDefault() ?? defining;
        yield return OwnCodes.SubsetUnknownAtGateway.At(far, $"DestinationRule {own.Namespace}/{own.Name}", "spec.subsets",
            $"{(rules.Count == 0 ? $"does not exist in {far.Context}, so that" : "")} nothing there defines the subset {subset} of {host}, to which {used.Name} of {near.Context} routes: its gateway refuses these calls".TrimStart(),
            $"apply DestinationRule {defining.Namespace}/{defining.Name} of {near.Context} in {far.Context} as well");
    }

    private static IEnumerable<Workload> Pods(MeshSnapshot mesh, ClusterInventory cluster, string host) =>
        mesh.Hosts.Find(host).Where(known => known.Cluster == cluster && known.Service is not null)
            .SelectMany(known => mesh.Workloads.First(area => area.Cluster == cluster).Behind(known.Service!));

    private static IEnumerable<DestinationRule> Rules(ClusterInventory cluster, string host) =>
        cluster.Istio<DestinationRule>().Where(rule => Hosts.Covers(rule.Host, host));

    internal static string NetworkOf(ClusterInventory cluster) =>
        cluster.Namespaces.FirstOrDefault(ns => ns.Metadata.Name == cluster.RootNamespace)?.Metadata.Labels.GetValueOrDefault(Labels.Network) ?? "";
}
