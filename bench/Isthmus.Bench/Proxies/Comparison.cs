using System.Globalization;

namespace Isthmus.Bench.Proxies;

/// <summary>What one run of a load made.</summary>
/// <param name="Work">Requests, bytes or connections.</param>
/// <param name="P50">Median time of a request in milliseconds, or null.</param>
/// <param name="P99">99th percentile in milliseconds, or null.</param>
internal sealed record LoadResult(double Work, TimeSpan Duration, double? P50, double? P99);

/// <summary>
/// Gives contenders the same load in turns, and compares the work that each does per CPU second: other programs on the machine change
/// that less than they change the work per second.
/// </summary>
internal static class Comparison
{
    private const int Rounds = 5;

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(3);

    private sealed record Sample(double PerCpuSecond, double PerSecond, double Busy, double? P50, double? P99);

    /// <summary>Prints a table, and last the ratio of the first contender to the best of the others.</summary>
    /// <param name="unit">What the work is counted in, for example <c>requests</c>.</param>
    /// <param name="scale">By how much to divide it for the table.</param>
    internal static async Task RunAsync(string unit, double scale, IReadOnlyList<Contender> contenders, Func<int, TimeSpan, Task<LoadResult>> load)
    {
        var samples = contenders.ToDictionary(one => one, _ => new List<Sample>());
        foreach (var contender in contenders) await load(contender.Port, WarmUp);
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var contender in contenders)
            {
                var before = contender.CpuSeconds;
                var result = await load(contender.Port, Duration);
                var cpu = contender.CpuSeconds - before;
                var seconds = result.Duration.TotalSeconds;
                samples[contender].Add(new(result.Work / cpu, result.Work / seconds, cpu / seconds, result.P50, result.P99));
            }
        }
        Console.WriteLine($"{"",-10} {unit + "/CPU s",16} {"spread",14} {unit + "/s",14} {"core busy",10} {"p50 ms",8} {"p99 ms",8} {"p99 spread",14}");
        foreach (var contender in contenders)
        {
            var of = samples[contender];
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{contender.Name,-10} {Median(of, s => s.PerCpuSecond) / scale,16:0} {Spread(of, s => s.PerCpuSecond / scale, "0"),14} {Median(of, s => s.PerSecond) / scale,14:0} {Median(of, s => s.Busy),10:0%} {Time(of, s => s.P50),8} {Time(of, s => s.P99),8} {(of[0].P99 is null ? "–" : Spread(of, s => s.P99!.Value, "0.00")),14}"));
        }
        var ours = Median(samples[contenders[0]], s => s.PerCpuSecond);
        var best = contenders.Skip(1).Select(peer => Median(samples[peer], s => s.PerCpuSecond)).DefaultIfEmpty(double.NaN).Max();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"ratio: {ours / best:0.00}"));
    }

    private static string Time(List<Sample> samples, Func<Sample, double?> of) =>
        of(samples[0]) is null ? "–" : Median(samples, s => of(s)!.Value).ToString("0.00", CultureInfo.InvariantCulture);

    private static string Spread(List<Sample> samples, Func<Sample, double> of, string format) =>
        string.Create(CultureInfo.InvariantCulture, $"{samples.Min(of).ToString(format, CultureInfo.InvariantCulture)}-{samples.Max(of).ToString(format, CultureInfo.InvariantCulture)}");

    private static double Median(List<Sample> samples, Func<Sample, double> of)
    {
        var sorted = samples.Select(of).Order().ToList();
        return sorted[sorted.Count / 2];
    }
}
