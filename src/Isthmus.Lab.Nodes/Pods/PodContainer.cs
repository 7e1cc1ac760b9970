using System.Text;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Containers;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>What external requests need to know about a container.</summary>
/// <param name="WaitingReason">Why it does not run; empty when nothing is wrong.</param>
internal sealed record ContainerSnapshot(Container Spec, ContainerFiles Files, ContainerRecord? Record, RunningContainer? Running, string WaitingReason);

/// <summary>One container of a Pod, through all its runs: starts it, sees it end, stops it, and decides when it may run
/// again. Its state belongs to the Pod's loop.</summary>
internal sealed partial class PodContainer(Container spec, ContainerRole role, NodeContext node, PodSubject pod, PodLoop loop, PodGrace grace)
{
    private const string Creating = "ContainerCreating", CrashLoop = "CrashLoopBackOff";
    private const int LongestTerminationMessage = 4096;

    /// <summary>How long output may come after the end: a process that was left behind can keep the pipe open.</summary>
    private static readonly TimeSpan LastOutput = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly ContainerFiles _files = node.Settings.ContainerFiles(pod.Current, spec.Name);
    private readonly ContainerStarter _starter = new(node);
    private ContainerRecord? _record;
    private RunningContainer? _running;
    private ContainerHealth? _health;
    private DateTimeOffset _notBefore;
    private TimeSpan _pullBackOff;
    private string _waitingReason = Creating;
    private string _waitingMessage = "";

    // The last run was in a sandbox that is gone, so its work does not count any more.
    private bool _isStale;

    internal string Name => spec.Name;

    internal ContainerRole Role => role;

    internal bool IsRunning => _running is not null;

    internal bool HasRun => _record is not null;

    internal bool HasSucceeded => _record?.End?.ExitCode == 0;

    private string PodName => $"{pod.Current.Metadata.Name}_{pod.Current.Metadata.Namespace}({pod.Current.Metadata.Uid})";

    private RunState State => _running is not null ? RunState.Running : _record?.End is not null && !_isStale ? RunState.Ended : RunState.NeverRan;

    internal ContainerFacts ToFacts() => new(Name, role, State, _health is { HasStarted: true }, _record?.End?.ExitCode ?? 0, _notBefore);

    internal ContainerSnapshot ToSnapshot() => new(spec, _files, _record, _running, _waitingReason);

    /// <param name="awaitsInit">Whether the Pod has init containers that have not completed.</param>
    internal ContainerView ToView(bool awaitsInit) => new(
        Name, role, _record?.Image ?? spec.Image, _record?.ImageId ?? "", _record?.Id ?? "", _record?.Attempt ?? 0, State, _health is { HasStarted: true },
        role switch { ContainerRole.Init => HasSucceeded, ContainerRole.Ephemeral => false, _ => _health is { IsReady: true } },
        State == RunState.NeverRan && awaitsInit && _waitingReason == Creating ? "PodInitializing" : _waitingReason,
        _waitingMessage, _record?.StartedAt, _record?.End, _record?.Previous);

    /// <summary>Finds what an earlier node left of this container.</summary>
    /// <param name="runsCount">Whether earlier runs still count: their sandbox exists, or the Pod is complete.</param>
    internal void Adopt(bool runsCount, string podIp)
    {
        if (_running is not null) return;
        _record = StateFile.Read(_files.Record, NodeJson.Default.ContainerRecord);
        // In a new sandbox, init containers must do their work (rules, files on tmpfs) again.
        _isStale = !runsCount && _record is not null && role != ContainerRole.Ephemeral
            && (role != ContainerRole.Main || pod.Current.Spec.RestartPolicy != "Never");
        if (_record is { End: { } ended } && !_isStale) Hold(ended.FinishedAt + CrashBackOff.Before(TimeSpan.FromSeconds(_record.BackOffSeconds)));
        if (_record is not { End: null } open || TryTakeOver(open, podIp)) return;
        RecordEnd("ContainerStatusUnknown");
        if (!_isStale) return;
        // The lab ended, not the container by itself, so this is not a crash.
        (_notBefore, _waitingReason, _waitingMessage) = (default, Creating, "");
        Remember(_record! with { BackOffSeconds = 0 });
    }

