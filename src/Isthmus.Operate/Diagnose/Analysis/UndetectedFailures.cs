using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>An order of failover between localities, which counts only where proxies detect failures. Pure.</summary>
public static class UndetectedFailures
{
    public static Analyzer Analyzer
    {
        get;
    } = new("destinationrule.FailoverAnalyzer", "Checks that an order of failover comes with outlier detection", [OwnCodes.FailoverWithoutDetection],
        ["DestinationRule"], mesh =>
        from config in mesh.Clusters
        from rule in config.Cluster.Istio<DestinationRule>()
        from place in UnknownLocalities.Policies(rule)
        let setting = place.Policy.Balancing?.Locality
        where setting is { Enabled: true, Distribute.IsEmpty: true } && (!setting.Failover.IsEmpty || !setting.FailoverPriority.IsEmpty)
        where !IsDetected(rule, setting, config.Cluster.Mesh ?? MeshConfig.Default)
        let field = setting.Failover.IsEmpty ? "failoverPriority" : "failover"
        select OwnCodes.FailoverWithoutDetection.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}",
            $"{place.Path}.loadBalancer.localityLbSetting.{field}",
            $"has no effect without outlierDetection: requests for {rule.Host} go to all localities alike",
            $"set {place.Path}.outlierDetection, for example {{consecutive5xxErrors: 5, interval: 10s, baseEjectionTime: 30s}}"));

    /// <summary>Whether the setting comes with outlier detection for some subset and port, whichever policy each of the two is from.</summary>
    private static bool IsDetected(DestinationRule rule, LocalityLbSetting setting, MeshConfig mesh)
    {
        var ports = rule.Subsets.Select(subset => subset.Policy).Append(rule.Policy).SelectMany(policy => policy?.Ports ?? default)
            .Select(policy => policy.Port).Append(0).Distinct();
        return ports.SelectMany(port => rule.Subsets.Select(subset => (Subset?)subset).Append(null)
                .Select(subset => TrafficPolicy.Effective(rule, subset, port, mesh)))
            .Any(policy => policy.Outlier is not null && ReferenceEquals(policy.Balancing?.Locality, setting));
    }
}
