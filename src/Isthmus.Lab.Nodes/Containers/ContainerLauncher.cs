using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Processes;
using Isthmus.Lab.Nodes.Root;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Nodes.Containers;

/// <summary>Everything that is necessary to start one container.</summary>
/// <param name="Command">The program and its arguments; the program is looked up in PATH inside the container.</param>
/// <param name="Network">The Pod's network namespace; null for the node's.</param>
internal sealed record LaunchRequest(
    RootSpec Root, ValueList<string> Command, ValueMap<string> Environment, string WorkingDirectory, ContainerIdentity Identity, bool CanSetGroups,
    string HostName, NamespaceHandle? Network, RunFiles Files, bool Terminal, bool Input);

/// <summary>The container could not be started: reason StartError (RunContainerError while waiting).</summary>
internal sealed class LaunchException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>
/// Starts containers. A dedicated thread builds the namespaces and the root, spawns the processes into them, and ends. Two
/// small processes stay around the program: one that created its PID namespace, and a shell that writes its exit code to a
/// file. Neither needs the node.
/// </summary>
internal static class ContainerLauncher
{
    // 3 is the exit file, 9 the container's standard error: the shell's own notices ("Killed") stay out of the log, and
    // what unshare has to say goes before the exit code. A terminal's master at 4 must not be redirected here: the shell
    // would keep it under another number.
    private const string Outer = "exec 9>&2 2>/dev/null; \"$@\" 2>&3; s=$?; exec 9>&-; echo $s >&3";

    // Runs as PID 1. A read-only /proc keeps the machine's settings out of reach of a container whose root is the machine's.
    private const string Inner = "exec 2>&9 9>&- 3>&- 4>&-; mount -n -t proc -o ro,nosuid,nodev,noexec proc /proc || exit 128; cd -- \"$1\" || exit 128; shift; exec \"$@\"";

    internal const int TerminalDescriptor = 4;

    internal static async Task<int> StartAsync(LaunchRequest request)
    {
        try
        {
            var namespaces = request.Network is { } network ? new[] { network } : [];
            return await NamespaceThread.RunAsync(namespaces, () => Start(request));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LaunchException(e.Message, e);
        }
    }

    private static int Start(LaunchRequest request)
    {
        NamespaceThread.Unshare(NamespaceKinds.Mount | NamespaceKinds.Uts | NamespaceKinds.Ipc);
        ProcessImage.SetHostName(request.HostName);
        using var exit = Descriptors.Open(request.Files.Exit, Libc.OWrOnly | Libc.OCreat, 0b110_000_000);
        using var output = OpenPipe(request.Files.Output);
        using var errors = OpenPipe(request.Files.Errors);
        using var input = request.Input && !request.Terminal ? Descriptors.Open(request.Files.Input, Libc.ORdOnly) : null;
        new RootFileSystem(request.Root).Build();
        RequireProgram(request);
        if (request.Terminal) return StartOnTerminal(request, exit);
        using var nothing = input is null ? Descriptors.Open("/dev/null", Libc.ORdOnly) : null;
        return Spawn.Start(ToSpawn(request,
            [((input ?? nothing)!.Number(), 0), (output.Number(), 1), (errors.Number(), 2), (exit.Number(), 3)]));
    }

    // The outer shell holds the terminal's master, so that the terminal outlives the node process.
    private static int StartOnTerminal(LaunchRequest request, SafeFileHandle exit)
    {
        using var terminal = PseudoTerminal.Open();
        using var slave = Descriptors.Open(terminal.SlavePath, Libc.ORdWr | Libc.ONoCtty);
        return Spawn.Start(ToSpawn(request,
            [(slave.Number(), 0), (slave.Number(), 1), (slave.Number(), 2), (exit.Number(), 3), (terminal.Master.Number(), TerminalDescriptor)]));
    }

    private static SpawnRequest ToSpawn(LaunchRequest request, IReadOnlyList<(int, int)> descriptors)
    {
        List<string> arguments =
        [
            "sh", "-c", Outer, "container",
            "unshare", "--pid", "--fork", "--kill-child", "--", "/bin/sh", "-c", Inner, "container", request.WorkingDirectory,
            .. request.Terminal ? ["setsid", "-c"] : Array.Empty<string>(),
            .. request.Identity.ToSetPriv(request.CanSetGroups),
            .. request.Command,
        ];
        var environment = request.Environment.Select(pair => $"{pair.Key}={pair.Value}").ToList();
        return new("/bin/sh", arguments, environment, descriptors);
    }

    private static SafeFileHandle OpenPipe(string path)
    {
        // Opened for both ways, so that opening never blocks, and a container never gets SIGPIPE while the node process is
        // down.
        return Descriptors.Open(path, Libc.ORdWr);
    }

    /// <summary>Fails at once if the program does not exist, as container runtimes do.</summary>
    private static void RequireProgram(LaunchRequest request)
    {
        var program = request.Command[0];
        var candidates = program.Contains('/', StringComparison.Ordinal)
            ? [Path.Combine(request.WorkingDirectory, program)]
            : request.Environment.GetValueOrDefault("PATH", "").Split(':').Select(directory => Path.Combine(directory, program));
        if (candidates.Any(File.Exists)) return;
        var where = program.Contains('/', StringComparison.Ordinal) ? "no such file or directory" : "executable file not found in $PATH";
        throw new LaunchException(string.Create(CultureInfo.InvariantCulture, $"exec: \"{program}\": {where}"));
    }
}
