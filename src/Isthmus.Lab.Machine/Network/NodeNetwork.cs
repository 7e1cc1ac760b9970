using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Machine.Network;

/// <summary>The network namespace of a cluster's node: its outer address, its routes, its packet filter.</summary>
internal sealed class NodeNetwork : IDisposable
{
    private readonly OuterNetwork _outer;
    private readonly RouteNetlink _netlink;
    private readonly string? _path;
    private ValueList<NodePeer> _peers = [];

    private NodeNetwork(OuterNetwork outer, ClusterSettings settings, string? path, NamespaceHandle handle, RouteNetlink netlink)
    {
        _outer = outer;
        Settings = settings;
        _path = path;
        Handle = handle;
        _netlink = netlink;
    }

    internal ClusterSettings Settings { get; }

    internal NamespaceHandle Handle { get; }

    /// <param name="path">Where the namespace is kept; null to keep it only while this object exists.</param>
    internal static async Task<NodeNetwork> CreateAsync(OuterNetwork outer, ClusterSettings settings, string? path, CancellationToken stop)
    {
        var handle = path is null ? NamespaceHandle.CreateNetwork() : NamespaceHandle.CreateNetwork(path);
        var netlink = NamespaceThread.Run(handle, () =>
        {
            NetworkSysctls.Forward();
            NetworkSysctls.AllowLowPorts();
            NetworkSysctls.AllowPing();
            NetworkSysctls.DisableReversePathFilter();
            return RouteNetlink.Open();
        });
        var node = new NodeNetwork(outer, settings, path, handle, netlink);
        try
        {
            outer.Attach(handle, settings.Address);
            // Every Pod's gateway: once on lo instead of on each Pod's link.
            netlink.AddAddress("lo", PodNetwork.Gateway, 32);
            netlink.SetLocalRange(settings.LoadBalancerPool);
            // The kernel routes a packet before the output hook turns a ClusterIP into an endpoint.
            netlink.SetRoute(settings.ServiceRange, "eth0", settings.Address);
            await node.LoadRulesAsync(stop);
            return node;
        }
        catch
        {
            node.Dispose();
            throw;
        }
    }

    /// <summary>Adds routes to the Pods of the clusters that share the network, and removes those of clusters that left
    /// it.</summary>
    internal async Task SetPeersAsync(ValueList<NodePeer> peers, CancellationToken stop)
    {
        if (peers == _peers) return;
        foreach (var gone in _peers.Except(peers)) _netlink.DeleteRoute(gone.PodRange);
        foreach (var peer in peers) _netlink.SetRouteVia(peer.PodRange, peer.Node, "eth0");
        _peers = peers;
        await LoadRulesAsync(stop);
    }

    public void Dispose()
    {
        _outer.Detach(Settings.Address);
        _netlink.Dispose();
        Handle.Dispose();
        if (_path is not null) NamespaceHandle.Unbind(_path);
    }

    private Task LoadRulesAsync(CancellationToken stop) => NftTransaction.LoadAsync(
        Handle, NodeRules.Render(new(Settings.PodRange, Settings.ServiceRange, Settings.LoadBalancerPool, _peers)), stop);
}
