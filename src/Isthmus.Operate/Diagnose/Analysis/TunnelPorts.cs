using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Tunnels of DestinationRules for hosts whose ports declare HTTP: requests are not passed through tunnels, connections are. Pure.</summary>
public static class TunnelPorts
{
    public static Analyzer Analyzer
    {
        get;
    } = new("destinationrule.TunnelAnalyzer", "Checks that hosts with a tunnel have ports for connections", [OwnCodes.TunnelForRequests],
        ["DestinationRule", "Service", "VirtualService"], mesh => mesh.Clusters.SelectMany(config => Check(mesh, config)));

    private static IEnumerable<Finding> Check(MeshSnapshot mesh, ConfigCluster config)
    {
        // A route for connections gets one to a port of any protocol.
        var connected = mesh.Clusters.SelectMany(RouteDestinations.Of)
            .Where(placed => placed.Path.StartsWith("spec.tcp[", StringComparison.Ordinal) || placed.Path.StartsWith("spec.tls[", StringComparison.Ordinal))
            .Select(placed => placed.Destination.Host).ToHashSet(StringComparer.Ordinal);
        return
            from rule in config.Cluster.Istio<DestinationRule>()
            where !connected.Contains(rule.Host)
            let ports = mesh.Hosts.Find(rule.Host).SelectMany(host => host.Protocols).Distinct().ToList()
            where ports.Count > 0
            from tunnel in Of(rule)
            let meant = ports.Where(port => tunnel.IsFor(port.Number)).ToList()
            where meant.Count > 0 && meant.TrueForAll(port => port.Protocol.IsHttp())
            select OwnCodes.TunnelForRequests.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", tunnel.Path,
                $"has no effect: {rule.Host} declares HTTP at "
                    + $"{string.Join(", ", meant.Select(port => $"{port.Number} ({port.Protocol.ToString().ToUpperInvariant()})"))}, and only connections of "
                    + "TCP and TLS go through tunnels");
    }

    private static IEnumerable<(string Path, Func<int, bool> IsFor)> Of(DestinationRule rule) => Of("spec.trafficPolicy", rule.Policy)
        .Concat(rule.Subsets.Index().SelectMany(subset => Of($"spec.subsets[{subset.Index}].trafficPolicy", subset.Item.Policy)));

    private static IEnumerable<(string Path, Func<int, bool> IsFor)> Of(string path, TrafficPolicy? policy)
    {
        if (policy is null) yield break;
        if (policy.Tunnel is not null) yield return ($"{path}.tunnel", port => !policy.Ports.Any(own => own.Port == port));
        foreach (var (i, own) in policy.Ports.Index())
            if (own.Policy.Tunnel is not null) yield return ($"{path}.portLevelSettings[{i}].tunnel", port => port == own.Port);
    }
}
