using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Linux;
using Isthmus.Lab.Nodes.Probes;
using Isthmus.Lab.Nodes.Volumes;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>How a Pod ends: its endpoints leave, hooks, SIGTERM, grace, SIGKILL, sidecars last, and then its object.</summary>
internal sealed partial class PodWorker
{
    private const long DefaultGraceSeconds = 30;

    private CancellationTokenSource? _grace;
    private Task? _termination;
    private bool _stoppingSidecars;

    private async Task<DateTimeOffset?> EndStepAsync(CancellationToken stop)
    {
        BeginTermination();
        if (!_termination!.IsCompleted || _slots.Exists(slot => slot.Running is not null)) return null;
        if (_outcome.Length == 0)
            _outcome = _slots.TrueForAll(slot => slot.Role != ContainerRole.Main || slot.Record?.End?.ExitCode == 0) ? "Succeeded" : "Failed";
        await ReleaseSandboxAsync();
        if (!_gone)
        {
            PublishStatus();
            try
            {
                await _publisher.FlushAsync(stop);
                await _node.Api.RemoveAsync(_pod, stop);
            }
            catch (Exception e) when (e is KubeException or HttpRequestException or IOException)
            {
                return _node.Time.GetUtcNow() + Retry;
            }
        }
        DeleteFiles();
        PodRemoved(_node.Log, _pod.Key);
        _finished = true;
        return null;
    }

    private async Task<DateTimeOffset?> ExceedDeadlineAsync(CancellationToken stop)
    {
        if (_reason.Length == 0)
        {
            (_reason, _message) = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
            _node.Events.Tell(_pod, false, "DeadlineExceeded", _message);
        }
        BeginTermination();
        if (!_termination!.IsCompleted || _slots.Exists(slot => slot.Running is not null)) return null;
        _outcome = "Failed";
        await ReleaseSandboxAsync();
        return null;
    }

    private void BeginTermination()
    {
        if (_termination is not null) return;
        _grace = new CancellationTokenSource(Timeout.InfiniteTimeSpan, _node.Time);
        HurryTermination();
        _termination = TerminateAsync(_grace.Token);
        _ = _termination.ContinueWith(_ => _mail.Writer.TryWrite(() => { }), TaskScheduler.Default);
    }

    /// <summary>Sets when the grace ends; a second deletion may have shortened it.</summary>
    private void HurryTermination()
    {
        if (_grace is null) return;
        if (_gone) _grace.Cancel();
        else if (_pod.Metadata.DeletionTimestamp is { } at)
        {
            var left = at - _node.Time.GetUtcNow();
            _grace.CancelAfter(left > TimeSpan.Zero ? left : TimeSpan.Zero);
        }
        else _grace.CancelAfter(TimeSpan.FromSeconds(_pod.Spec.TerminationGracePeriodSeconds ?? DefaultGraceSeconds));
    }

    private async Task TerminateAsync(CancellationToken graceOver)
    {
        // On the loop still: the slots may be read until the first wait.
        var main = Running(slot => slot.Role != ContainerRole.Sidecar);
        var sidecars = Running(slot => slot.Role == ContainerRole.Sidecar);
        if (main.Count + sidecars.Count > 0) await EndpointsLeaveAsync(graceOver);
        await Task.WhenAll(main.Select(one => StopContainerAsync(one.Slot, one.Run, graceOver)));
        sidecars.Reverse();
        foreach (var one in sidecars) await StopContainerAsync(one.Slot, one.Run, graceOver);
    }

    private List<(ContainerSlot Slot, RunningContainer Run)> Running(Func<ContainerSlot, bool> which) =>
        [.. _slots.Where(slot => slot.Running is not null && which(slot)).Select(slot => (slot, slot.Running!))];

    /// <summary>Waits until no Service sends to the Pod: a process that stops listening first would lose connections.</summary>
    private async Task EndpointsLeaveAsync(CancellationToken graceOver)
    {
        if (_gone || _sandbox is not { Network: not null } sandbox) return;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(graceOver);
        limit.CancelAfter(_node.Settings.EndpointsLeave);
        try
        {
            var served = false;
            while (await _node.Api.IsReadyEndpointAsync(_pod.Metadata.Namespace, sandbox.Record.Address, limit.Token))
            {
                served = true;
                await Task.Delay(TimeSpan.FromMilliseconds(20), _node.Time, limit.Token);
            }
            // Also when the endpoint was gone at the first look: it may have left only now.
            if (served || _pod.Status.IsReady) await Task.Delay(_node.Settings.EndpointsSettle, _node.Time, limit.Token);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or IOException or OperationCanceledException)
        {
            // Nobody can tell, or there is no time: the Pod ends all the same.
        }
    }

    private void StopSidecars()
    {
        if (_stoppingSidecars) return;
        _stoppingSidecars = true;
        var limit = TimeSpan.FromSeconds(_pod.Spec.TerminationGracePeriodSeconds ?? DefaultGraceSeconds);
        _ = StopInReverseAsync(Running(slot => slot.Role is ContainerRole.Sidecar or ContainerRole.Ephemeral), new CancellationTokenSource(limit, _node.Time).Token);
    }

    private async Task StopInReverseAsync(List<(ContainerSlot Slot, RunningContainer Run)> sidecars, CancellationToken graceOver)
    {
        sidecars.Reverse();
        foreach (var one in sidecars) await StopContainerAsync(one.Slot, one.Run, graceOver);
    }

    /// <summary>Hook, SIGTERM, and SIGKILL when the grace is over. Completes when the container has ended.</summary>
    /// <param name="isTold">An event has said already that it is killed, and why.</param>
    private async Task StopContainerAsync(ContainerSlot slot, RunningContainer running, CancellationToken graceOver, bool isTold = false)
    {
        if (running.IsStopping)
        {
            await running.Ended.Task;
            return;
        }
        running.IsStopping = true;
        if (!isTold) _node.Events.Tell(_pod, false, "Killing", $"Stopping container {slot.Spec.Name}", slot.Spec);
        if (slot.Spec.Lifecycle?.PreStop is { } hook) await PreStopAsync(slot, running, hook, graceOver);
        await running.Process.FindProgramAsync(_node.Time);
        running.Process.Signal(Signals.Term);
        try
        {
            await running.Ended.Task.WaitAsync(graceOver);
        }
        catch (OperationCanceledException)
        {
            running.Process.Kill();
            await running.Ended.Task;
        }
    }

    private async Task PreStopAsync(ContainerSlot slot, RunningContainer running, LifecycleHandler hook, CancellationToken graceOver)
    {
        var target = new ProbeTarget(_sandbox?.Record.Address ?? _pod.Status.PodIP, slot.Spec, running.Process, running.Identity, _node.CanSetGroups);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(graceOver, running.Stopped);
        try
        {
            var result = await _node.Probes.RunAsync(hook, target, Timeout.InfiniteTimeSpan, over.Token);
            if (!result.Success) _node.Events.Tell(_pod, true, "FailedPreStopHook", $"PreStopHook failed: {result.Message}", slot.Spec);
        }
        catch (OperationCanceledException)
        {
            // No time is left, or it ended by itself.
        }
    }

    private void DeleteFiles()
    {
        PodVolumes.Delete(Path.Combine(_directory, "volumes"));
        if (Directory.Exists(_directory)) Directory.Delete(_directory, recursive: true);
        var meta = _pod.Metadata;
        var logs = _node.Settings.LogDirectory(meta.Namespace, meta.Name, meta.Uid);
        if (Directory.Exists(logs)) Directory.Delete(logs, recursive: true);
    }
}
