using System.Net.Sockets;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Generate;

/// <summary>
/// The gateways of every network. A network is known once it has a gateway, ready or not; only ready addresses carry traffic,
/// so that losing the last gateway removes the network's endpoints instead of exposing unreachable addresses.
/// </summary>
public sealed record GatewayTable(ValueMap<ValueList<NetworkGateway>> Ready, ValueList<string> Known, uint Scale)
{
    public static readonly GatewayTable Empty = new(default, default, 1);

    public bool IsEmpty => Known.IsEmpty;

    public bool Knows(string network) => Known.Contains(network);

    /// <param name="gateways">Gateways with addresses, not host names; those that are not ready count only for <see cref="Known"/>.</param>
    public static GatewayTable Of(IEnumerable<NetworkGateway> gateways)
    {
        var all = gateways.ToList();
        if (all.Count == 0) return Empty;
        var ready = all
            .Where(gateway => gateway is { Ready: true, Family: not null, Weight: > 0 })
            .DistinctBy(gateway => (gateway.Network, gateway.Cluster, gateway.Address, gateway.Port))
            .OrderBy(gateway => gateway.Address.ToString(), StringComparer.Ordinal).ThenBy(gateway => gateway.Port)
            .ToList();
        var byNetwork = ready.GroupBy(gateway => gateway.Network).ToDictionary(group => group.Key, group => group.ToValueList());
        // Weights are divided among the gateways of a network or of a cluster in it: scaled by this, every division is whole.
        var shares = byNetwork.Values.Select(group => Total(group))
            .Concat(ready.GroupBy(gateway => (gateway.Network, gateway.Cluster)).Select(Total));
        ulong scale = 1;
        foreach (var share in shares) scale = Math.Min(uint.MaxValue, scale / GreatestDivisor(scale, share) * share);
        return new(byNetwork.ToValueMap(), all.Select(gateway => gateway.Network).Distinct().Order(StringComparer.Ordinal).ToValueList(), (uint)scale);
    }

    /// <summary>Those of some networks.</summary>
    public GatewayTable Of(ValueList<string> networks) => new(Ready.Where(known => networks.Contains(known.Key)).ToValueMap(),
        Known.Where(network => networks.Contains(network)).ToValueList(), Scale);

    /// <summary>The ready gateways for endpoints of one cluster in a network: the cluster's own, otherwise all of the network.</summary>
    /// <param name="network">The network of the endpoints.</param>
    /// <param name="cluster">Their cluster.</param>
    /// <param name="family">The only addresses that count: the caller cannot dial others. Null: all.</param>
    public IReadOnlyList<NetworkGateway> For(string network, string cluster, AddressFamily? family = null)
    {
        if (!Ready.TryGetValue(network, out var ready)) return [];
        var all = family is { } dialled ? ready.Where(gateway => gateway.Family == dialled).ToValueList() : ready;
        var own = all.Where(gateway => gateway.Cluster == cluster).ToList();
        return own.Count > 0 ? own : all;
    }

    /// <summary>The sum of the gateways' weights.</summary>
    public static ulong Total(IEnumerable<NetworkGateway> gateways) => gateways.Aggregate(0ul, (sum, gateway) => sum + gateway.Weight);

    private static ulong GreatestDivisor(ulong a, ulong b)
    {
        while (b != 0) (a, b) = (b, a % b);
        return a;
    }
}
