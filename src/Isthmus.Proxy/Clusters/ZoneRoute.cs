namespace Isthmus.Proxy.Clusters;

/// <summary>
/// How requests of this proxy go to the zones of a cluster, as in Envoy: to the own zone, as long as that has hosts for its part of the callers.
/// What it cannot take goes to zones that have more hosts than callers, so that all hosts of the region get as much.
/// </summary>
/// <param name="whole">The hosts of all zones.</param>
/// <param name="here">Those of the own zone.</param>
/// <param name="staying">The part of the requests that stays there.</param>
/// <param name="others">Those of other zones, and what they have to spare.</param>
internal sealed class ZoneRoute<T>(double part, T whole, T here, double staying, IReadOnlyList<(T Hosts, double Spare)> others)
{
    private readonly double _spare = others.Sum(zone => zone.Spare);

    /// <param name="zoneOf">The zones, by the index that entries have.</param>
    /// <param name="make">Makes a choice of hosts.</param>
    /// <returns>Null when zones do not matter: hosts are few, all in one zone, or none is in the own.</returns>
    public static ZoneRoute<T>? Of((ZoneAwareness Rule, OwnZones Own) zones, T whole, IReadOnlyList<HostSet.Entry> entries, Zone[] zoneOf,
        Func<HostSet.Entry[], T> make)
    {
        var (rule, own) = zones;
        if ((ulong)entries.Count < rule.MinHosts) return null;
        var groups = entries.GroupBy(entry => zoneOf[entry.Locality]).ToDictionary(group => group.Key, group => group.ToArray());
        if (groups.Count < 2 || !groups.TryGetValue(own.Here, out var near)) return null;
        double Part(HostSet.Entry[] hosts) => (double)hosts.Length / entries.Count;
        var staying = own.Part(own.Here) is > 0 and var callers ? Math.Min(1, Part(near) / callers) : 1;
        var others = groups.Where(group => group.Key != own.Here).Select(group => (make(group.Value), Math.Max(0, Part(group.Value) - own.Part(group.Key))))
            .ToList();
        return new(rule.Part, whole, make(near), staying, others);
    }

    /// <summary>The hosts for one request.</summary>
    public T Choose(Random random)
    {
        if (part < 1 && random.NextDouble() >= part) return whole;
        if (staying >= 1 || random.NextDouble() < staying) return here;
        if (_spare <= 0) return whole;
        var at = random.NextDouble() * _spare;
        foreach (var (hosts, spare) in others)
            if ((at -= spare) < 0) return hosts;
        return others[^1].Hosts;
    }
}
