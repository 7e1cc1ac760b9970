using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Istio;

namespace Isthmus.Mesh.Generate;

/// <summary>
/// AUTO_PASSTHROUGH in the form of Istio up to 1.10, which replicated control planes need: one chain for all names of a
/// server, and the SNI, rewritten where a filter says so, names the cluster. An unknown name ends in
/// <c>BlackHoleCluster</c>, or in no cluster at all.
/// </summary>
internal static class SniDnat
{
    public static FilterChain Chain(BoundServer bound, int port, GatewayInputs inputs)
    {
        var chain = new FilterChain();
        var names = bound.HostNames.Distinct().ToList();
        if (!names.Contains("*")) chain.FilterChainMatch = new() { ServerNames = { names } };
        chain.Filters.AddRange(PluginFilters.Network(inputs.Mesh, isServer: false, port));
        chain.Filters.Add(new Filter { Name = "envoy.filters.network.sni_cluster", TypedConfig = Parts.Pack(new SniCluster()) });
        // Without the rewrite, a name that needs it leads to no cluster: its connections are closed.
        foreach (var rewrite in inputs.Gateway.Rewrites.Where(rewrite => rewrite.AppliesTo(port) && inputs.Mesh.Software.Has(IstioFilters.ClusterRewrite)))
        {
            chain.Filters.Add(new Filter
            {
                Name = "envoy.filters.network.tcp_cluster_rewrite",
                TypedConfig = Parts.Pack(new TcpClusterRewrite { ClusterPattern = rewrite.Pattern, ClusterReplacement = rewrite.Replacement }),
            });
        }
        // Log a connection when it is established, not only when it ends: it may last for hours.
        chain.Filters.Add(Parts.TcpProxy(ResourceNames.BlackHole, inputs.Mesh, logConnected: true));
        return chain;
    }

    /// <summary>
    /// Whether the gateway needs the service's SNI clusters: services of the mesh that the servers' names cover, and with a rewrite,
    /// whose result is known only at connection time, every service of the mesh.
    /// </summary>
    /// <param name="sniHosts">The names of all AUTO_PASSTHROUGH servers.</param>
    public static bool Exposes(GatewayScope gateway, ValueList<string> sniHosts, MeshService service) =>
        !service.External && !sniHosts.IsEmpty && (!gateway.Rewrites.IsEmpty || sniHosts.Any(host => Hosts.Covers(host, service.Hostname)));
}
