using Isthmus.Core.Collections;

namespace Isthmus.Lab.Nodes.Pods;

internal enum ContainerRole
{
    Init,
    Sidecar,
    Main,

    /// <summary>Added to a running Pod (<c>kubectl debug</c>): runs once and does not affect the outcome of the Pod.</summary>
    Ephemeral,
}

internal enum RunState { NeverRan, Running, Ended }

/// <summary>The facts about a container that decisions depend on.</summary>
/// <param name="Started">Running, and its startup probe has succeeded.</param>
/// <param name="NotBefore">The end of its back-off: it must not start earlier.</param>
internal sealed record ContainerFacts(string Name, ContainerRole Role, RunState State, bool Started, int ExitCode, DateTimeOffset NotBefore);

/// <summary>What to do for a Pod that should run.</summary>
/// <param name="Start">Containers to start now.</param>
/// <param name="Stop">Containers to stop now: the work is done, so sidecars and ephemeral containers are not
/// needed.</param>
/// <param name="Initialized">Whether init containers have completed.</param>
/// <param name="Wake">When to decide again even if nothing happens.</param>
/// <param name="Outcome">Succeeded or Failed when the Pod has ended; empty otherwise.</param>
internal sealed record PodDecision(ValueList<string> Start, ValueList<string> Stop, bool Initialized, DateTimeOffset? Wake, string Outcome);

/// <summary>Decides which containers of a Pod run when: Kubernetes' rules for init containers, sidecars and
/// restarts.</summary>
internal static class PodPlan
{
    /// <param name="restartPolicy">Always, OnFailure or Never.</param>
    /// <param name="initialized">Whether init containers have already completed in this sandbox.</param>
    /// <param name="containers">Init containers and sidecars in their order, then the others.</param>
    internal static PodDecision Decide(string restartPolicy, bool initialized, IReadOnlyList<ContainerFacts> containers, DateTimeOffset now)
    {
        var plan = new Builder(now);
        if (!initialized) initialized = Initialize(restartPolicy, containers, plan);
        else RestartSidecars(containers, plan);
        if (initialized) RunMain(restartPolicy, containers, plan);
        foreach (var one in containers.Where(one => one is { Role: ContainerRole.Ephemeral, State: RunState.NeverRan })) plan.StartEphemeral(one);
        return plan.ToDecision(initialized);
    }

    /// <summary>Which containers of a terminating Pod stop now: first everything except the sidecars, then one sidecar
    /// after the other, the last one first.</summary>
    internal static ValueList<string> StopNext(IReadOnlyList<ContainerFacts> containers)
    {
        var running = containers.Where(one => one.State == RunState.Running).ToLookup(one => one.Role == ContainerRole.Sidecar, one => one.Name);
        return running[false].Any() ? [.. running[false]] : [.. running[true].TakeLast(1)];
    }

    private static bool Initialize(string restartPolicy, IReadOnlyList<ContainerFacts> containers, Builder plan)
    {
        foreach (var one in containers.Where(one => one.Role is ContainerRole.Init or ContainerRole.Sidecar))
        {
            if (one.Role == ContainerRole.Sidecar)
            {
                if (one.State != RunState.Running) plan.StartWhenAllowed(one);
                if (one is not { State: RunState.Running, Started: true }) return false;
                continue;
            }
            if (one is { State: RunState.Ended, ExitCode: 0 }) continue;
            if (one.State == RunState.Running) return false;
            if (one.State == RunState.Ended && restartPolicy == "Never") plan.Finish("Failed", containers);
            else plan.StartWhenAllowed(one);
            return false;
        }
        return true;
    }

    private static void RestartSidecars(IReadOnlyList<ContainerFacts> containers, Builder plan)
    {
        if (containers.All(one => one.Role != ContainerRole.Main || one.State == RunState.Ended)) return;
        foreach (var one in containers.Where(one => one is { Role: ContainerRole.Sidecar, State: not RunState.Running })) plan.StartWhenAllowed(one);
    }

    private static void RunMain(string restartPolicy, IReadOnlyList<ContainerFacts> containers, Builder plan)
    {
        var finished = true;
        foreach (var one in containers.Where(one => one.Role == ContainerRole.Main))
        {
            if (one.State == RunState.Ended && !Restarts(restartPolicy, one.ExitCode)) continue;
            finished = false;
            if (one.State != RunState.Running) plan.StartWhenAllowed(one);
        }
        if (!finished) return;
        plan.Finish(containers.Any(one => one.Role == ContainerRole.Main && one.ExitCode != 0) ? "Failed" : "Succeeded", containers);
    }

    private static bool Restarts(string policy, int exitCode) => policy switch
    {
        "Never" => false,
        "OnFailure" => exitCode != 0,
        _ => true,
    };

    private sealed class Builder(DateTimeOffset now)
    {
        private readonly List<string> _start = [];
        private DateTimeOffset? _wake;
        private ValueList<string> _stop;
        private bool _isFinished;
        private string _outcome = "";

        internal void StartWhenAllowed(ContainerFacts one)
        {
            if (one.NotBefore <= now) _start.Add(one.Name);
            else if (_wake is null || one.NotBefore < _wake) _wake = one.NotBefore;
        }

        internal void StartEphemeral(ContainerFacts one)
        {
            if (!_isFinished) StartWhenAllowed(one);
        }

        internal void Finish(string outcome, IReadOnlyList<ContainerFacts> containers)
        {
            _isFinished = true;
            _stop = StopNext(containers);
            if (_stop.IsEmpty) _outcome = outcome;
        }

        internal PodDecision ToDecision(bool initialized) => new([.. _start], _stop, initialized, _wake, _outcome);
    }
}
