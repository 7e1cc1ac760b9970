namespace Isthmus.Proxy.Clusters;

/// <summary>The part of the requests that each priority can take.</summary>
/// <param name="Healthy">The healthy percentage of each.</param>
internal sealed record PriorityShares(double[] Load, double[] Healthy, double Total)
{
    public static PriorityShares Of(HostPriority[] priorities, long now)
    {
        var (load, percent, total) = (new double[priorities.Length], new double[priorities.Length], 0.0);
        for (var p = 0; p < priorities.Length; p++)
        {
            var healthy = 0;
            foreach (var entry in priorities[p].Entries)
                if (entry.Host.IsHealthy(now)) healthy++;
            percent[p] = 100.0 * healthy / priorities[p].Entries.Length;
            load[p] = Math.Min(Math.Min(1, HostSet.Overprovisioning * percent[p] / 100), 1 - total);
            total += load[p];
        }
        return new(load, percent, total);
    }

    public bool Panics(int priority, double threshold) => Healthy[priority] < threshold;

    public bool AnyPanics(double threshold) => Array.Exists(Healthy, percent => percent < threshold);

    public bool AllPanic(double threshold) => Array.TrueForAll(Healthy, percent => percent < threshold);
}
