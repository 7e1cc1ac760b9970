using System.Globalization;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Processes;

namespace Isthmus.Lab.Nodes.Containers;

/// <summary>A running container, started by this node process or an earlier one.</summary>
internal sealed class ContainerProcess : IDisposable
{
    private const int KilledExitCode = 128 + Signals.Kill;

    /// <summary>How long to wait for the preparation of a container; copying the files of a large image takes a while.</summary>
    private static readonly TimeSpan Preparation = TimeSpan.FromMinutes(2);

    private readonly PidHandle _outer;
    private readonly string _exitFile;

    private ContainerProcess(ProcessIdentity identity, PidHandle outer, string exitFile)
    {
        Identity = identity;
        _outer = outer;
        _exitFile = exitFile;
    }

    internal ProcessIdentity Identity { get; }

    internal PidHandle Outer => _outer;

    /// <summary>A container that was just started. Even if it has already ended, it is our child and has an exit
    /// status.</summary>
    internal static ContainerProcess Started(ProcessIdentity identity, string exitFile) =>
        new(identity, PidHandle.TryOpen(identity.Process) ?? throw new LaunchException($"process {identity.Process} vanished"), exitFile);

    /// <summary>Finds a container by its record; null when that process is gone.</summary>
    internal static ContainerProcess? TryAttach(ProcessIdentity identity, string exitFile)
    {
        var handle = PidHandle.TryOpen(identity.Process);
        if (handle is null) return null;
        // Checked after opening: from now on, the PID cannot come to mean another process.
        if (identity.IsAlive()) return new(identity, handle, exitFile);
        handle.Dispose();
        return null;
    }

    internal async Task<int> WaitAsync(Reactor reactor, CancellationToken stop)
    {
        await reactor.ReadableAsync(_outer.Descriptor, stop);
        _ = Spawn.Reap(Identity.Process);
        return ReadExitCode(_exitFile) ?? KilledExitCode;
    }

    /// <summary>The exit code; null when the container was killed together with the processes around it.</summary>
    internal static int? ReadExitCode(string exitFile)
    {
        if (!File.Exists(exitFile)) return null;
        var lines = File.ReadAllText(exitFile).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0 || !int.TryParse(lines[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var code)) return null;
        // unshare cannot end itself with SIGKILL as its child did: it reports an error and exits with 1.
        return code == 1 && lines[0].Contains("sigprocmask unblock failed", StringComparison.Ordinal) ? KilledExitCode : code;
    }

    /// <summary>The container's PID 1, as a PID of the lab; null before it runs and after it has ended.</summary>
    internal int? FindInit() =>
        ProcessIdentity.Children(Identity.Process).Select(maker => ProcessIdentity.Children(maker)).FirstOrDefault(inner => inner.Count > 0)?[0];

    /// <summary>Like <see cref="FindInit"/>, but only after PID 1 has become the container's program. Before that, it still
    /// prepares the container, sees other files, and ignores signals.</summary>
    /// <returns>Null when the container has ended, or is still not prepared after <see cref="Preparation"/>.</returns>
    internal async Task<int?> FindProgramAsync(TimeProvider time, CancellationToken stop)
    {
        var began = time.GetTimestamp();
        while (!_outer.HasExited && time.GetElapsedTime(began) < Preparation)
        {
            if (FindInit() is { } init && !IsPreparing(init)) return init;
            await Task.Delay(TimeSpan.FromMilliseconds(2), time, stop);
        }
        return FindInit() is { } last && !IsPreparing(last) ? last : null;
    }

    /// <summary>Whether PID 1 has yet to become the container's program.</summary>
    private static bool IsPreparing(int init)
    {
        try
        {
            // In the middle of execve(2), a process has neither arguments nor an environment.
            var arguments = File.ReadAllText($"/proc/{init}/cmdline");
            return arguments.Length == 0 || arguments.Contains(ContainerLauncher.Preparing, StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false; // it has ended
        }
    }

    /// <summary>Signals the container's PID 1, not the processes around it: <c>unshare</c> swallows SIGTERM.</summary>
    internal void Signal(int signal)
    {
        if (FindInit() is not { } init) return;
        using var handle = PidHandle.TryOpen(init);
        handle?.Signal(signal);
    }

    /// <summary>Ends everything in the container: the kernel kills a PID namespace with its PID 1.</summary>
    internal void Kill()
    {
        if (FindInit() is { } init)
        {
            using var handle = PidHandle.TryOpen(init);
            if (handle?.Signal(Signals.Kill) == true) return;
        }
        // There is no PID 1 yet: the process that creates the namespace takes its child with it.
        foreach (var maker in ProcessIdentity.Children(Identity.Process)) ProcessImage.Kill(maker, Signals.Kill);
        if (ProcessIdentity.Children(Identity.Process).Count == 0) _outer.Signal(Signals.Kill);
    }

    public void Dispose() => _outer.Dispose();
}