    /// <summary>Starts the next run. A failure is recorded as an Event and decides when to try again.</summary>
    internal async Task StartAsync(PodResources resources)
    {
        try
        {
            var running = await RunAsync(resources);
            pod.Tell(false, "Pulled", $"Container image \"{spec.Image}\" already present on machine", spec);
            pod.Tell(false, "Created", $"Created container: {Name}", spec);
            pod.Tell(false, "Started", $"Started container {Name}", spec);
            (_waitingReason, _waitingMessage, _pullBackOff, _isStale) = ("", "", TimeSpan.Zero, false);
            Watch(running, resources.Facts.PodIp).Begin();
        }
        catch (StartException e)
        {
            FailStart(e);
        }
        catch (IOException e)
        {
            FailStart(new("CreateContainerError", e.Message));
        }
    }

    /// <summary>Stops the current run, if there is one, within the Pod's grace period.</summary>
    /// <param name="isItsTurn">Whether it may end now. Otherwise, only its preStop hook runs, until a later call lets it end.</param>
    internal void Stop(bool isItsTurn)
    {
        if (_running is not { } running) return;
        if (isItsTurn) running.LetEnd();
        if (running.IsStopping) return;
        pod.Tell(false, "Killing", $"Stopping container {Name}", spec);
        BeginStop(running, DateTimeOffset.MaxValue);
    }

    /// <summary>Releases the current run: it continues, for the next node to find.</summary>
    internal void Release() => _running?.Dispose();

    private bool TryTakeOver(ContainerRecord open, string podIp)
    {
        try
        {
            if (_starter.TryAdopt(pod.Current, spec, _files.Run(open.Attempt), open) is not { } running) return false;
            var before = pod.Current.Status.ContainerStatuses.Concat(pod.Current.Status.InitContainerStatuses).FirstOrDefault(one => one.Name == Name);
            _waitingReason = "";
            Watch(running, podIp).Resume(before?.Started ?? false, before?.Ready ?? false);
            return true;
        }
        catch (Exception e) when (e is StartException or IOException)
        {
            return false; // it counts as ended
        }
    }

    private async Task<RunningContainer> RunAsync(PodResources resources)
    {
        var attempt = _record is null ? 0 : _record.Attempt + 1;
        var run = _starter.Prepare(pod.Current, spec, _files.Run(attempt));
        var record = _starter.NewRecord(run) with
        {
            Previous = _record?.End ?? _record?.Previous,
            BackOffSeconds = _record?.BackOffSeconds ?? 0,
        };
        try
        {
            var running = await _starter.StartAsync(resources, run);
            try
            {
                Remember(record with { Process = running.Process.Identity });
                _files.Prune(attempt);
                return running;
            }
            catch
            {
                running.Process.Kill();
                running.Dispose();
                throw;
            }
        }
        catch (StartException e) when (e.Reason == ContainerStarter.RunError)
        {
            Remember(record with { End = new(record.Id, 128, "StartError", e.Message, DateTimeOffset.UnixEpoch, node.Time.GetUtcNow()) });
            throw;
        }
    }

    private void FailStart(StartException e)
    {
        var isRepeated = _waitingReason is "ErrImagePull" or "ImagePullBackOff";
        (_waitingReason, _waitingMessage) = (e.Reason, e.Message);
        if (e.Reason == "ErrImagePull")
        {
            _pullBackOff = CrashBackOff.Grow(_pullBackOff);
            _notBefore = node.Time.GetUtcNow() + _pullBackOff;
            if (isRepeated) (_waitingReason, _waitingMessage) = ("ImagePullBackOff", $"Back-off pulling image \"{spec.Image}\": {e.Message}");
            else
            {
                pod.Tell(true, "Failed", $"Failed to pull image \"{spec.Image}\": {e.Message}", spec);
                pod.Tell(true, "Failed", "Error: ErrImagePull", spec);
            }
            pod.Tell(false, "BackOff", $"Back-off pulling image \"{spec.Image}\"", spec);
            return;
        }
        if (e.Reason == ContainerStarter.NeverPull)
        {
            pod.Tell(true, ContainerStarter.NeverPull, e.Message, spec);
            pod.Tell(true, "Failed", $"Error: {ContainerStarter.NeverPull}", spec);
            _notBefore = node.Time.GetUtcNow() + Retry;
            return;
        }
        pod.Tell(true, e.Reason == "InvalidImageName" ? "InspectFailed" : "Failed", $"Error: {e.Message}", spec);
        if (e.Reason == ContainerStarter.RunError) BackOff(TimeSpan.Zero);
        else _notBefore = node.Time.GetUtcNow() + Retry;
    }

