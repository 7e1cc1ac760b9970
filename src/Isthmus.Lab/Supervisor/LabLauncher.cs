using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Supervisor;

/// <summary>Starts a supervisor on the machine, in namespaces of its own, detached from the command that started it.</summary>
public static class LabLauncher
{
    // Identifies a supervisor among other processes: see StraySupervisors.
    internal const string Verb = "lab-supervisor", HomeFlag = "--home";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>Returns when the supervisor answers at its socket. The directory must exist (<see
    /// cref="LabHome.Create"/>).</summary>
    /// <exception cref="ProblemException">The supervisor ended instead. The message contains the end of its
    /// log.</exception>
    public static async Task StartAsync(LabHome home, LabMode mode, SelfCommand self, TimeProvider time, CancellationToken stop)
    {
        using var listener = ListenOnLoopback(LabState.Load(home).ProxyPort);
        var port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        var descriptor = (int)listener.Handle;
        ProcessImage.KeepOpen(descriptor);

        string[] command = mode.Enter(self.With(
            Verb, HomeFlag, home.Directory, "--mode", mode.Kind.ToString().ToLowerInvariant(),
            "--listen-fd", descriptor.ToString(CultureInfo.InvariantCulture), "--proxy-port", port.ToString(CultureInfo.InvariantCulture)));
        var log = home.Log("supervisor");
        // A session of its own: closing the terminal must not end the lab.
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec >>\"$0\" 2>&1 </dev/null; cd /; exec setsid \"$@\"", log, .. command]);
        foreach (var (key, value) in RuntimeSettings.Environment) start.Environment[key] = value;
        start.Environment["PATH"] = Programs.SearchPath(start.Environment["PATH"]);
        // The lab's processes do not use the name that the command was invoked by.
        start.Environment.Remove("ISTHMUS_INVOKED_AS");
        var written = File.Exists(log) ? new FileInfo(log).Length : 0;
        using var process = Process.Start(start)!;

        var client = new LabClient(home);
        var begun = time.GetTimestamp();
        while (client.FindSupervisor() is null)
        {
            if (process.HasExited) throw Failed("exited immediately");
            if (time.GetElapsedTime(begun) > Patience)
            {
                process.Kill();
                throw Failed($"did not answer within {Patience.TotalSeconds:0} s");
            }
            await Task.Delay(TimeSpan.FromMilliseconds(10), time, stop);
        }

        ProblemException Failed(string how) => new("the lab's supervisor", $"{how}: {LastWords(log, written)}", $"see its log: {log}");
    }

    private static Socket ListenOnLoopback(int preferredPort)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // Reusing the last port keeps copies of the kubeconfig valid.
            listener.Bind(new IPEndPoint(IPAddress.Loopback, preferredPort));
        }
        catch (SocketException) when (preferredPort != 0)
        {
            listener.Dispose();
            return ListenOnLoopback(0);
        }
        listener.Listen(512);
        return listener;
    }

    private static string LastWords(string log, long from)
    {
        if (!File.Exists(log)) return "it logged nothing";
        using var stream = File.OpenRead(log);
        stream.Seek(Math.Max(from, stream.Length - 2000), SeekOrigin.Begin);
        using var reader = new StreamReader(stream);
        var lines = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return lines.Length == 0 ? "it logged nothing" : string.Join(" ", lines.TakeLast(3));
    }
}
