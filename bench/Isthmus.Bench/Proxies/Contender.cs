using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Isthmus.Bench.Proxies;

/// <summary>How to start a contender.</summary>
/// <param name="Port">Where it listens for TCP connections, once it is ready.</param>
internal sealed record ContenderStart(string Name, int Port, string Program, params IReadOnlyList<string> Arguments)
{
    /// <summary>The address of the port.</summary>
    internal string Host { get; init; } = "127.0.0.1";

    /// <summary>A list of cores, as <c>taskset</c> takes it. Null: those of this process.</summary>
    internal string? Cores { get; init; }

    /// <summary>A process whose network it gets. Null: the network of this process.</summary>
    internal int? NetworkOf { get; init; }

    internal IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();
}

/// <summary>One program under measurement, or several in a row.</summary>
internal sealed class Contender : IAsyncDisposable
{
    // The kernel's USER_HZ: always 100 for programs.
    private const double TicksPerSecond = 100;

    private readonly IReadOnlyList<Process> _processes;

    private Contender(string name, int port, IReadOnlyList<Process> processes)
    {
        Name = name;
        Port = port;
        _processes = processes;
    }

    internal string Name { get; }

    /// <summary>Where clients connect, on the loopback.</summary>
    internal int Port { get; }

    /// <summary>User and system time of all threads so far.</summary>
    internal double CpuSeconds => _processes.Sum(process =>
    {
        // The name in parentheses may contain spaces. Fields 14 and 15 are user and system time (proc(5)).
        var stat = File.ReadAllText($"/proc/{process.Id}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
    });

    /// <summary>Its own memory, without that of files and without that of the kernel.</summary>
    internal double AnonymousKib => _processes.Sum(process =>
    {
        const string name = "RssAnon:";
        var line = File.ReadLines($"/proc/{process.Id}/status").First(line => line.StartsWith(name, StringComparison.Ordinal));
        return double.Parse(line[name.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
    });

    /// <summary>Starts a program and waits until it listens.</summary>
    /// <param name="output">The file that gets standard output.</param>
    internal static async Task<Contender> StartAsync(ContenderStart how, string output)
    {
        string[] network = how.NetworkOf is { } other ? ["nsenter", $"--net=/proc/{other}/ns/net"] : [];
        string[] cores = how.Cores is { } list ? ["taskset", "-c", list] : [];
        var start = new ProcessStartInfo("sh", ["-c", "exec \"$@\" >\"$OUTPUT\" 2>&1", "sh", .. network, .. cores, how.Program, .. how.Arguments]);
        start.Environment["OUTPUT"] = output;
        foreach (var (key, value) in how.Environment) start.Environment[key] = value;
        var process = Process.Start(start) ?? throw new InvalidOperationException($"{how.Program} did not start");
        for (var i = 0; i < 2400; i++)
        {
            if (process.HasExited) throw new InvalidOperationException($"{how.Name} ended with {process.ExitCode}: {await File.ReadAllTextAsync(output)}");
            try
            {
                using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(IPAddress.Parse(how.Host), how.Port);
                return new(how.Name, how.Port, [process]);
            }
            catch (SocketException)
            {
                await Task.Delay(50);
            }
        }
        process.Kill();
        throw new InvalidOperationException($"{how.Name} does not listen on {how.Host}:{how.Port}: {await File.ReadAllTextAsync(output)}");
    }

    /// <summary>This program, which passes what it gets to the next one: both work for the same request. The result only measures them;
    /// it is not to be disposed.</summary>
    internal Contender Before(string name, Contender next) => new(name, Port, [.. _processes, .. next._processes]);

    /// <summary>Asks it to end, as Kubernetes does, and waits until it has.</summary>
    internal async Task EndAsync()
    {
        foreach (var process in _processes)
        {
            using var kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]);
            await kill.WaitForExitAsync();
            await process.WaitForExitAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes)
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }
    }
}