    private ContainerHealth Watch(RunningContainer running, string podIp)
    {
        _running = running;
        _health = new(running, new(podIp, spec, running.Process, running.Identity, node.CanSetGroups), node, pod, loop, Restart);
        loop.Start($"copying the output of container {Name}", running.Pump.RunAsync, running.Over);
        loop.Start($"waiting for the end of container {Name}", stop => WatchAsync(running, stop), running.Over);
        return _health;
    }

    private async Task WatchAsync(RunningContainer running, CancellationToken stop)
    {
        await running.Process.WaitAsync(node.Reactor, stop);
        await Task.WhenAny(running.Pump.Drained, Task.Delay(LastOutput, node.Time, stop));
        await loop.InvokeAsync(() =>
        {
            // If recording failed half-way, only the rest remains to be done.
            if (_running == running) RecordEnd("Error");
            running.End();
        }, stop);
    }

    private void RecordEnd(string unknownReason)
    {
        var record = _record!;
        var files = _files.Run(record.Attempt);
        var code = ContainerProcess.ReadExitCode(files.Exit);
        var finished = code is not null ? new DateTimeOffset(File.GetLastWriteTimeUtc(files.Exit)) : node.Time.GetUtcNow();
        var number = code ?? 128 + Signals.Kill;
        var reason = code is null ? unknownReason : number == 0 ? "Completed" : "Error";
        Remember(record with { End = new(record.Id, number, reason, TerminationMessage(files, number), record.StartedAt, finished) });
        (_running, _health) = (null, null);
        ContainerEnded(node.Log, pod.Current.Key, Name, number, reason);
        BackOff(finished - record.StartedAt);
    }

    /// <summary>Decides when the container may run again after it ended, and reports it.</summary>
    private void BackOff(TimeSpan ranFor)
    {
        var (delay, next) = CrashBackOff.After(TimeSpan.FromSeconds(_record!.BackOffSeconds), ranFor);
        Remember(_record with { BackOffSeconds = next.TotalSeconds });
        Hold(node.Time.GetUtcNow() + delay);
        if (_waitingReason == CrashLoop) pod.Tell(true, "BackOff", $"Back-off restarting failed container {Name} in pod {PodName}", spec);
    }

    private void Hold(DateTimeOffset until)
    {
        _notBefore = until;
        var left = until - node.Time.GetUtcNow();
        if (left <= TimeSpan.Zero || !WillRestart()) return;
        _waitingReason = CrashLoop;
        _waitingMessage = $"back-off {Text(left)} restarting failed container={Name} pod={PodName}";
    }

    private bool WillRestart()
    {
        if (grace.HasBegun || pod.Current.Metadata.DeletionTimestamp is not null) return false;
        var policy = pod.Current.Spec.RestartPolicy;
        return role switch
        {
            ContainerRole.Sidecar => true,
            ContainerRole.Ephemeral => false,
            ContainerRole.Init => !HasSucceeded && policy != "Never",
            _ => policy switch { "Never" => false, "OnFailure" => !HasSucceeded, _ => true },
        };
    }

    private static string Text(TimeSpan delay)
    {
        var seconds = (int)Math.Ceiling(delay.TotalSeconds);
        return seconds >= 60 ? $"{seconds / 60}m{seconds % 60}s" : $"{seconds}s";
    }

    private string TerminationMessage(RunFiles files, int code)
    {
        var text = File.Exists(files.TerminationMessage) ? Tail(files.TerminationMessage, LongestTerminationMessage) : "";
        if (text.Length > 0 || code == 0 || spec.TerminationMessagePolicy != "FallbackToLogsOnError" || !File.Exists(files.Log)) return text;
        var lines = Tail(files.Log, 2048 + 1024).Split('\n', StringSplitOptions.RemoveEmptyEntries);
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

    private void Remember(ContainerRecord record)
    {
        StateFile.Write(_files.Record, record, NodeJson.Default.ContainerRecord);
        _record = record;
    }

    private void Restart(RunningContainer running, long? graceSeconds)
    {
        if (running.IsStopping) return;
        running.LetEnd();
        BeginStop(running, node.Time.GetUtcNow() + TimeSpan.FromSeconds(graceSeconds ?? PodGrace.Seconds(pod.Current)));
    }

    private void BeginStop(RunningContainer running, DateTimeOffset deadline)
    {
        running.IsStopping = true;
        var stop = new ContainerStop(running, _health!.Target, node, pod, grace);
        loop.Start($"stopping container {Name}", over => stop.RunAsync(deadline, over), running.Over);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Pod}: {Container} ended with {Code} ({Reason})")]
    private static partial void ContainerEnded(ILogger log, string pod, string container, int code, string reason);
}
