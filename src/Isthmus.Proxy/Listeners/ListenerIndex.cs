using System.Net;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Listeners;

/// <summary>The listeners of a snapshot by address, for handing a redirected connection to the intended one.</summary>
internal sealed class ListenerIndex
{
    private readonly Dictionary<IPEndPoint, ListenerSnapshot> _byAddress = [];

    public ListenerIndex(ProxySnapshot snapshot)
    {
        foreach (var listener in snapshot.Listeners.Values)
            if (listener is { HandOff: false, IsInternal: false, Udp: null } && listener.Direction != Direction.Inbound)
                _byAddress.TryAdd(listener.Address, listener);
    }

    /// <summary>The listener of exactly that address, else the wildcard listener of that port, else null.</summary>
    public ListenerSnapshot? Find(IPEndPoint destination) =>
        _byAddress.TryGetValue(destination, out var exact) ? exact
        : _byAddress.TryGetValue(new IPEndPoint(IPAddress.Any, destination.Port), out var any) ? any
        : _byAddress.GetValueOrDefault(new IPEndPoint(IPAddress.IPv6Any, destination.Port));
}
