using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Isthmus.Bench.Proxies;

/// <summary>Loads by the generators that people use. They run beside the contender, not on its core.</summary>
internal static partial class WebLoad
{
    /// <summary>HTTP/1.1, kept alive, one request at a time on each connection.</summary>
    internal static async Task<LoadResult> Http1Async(int port, string path, int connections, TimeSpan duration)
    {
        var output = await RunAsync("wrk", "-t1", $"-c{connections}", $"-d{duration.TotalSeconds:0}s", "--latency", $"http://127.0.0.1:{port}{path}");
        if (output.Contains("Socket errors", StringComparison.Ordinal) || output.Contains("Non-2xx", StringComparison.Ordinal))
            throw new InvalidOperationException($"requests failed:\n{output}");
        var total = WrkTotal().Match(output);
        return new(Number(total.Groups[1]), Time(total.Groups[2], total.Groups[3]), Milliseconds(Latency("50%").Match(output)),
            Milliseconds(Latency("99%").Match(output)));
    }

    /// <summary>HTTP/2 by prior knowledge.</summary>
    /// <param name="more">More arguments of h2load.</param>
    internal static async Task<LoadResult> Http2Async(int port, string path, int connections, int streams, TimeSpan duration, params string[] more)
    {
        var output = await RunAsync("h2load",
            ["-p", "h2c", "-c", $"{connections}", "-m", $"{streams}", "-D", $"{duration.TotalSeconds:0}", .. more, $"http://127.0.0.1:{port}{path}"]);
        var counts = H2Requests().Match(output);
        if (!counts.Success || counts.Groups[2].Value != "0" || counts.Groups[3].Value != "0" || !H2Success().IsMatch(output))
            throw new InvalidOperationException($"requests failed:\n{output}");
        // h2load prints no percentiles.
        return new(Number(counts.Groups[1]), duration, null, null);
    }

    /// <summary>TLS 1.3 handshakes with client certificates, each on a new connection with one HTTP/1.0 request, four at a time. Without
    /// the request, a server could see the end of the connection before it has verified the client.</summary>
    /// <param name="resume">Resume a session, if the server allows it.</param>
    /// <returns>The result, and the part of the handshakes that resumed a session.</returns>
    internal static async Task<(LoadResult Result, double Resumed)> HandshakesAsync(int port, Credentials credentials, bool resume, TimeSpan duration)
    {
        const int processes = 4;
        var begun = Stopwatch.GetTimestamp();
        var outputs = await Task.WhenAll(Enumerable.Range(0, processes).Select(_ => RunAsync("env",
            [$"OPENSSL_CONF={credentials.KeyExchange}", "openssl", "s_time", "-connect", $"127.0.0.1:{port}", resume ? "-reuse" : "-new", "-www", "/", "-time",
                $"{duration.TotalSeconds:0}", "-tls1_3", "-cert", credentials.Chain, "-key", credentials.Key, "-CAfile", credentials.Root])));
        var elapsed = Stopwatch.GetElapsedTime(begun);
        var (total, resumed) = (0.0, 0.0);
        foreach (var output in outputs)
        {
            var counts = Handshakes().Match(output);
            if (!counts.Success) throw new InvalidOperationException($"no handshakes:\n{output}");
            total += Number(counts.Groups[2]);
            // It prints a letter for each connection: r if it resumed a session.
            resumed += counts.Groups[1].Value.Count(letter => letter == 'r');
        }
        return (new(total, elapsed, null, null), resumed / total);
    }

    /// <summary>Queries of names in a file, one after another, on 8 sockets.</summary>
    /// <returns>The result, and whether every query was answered with success.</returns>
    internal static async Task<(LoadResult Result, bool Complete)> QueriesAsync(int port, string names, TimeSpan duration)
    {
        var output = await RunAsync("dnsperf", "-s", "127.0.0.1", "-p", $"{port}", "-d", names, "-l", $"{duration.TotalSeconds:0}", "-c", "8", "-q", "64");
        var completed = Number(DnsCompleted().Match(output).Groups[1]);
        var complete = output.Contains("Queries lost:         0 ", StringComparison.Ordinal)
            && Regex.IsMatch(output, @"Response codes: +NOERROR \d+ \(100\.00%\)");
        return (new(completed, TimeSpan.FromSeconds(Number(DnsSeconds().Match(output).Groups[1])), null, null), complete);
    }

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
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

    [GeneratedRegex(@"status codes: \d+ 2xx, 0 3xx, 0 4xx, 0 5xx")]
    private static partial Regex H2Success();

    [GeneratedRegex(@"^(\S+)\s+^(\d+) connections in [0-9.]+s;", RegexOptions.Multiline)]
    private static partial Regex Handshakes();

    [GeneratedRegex(@"Queries completed: +(\d+)")]
    private static partial Regex DnsCompleted();

    [GeneratedRegex(@"Run time \(s\): +([0-9.]+)")]
    private static partial Regex DnsSeconds();
}
