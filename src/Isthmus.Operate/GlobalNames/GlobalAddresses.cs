using System.Text;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.GlobalNames;

/// <summary>Addresses for hosts of the global zone: the same in every cluster, and not used by any other host.</summary>
public static class GlobalAddresses
{
    // 240.128.0.0/16: reserved, so it is never routed; next to 240.240.0.0/16, from which the control plane allocates.
    private static readonly AddressOrRange Zone = AddressOrRange.Parse("240.128.0.0/16");
    private const uint Count = 1 << 16;

    /// <summary>The address that the host already has in the clusters, if it is unique; otherwise one that is free in all
    /// of them.</summary>
    public static Address Choose(string host, IReadOnlyList<ClusterInventory> clusters)
    {
        var taken = clusters.SelectMany(cluster => cluster.Istio<ServiceEntry>().Where(entry => !entry.Hosts.Contains(host))).SelectMany(Addresses).ToHashSet();
        var own = clusters.SelectMany(cluster => cluster.Istio<ServiceEntry>().Where(entry => entry.Hosts.Contains(host))).SelectMany(Addresses).Distinct()
            .Where(address => !taken.Contains(address)).ToList();
        if (own.Count == 1 && Zone.Contains(own[0])) return own[0];
        taken.UnionWith(own);
        // The name alone determines where the search begins, so clusters that cannot see each other mostly agree.
        var start = Hash(host) % Count;
        for (uint i = 0; i < Count; i++)
        {
            var offset = (start + i) % Count;
            if ((offset & 0xFF) is 0 or 0xFF) continue;
            var address = Zone.Address.Plus(offset);
            if (!taken.Contains(address)) return address;
        }
        throw new Core.Problems.ProblemException("addresses for the global zone", $"all addresses of {Zone} are in use", "remove unused ServiceEntries");
    }

    private static IEnumerable<Address> Addresses(ServiceEntry entry) => entry.Addresses.Select(address => address.Address);

    /// <summary>FNV-1a: the same on every machine and in every version.</summary>
    private static uint Hash(string text) => Encoding.UTF8.GetBytes(text).Aggregate(2166136261u, (hash, unit) => (hash ^ unit) * 16777619u);
}
