using System.Globalization;
using System.Net;
using Isthmus.Core.Net;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Machine.Network;

/// <summary>
/// Connects Pods to their node, each by its own link without a bridge. All traffic of a Pod passes the node's IP hooks, so
/// Services work and callees see their callers' addresses. Use it in the node's network namespace. Links outlive the
/// process, and a later one finds them again (<see cref="AttachedAsync"/>).
/// </summary>
/// <param name="node">The node's own address: the source address of calls from the node to Pods.</param>
internal sealed class PodNetwork(IPAddress node) : IDisposable
{
    /// <summary>Every Pod's gateway: an address of the node that is on no wire.</summary>
    internal static readonly IPAddress Gateway = IPAddress.Parse("169.254.1.1");

    private const string LinkPrefix = "pod";

    private readonly RouteNetlink _netlink = RouteNetlink.Open();
    private readonly SemaphoreSlim _one = new(1);

    /// <summary>
    /// Adds an <c>eth0</c> with <paramref name="address"/>, a default route and a loopback to the Pod's namespace. It
    /// replaces an earlier link with that address. It takes about 1 ms.
    /// </summary>
    internal async Task AttachAsync(NamespaceHandle pod, IPAddress address, CancellationToken stop)
    {
        await _one.WaitAsync(stop);
        try
        {
            var link = LinkName(address);
            _netlink.DeleteLink(link);
            _netlink.CreateVeth(link, pod, "eth0", Addresses.HardwareAddress(address));
            ConfigureInside(pod, address);
            _netlink.SetUp(link);
            _netlink.SetRoute(Host(address), link, node);
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Removes the link of an address. It does nothing when there is none.</summary>
    internal async Task DetachAsync(IPAddress address, CancellationToken stop)
    {
        await _one.WaitAsync(stop);
        try
        {
            _netlink.DeleteLink(LinkName(address));
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>The attached addresses, including those that an earlier process of the node attached.</summary>
    internal async Task<IReadOnlyList<IPAddress>> AttachedAsync(CancellationToken stop)
    {
        await _one.WaitAsync(stop);
        try
        {
            return [.. _netlink.Links().Select(link => AddressOf(link.Name)).OfType<IPAddress>()];
        }
        finally
        {
            _one.Release();
        }
    }

    public void Dispose()
    {
        _netlink.Dispose();
        _one.Dispose();
    }

    private static void ConfigureInside(NamespaceHandle pod, IPAddress address)
    {
        using var inside = NamespaceThread.Run(pod, () =>
        {
            NetworkSysctls.AllowLowPorts();
            NetworkSysctls.AllowPing();
            return RouteNetlink.Open();
        });
        inside.SetUp("lo");
        inside.AddAddress("eth0", address, 32);
        inside.SetUp("eth0");
        inside.SetRoute(Host(Gateway), "eth0");
        inside.SetRouteVia(Cidr.Parse("0.0.0.0/0"), Gateway, "eth0");
    }

    private static Cidr Host(IPAddress address) => Cidr.Parse($"{address}/32");

    private static string LinkName(IPAddress address) => $"{LinkPrefix}{Addresses.ToNumber(address):x8}";

    private static IPAddress? AddressOf(string link) =>
        link.Length == LinkPrefix.Length + 8 && link.StartsWith(LinkPrefix, StringComparison.Ordinal)
        && uint.TryParse(link.AsSpan(LinkPrefix.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number)
            ? Addresses.FromNumber(number)
            : null;
}
