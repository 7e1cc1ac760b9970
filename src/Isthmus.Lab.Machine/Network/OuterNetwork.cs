using System.Net;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Machine.Network;

/// <summary>
/// The outer network: a bridge without an address, in a namespace that does nothing else, so it never routes packets, and
/// one interface <c>eth0</c> in each attached namespace.
/// </summary>
internal sealed class OuterNetwork : IDisposable
{
    private const string Bridge = "outer";

    private readonly NamespaceHandle _switch;
    private readonly RouteNetlink _netlink;
    // Guards _netlink: clusters start concurrently.
    private readonly Lock _guard = new();

    private OuterNetwork(NamespaceHandle @switch, RouteNetlink netlink)
    {
        _switch = @switch;
        _netlink = netlink;
    }

    /// <param name="namespacePath">Where the namespace is kept; null to keep it only while this object exists.</param>
    internal static OuterNetwork Create(string? namespacePath)
    {
        var @switch = namespacePath is null ? NamespaceHandle.CreateNetwork() : NamespaceHandle.CreateNetwork(namespacePath);
        var netlink = NamespaceThread.Run(@switch, () =>
        {
            NetworkSysctls.KeepBridgeOutOfNetfilter();
            return RouteNetlink.Open();
        });
        netlink.CreateBridge(Bridge);
        netlink.SetUp(Bridge);
        return new OuterNetwork(@switch, netlink);
    }

    /// <summary>Adds an <c>eth0</c> with <paramref name="address"/> to a namespace.</summary>
    internal void Attach(NamespaceHandle network, IPAddress address)
    {
        var port = PortName(address);
        lock (_guard)
        {
            _netlink.DeleteLink(port);
            _netlink.CreateVeth(port, network, "eth0", Addresses.HardwareAddress(address));
            _netlink.SetMaster(port, Bridge);
            _netlink.SetUp(port);
        }
        using var inside = RouteNetlink.Open(network);
        inside.SetUp("lo");
        inside.AddAddress("eth0", address, ClusterSettings.OuterRange.PrefixLength);
        inside.SetUp("eth0");
    }

    internal void Detach(IPAddress address)
    {
        lock (_guard) _netlink.DeleteLink(PortName(address));
    }

    public void Dispose()
    {
        _netlink.Dispose();
        _switch.Dispose();
    }

    private static string PortName(IPAddress address) => $"port{Addresses.ToNumber(address):x8}";
}
