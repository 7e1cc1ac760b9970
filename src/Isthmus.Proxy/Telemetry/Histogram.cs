namespace Isthmus.Proxy.Telemetry;

/// <summary>Counts of values in ranges.</summary>
/// <param name="bounds">The upper bounds of the ranges but the last, ascending.</param>
internal sealed class Histogram(double[] bounds)
{
    private readonly long[] _counts = new long[bounds.Length + 1];
    private double _sum;

    public IReadOnlyList<double> Bounds => bounds;

    public void Add(double value)
    {
        var at = 0;
        while (at < bounds.Length && value > bounds[at]) at++;
        Interlocked.Increment(ref _counts[at]);
        double seen;
        do seen = Volatile.Read(ref _sum);
        while (Interlocked.CompareExchange(ref _sum, seen + value, seen) != seen);
    }

    public double Sum => Volatile.Read(ref _sum);

    public long Count(int range) => Interlocked.Read(ref _counts[range]);
}
