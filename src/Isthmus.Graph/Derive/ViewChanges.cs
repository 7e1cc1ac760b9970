using Isthmus.Core.Live;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.Graph.Derive;

/// <summary>A collection of <see cref="MeshGraph.View"/>, or one that settings and endpoints in it depend on, and what its changes are.</summary>
internal sealed record ViewPart(LiveNode Node, Action<MeshChanges> Collect);

/// <summary>What a commit changes of the view. A collection that the view gets must be here, too.</summary>
internal static class ViewChanges
{
    public static IReadOnlyList<ViewPart> Of(MeshGraph mesh)
    {
        var sources = mesh.Sources;
        return
        [
            Part(mesh.Services, (changes, hosts) => changes.Services.UnionWith(hosts)),
            Read(mesh.Services, MeshPart.Services, host => host),
            Part(mesh.Endpoints, (changes, hosts) => changes.Endpoints.UnionWith(hosts)),
            Part(mesh.GatewaysByHost, (changes, hosts) => changes.Endpoints.UnionWith(hosts)),
            Part(mesh.ListedEndpoints, (changes, hosts) => changes.Listed.UnionWith(hosts)),
            Part(mesh.GatewayTables, (changes, _) => changes.Networks = true),
            Part(mesh.RulesByHost, (changes, rules) => changes.Rules.UnionWith(rules)),
            Read(mesh.RulesByHost, MeshPart.Rules, rule => rule.Read),
            Part(mesh.RoutingsByHost, (changes, hosts) => changes.Routed.UnionWith(hosts)),
            Part(mesh.GatewayRoutings.Listed, (changes, gateways) => changes.RoutedGateways.UnionWith(gateways)),
            Part(mesh.GatewayRoutings.ByHost, (changes, hosts) => changes.RoutedHosts.UnionWith(hosts)),
            Part(sources.Settings, (changes, _) => changes.Settings = true),
            Part(mesh.Sessions, (changes, _) => changes.Settings = true),
            Read(mesh.PeersByNamespace, MeshPart.Peers, ns => ns),
            Read(mesh.AuthorizationsByNamespace, MeshPart.Authorizations, ns => ns),
            Read(mesh.TokensByNamespace, MeshPart.Tokens, ns => ns),
            Read(sources.IssuerKeys, MeshPart.Keys, place => place),
            Read(mesh.ServicesByNamespace, MeshPart.ClusterServices, ns => ns),
            Read(mesh.Workloads, MeshPart.Workloads, workload => workload),
            Read(mesh.Machines, MeshPart.Machines, account => account),
            Read(sources.Nodes, MeshPart.Nodes, node => node),
            Read(mesh.SidecarsByNamespace, MeshPart.Sidecars, ns => ns),
            Read(mesh.FiltersByNamespace, MeshPart.Filters, ns => ns),
            Read(mesh.PluginsByNamespace, MeshPart.Plugins, ns => ns),
            Read(mesh.TelemetriesByNamespace, MeshPart.Telemetries, ns => ns),
            Read(mesh.GatewaysByLabel, MeshPart.Gateways, label => label),
            Read(sources.Credentials, MeshPart.Credentials, secret => (secret.Cluster, secret.Namespace)),
            Read(sources.CaBundles, MeshPart.Credentials, map => (map.Cluster, map.Namespace)),
            Read(sources.SecretAccess, MeshPart.Access, account => account),
            Read(mesh.CallerTraits, MeshPart.CallerTraits, trait => trait),
        ];
    }

    private static ViewPart Part<TKey, T>(Live<TKey, T> collection, Action<MeshChanges, IReadOnlySet<TKey>> note)
        where TKey : notnull where T : IEquatable<T> => new(collection, changes =>
        {
            if (collection.Changed.Count > 0) note(changes, collection.Changed);
        });

    /// <summary>Proxies' scopes are resolved from it.</summary>
    private static ViewPart Read<TKey, T>(Live<TKey, T> collection, MeshPart part, Func<TKey, object> key)
        where TKey : notnull where T : IEquatable<T> => Part(collection, (changes, keys) => changes.Read(part, keys.Select(key)));
}
