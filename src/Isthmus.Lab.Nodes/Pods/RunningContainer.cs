using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Logs;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>A run of a container that has not ended, and everything that belongs to it.</summary>
/// <param name="pump">Copies its output. The caller must run it.</param>
internal sealed class RunningContainer(ContainerProcess process, LogPump pump, ContainerIdentity identity) : IDisposable
{
    // Cancelled and never disposed: it has no timer, and its token is used after the end too.
    private readonly CancellationTokenSource _over = new();
    private readonly TaskCompletionSource _turn = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal ContainerProcess Process => process;

    internal LogPump Pump => pump;

    internal ContainerIdentity Identity => identity;

    /// <summary>Cancelled when the run has ended, or when this node releases it.</summary>
    internal CancellationToken Over => _over.Token;

    /// <summary>The terminal's master, or the write end of its standard input; null when it has none.</summary>
    internal SafeFileHandle? Input { get; init; }

    internal bool IsTerminal { get; init; }

    /// <summary>The signal that asks it to end.</summary>
    internal int StopSignal { get; init; } = Signals.Term;

    /// <summary>Completes when it has ended and its output is in the log.</summary>
    internal Task Ended => _ended.Task;

    /// <summary>Completes when it may end: a sidecar that is being stopped waits for the containers that need it.</summary>
    internal Task Turn => _turn.Task;

    internal void LetEnd() => _turn.TrySetResult();

    /// <summary>Whether it is being stopped: its probes do not count any more.</summary>
    internal bool IsStopping { get; set; }

    /// <summary>Whether the run is over and recorded.</summary>
    internal void End()
    {
        pump.Log.Dispose();
        _ended.TrySetResult();
        Dispose();
    }

    public void Dispose()
    {
        _over.Cancel();
        pump.Log.Dispose();
        Input?.Dispose();
        process.Dispose();
    }
}
