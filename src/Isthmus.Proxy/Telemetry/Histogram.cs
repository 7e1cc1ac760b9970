namespace Isthmus.Proxy.Telemetry;

/// <summary>Counts of values in ranges, with Envoy's default bounds.</summary>
internal sealed class Histogram
{
    public static readonly double[] Bounds =
        [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000];

    private readonly long[] _counts = new long[Bounds.Length + 1];
    private double _sum;

    public void Add(double value)
    {
        var at = 0;
        while (at < Bounds.Length && value > Bounds[at]) at++;
        Interlocked.Increment(ref _counts[at]);
        double seen;
        do seen = Volatile.Read(ref _sum);
        while (Interlocked.CompareExchange(ref _sum, seen + value, seen) != seen);
    }

    public double Sum => Volatile.Read(ref _sum);

    public long Count(int range) => Interlocked.Read(ref _counts[range]);
}
