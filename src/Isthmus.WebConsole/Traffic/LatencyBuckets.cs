using System.Globalization;

namespace Isthmus.WebConsole.Traffic;

/// <summary>The upper bounds of Istio's histogram of latencies, in milliseconds, and percentiles by them.</summary>
internal static class LatencyBuckets
{
    private static readonly double[] Bounds = [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
        3_600_000, double.PositiveInfinity];

    public static int Count => Bounds.Length;

    /// <summary>The index of a bound as Prometheus writes it; -1 for one that Istio does not have.</summary>
    public static int IndexOf(ReadOnlySpan<char> bound) =>
        bound is "+Inf"
            ? Bounds.Length - 1
            : double.TryParse(bound, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? Array.IndexOf(Bounds, value)
            : -1;

    /// <summary>The latency that a share of the calls does not exceed, in milliseconds, with calls spread evenly inside a bucket; null
    /// without calls.</summary>
    /// <param name="cumulative">How many calls were no slower than each bound.</param>
    public static double? Percentile(ReadOnlySpan<double> cumulative, double share)
    {
        if (cumulative.Length != Bounds.Length || cumulative[^1] <= 0) return null;
        var wanted = cumulative[^1] * share;
        var at = 0;
        while (cumulative[at] < wanted) at++;
        // The last bucket has no upper bound.
        if (at == Bounds.Length - 1) return Bounds[^2];
        var (lower, below) = at == 0 ? (0, 0) : (Bounds[at - 1], cumulative[at - 1]);
        var inside = cumulative[at] - below;
        return inside <= 0 ? Bounds[at] : lower + ((Bounds[at] - lower) * (wanted - below) / inside);
    }
}
