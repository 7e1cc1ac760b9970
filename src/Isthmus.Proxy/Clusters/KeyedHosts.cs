namespace Isthmus.Proxy.Clusters;

/// <summary>The hosts of a cluster by the keys of requests (consistent hashing). Immutable except for the tables of the priorities.</summary>
internal sealed class KeyedHosts(HostPriority[] priorities, HashSettings hashing)
{
    /// <summary>The host of a key. As in Envoy, the key also decides the priority, and only unhealthy hosts move the keys of others.</summary>
    public Host? Pick(PickInputs inputs, ulong key, double? panicThreshold)
    {
        var first = priorities.Length == 1 ? 0 : PriorityOf(key, inputs.Now);
        if (panicThreshold is > 0 and var threshold && PriorityShares.Of(priorities, inputs.Now) is { Total: < 1 } shares && shares.Panics(first, threshold))
            return PickInPanic(first, inputs, key, threshold);
        foreach (var (avoidable, triable) in ((bool, bool)[])[(false, false), (true, false), (true, true)])
        {
            for (var p = 0; p < priorities.Length; p++)
            {
                if (Table(priorities[(first + p) % priorities.Length], inputs.Now)?.Pick(key, inputs, avoidable, triable) is { } host) return host;
            }
        }
        if (panicThreshold is 0) return null;
        return PickInPanic(0, inputs, key, panicThreshold);
    }

    private Host? PickInPanic(int first, PickInputs inputs, ulong key, double? panicThreshold)
    {
        for (var p = 0; p < priorities.Length; p++)
        {
            var priority = priorities[(first + p) % priorities.Length];
            var some = Array.FindAll(priority.Entries, entry => !HostSet.IsSpared(entry.Host, panicThreshold));
            if (some.Length > 0) return (some.Length == priority.Entries.Length ? Whole(priority) : Arrange(priority, some)).PickAny(key, inputs);
        }
        return null;
    }

    /// <summary>Envoy's share of each priority in percent, and which of them the key falls into.</summary>
    private int PriorityOf(ulong key, long now)
    {
        var (hit, sum) = ((int)(key % 100) + 1, 0);
        for (var p = 0; p < priorities.Length; p++)
        {
            var entries = priorities[p].Entries;
            sum += Math.Min(100 - sum, 140 * entries.Count(entry => entry.Host.IsHealthy(now)) / entries.Length);
            if (hit <= sum) return p;
        }
        return 0;
    }

    /// <summary>The healthy hosts of a priority, arranged; null when it has none.</summary>
    private HashTable? Table(HostPriority priority, long now)
    {
        var healthy = 0;
        foreach (var entry in priority.Entries)
            if (entry.Host.IsHealthy(now)) healthy++;
        if (healthy == 0) return null;
        if (healthy == priority.Entries.Length) return Whole(priority);
        if (priority.CutTable is { } cut && cut.Hosts.Length == healthy && Array.TrueForAll(cut.Hosts, host => host.IsHealthy(now))) return cut;
        return priority.CutTable = Arrange(priority, Array.FindAll(priority.Entries, entry => entry.Host.IsHealthy(now)));
    }

    private HashTable Whole(HostPriority priority) => priority.WholeTable ??= Arrange(priority, priority.Entries);

    private HashTable Arrange(HostPriority priority, HostSet.Entry[] entries)
    {
        double Own(HostSet.Entry entry) => Math.Max(1, entry.Host.Endpoint.Weight);
        var localities = entries.GroupBy(entry => entry.Locality)
            .ToDictionary(group => group.Key, group => (Weight: priority.LocalityWeights[group.Key], Sum: group.Sum(Own)));
        var isWeighted = localities.Values.All(locality => locality.Weight > 0);
        var total = localities.Values.Sum(locality => isWeighted ? locality.Weight : locality.Sum);
        return hashing.Arrange([.. entries.Select(entry => (entry.Host,
            (isWeighted ? localities[entry.Locality].Weight * Own(entry) / localities[entry.Locality].Sum : Own(entry)) / total))]);
    }
}
