using System.Globalization;
using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Images.Unpacking;
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
/// <remarks>
/// All of these processes are programs of the machine, because an image may have no program besides its own. They start
/// while the root of the mount namespace is still the machine's. When the last of them waits, with the container's identity,
/// the thread makes the container's root that of the namespace, and so of all processes in it (pivot_root). Only then does
/// the last one get the container's environment and become its program.
/// </remarks>
internal static class ContainerLauncher
{
    // 3 is the exit file, 9 the container's standard error: the shell's own notices ("Killed") stay out of the log, and
    // what unshare has to say goes before the exit code. A terminal's master at 4 must not be redirected here: the shell
    // would keep it under another number. 5 and 7 are for the shell that waits.
    private const string Outer = "exec 9>&2 2>/dev/null; \"$@\" 2>&3; s=$?; exec 9>&-; echo $s >&3";

    // Runs as PID 1. A read-only /proc keeps the machine's settings out of reach of a container whose root is the machine's.
    private const string Inner = "exec 2>&9 9>&- 3>&- 4>&-; \"$1\" -n -t proc -o ro,nosuid,nodev,noexec proc \"$2/proc\" || exit 128; shift 2; exec \"$@\"";

    // The shell that waits reads commands from its input, so the container's input gets another number.
    private const string Waiting = "exec 6<&0 0<&5 5<&-; exec \"$@\"";

    // What bash adds to the environment; SHLVL, which it adds when it ends, stays. The container's own values follow.
    private const string ForgetOfBash = "export -n PWD OLDPWD; ";

    /// <summary>An argument of PID 1 until it becomes the container's program.</summary>
    internal const string Preparing = "isthmus-prepares-this-container";

    internal const int TerminalDescriptor = 4;

    private const string Bash = "/bin/bash";

