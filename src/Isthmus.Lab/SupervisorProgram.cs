using System.Globalization;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.InteropServices;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Supervisor;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab;

/// <summary><c>isthmus lab-supervisor</c>: PID 1 of the lab. Started by <see cref="LabLauncher"/> inside fresh namespaces.</summary>
public static class SupervisorProgram
{
    /// <param name="args"><c>--home DIR --mode root|mapped|single --listen-fd N --proxy-port N</c>.</param>
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var home = new LabHome(Option(args, "--home"));
        var listenDescriptor = int.Parse(Option(args, "--listen-fd"), CultureInfo.InvariantCulture);
        var mode = Enum.Parse<LabModeKind>(Option(args, "--mode"), ignoreCase: true);
        var port = int.Parse(Option(args, "--proxy-port"), CultureInfo.InvariantCulture);
        if (Environment.ProcessId != 1) throw new ProblemException("lab-supervisor", "must be the first process of a PID namespace", "use: isthmus lab up");

        using var logging = LoggerFactory.Create(builder => builder.AddSimpleConsole(options =>
        {
            options.SingleLine = true;
            options.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
            options.UseUtcTimestamp = true;
        }));
        var log = logging.CreateLogger("supervisor");
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        void End(PosixSignalContext signal)
        {
            signal.Cancel = true;
            ending.Cancel();
        }
        // PID 1 has no default actions: without these, signals do nothing at all.
        using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);

        ProcessImage.CloseOnExecute(listenDescriptor);
        using var listener = new Socket(new SafeSocketHandle(listenDescriptor, ownsHandle: true));
        PrepareFileSystem();
        ProcessImage.SetHostName("isthmus-lab");

        var settings = new SupervisorSettings(home, mode, port, SelfCommand.Current(), $"isthmus.internal/isthmus:{Version()}");
        await using var lab = await LabSupervisor.StartAsync(settings, TimeProvider.System, log, ending.Token);
        var proxy = new OutboundProxy(listener, ClusterSettings.OuterRange, log).RunAsync(ending.Token);
        var stopped = false;
        await new ControlServer(lab, home.Socket, () =>
        {
            stopped = true;
            ending.Cancel();
        }, log).RunAsync(ending.Token);
        if (!stopped) await lab.StopAsync();
        await proxy;
        File.Delete(home.Socket);
        return 0;
    }

    private static void PrepareFileSystem()
    {
        // Sockets of the machine's daemons are below /run; and ours are not to be seen there.
        Mounts.Tmpfs("/run");
        Directory.CreateDirectory(NamespacePaths.Directory);
        Mounts.Tmpfs(NamespacePaths.Directory);
        // Pods bind the root directory recursively: they must not take hold of other Pods' namespaces with it.
        Mounts.MakeUnbindable(NamespacePaths.Directory);
    }

    private static string Version() =>
        typeof(SupervisorProgram).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0.0.0";

    private static string Option(string[] args, string name)
    {
        var at = Array.IndexOf(args, name);
        return at >= 0 && at + 1 < args.Length ? args[at + 1] : throw new ProblemException("lab-supervisor", $"{name} is missing", "use: isthmus lab up");
    }
}
