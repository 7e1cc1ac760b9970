namespace Isthmus.Proxy.Clusters;

/// <summary>The hosts of one priority of a cluster, arranged for choosing.</summary>
internal sealed class HostPriority(HostSet.Entry[] entries, double[] localityWeights, bool equalWeights)
{
    public readonly HostSet.Entry[] Entries = entries;
    public readonly double[] LocalityWeights = localityWeights;
    public readonly bool EqualWeights = equalWeights;
    public readonly double[] Cumulative = Sum(entries);

    /// <summary>Counts choices in turn. Those among a part of the hosts count on: otherwise each would be the first.</summary>
    public TurnCount Turns { get; init; } = new();

    /// <summary>All hosts, and those that were healthy at the last choice, arranged for consistent hashing.</summary>
    public volatile HashTable? WholeTable, CutTable;

    private static double[] Sum(HostSet.Entry[] entries)
    {
        var sums = new double[entries.Length];
        var total = 0.0;
        for (var i = 0; i < entries.Length; i++) sums[i] = total += entries[i].Weight;
        return sums;
    }

    internal sealed class TurnCount
    {
        private long _last;

        public long Next() => Interlocked.Increment(ref _last);
    }
}
