using System.Text;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Linux;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Probes;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>What happens to containers while they run: adoption, hooks, probes, ends.</summary>
internal sealed partial class PodWorker
{
    private const int LongestTerminationMessage = 4096;
    private static readonly TimeSpan LastOutput = TimeSpan.FromSeconds(1);

    /// <summary>Finds what an earlier node left of this Pod.</summary>
    private void Adopt()
    {
        if (_pod.Status.Phase is "Succeeded" or "Failed") _outcome = _pod.Status.Phase;
        var record = StateFile.Read(PodSandbox.RecordFile(_directory), NodeJson.Default.PodRecord);
        var lives = record is not null && PodSandbox.Lives(record, NetworkPath);
        _initialized = lives && record!.Initialized;
        foreach (var slot in _slots)
        {
            slot.Record = StateFile.Read(slot.Files.Record, NodeJson.Default.ContainerRecord);
            // In a new sandbox the work of init containers (rules, files on tmpfs) must be done again.
            slot.IsStale = !lives && slot.Record is not null && _outcome.Length == 0 && slot.Role != ContainerRole.Ephemeral && (slot.Role != ContainerRole.Main || _pod.Spec.RestartPolicy != "Never");
            if (slot.Record is { End: { } ended } && !slot.IsStale) Hold(slot, ended.FinishedAt + CrashBackOff.Before(TimeSpan.FromSeconds(slot.Record.BackOffSeconds)));
            if (slot.Record is not { End: null } open) continue;
            try
            {
                if (_starter.TryAdopt(_pod, slot, open) is { } running)
                {
                    var before = _pod.Status.ContainerStatuses.Concat(_pod.Status.InitContainerStatuses).FirstOrDefault(one => one.Name == slot.Spec.Name);
                    (slot.WaitingReason, slot.Started, slot.ProbedReady) = ("", before?.Started ?? false, before?.Ready ?? false);
                    Watch(slot, running);
                    BeginLife(slot, running, adopted: true);
                    continue;
                }
            }
            catch (Exception e) when (e is StartException or IOException)
            {
                // It cannot be taken over: it counts as ended below.
            }
            RecordEnd(slot, ContainerProcess.ReadExitCode(slot.Files.Exit(open.Attempt)), "ContainerStatusUnknown");
            // The lab ended, not the container by itself: that is no crash.
            if (slot.IsStale) (slot.NotBefore, slot.WaitingReason, slot.WaitingMessage) = (default, "ContainerCreating", "");
            if (slot.IsStale) ContainerStarter.Remember(slot, slot.Record! with { BackOffSeconds = 0 });
        }
    }

    private void Watch(ContainerSlot slot, RunningContainer running)
    {
        slot.Running = running;
        _ = WatchAsync(slot, running);
    }

    private async Task WatchAsync(ContainerSlot slot, RunningContainer running)
    {
        try
        {
            await running.Process.WaitAsync(_node.Reactor, running.Stopped);
            await Task.WhenAny(running.Output, Task.Delay(LastOutput, _node.Time, running.Stopped));
        }
        catch (OperationCanceledException)
        {
            return; // we stop; it does not
        }
        _mail.Writer.TryWrite(() => OnEnded(slot, running));
    }

    private void OnEnded(ContainerSlot slot, RunningContainer running)
    {
        if (slot.Running != running) return;
        running.Pump.Log.Dispose();
        RecordEnd(slot, ContainerProcess.ReadExitCode(slot.Files.Exit(slot.Record!.Attempt)), "Error");
        running.Ended.TrySetResult();
        running.Dispose();
    }

    private void RecordEnd(ContainerSlot slot, int? code, string unknownReason)
    {
        var record = slot.Record!;
        var exit = slot.Files.Exit(record.Attempt);
        var finished = code is not null ? new DateTimeOffset(File.GetLastWriteTimeUtc(exit)) : _node.Time.GetUtcNow();
        var number = code ?? 128 + Signals.Kill;
        var reason = code is null ? unknownReason : number == 0 ? "Completed" : "Error";
        var end = new ContainerEnd(record.Id, number, reason, TerminationMessage(slot, record.Attempt, number), record.StartedAt, finished);
        ContainerStarter.Remember(slot, record with { End = end });
        (slot.Running, slot.Started, slot.ProbedReady) = (null, false, false);
        ContainerEnded(_node.Log, _pod.Key, slot.Spec.Name, number, reason);
        AfterEnd(slot, finished - record.StartedAt);
    }