    private const int ScriptDescriptor = 5, ReadyDescriptor = 7;

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
        request.Root.Build();
        if (request.Root.Image is not null) MakeWorkingDirectory(request);
        RequireProgram(request);
        if (request.Terminal) return StartOnTerminal(request, exit);
        using var nothing = input is null ? Descriptors.Open("/dev/null", Libc.ORdOnly) : null;
        return StartWith(request, [((input ?? nothing)!.Number(), 0), (output.Number(), 1), (errors.Number(), 2), (exit.Number(), 3)]);
    }

    // The outer shell holds the terminal's master, so that the terminal outlives the node process.
    private static int StartOnTerminal(LaunchRequest request, SafeFileHandle exit)
    {
        using var terminal = PseudoTerminal.Open($"{request.Root.At}/dev/pts/ptmx");
        terminal.Give(request.Root.At, (uint)request.Identity.User);
        using var slave = Descriptors.Open(request.Root.At + terminal.SlavePath, Libc.ORdWr | Libc.ONoCtty);
        return StartWith(request,
            [(slave.Number(), 0), (slave.Number(), 1), (slave.Number(), 2), (exit.Number(), 3), (terminal.Master.Number(), TerminalDescriptor)]);
    }

    private static int StartWith(LaunchRequest request, IReadOnlyList<(int, int)> descriptors)
    {
        using var script = new LaunchPipe();
        using var ready = new LaunchPipe();
        var process = Spawn.Start(ToSpawn(request, [.. descriptors, (script.Read.Number(), ScriptDescriptor), (ready.Write.Number(), ReadyDescriptor)]));
        script.Read.Dispose();
        ready.Write.Dispose();
        script.Send($"echo >&{ReadyDescriptor}\n");
        if (!ready.IsWritten())
        {
            _ = PidHandle.TryOpen(process)?.WaitForExit(TimeSpan.FromSeconds(1));
            _ = Spawn.Reap(process);
            throw new LaunchException($"the container could not be prepared: {File.ReadAllText(request.Files.Exit).Trim().ReplaceLineEndings(" ")}");
        }
        Mounts.PivotRoot(request.Root.At);
        script.Send(Script(request));
        return process;
    }

    private static SpawnRequest ToSpawn(LaunchRequest request, IReadOnlyList<(int, int)> descriptors)
    {
        const string shell = "/bin/sh";
        List<string> arguments =
        [
            "sh", "-c", Outer, "container",
            ProgramPath.Find("unshare"), "--pid", "--fork", "--kill-child", "--",
            shell, "-c", Inner, "container", ProgramPath.Find("mount"), request.Root.At,
            .. request.Terminal ? [ProgramPath.Find("setsid"), "-c"] : Array.Empty<string>(),
            shell, "-c", Waiting, "container",
            ProgramPath.Find("setpriv"), .. request.Identity.ToSetPriv(request.CanSetGroups).Skip(1),
            .. LastShell(request), "-s", Preparing, .. request.Command,
        ];
        // Nothing of the container's own: these programs run outside of it (LD_PRELOAD).
        return new(shell, arguments, [], descriptors);
    }

    /// <summary>One command, so that the shell has read all of it before it changes its input. Some shells have variables that
    /// cannot be set.</summary>
    private static string Script(LaunchRequest request)
    {
        var script = new StringBuilder("{ ").Append(CultureInfo.InvariantCulture, $"exec 0<&6 6<&- {ReadyDescriptor}>&-; shift; ");
        if (!request.Environment.All(pair => IsShellName(pair.Key))) script.Append(ForgetOfBash);
        foreach (var (name, value) in request.Environment.Where(pair => IsShellName(pair.Key)))
            script.Append(CultureInfo.InvariantCulture, $"command export {name}={Quote(value)} 2>/dev/null; ");
        return script.Append(CultureInfo.InvariantCulture, $"cd -- {Quote(request.WorkingDirectory)} || exit 128; exec \"$@\"; }}\n").ToString();
    }

    /// <summary>The shell that becomes the container's program. Only bash passes on variables whose names are not those of shells, such as
    /// <c>spring.profiles.active</c>; they cannot be the loader's, so it may start with them.</summary>
    private static IEnumerable<string> LastShell(LaunchRequest request)
    {
        var others = request.Environment.Where(pair => !IsShellName(pair.Key)).Select(pair => $"{pair.Key}={pair.Value}").ToList();
        if (others.Count == 0) return ["/bin/sh"];
        return File.Exists(Bash) ? [ProgramPath.Find("env"), "--", .. others, Bash]
            : throw new LaunchException(
                $"environment variable {others[0].Split('=')[0]}: bash is needed to pass on this name, and {Bash} does not exist on this machine (install "
                    + $"bash)");
    }

    private static string Quote(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    private static bool IsShellName(string name) =>
        name.Length > 0 && !char.IsAsciiDigit(name[0]) && name.All(letter => letter == '_' || char.IsAsciiLetterOrDigit(letter));

    private static SafeFileHandle OpenPipe(string path)
    {
        // Opened for both ways, so that opening never blocks, and a container never gets SIGPIPE while the node process is
        // down.
        return Descriptors.Open(path, Libc.ORdWr);
    }

    /// <summary>Container runtimes create the working directory of an image if it is missing.</summary>
    private static void MakeWorkingDirectory(LaunchRequest request)
    {
        var path = InRoot(request, request.WorkingDirectory);
        if (request.Root.Writable && !File.Exists(path)) Directory.CreateDirectory(path);
    }

    /// <summary>Fails at once if the program does not exist, as container runtimes do.</summary>
    private static void RequireProgram(LaunchRequest request)
    {
        var program = request.Command[0];
        var candidates = program.Contains('/', StringComparison.Ordinal)
            ? [Path.Combine(request.WorkingDirectory, program)]
            : request.Environment.GetValueOrDefault("PATH", "").Split(':').Select(directory => Path.Combine(directory, program));
        var problems = candidates.Select(candidate => ProblemOf(InRoot(request, candidate))).ToList();
        if (problems.Contains(null)) return;
        // What was found by searching does not count unless it is a program.
        var problem = program.Contains('/', StringComparison.Ordinal) ? problems[0]! : RuncError.Missing;
        throw new LaunchException(
            $"failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: {RuncError.Of(program, problem)}");
    }

    private static string? ProblemOf(string path)
    {
        if (Directory.Exists(path)) return "is a directory";
        if (!File.Exists(path)) return RuncError.Missing;
        return (File.GetUnixFileMode(path) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) == 0
            ? "permission denied"
            : null;
    }

    private static string InRoot(LaunchRequest request, string path) => request.Root.At + ScopedPath.Resolve(request.Root.At, path);
}
