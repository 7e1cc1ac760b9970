using Isthmus.Core.Collections;
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
        if (Unseen(mesh, far, used, rules, near) is { } unseen)
        {
            yield return unseen;
            yield break;
        }
        if (rules.Find(rule => rule.Subsets.Any(known => known.Name == subset)) is { } other)
        {
            var (i, there) = other.Subsets.Index().First(known => known.Item.Name == subset);
            if (Pods(mesh, far, host).All(pod => there.Labels != defined.Labels && !LabelSelector.Selects(there.Labels.Items, pod.Labels)))
                yield return OwnCodes.SubsetUnknownAtGateway.At(far, $"DestinationRule {other.Namespace}/{other.Name}", $"spec.subsets[{i}].labels",
                    $"the subset {subset} of {host} has {there.Labels} in {far.Context}, which no Pod has there, and {defined.Labels} in {near.Context}, from "
                        + $"where {used.Name} routes to it: the gateway of {far.Context} has no Pods for these calls (503)",
                    $"set the labels to {defined.Labels}, as DestinationRule {defining.Namespace}/{defining.Name} of {near.Context} has them");
            yield break;
        }
        var own = rules.FirstOrDefault() ?? defining;
        yield return OwnCodes.SubsetUnknownAtGateway.At(far, $"DestinationRule {own.Namespace}/{own.Name}", "spec.subsets",
            $"{(rules.Count == 0 ? $"does not exist in {far.Context}, so that " : "")}nothing there defines the subset {subset} of {host}, to which "
                + $"{used.Name} of {near.Context} routes: its gateway refuses these calls",
            $"apply DestinationRule {defining.Namespace}/{defining.Name} of {near.Context} in {far.Context} as well");
    }

    /// <summary>The subset is defined, and the gateways of the cluster do not get the rules that do so; null when one of them gets one.</summary>
    private static Finding? Unseen(MeshSnapshot mesh, ClusterInventory far, PlacedDestination used, List<DestinationRule> rules, ClusterInventory near)
    {
        var (host, subset) = (used.Destination.Host, used.Destination.Subset);
        var defining = rules.Where(rule => rule.Subsets.Any(known => known.Name == subset)).ToList();
        var gateways = mesh.Clusters.Where(config => config.Cluster == far).SelectMany(config => LeftOutServices.Gateways(mesh, config)).ToList();
        if (defining.Count == 0 || gateways.Count == 0 || far.Mesh is not { } settings) return null;
        var ns = gateways[0].Namespace;
        var own = mesh.Hosts.Find(host).Select(known => known.Namespace).ToHashSet(StringComparer.Ordinal);
        var read = defining.Where(rule => own.Contains(rule.Namespace) || rule.Namespace == settings.RootNamespace
            || gateways.Exists(gateway => gateway.Namespace == rule.Namespace)).ToList();
        if (read.Exists(rule => gateways.Exists(gateway => Visibility.Allows(ExportOf(settings, rule), rule.Namespace, gateway.Namespace)))) return null;
        var rule = read.Concat(defining).First();
        var lost = $"the gateway of {far.Context}, {gateways[0].Name}, does not know the subset {subset} of {host}, to which {used.Name} of {near.Context} "
            + "routes, and refuses these calls";
        return read.Count == 0
            ? OwnCodes.SubsetUnknownAtGateway.At(far, $"DestinationRule {rule.Namespace}/{rule.Name}", "metadata.namespace",
                $"is {rule.Namespace}, so that the rule is for callers there alone: {lost}", $"create the rule in namespace {own.First()}")
            : OwnCodes.SubsetUnknownAtGateway.At(far, $"DestinationRule {rule.Namespace}/{rule.Name}", "spec.exportTo",
                (rule.ExportTo.IsEmpty ? $"is not set, and {far.MeshConfigName} sets" : "is")
                    + $" {string.Join(", ", ExportOf(settings, rule))}, without {ns}: {lost}",
                rule.ExportTo.IsEmpty ? "set it to ['*']" : $"add {ns} to it, or remove it");
    }

    private static ValueList<string> ExportOf(MeshConfig settings, DestinationRule rule) =>
        rule.ExportTo.IsEmpty ? settings.DefaultDestinationRuleExportTo : rule.ExportTo;

    /// <summary>The gateways of other networks that do not get a subset of a host for which they have Pods, as the end of a remedy; empty when all get it, or
    /// nobody calls them.</summary>
    /// <param name="config">Where the callers are.</param>
    internal static string NeededBeyond(MeshSnapshot mesh, ConfigCluster config, PlacedDestination used) => string.Concat(
        from far in mesh.Clusters
        where MeshSnapshot.HasControlPlane(far.Cluster) && NetworkOf(config.Cluster) != NetworkOf(far.Cluster)
            && MeshSnapshot.ShareHosts(config.Cluster, far.Cluster) && Pods(mesh, far.Cluster, used.Destination.Host).Any()
        let unseen = Unseen(mesh, far.Cluster, used, [.. Rules(far.Cluster, used.Destination.Host)], config.Cluster)
        where unseen is { Problem.Path: "spec.exportTo" }
        select $"; in {far.Cluster.Context}, for its gateway: {unseen.Problem.Remedy}");

    private static IEnumerable<Workload> Pods(MeshSnapshot mesh, ClusterInventory cluster, string host) =>
        mesh.Hosts.Find(host).Where(known => known.Cluster == cluster && known.Service is not null)
            .SelectMany(known => mesh.Workloads.First(area => area.Cluster == cluster).Behind(known.Service!));

    private static IEnumerable<DestinationRule> Rules(ClusterInventory cluster, string host) =>
        cluster.Istio<DestinationRule>().Where(rule => Hosts.Covers(rule.Host, host));

    internal static string NetworkOf(ClusterInventory cluster) =>
        cluster.Namespaces.FirstOrDefault(ns => ns.Metadata.Name == cluster.SystemNamespace)?.Metadata.Labels.GetValueOrDefault(Labels.Network) ?? "";
}
