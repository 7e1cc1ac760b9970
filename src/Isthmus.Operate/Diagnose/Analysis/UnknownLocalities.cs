using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Load balancing by localities that nobody is in: what it says of them has no effect. Pure.</summary>
public static class UnknownLocalities
{
    public static Analyzer Analyzer
    {
        get;
    } = new("destinationrule.LocalityAnalyzer", "Checks that workloads are in the localities that load balancing names", [OwnCodes.LocalityUnknown],
        ["Node", "Pod"], Check);

    private static IEnumerable<Finding> Check(MeshSnapshot mesh)
    {
        // Workloads of a cluster that was not read may be anywhere.
        if (!mesh.ReadsAll) return [];
        var known = Known(mesh).Where(locality => !locality.IsUnknown).Distinct().Order().ToList();
        return
            from config in mesh.Clusters
            from found in config.Cluster.Istio<DestinationRule>()
                .SelectMany(rule => Settings(rule).Select(setting => ($"DestinationRule {rule.Namespace}/{rule.Name}", setting.Path, setting.Setting)))
                .Concat(config.Cluster.Mesh is { } settings && MeshSnapshot.HasControlPlane(config.Cluster)
                    ? [(config.Cluster.MeshMapName, "data.mesh.localityLbSetting", settings.LocalityLb)]
                    : [])
            where found.Item3.Enabled
            from wrong in Wrong(found.Item3, known)
            select OwnCodes.LocalityUnknown.At(config.Cluster, found.Item1, $"{found.Item2}.{wrong.Path}",
                $"{wrong.Name} is the locality of nothing: {wrong.Effect}", known.Count == 0
                ? $"label the Nodes with {Labels.Region} and {Labels.Zone}, or remove the setting"
                : $"use what there is: {string.Join(", ", known.Take(6))}{(known.Count > 6 ? ", …" : "")}");
    }

    /// <summary>Where workloads can be: on Nodes, by their own labels, and as entries say.</summary>
    private static IEnumerable<Locality> Known(MeshSnapshot mesh) =>
        from cluster in mesh.Readable
        from locality in cluster.Nodes.Select(node => new Locality(Label(node.Metadata.Labels, Labels.Region), Label(node.Metadata.Labels, Labels.Zone),
            Label(node.Metadata.Labels, Labels.Subzone)))
            .Concat(cluster.Pods.Select(pod => Locality.OfLabels(pod.Metadata.Labels.ToValueMap()) ?? Locality.Unknown))
            .Concat(cluster.Istio<WorkloadEntry>().Select(entry => Locality.Parse(entry.Endpoint.Locality)))
            .Concat(cluster.Istio<ServiceEntry>().SelectMany(entry => entry.Endpoints).Select(endpoint => Locality.Parse(endpoint.Locality)))
        select locality;

    private static string Label(Dictionary<string, string> labels, string name) => labels.GetValueOrDefault(name, "");

    private static IEnumerable<(string Path, LocalityLbSetting Setting)> Settings(DestinationRule rule) =>
        from place in Policies(rule)
        where place.Policy.Balancing?.Locality is not null
        select ($"{place.Path}.loadBalancer.localityLbSetting", place.Policy.Balancing!.Locality!);

    /// <summary>The traffic policies of a rule, as they are written.</summary>
    internal static IEnumerable<(string Path, TrafficPolicy Policy)> Policies(DestinationRule rule) =>
        from policy in rule.Subsets.Index().Select(subset => ($"spec.subsets[{subset.Index}].trafficPolicy", subset.Item.Policy))
            .Prepend(("spec.trafficPolicy", rule.Policy))
        where policy.Item2 is not null
        from item in policy.Item2!.Ports.Index().Select(port => ($"{policy.Item1}.portLevelSettings[{port.Index}]", port.Item.Policy))
            .Prepend((policy.Item1, policy.Item2))
        select (item.Item1, item.Item2);

    private static IEnumerable<(string Path, string Name, string Effect)> Wrong(LocalityLbSetting setting, List<Locality> known)
    {
        foreach (var (i, share) in setting.Distribute.Index())
        {
            if (!known.Exists(locality => locality.IsIn(share.From)))
                yield return ($"distribute[{i}].from", share.From, "no caller is there, so these shares are for nobody");
            foreach (var (to, percent) in share.To)
                if (!known.Exists(locality => locality.IsIn(to)))
                    yield return ($"distribute[{i}].to[{to}]", to, $"its share of {percent} % goes to the others");
        }
        foreach (var (i, way) in setting.Failover.Index())
        {
            if (!known.Exists(locality => locality.Region == way.From))
                yield return ($"failover[{i}].from", way.From, "no caller is in that region, so this order is for nobody");
            if (!known.Exists(locality => locality.Region == way.To))
                yield return ($"failover[{i}].to", way.To, "there is nothing to fail over to in that region");
        }
    }
}
