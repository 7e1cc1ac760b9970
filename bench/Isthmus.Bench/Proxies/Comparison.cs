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
/// <param name="unit">What the work is counted in, for example <c>requests</c>.</param>
internal sealed class Comparison(string unit)
{
    private const int MostWarmUps = 8;

    private sealed record Sample(double PerCpuSecond, double PerSecond, double Busy, double? P50, double? P99);

    /// <summary>By how much to divide the work for the table.</summary>
    internal double Scale { get; init; } = 1;

    internal int Rounds { get; init; } = 5;

    /// <summary>Two builds differ by less than other programs do, so they take more turns.</summary>
    /// <param name="before">The repository of the other build. Null: other programs.</param>
    internal static int RoundsBeside(string? before) => before is null ? 5 : 10;

    /// <summary>A turn before those that count. Each contender gets more of them for as long as it becomes better.</summary>
    internal TimeSpan WarmUp { get; init; } = TimeSpan.FromSeconds(2);

    internal TimeSpan Duration { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Prints a table; returns the ratio of the first contender to the best of the others.</summary>
    internal async Task<double> RunAsync(IReadOnlyList<Contender> contenders, Func<Contender, TimeSpan, Task<LoadResult>> load)
    {
        var samples = contenders.ToDictionary(one => one, _ => new List<Sample>());
        foreach (var contender in contenders) await WarmAsync(contender, load);
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var contender in contenders)
            {
                samples[contender].Add(await TurnAsync(contender, load, Duration));
            }
        }
        Console.WriteLine($"{"",-10} {unit + "/CPU s",16} {"spread",14} {unit + "/s",14} {"core busy",10} {"p50 ms",8} {"p99 ms",8} {"p99 spread",14}");
        foreach (var contender in contenders)
        {
            var of = samples[contender];
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{contender.Name,-10} {Median(of, s => s.PerCpuSecond) / Scale,16:0} {Spread(of, s => s.PerCpuSecond / Scale, "0"),14} "
                    + $"{Median(of, s => s.PerSecond) / Scale,14:0} {Median(of, s => s.Busy),10:0%} {Time(of, s => s.P50),8} {Time(of, s => s.P99),8} "
                    + $"{(of[0].P99 is null ? "–" : Spread(of, s => s.P99!.Value, "0.00")),14}"));
        }
        return Median(samples[contenders[0]], s => s.PerCpuSecond) / contenders.Skip(1).Select(peer => Median(samples[peer], s => s.PerCpuSecond))
            .DefaultIfEmpty(double.NaN).Max();
    }

    // A runtime compiles hot code for seconds, on the core that also does the work. How it is until then has rows of its own.
    private async Task WarmAsync(Contender contender, Func<Contender, TimeSpan, Task<LoadResult>> load)
    {
        var best = 0.0;
        for (var (turn, same) = (0, 0); turn < MostWarmUps && same < 2; turn++)
        {
            var rate = (await TurnAsync(contender, load, WarmUp)).PerCpuSecond;
            same = rate > best * 1.03 ? 0 : same + 1;
            best = Math.Max(best, rate);
        }
    }

    private static async Task<Sample> TurnAsync(Contender contender, Func<Contender, TimeSpan, Task<LoadResult>> load, TimeSpan duration)
    {
        var before = contender.CpuSeconds;
        var result = await load(contender, duration);
        var cpu = contender.CpuSeconds - before;
        var seconds = result.Duration.TotalSeconds;
        return new(result.Work / cpu, result.Work / seconds, cpu / seconds, result.P50, result.P99);
    }

    /// <summary>Prints the ratio as the last line.</summary>
    internal static void Conclude(double ratio) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"ratio: {ratio:0.00}"));

    private static string Time(List<Sample> samples, Func<Sample, double?> of) =>
        of(samples[0]) is null ? "–" : Median(samples, s => of(s)!.Value).ToString("0.00", CultureInfo.InvariantCulture);

    private static string Spread(List<Sample> samples, Func<Sample, double> of, string format) =>
        string.Create(CultureInfo.InvariantCulture,
            $"{samples.Min(of).ToString(format, CultureInfo.InvariantCulture)}-{samples.Max(of).ToString(format, CultureInfo.InvariantCulture)}");

    private static double Median(List<Sample> samples, Func<Sample, double> of) => Quantiles.Of([.. samples.Select(of)], 0.5);
}

/// <summary>Quantiles of measured values.</summary>
internal static class Quantiles
{
    /// <summary>The smallest value that this part of all values does not exceed.</summary>
    internal static double Of(IReadOnlyCollection<double> values, double part) =>
        values.Order().ElementAt(Math.Max(0, (int)Math.Ceiling(values.Count * part) - 1));
}
