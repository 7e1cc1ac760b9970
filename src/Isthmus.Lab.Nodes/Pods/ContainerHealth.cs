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
            Start("startup", startup, isEager: true, verdict =>
            {
                if (verdict) BeginService();
                else Fail("startup", startup);
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
            Start("readiness", readiness, isEager: true, verdict =>
            {
                _isProbedReady = verdict;
            });
        }
        if (Spec.LivenessProbe is { } liveness)
        {
            Start("liveness", liveness, isEager: false, verdict =>
            {
                if (!verdict) Fail("liveness", liveness);
            });
        }
    }

    private void Fail(string kind, Probe probe)
    {
        if (running.IsStopping) return;
        pod.Tell(false, "Killing", $"Container {Spec.Name} failed {kind} probe, will be restarted", Spec);
        restart(running, probe.TerminationGracePeriodSeconds);
    }

    /// <param name="onVerdict">Called on the loop when the verdict changes, and for each failure that repeats one.</param>
    private void Start(string kind, Probe probe, bool isEager, Action<bool> onVerdict) =>
        loop.Start($"running the {kind} probe of container {Spec.Name}", stop => ProbeAsync(kind, probe, isEager, onVerdict, stop), running.Over);

    private async Task ProbeAsync(string kind, Probe probe, bool isEager, Action<bool> onVerdict, CancellationToken stop)
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
            var verdict = state.Verdict is { } reached && (reached != before || !reached) ? reached : (bool?)null;
            if (verdict is not null || !result.Success)
            {
                await loop.InvokeAsync(() =>
                {
                    if (running.Over.IsCancellationRequested) return;
                    // As a kubelet does, of each failure, not only of those that count.
                    if (!result.Success && !running.IsStopping)
                        pod.Tell(true, "Unhealthy", $"{char.ToUpperInvariant(kind[0])}{kind[1..]} probe failed: {result.Message}", Spec);
                    if (verdict is { } now) onVerdict(now);
                }, stop);
            }
            if (kind == "startup" && state.Verdict == true) return;
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
