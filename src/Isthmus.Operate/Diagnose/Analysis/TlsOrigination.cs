using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>What makes callers begin TLS of their own with a host. Pure.</summary>
internal static class TlsOrigination
{
    /// <summary>Whether something begins TLS to some port of a host, or nobody knows.</summary>
    /// <param name="mesh">All clusters.</param>
    /// <param name="cluster">The one with the route that leads there.</param>
    /// <param name="host">The full name.</param>
    public static bool MayBegin(MeshSnapshot mesh, ClusterInventory cluster, string host) => !cluster.Knows(MeshApi.BackendTlsPolicy.Name)
        || mesh.GatewayApis.Where(api => api.Cluster == cluster).SelectMany(api => api.Verdicts.Policies).SelectMany(policy => policy.Targets)
            .Any(target => target.Kind == "Service" && host.StartsWith($"{target.Name}.{target.Namespace}.svc.", StringComparison.Ordinal))
        || RulesFor(mesh, host).Any(policy => policy.Tls is not null || policy.Ports.Any(port => port.Policy.Tls is not null));

    /// <summary>The settings of all DestinationRules for a host, also those of subsets.</summary>
    public static IEnumerable<TrafficPolicy> RulesFor(MeshSnapshot mesh, string host) =>
        mesh.Clusters.SelectMany(config => config.Cluster.Istio<DestinationRule>()).Where(rule => Hosts.Covers(rule.Host, host))
            .SelectMany(rule => rule.Subsets.Select(subset => subset.Policy).OfType<TrafficPolicy>().Prepend(rule.Policy));
}
