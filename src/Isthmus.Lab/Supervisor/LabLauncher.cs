using System.Diagnostics;
using System.Globalization;
using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Lab.Loopback;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Supervisor;

/// <summary>Starts a supervisor on the machine, in namespaces of its own, detached from the command that started it.</summary>
public static class LabLauncher
{
    // Identifies a supervisor among other processes: see StraySupervisors.
    internal const string Verb = "lab-supervisor", HomeFlag = "--home";

    internal const string MachineFlag = "--machine-fds";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>Returns when the supervisor answers at its socket. The directory must exist (<see
    /// cref="LabHome.Create"/>).</summary>
    /// <exception cref="ProblemException">The supervisor ended instead. The message contains the end of its
    /// log.</exception>
    public static async Task StartAsync(LabHome home, LabMode mode, SelfCommand self, TimeProvider time, CancellationToken stop)
    {
        // Reusing the last port keeps copies of the kubeconfig valid.
        using var listener = LoopbackSocket.Listen(LabState.Load(home).ProxyPort);
        var port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        var machine = MachineSockets.Open();
        foreach (var socket in machine.Append(listener)) ProcessImage.KeepOpen((int)socket.Handle);

        string[] command = mode.Enter(self.With(
            Verb, HomeFlag, home.Directory, "--mode", mode.Kind.ToString().ToLowerInvariant(),
            "--listen-fd", Text((int)listener.Handle), "--proxy-port", Text(port), MachineFlag,
            string.Join(',', machine.Select(socket => Text((int)socket.Handle)))));
        var log = home.Log("supervisor");
        // A session of its own: closing the terminal must not end the lab.
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec >>\"$0\" 2>&1 </dev/null; cd /; exec setsid \"$@\"", log, .. command]);
        foreach (var (key, value) in RuntimeSettings.Environment) start.Environment[key] = value;
        start.Environment["PATH"] = Programs.SearchPath(start.Environment["PATH"]);
        // The lab's processes do not use the name that the command was invoked by.
        start.Environment.Remove("ISTHMUS_INVOKED_AS");
        var written = File.Exists(log) ? new FileInfo(log).Length : 0;
        using var process = Process.Start(start)!;
        foreach (var socket in machine) socket.Dispose();

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

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        ProblemException Failed(string how) => new("the lab's supervisor", $"{how}: {LastWords(log, written)}", $"see its log: {log}");
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
