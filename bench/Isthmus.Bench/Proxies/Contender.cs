using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Isthmus.Bench.Proxies;

/// <summary>One program under measurement: a process that has the first core for itself.</summary>
internal sealed class Contender : IAsyncDisposable
{
    // The kernel's USER_HZ: always 100 for programs.
    private const double TicksPerSecond = 100;

    private readonly Process _process;

    private Contender(string name, int port, Process process)
    {
        Name = name;
        Port = port;
        _process = process;
    }

    internal string Name { get; }

    /// <summary>Where clients connect, on the loopback.</summary>
    internal int Port { get; }

    /// <summary>User and system time of all threads so far.</summary>
    internal double CpuSeconds
    {
        get
        {
            // The name in parentheses may contain spaces. Fields 14 and 15 are user and system time (proc(5)).
            var stat = File.ReadAllText($"/proc/{_process.Id}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
        }
    }

    /// <summary>Starts a program and waits until it listens.</summary>
    /// <param name="cores">A list of cores, as <c>taskset</c> takes it.</param>
    /// <param name="output">The file that gets standard output.</param>
    internal static async Task<Contender> StartAsync(string name, int port, string cores, string output, IReadOnlyDictionary<string, string> environment, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo("sh", ["-c", "exec taskset -c \"$0\" \"$@\" >\"$OUTPUT\" 2>&1", cores, program, .. arguments]);
        start.Environment["OUTPUT"] = output;
        foreach (var (key, value) in environment) start.Environment[key] = value;
        var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        for (var i = 0; i < 600; i++)
        {
            if (process.HasExited) throw new InvalidOperationException($"{name} ended with {process.ExitCode}: {await File.ReadAllTextAsync(output)}");
            try
            {
                using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(IPAddress.Loopback, port);
                return new(name, port, process);
            }
            catch (SocketException)
            {
                await Task.Delay(50);
            }
        }
        process.Kill();
        throw new InvalidOperationException($"{name} does not listen on {port}: {await File.ReadAllTextAsync(output)}");
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
