using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.Graph.Derive;

/// <summary>What a commit changes of <see cref="MeshGraph.View"/>. A collection that the view gets must be here, too.</summary>
internal static class ViewChanges
{
    /// <summary>Adds the changes of the current commit.</summary>
    public static void Collect(this MeshGraph mesh, MeshChanges changes)
    {
        var sources = mesh.Sources;
        changes.Services.UnionWith(mesh.Services.Changed);
        changes.Endpoints.UnionWith(mesh.Endpoints.Changed);
        changes.Rules.UnionWith(mesh.RulesByHost.Changed);
        changes.Routed.UnionWith(mesh.RoutingsByHost.Changed);
        changes.RoutedGateways.UnionWith(mesh.GatewayRoutings.Listed.Changed);
        changes.RoutedHosts.UnionWith(mesh.GatewayRoutings.ByHost.Changed);
        changes.Gateways |= mesh.GatewayTables.Changed.Count > 0;
        changes.Settings |= sources.Settings.Changed.Count > 0;
        changes.Interest |= mesh.NearHosts.Changed.Count > 0 || mesh.CallerLabels.Changed.Count > 0;
        changes.Read(MeshPart.Services, mesh.Services.Changed);
        changes.Read(MeshPart.Rules, mesh.RulesByHost.Changed.Select(key => key.Read));
        changes.Read(MeshPart.Peers, mesh.PeersByNamespace.Changed);
        changes.Read(MeshPart.Authorizations, mesh.AuthorizationsByNamespace.Changed);
        changes.Read(MeshPart.Tokens, mesh.TokensByNamespace.Changed);
        changes.Read(MeshPart.Keys, sources.IssuerKeys.Changed);
        changes.Read(MeshPart.ClusterServices, mesh.ServicesByNamespace.Changed);
        changes.Read(MeshPart.Workloads, sources.Pods.Changed.Select(Workload.KeyOfPod));
        changes.Read(MeshPart.Machines, mesh.Machines.Changed);
        changes.Read(MeshPart.Nodes, sources.Nodes.Changed);
        changes.Read(MeshPart.Sidecars, mesh.SidecarsByNamespace.Changed);
        changes.Read(MeshPart.Filters, mesh.FiltersByNamespace.Changed);
        changes.Read(MeshPart.Plugins, mesh.PluginsByNamespace.Changed);
        changes.Read(MeshPart.Telemetries, mesh.TelemetriesByNamespace.Changed);
        changes.Read(MeshPart.Gateways, mesh.GatewaysByLabel.Changed);
        changes.Read(MeshPart.Credentials, sources.Credentials.Changed.Concat(sources.CaBundles.Changed).Select(key => (key.Cluster, key.Namespace)));
        changes.Read(MeshPart.Access, sources.SecretAccess.Changed);
    }
}
