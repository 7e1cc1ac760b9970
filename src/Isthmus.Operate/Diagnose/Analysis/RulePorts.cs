using System.Globalization;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Settings of DestinationRules for ports that their host does not have: they are for ports of Services, and count nowhere else. Pure.</summary>
public static class RulePorts
{
    public static Analyzer Analyzer
    {
        get;
    } = new("destinationrule.PortAnalyzer", "Checks that hosts have the ports for which DestinationRules have settings", [OwnCodes.RulePortUnknown],
        ["DestinationRule", "Service", "Pod"], mesh =>
        from config in mesh.Clusters
        // Clusters that were not read may have them.
        where mesh.ReadsAll
        from rule in config.Cluster.Istio<DestinationRule>()
        let hosts = mesh.Hosts.Find(rule.Host)
        where hosts.Count > 0
        let ports = hosts.SelectMany(host => host.Ports).Distinct().Order().ToList()
        from place in Places(rule)
        where !ports.Contains(place.Port)
        let leading = LeadingTo(mesh, hosts, place.Port)
        select OwnCodes.RulePortUnknown.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", place.Path, leading is { } port
            ? $"{place.Port} is the port of the workloads to which port {port} of {rule.Host} leads: settings are for ports of Services, so these have no "
                + "effect"
            : $"{rule.Host} has no port {place.Port}, so these settings have no effect: it has "
                + $"{(ports.Count == 0 ? "no ports" : string.Join(", ", ports))}",
            leading is { } meant ? $"write {meant} instead of {place.Port}" : "use the number of a port that the Service has, or remove the settings"));

    private static IEnumerable<(string Path, int Port)> Places(DestinationRule rule) =>
        from policy in rule.Subsets.Index().Select(subset => (Path: $"spec.subsets[{subset.Index}].trafficPolicy", subset.Item.Policy))
            .Prepend((Path: "spec.trafficPolicy", rule.Policy))
        from port in (policy.Policy?.Ports ?? default).Index()
        select ($"{policy.Path}.portLevelSettings[{port.Index}].port.number", port.Item.Port);

    /// <summary>The port of a Service that leads to this port of its workloads; null when none does.</summary>
    private static int? LeadingTo(MeshSnapshot mesh, IReadOnlyList<KnownHost> hosts, int target) =>
        (from host in hosts
         where host.Service is not null
         let area = mesh.Workloads.First(area => area.Cluster == host.Cluster)
         from port in host.Service!.Spec.Ports
         where port.TargetPort?.ToString() == target.ToString(CultureInfo.InvariantCulture)
             || area.Behind(host.Service!).Any(workload => AcceptedTls.TargetOf(port, workload.Pod!) == target)
         select (int?)port.Port).FirstOrDefault();
}
