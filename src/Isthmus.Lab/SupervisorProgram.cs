using System.Globalization;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.InteropServices;
using Isthmus.Core.Collections;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Lab.Loopback;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Supervisor;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Isthmus.Lab;

/// <summary><c>isthmus lab-supervisor</c>: PID 1 of the lab. Started by <see cref="LabLauncher"/> inside fresh namespaces.</summary>
public static class SupervisorProgram
{
    private static readonly Flag<string> Home = Flag.Text(LabLauncher.HomeFlag, "DIR", "");

    private static readonly Flag<LabModeKind> Mode = new("--mode", "MODE", default,
        text => Enum.TryParse<LabModeKind>(text, ignoreCase: true, out var mode)
            ? mode
            : throw new FormatException($"expected {string.Join(", ", Enum.GetNames<LabModeKind>()).ToLowerInvariant()}"));

    private static readonly Flag<int> ListenDescriptor = Flag.PositiveNumber("--listen-fd", 0), ProxyPort = Flag.Port("--proxy-port", 0);

    private static readonly Flag<ValueList<int>> MachineDescriptors = new(LabLauncher.MachineFlag, "N,N…", [],
        text => text.Split(',')
            .Select(number => int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var one)
                ? one
                : throw new FormatException("expected numbers of descriptors"))
            .ToValueList());

    private static readonly FlagSet Flags = new("isthmus lab-supervisor", Home, Mode, ListenDescriptor, ProxyPort, MachineDescriptors);

    /// <param name="args">All of the flags; <see cref="LabLauncher"/> writes them.</param>
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var flags = Flags.Read(args);
        var home = new LabHome(flags.Required(Home));
        var listenDescriptor = flags.Required(ListenDescriptor);
        var mode = flags.Required(Mode);
        var port = flags.Required(ProxyPort);
        if (Environment.ProcessId != 1) throw new ProblemException("lab-supervisor", "must be the first process of a PID namespace", "use isthmus lab up");

        using var logging = LoggerFactory.Create(builder => builder.AddSimpleConsole(options =>
        {
            options.SingleLine = true;
            options.ColorBehavior = LoggerColorBehavior.Disabled;
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

        // No process of the lab may inherit these: they belong to the machine's network.
        using var listener = Own(listenDescriptor);
        using var machine = new MachineSockets(flags.Get(MachineDescriptors).Select(Own));
        PrepareFileSystem();
        ProcessImage.SetHostName("isthmus-lab");

        var settings = new SupervisorSettings(home, mode, port, SelfCommand.Current(), $"isthmus.internal/isthmus:{Version()}");
        using var door = new MachineDoor(home.MachineSocket, machine, log);
        var served = Task.WhenAll(new OutboundProxy(listener, ClusterSettings.OuterRange, log).RunAsync(ending.Token), door.RunAsync(ending.Token));
        await using var lab = await LabSupervisor.StartAsync(settings, TimeProvider.System, log, ending.Token);
        var stopped = false;
        await new ControlServer(lab, home.Socket, () =>
        {
            stopped = true;
            ending.Cancel();
        }, log).RunAsync(ending.Token);
        if (!stopped) await lab.StopAsync();
        await served;
        File.Delete(home.Socket);
        return 0;
    }

    private static Socket Own(int descriptor)
    {
        ProcessImage.CloseOnExecute(descriptor);
        return new Socket(new SafeSocketHandle(descriptor, ownsHandle: true));
    }

    private static void PrepareFileSystem()
    {
        // Sockets of the machine's daemons are below /run, and the lab's sockets must not be visible there.
        Mounts.Tmpfs("/run");
        Directory.CreateDirectory(NamespacePaths.Directory);
        Mounts.Tmpfs(NamespacePaths.Directory);
        // Pods bind the root directory recursively. This keeps them from holding other Pods' namespaces.
        Mounts.MakeUnbindable(NamespacePaths.Directory);
    }

    private static string Version() =>
        typeof(SupervisorProgram).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0.0.0";
}
