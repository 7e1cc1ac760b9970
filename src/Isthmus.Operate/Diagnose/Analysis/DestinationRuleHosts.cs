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
        from rule in config.Cluster.Istio<DestinationRule>()
        where !rule.Host.StartsWith('*') && mesh.Hosts.Find(rule.Host).Count == 0
        let elsewhere = mesh.Readable.SelectMany(cluster => cluster.Services).FirstOrDefault(other => other.Metadata.Name == rule.Host.Split('.')[0])
        select IstioCodes.UnknownRuleHost.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", "spec.host",
            $"Referenced host not found: \"{rule.Host}\": the rule has no effect",
            elsewhere is null ? null : $"write the host as {HostTable.NameOf(elsewhere)}"));
}