    /// <summary>Decides when the container may run again, and says so.</summary>
    private void AfterEnd(ContainerSlot slot, TimeSpan ranFor)
    {
        var record = slot.Record!;
        var (delay, next) = CrashBackOff.After(TimeSpan.FromSeconds(record.BackOffSeconds), ranFor);
        ContainerStarter.Remember(slot, record with { BackOffSeconds = next.TotalSeconds });
        Hold(slot, _node.Time.GetUtcNow() + delay);
        if (slot.WaitingReason != "CrashLoopBackOff") return;
        var who = $"{slot.Spec.Name} in pod {_pod.Metadata.Name}_{_pod.Metadata.Namespace}({_pod.Metadata.Uid})";
        _node.Events.Tell(_pod, true, "BackOff", $"Back-off restarting failed container {who}", slot.Spec);
    }

    /// <summary>Keeps a container that has ended from running again before a time.</summary>
    private void Hold(ContainerSlot slot, DateTimeOffset until)
    {
        slot.NotBefore = until;
        var left = until - _node.Time.GetUtcNow();
        if (left <= TimeSpan.Zero || !WillRestart(slot)) return;
        slot.WaitingReason = "CrashLoopBackOff";
        slot.WaitingMessage = $"back-off {Text(left)} restarting failed container={slot.Spec.Name} pod={_pod.Metadata.Name}_{_pod.Metadata.Namespace}({_pod.Metadata.Uid})";
    }

    private bool WillRestart(ContainerSlot slot)
    {
        if (_gone || _pod.Metadata.DeletionTimestamp is not null || _reason.Length > 0) return false;
        var failed = slot.Record?.End?.ExitCode != 0;
        return slot.Role switch
        {
            ContainerRole.Sidecar => true,
            ContainerRole.Ephemeral => false,
            ContainerRole.Init => failed && _pod.Spec.RestartPolicy != "Never",
            _ => _pod.Spec.RestartPolicy switch { "Never" => false, "OnFailure" => failed, _ => true },
        };
    }

    private static string Text(TimeSpan delay)
    {
        var seconds = (int)Math.Ceiling(delay.TotalSeconds);
        return seconds >= 60 ? $"{seconds / 60}m{seconds % 60}s" : $"{seconds}s";
    }

    private static string TerminationMessage(ContainerSlot slot, int attempt, int code)
    {
        var file = slot.Files.TerminationMessage(attempt);
        var text = File.Exists(file) ? Tail(file, LongestTerminationMessage) : "";
        if (text.Length > 0 || code == 0 || slot.Spec.TerminationMessagePolicy != "FallbackToLogsOnError" || !File.Exists(slot.Files.Log(attempt))) return text;
        var lines = Tail(slot.Files.Log(attempt), 2048 + 1024).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        // Without the time, stream and flag that each line of a log begins with.
        return string.Join('\n', lines.Skip(1).Append("").Select(line => line.Split(' ', 4) is [_, _, _, var content] ? content : "")).Trim();
    }

    private static string Tail(string file, int length)
    {
        using var stream = File.OpenRead(file);
        stream.Position = Math.Max(0, stream.Length - length);
        var bytes = new byte[Math.Min(length, stream.Length)];
        return Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
    }

    /// <summary>Hooks and probes of a container that has just begun to run, or was found running.</summary>
    private void BeginLife(ContainerSlot slot, RunningContainer running, bool adopted)
    {
        var target = new ProbeTarget(_sandbox?.Record.Address ?? _pod.Status.PodIP, slot.Spec, running.Process, running.Identity, _node.CanSetGroups);
        if (!adopted && slot.Spec.Lifecycle?.PostStart is { } hook) _ = PostStartAsync(slot, running, hook, target);
        else BeginProbes(slot, running, target);
    }

    private async Task PostStartAsync(ContainerSlot slot, RunningContainer running, LifecycleHandler hook, ProbeTarget target)
    {
        try
        {
            var result = await _node.Probes.RunAsync(hook, target, Timeout.InfiniteTimeSpan, running.Stopped);
            _mail.Writer.TryWrite(() =>
            {
                if (slot.Running != running) return;
                if (result.Success)
                {
                    BeginProbes(slot, running, target);
                    return;
                }
                _node.Events.Tell(_pod, true, "FailedPostStartHook", $"PostStartHook failed: {result.Message}", slot.Spec);
                _node.Events.Tell(_pod, false, "Killing", "FailedPostStartHook", slot.Spec);
                Restart(slot, running, null);
            });
        }
        catch (OperationCanceledException)
        {
            // The container ended first.
        }
    }

