using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Probes;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>Ends one run of a container: preStop hook, SIGTERM, and SIGKILL when its time is up.</summary>
internal sealed class ContainerStop(RunningContainer running, ProbeTarget target, NodeContext node, PodSubject pod, PodGrace grace)
{
    private bool _isHookDone;

    /// <summary>Runs until <paramref name="over"/>, which the end of the run cancels. May be called again after a failure.</summary>
    /// <param name="deadline">The end of its own time; the Pod's grace may end sooner.</param>
    internal async Task RunAsync(DateTimeOffset deadline, CancellationToken over)
    {
        using var own = new CancellationTokenSource(PodLoop.ToTimer(deadline - node.Time.GetUtcNow()), node.Time);
        using var timeUp = CancellationTokenSource.CreateLinkedTokenSource(own.Token, grace.Over, over);
        try
        {
            if (target.Container.Lifecycle?.PreStop is { } hook && !_isHookDone) await PreStopAsync(hook, timeUp.Token);
            _isHookDone = true;
            await running.Process.FindProgramAsync(node.Time, timeUp.Token);
            running.Process.Signal(Signals.Term);
            await Task.Delay(Timeout.InfiniteTimeSpan, node.Time, timeUp.Token);
        }
        catch (OperationCanceledException) when (!over.IsCancellationRequested)
        {
            running.Process.Kill();
        }
    }

    private async Task PreStopAsync(LifecycleHandler hook, CancellationToken timeUp)
    {
        var result = await node.Probes.RunAsync(hook, target, Timeout.InfiniteTimeSpan, timeUp);
        if (!result.Success) pod.Tell(true, "FailedPreStopHook", $"PreStopHook failed: {result.Message}", target.Container);
    }
}
