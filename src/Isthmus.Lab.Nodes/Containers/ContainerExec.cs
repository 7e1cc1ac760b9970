using System.Text;
using Isthmus.Images.Description;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Nodes.Containers;

/// <summary>A program started inside a running container, as the container's user and with its environment.</summary>
internal sealed class ContainerExec : IDisposable
{
    private const int LongestOutput = 16 * 1024;

    private readonly PidHandle _process;

    private ContainerExec(int process) =>
        _process = PidHandle.TryOpen(process) ?? throw new LaunchException($"process {process} vanished");

    /// <summary>Null when it was not requested, and with a terminal, where <see cref="Output"/> works both ways.</summary>
    internal SafeFileHandle? Input { get; private init; }

    internal required SafeFileHandle Output { get; init; }

    internal SafeFileHandle? Errors { get; private init; }

    internal PseudoTerminal? Terminal { get; private init; }

    /// <exception cref="LaunchException">The container has ended.</exception>
    internal static async Task<ContainerExec> StartAsync(
        ContainerProcess container, ContainerIdentity identity, bool canSetGroups, IReadOnlyList<string> command, bool input, bool terminal, TimeProvider time)
    {
        if (await container.FindProgramAsync(time, CancellationToken.None) is not { } init) throw new LaunchException("container not running");
        try
        {
            using var entrance = new ContainerEntrance(init);
            Task<int> Run(SpawnRequest request) => entrance.StartAsync([.. Places(request)], identity, canSetGroups);
            return terminal ? await StartOnTerminalAsync(init, identity, command, Run) : await StartOnPipesAsync(init, command, input, Run);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The container is ending: its files in /proc disappear one by one.
            throw new LaunchException(e.Message, e);
        }
    }

    /// <summary>Runs a command to completion and returns its exit code and output. When stopped, it kills the
    /// command.</summary>
    internal static async Task<(int Code, string Output)> RunAsync(
        Reactor reactor, ContainerProcess container, ContainerIdentity identity, bool canSetGroups, IReadOnlyList<string> command, TimeProvider time,
        CancellationToken stop)
    {
        using var exec = await StartAsync(container, identity, canSetGroups, command, input: false, terminal: false, time);
        var output = new StringBuilder();
        try
        {
            await Task.WhenAll(CollectAsync(reactor, exec.Output, output, stop), CollectAsync(reactor, exec.Errors!, output, stop));
            return (await exec.WaitAsync(reactor, stop), output.ToString());
        }
        catch (OperationCanceledException)
        {
            exec.Kill();
            throw;
        }
    }

    internal async Task<int> WaitAsync(Reactor reactor, CancellationToken stop)
    {
        await reactor.ReadableAsync(_process.Descriptor, stop);
        return Spawn.Reap(_process.Id) ?? 0;
    }

    internal void Kill()
    {
        _process.Signal(Signals.Kill);
        // It ends at once. As its parent, this process must not keep a zombie.
        _process.WaitForExit(TimeSpan.FromSeconds(1));
        _ = Spawn.Reap(_process.Id);
    }

    /// <summary>Closes our ends of its streams. The program continues to run.</summary>
    internal void CloseStreams()
    {
        Input?.Dispose();
        Output.Dispose();
        Errors?.Dispose();
        Terminal?.Dispose();
    }

    public void Dispose()
    {
        CloseStreams();
        _process.Dispose();
    }

    private static async Task<ContainerExec> StartOnPipesAsync(int init, IReadOnlyList<string> command, bool input, Func<SpawnRequest, Task<int>> run)
    {
        var (outRead, outWrite) = OpenPipe();
        var (errRead, errWrite) = OpenPipe();
        var (inRead, inWrite) = input ? OpenPipe() : (Descriptors.Open("/dev/null", Libc.ORdOnly), null);
        using (outWrite)
        using (errWrite)
        using (inRead)
        {
            try
            {
                var process = await run(new(command[0], command, Environment(init, false),
                    [(inRead.Number(), 0), (outWrite.Number(), 1), (errWrite.Number(), 2)]));
                foreach (var end in new[] { outRead, errRead, inWrite })
                {
                    if (end is not null) Descriptors.SetNonBlocking(end.Number());
                }
                return new(process) { Input = inWrite, Output = outRead, Errors = errRead };
            }
            catch
            {
                foreach (var end in new[] { outRead, errRead, inWrite }) end?.Dispose();
                throw;
            }
        }
    }

    private static async Task<ContainerExec> StartOnTerminalAsync(int init, ContainerIdentity identity, IReadOnlyList<string> command,
        Func<SpawnRequest, Task<int>> run)
    {
        // Through /proc we reach the container's own terminals without entering its mount namespace.
        var terminal = PseudoTerminal.Open($"/proc/{init}/root/dev/pts/ptmx");
        try
        {
            terminal.Give($"/proc/{init}/root", (uint)identity.User);
            var process = await run(new(command[0], command, Environment(init, true), []) { Terminal = terminal.SlavePath });
            Descriptors.SetNonBlocking(terminal.Master.Number());
            return new(process) { Output = terminal.Master, Terminal = terminal };
        }
        catch
        {
            terminal.Dispose();
            throw;
        }
    }

    /// <summary>A program without a slash is searched in the PATH of the container.</summary>
    private static IEnumerable<SpawnRequest> Places(SpawnRequest request)
    {
        const string Path = "PATH=";
        if (request.Path.Contains('/', StringComparison.Ordinal)) return [request];
        var searched = request.Environment.LastOrDefault(one => one.StartsWith(Path, StringComparison.Ordinal))?[Path.Length..] ?? ProgramLayout.SearchPath;
        return searched.Split(':').Select(directory => request with { Path = directory.Length == 0 ? request.Path : $"{directory}/{request.Path}" });
    }

    private static List<string> Environment(int init, bool terminal)
    {
        List<string> environment = [.. File.ReadAllText($"/proc/{init}/environ").Split('\0', StringSplitOptions.RemoveEmptyEntries)];
        if (terminal && !environment.Exists(one => one.StartsWith("TERM=", StringComparison.Ordinal))) environment.Add("TERM=xterm");
        return environment;
    }

    private static (SafeFileHandle Read, SafeFileHandle Write) OpenPipe()
    {
        var (read, write) = Descriptors.Pipe();
        return (new SafeFileHandle(read, ownsHandle: true), new SafeFileHandle(write, ownsHandle: true));
    }

    private static async Task CollectAsync(Reactor reactor, SafeFileHandle pipe, StringBuilder to, CancellationToken stop)
    {
        var buffer = new byte[4096];
        while (await Descriptors.ReadAsync(reactor, pipe, buffer, stop) is var read and > 0)
        {
            lock (to)
            {
                if (to.Length < LongestOutput) to.Append(Encoding.UTF8.GetString(buffer, 0, read));
            }
        }
    }
}