    private void BeginProbes(ContainerSlot slot, RunningContainer running, ProbeTarget target)
    {
        if (slot.Spec.StartupProbe is { } startup && !slot.Started)
        {
            _ = ProbeAsync(running, startup, target, eager: true, untilTrue: true, (verdict, message) =>
            {
                if (verdict) OnStarted(slot, running, target);
                else Unhealthy(slot, running, "Startup", startup, message);
            });
            return;
        }
        OnStarted(slot, running, target);
    }

    private void OnStarted(ContainerSlot slot, RunningContainer running, ProbeTarget target)
    {
        if (slot.Running != running) return;
        slot.Started = true;
        if (slot.Spec.ReadinessProbe is { } readiness)
        {
            _ = ProbeAsync(running, readiness, target, eager: true, untilTrue: false, (verdict, message) =>
            {
                if (slot.Running != running) return;
                slot.ProbedReady = verdict;
                if (!verdict) _node.Events.Tell(_pod, true, "Unhealthy", $"Readiness probe failed: {message}", slot.Spec);
            });
        }
        if (slot.Spec.LivenessProbe is { } liveness)
        {
            _ = ProbeAsync(running, liveness, target, eager: false, untilTrue: false, (verdict, message) =>
            {
                if (!verdict) Unhealthy(slot, running, "Liveness", liveness, message);
            });
        }
    }

    private void Unhealthy(ContainerSlot slot, RunningContainer running, string kind, Probe probe, string message)
    {
        if (slot.Running != running || running.IsStopping) return;
        _node.Events.Tell(_pod, true, "Unhealthy", $"{kind} probe failed: {message}", slot.Spec);
        _node.Events.Tell(_pod, false, "Killing", $"Container {slot.Spec.Name} failed {kind.ToLowerInvariant()} probe, will be restarted", slot.Spec);
        Restart(slot, running, probe.TerminationGracePeriodSeconds);
    }

    private void Restart(ContainerSlot slot, RunningContainer running, long? grace)
    {
        var limit = TimeSpan.FromSeconds(grace ?? _pod.Spec.TerminationGracePeriodSeconds ?? 30);
        _ = StopContainerAsync(slot, running, new CancellationTokenSource(limit, _node.Time).Token, isTold: true);
    }

    /// <summary>Probes until the container ends; <paramref name="onVerdict"/> is mailed when the verdict changes, and at each failure that repeats one.</summary>
    private async Task ProbeAsync(RunningContainer running, Probe probe, ProbeTarget target, bool eager, bool untilTrue, Action<bool, string> onVerdict)
    {
        var period = TimeSpan.FromSeconds(Math.Max(1, probe.PeriodSeconds));
        var state = ProbeState.Initial;
        try
        {
            await Task.Delay(TimeSpan.FromSeconds(probe.InitialDelaySeconds), _node.Time, running.Stopped);
            while (true)
            {
                var began = _node.Time.GetTimestamp();
                var result = await _node.Probes.RunAsync(probe, target, running.Stopped);
                if (!result.Success && eager && state.Verdict != true && await SucceedsEarlyAsync(running, probe, target, period, began)) result = new(true, "");
                var before = state.Verdict;
                state = state.Next(result.Success, probe);
                if (state.Verdict is { } verdict && (verdict != before || !verdict)) _mail.Writer.TryWrite(() => onVerdict(verdict, result.Message));
                if (untilTrue && state.Verdict == true) return;
                var left = period - _node.Time.GetElapsedTime(began);
                if (left > TimeSpan.Zero && !(result.Success && state.Verdict is null)) await Task.Delay(left, _node.Time, running.Stopped);
            }
        }
        catch (OperationCanceledException)
        {
            // The container ended, or we do.
        }
    }

    // Asks again within the period, without counting failures: a container is seen to be ready when it is.
    private async Task<bool> SucceedsEarlyAsync(RunningContainer running, Probe probe, ProbeTarget target, TimeSpan period, long began)
    {
        for (var attempt = 0; ProbeSchedule.BeforeExtra(attempt, period - _node.Time.GetElapsedTime(began)) is { } pause; attempt++)
        {
            await Task.Delay(pause, _node.Time, running.Stopped);
            if ((await _node.Probes.RunAsync(probe, target, running.Stopped)).Success) return true;
        }
        return false;
    }
}
