using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Generate;

/// <summary>The addresses at which workloads reach a host.</summary>
public static class ServiceAddresses
{
    /// <summary>
    /// The cluster's own addresses first. A host that this cluster lacks has the address that was allocated for it here
    /// (the other cluster's may belong to another host here); a proxy without DNS capture, whose applications cannot learn
    /// that address, gets the other cluster's address, as in Istio. Empty for headless hosts and for hosts that are
    /// reachable by name only.
    /// </summary>
    public static ValueList<AddressOrRange> For(MeshService service, AddressCaller caller)
    {
        if (service.Headless) return default;
        if (service.Vips.TryGetValue(caller.Cluster, out var own) && !own.IsEmpty) return [AddressOrRange.Of(own[0])];
        if (AddressesOf(service, caller) is { IsEmpty: false } named) return named;
        if (MayUseAllocated(service, caller) && service.Allocated.TryGetValue(caller.Cluster, out var allocated)) return Dialled(allocated, caller);
        if (service.ClusterLocal) return default; // another cluster's address leads to endpoints that this cluster must not use
        foreach (var cluster in service.Clusters)
        {
            if (service.Vips.TryGetValue(cluster, out var foreign) && !foreign.IsEmpty) return [AddressOrRange.Of(foreign[0])];
        }
        return default;
    }

    /// <summary>A proxy without DNS capture dials the Services of other clusters at their addresses there, so that these are not free either.</summary>
    private static ValueList<AddressOrRange> AddressesOf(MeshService service, AddressCaller caller) => caller.DnsCapture || service.Foreign.Count == 0
        ? service.AddressesIn(caller.Cluster)
        : service.Addresses.Where(address => !service.Foreign.Values.Any(foreign => foreign.Contains(address))).ToValueList();

    /// <summary>
    /// The order in which hosts get what only one can have, such as an address, a port or a short name: Services of the caller's own cluster, other
    /// Services, then hosts of ServiceEntries, the oldest first.
    /// </summary>
    public static IOrderedEnumerable<T> Ranked<T>(IEnumerable<T> hosts, Func<T, MeshService> service, string cluster) => hosts
        .OrderBy(host => service(host) is var known && known.FromServiceEntry ? 2 : known.Vips.ContainsKey(cluster) ? 0 : 1)
        .ThenBy(host => service(host).CreatedAt).ThenBy(host => service(host).Hostname, StringComparer.Ordinal);

    /// <summary>A workload that has addresses of one family dials those of that family, where there is one.</summary>
    private static ValueList<AddressOrRange> Dialled(ValueList<Address> allocated, AddressCaller caller)
    {
        var own = allocated.Where(address => address.Family == caller.Family).ToValueList();
        return (own.IsEmpty ? allocated : own).Select(AddressOrRange.Of).ToValueList();
    }

    private static bool MayUseAllocated(MeshService service, AddressCaller caller) =>
        caller.DnsCapture && (!service.FromServiceEntry || caller.DnsAutoAllocate);
}
