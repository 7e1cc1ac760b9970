using Isthmus.Core.Time;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Probes;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>The postStart hook and the probes of one run: whether it has started, is ready, or must be restarted. Its state
/// belongs to the Pod's loop.</summary>
/// <param name="restart">Called on the loop with the probe's own grace period, if it has one.</param>
internal sealed class ContainerHealth(
    RunningContainer running, ProbeTarget target, NodeContext node, PodSubject pod, PodLoop loop, Action<RunningContainer, long?> restart)
{
    private bool _isProbedReady;

    internal ProbeTarget Target => target;

    private Container Spec => target.Container;

    internal bool HasStarted { get; private set; }

    internal bool IsReady => HasStarted && (Spec.ReadinessProbe is null || _isProbedReady);

    /// <summary>Starts the hook and the probes of a new run.</summary>
    internal void Begin()
    {
        if (Spec.Lifecycle?.PostStart is { } hook)
            loop.Start($"running the postStart hook of container {Spec.Name}", stop => PostStartAsync(hook, stop), running.Over);
        else BeginProbes();
    }

    /// <summary>Resumes the probes of a run that an earlier node began.</summary>
    internal void Resume(bool hasStarted, bool isReady)
    {
        (HasStarted, _isProbedReady) = (hasStarted, isReady);
        BeginProbes();
    }

    private async Task PostStartAsync(LifecycleHandler hook, CancellationToken stop)
    {
        var result = await node.Probes.RunAsync(hook, target, Timeout.InfiniteTimeSpan, stop);
        await loop.InvokeAsync(() =>
        {
            if (running.Over.IsCancellationRequested) return;
            if (result.Success)
            {
                BeginProbes();
                return;
            }
            pod.Tell(true, "FailedPostStartHook", $"PostStartHook failed: {result.Message}", Spec);
            pod.Tell(false, "Killing", "FailedPostStartHook", Spec);
            restart(running, null);
        }, stop);
    }

    private void BeginProbes()
    {
        if (Spec.StartupProbe is { } startup && !HasStarted)
        {
            Start("startup", startup, isEager: true, (verdict, message) =>
            {
                if (verdict) BeginService();
                else Fail("Startup", startup, message);
            });
            return;
        }
        BeginService();
    }

    private void BeginService()
    {
        HasStarted = true;
        if (Spec.ReadinessProbe is { } readiness)
        {
            Start("readiness", readiness, isEager: true, (verdict, message) =>
            {
                _isProbedReady = verdict;
                if (!verdict) pod.Tell(true, "Unhealthy", $"Readiness probe failed: {message}", Spec);
            });
        }
        if (Spec.LivenessProbe is { } liveness)
        {
            Start("liveness", liveness, isEager: false, (verdict, message) =>
            {
                if (!verdict) Fail("Liveness", liveness, message);
            });
        }
    }

    private void Fail(string kind, Probe probe, string message)
    {
        if (running.IsStopping) return;
        pod.Tell(true, "Unhealthy", $"{kind} probe failed: {message}", Spec);
        pod.Tell(false, "Killing", $"Container {Spec.Name} failed {kind.ToLowerInvariant()} probe, will be restarted", Spec);
        restart(running, probe.TerminationGracePeriodSeconds);
    }

    /// <param name="onVerdict">Called on the loop when the verdict changes, and for each failure that repeats one.</param>
    private void Start(string kind, Probe probe, bool isEager, Action<bool, string> onVerdict) =>
        loop.Start($"running the {kind} probe of container {Spec.Name}", stop => ProbeAsync(probe, isEager, kind == "startup", onVerdict, stop), running.Over);

    private async Task ProbeAsync(Probe probe, bool isEager, bool isUntilSuccess, Action<bool, string> onVerdict, CancellationToken stop)
    {
        var period = TimeSpan.FromSeconds(Math.Max(1, probe.PeriodSeconds));
        var state = ProbeState.Initial;
        await node.Time.DelayInFullAsync(TimeSpan.FromSeconds(probe.InitialDelaySeconds), stop);
        while (true)
        {
            var began = node.Time.GetTimestamp();
            var result = await node.Probes.RunAsync(probe, target, stop);
            if (!result.Success && isEager && state.Verdict != true && await SucceedsEarlyAsync(probe, period, began, stop)) result = new(true, "");
            var before = state.Verdict;
            state = state.Next(result.Success, probe);
            if (state.Verdict is { } verdict && (verdict != before || !verdict))
            {
                await loop.InvokeAsync(() =>
                {
                    if (!running.Over.IsCancellationRequested) onVerdict(verdict, result.Message);
                }, stop);
            }
            if (isUntilSuccess && state.Verdict == true) return;
            var left = period - node.Time.GetElapsedTime(began);
            if (!(result.Success && state.Verdict is null)) await node.Time.DelayInFullAsync(left, stop);
        }
    }

    // Probes again within the period, without counting failures, so that a container becomes ready without delay.
    private async Task<bool> SucceedsEarlyAsync(Probe probe, TimeSpan period, long began, CancellationToken stop)
    {
        for (var attempt = 0; ProbeSchedule.BeforeExtra(attempt, period - node.Time.GetElapsedTime(began)) is { } pause; attempt++)
        {
            await Task.Delay(pause, node.Time, stop);
            if ((await node.Probes.RunAsync(probe, target, stop)).Success) return true;
        }
        return false;
    }
}
