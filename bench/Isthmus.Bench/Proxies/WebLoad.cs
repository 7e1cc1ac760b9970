using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Isthmus.Bench.Proxies;

/// <summary>Loads of HTTP, by the generators that people use: wrk and h2load. They run beside the contender, not on its core.</summary>
internal static partial class WebLoad
{
    /// <summary>HTTP/1.1, kept alive, one request at a time on each connection.</summary>
    internal static async Task<LoadResult> Http1Async(string cores, int port, string path, int connections, TimeSpan duration)
    {
        var output = await RunAsync(cores, "wrk", "-t1", $"-c{connections}", $"-d{duration.TotalSeconds:0}s", "--latency", $"http://127.0.0.1:{port}{path}");
        if (output.Contains("Socket errors", StringComparison.Ordinal) || output.Contains("Non-2xx", StringComparison.Ordinal)) throw new InvalidOperationException($"requests failed:\n{output}");
        var total = WrkTotal().Match(output);
        return new(Number(total.Groups[1]), Time(total.Groups[2], total.Groups[3]), Milliseconds(Latency("50%").Match(output)), Milliseconds(Latency("99%").Match(output)));
    }

    /// <summary>HTTP/2 by prior knowledge.</summary>
    internal static async Task<LoadResult> Http2Async(string cores, int port, string path, int connections, int streams, TimeSpan duration)
    {
        var output = await RunAsync(cores, "h2load", "-p", "h2c", "-c", $"{connections}", "-m", $"{streams}", "-D", $"{duration.TotalSeconds:0}", $"http://127.0.0.1:{port}{path}");
        var counts = H2Requests().Match(output);
        if (!counts.Success || counts.Groups[2].Value != "0" || counts.Groups[3].Value != "0") throw new InvalidOperationException($"requests failed:\n{output}");
        // h2load prints no percentiles.
        return new(Number(counts.Groups[1]), duration, null, null);
    }

    private static async Task<string> RunAsync(string cores, string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("taskset", ["-c", cores, program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} ended with {process.ExitCode}: {output}{await error}");
    }

    private static double Number(Group group) => double.Parse(group.Value, CultureInfo.InvariantCulture);

    private static double? Milliseconds(Match match) => match.Success ? Time(match.Groups[1], match.Groups[2]).TotalMilliseconds : null;

    private static TimeSpan Time(Group number, Group unit) => unit.Value switch
    {
        "us" => TimeSpan.FromMicroseconds(Number(number)),
        "ms" => TimeSpan.FromMilliseconds(Number(number)),
        "m" => TimeSpan.FromMinutes(Number(number)),
        _ => TimeSpan.FromSeconds(Number(number)),
    };

    private static Regex Latency(string percentile) => new($@"{percentile}\s+([0-9.]+)(us|ms|s|m)\b");

    [GeneratedRegex(@"(\d+) requests in ([0-9.]+)(s|m)")]
    private static partial Regex WrkTotal();

    [GeneratedRegex(@"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored")]
    private static partial Regex H2Requests();
}
