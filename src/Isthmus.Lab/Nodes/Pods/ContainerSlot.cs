using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Logs;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>One container of a Pod: what is known of its present run. Touched only by its Pod's worker.</summary>
internal sealed class ContainerSlot(Container spec, ContainerRole role, ContainerFiles files)
{
    internal Container Spec { get; set; } = spec;

    internal ContainerRole Role => role;

    internal ContainerFiles Files => files;

    internal ContainerRecord? Record { get; set; }

    /// <summary>Set while it runs.</summary>
    internal RunningContainer? Running { get; set; }

    /// <summary>Back-off after a crash, or after a start that failed.</summary>
    internal DateTimeOffset NotBefore { get; set; }

    internal TimeSpan StartBackOff { get; set; }

    /// <summary>Why it does not run; empty when nothing is wrong.</summary>
    internal string WaitingReason { get; set; } = "ContainerCreating";

    internal string WaitingMessage { get; set; } = "";

    internal bool Started { get; set; }

    internal bool ProbedReady { get; set; }

    internal bool Ready => Running is not null && Started && (Spec.ReadinessProbe is null || ProbedReady);

    /// <summary>The last run was in a sandbox that is no more: what it did there counts no longer.</summary>
    internal bool IsStale { get; set; }

    internal RunState State => Running is not null ? RunState.Running : Record?.End is not null && !IsStale ? RunState.Ended : RunState.NeverRan;

    internal ContainerFacts ToFacts() => new(Spec.Name, role, State, Started, Record?.End?.ExitCode ?? 0, NotBefore);

    /// <param name="awaitsInit">The Pod has init containers, and they have not done their work.</param>
    internal ContainerView ToView(bool awaitsInit) => new(
        Spec.Name, role, Record?.Image ?? Spec.Image, Record?.ImageId ?? "", Record?.Id ?? "", Record?.Attempt ?? 0, State, Started && Running is not null,
        role switch { ContainerRole.Init => Record?.End is { ExitCode: 0 }, ContainerRole.Ephemeral => false, _ => Ready },
        State == RunState.NeverRan && awaitsInit && WaitingReason == "ContainerCreating" ? "PodInitializing" : WaitingReason,
        WaitingMessage, Record?.StartedAt, Record?.End, Record?.Previous);
}

/// <summary>A container that runs, and what hangs on that.</summary>
/// <param name="Cancel">Ends its probes.</param>
/// <param name="output">Completes when all its output is in the log.</param>
internal sealed class RunningContainer(
    ContainerProcess process, LogPump pump, Task output, ContainerIdentity identity, CancellationTokenSource cancel) : IDisposable
{
    internal ContainerProcess Process => process;
    internal LogPump Pump => pump;
    internal Task Output => output;
    internal ContainerIdentity Identity => identity;
    internal CancellationToken Stopped => cancel.Token;

    /// <summary>The terminal's master, or the write end of its standard input; null when it has none.</summary>
    internal SafeFileHandle? Input { get; init; }

    internal bool IsTerminal { get; init; }

    /// <summary>Completes when it has ended and its output is in the log.</summary>
    internal TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal bool IsStopping { get; set; }

    public void Dispose()
    {
        cancel.Cancel();
        cancel.Dispose();
        pump.Log.Dispose();
        Input?.Dispose();
        process.Dispose();
    }
}
