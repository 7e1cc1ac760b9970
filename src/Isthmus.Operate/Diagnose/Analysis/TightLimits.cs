using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Limits of DestinationRules that leave one call at a time, or no endpoint: fine in a sample, seldom anywhere else. Pure.</summary>
public static class TightLimits
{
    public static Analyzer Pools
    {
        get;
    } = new("destinationrule.PoolAnalyzer", "Names DestinationRules that let each proxy have one connection or request", [OwnCodes.PoolOfOne],
        ["DestinationRule"], mesh =>
        from cluster in mesh.Readable
        from rule in cluster.Istio<DestinationRule>()
        from place in UnknownLocalities.Policies(rule)
        where place.Policy.Pool is not null
        let ones = Ones(place.Policy.Pool!).ToList()
        where ones.Count > 0
        select OwnCodes.PoolOfOne.At(cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", $"{place.Path}.connectionPool",
            $"lets each proxy have {string.Join(" and ", ones)} to {rule.Host} at a time"));

    public static Analyzer Ejections
    {
        get;
    } = new("destinationrule.EjectionAnalyzer", "Names DestinationRules that may eject the only endpoint of a host", [OwnCodes.LastEndpointEjected],
        ["DestinationRule", "Service", "Pod"], mesh =>
        from config in mesh.Clusters
        from rule in config.Cluster.Istio<DestinationRule>()
        where !rule.Host.StartsWith('*')
        from place in Policies(rule)
        where place.Policy.Outlier is { MaxEjectionPercent: 100, MinHealthPercent: 0 }
        let hosts = mesh.Hosts.Find(rule.Host).ToList()
        where hosts.Count > 0 && hosts.TrueForAll(host => host.Service is { Spec.Selector.Count: > 0 })
        let pods = hosts.SelectMany(host => mesh.Workloads.First(area => area.Cluster == host.Cluster).Behind(host.Service!))
            .Where(pod => LabelSelector.Selects(place.Labels.Items, pod.Labels)).ToList()
        where pods.Count == 1 && mesh.ReadsAll && HasCallers(config, pods[0])
        select OwnCodes.LastEndpointEjected.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}",
            $"{place.Path}.outlierDetection.maxEjectionPercent",
            $"lets proxies eject all endpoints, and {rule.Host} has one only, {pods[0].Name}: while that is ejected, calls get 503",
            $"run more replicas of {pods[0].Name}, or set {place.Path}.outlierDetection.minHealthPercent, such as 10: proxies then go on calling it"));

    /// <summary>Whether proxies that have the rule call the Pod itself. Those of other networks have the gateway before it as their endpoint.</summary>
    private static bool HasCallers(ConfigCluster config, Workload pod) =>
        config.Reach.Any(area => SubsetsDiffer.NetworkOf(area.Cluster) == OtherNetworkTls.NetworkOf(pod));

    private static IEnumerable<string> Ones(ConnectionPool pool)
    {
        if (pool.MaxConnections == 1) yield return "one connection (tcp.maxConnections)";
        if (pool.Http1MaxPending == 1) yield return "one waiting request (http.http1MaxPendingRequests)";
        if (pool.Http2MaxRequests == 1) yield return "one request in progress (http.http2MaxRequests)";
    }

    /// <summary>The traffic policies of a rule, with the labels of the subsets that they are for.</summary>
    internal static IEnumerable<(string Path, TrafficPolicy Policy, ValueMap<string> Labels)> Policies(DestinationRule rule) =>
        UnknownLocalities.Policies(rule).Select(place => (place.Path, place.Policy, rule.Subsets.Index()
            .FirstOrDefault(subset => place.Path.StartsWith($"spec.subsets[{subset.Index}].", StringComparison.Ordinal)).Item?.Labels ?? default));
}
