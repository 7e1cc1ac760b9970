using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Probes;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>Ends one run of a container: preStop hook, SIGTERM (or the signal of its image) in its turn, and SIGKILL when its time is up.</summary>
internal sealed class ContainerStop(RunningContainer running, ProbeTarget target, NodeContext node, PodSubject pod, PodGrace grace)
{
    // A kubelet leaves every container this long after SIGTERM, even if its hook or others have used all the time.
    private static readonly TimeSpan Least = TimeSpan.FromSeconds(2);

    private bool _isHookDone, _isAsked;

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
            await running.Turn.WaitAsync(timeUp.Token);
            await AskAsync(Timeout.InfiniteTimeSpan, timeUp.Token);
        }
        catch (OperationCanceledException) when (!over.IsCancellationRequested)
        {
            await LastChanceAsync(over);
            running.Process.Kill();
        }
    }

    private async Task LastChanceAsync(CancellationToken over)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(grace.Forced, over);
        if (_isAsked || end.IsCancellationRequested) return;
        try
        {
            await AskAsync(Least, end.Token);
        }
        catch (OperationCanceledException) when (!over.IsCancellationRequested)
        {
            // Its object is gone.
        }
    }

    private async Task AskAsync(TimeSpan patience, CancellationToken stop)
    {
        await running.Process.FindProgramAsync(node.Time, stop);
        running.Process.Signal(running.StopSignal);
        _isAsked = true;
        await Task.Delay(patience, node.Time, stop);
    }

    private async Task PreStopAsync(LifecycleHandler hook, CancellationToken timeUp)
    {
        var result = await node.Probes.RunAsync(hook, target, Timeout.InfiniteTimeSpan, timeUp);
        if (!result.Success) pod.Tell(true, "FailedPreStopHook", $"PreStopHook failed: {result.Message}", target.Container);
    }
}
