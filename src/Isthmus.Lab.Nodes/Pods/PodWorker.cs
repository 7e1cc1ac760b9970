using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Nodes.Env;
using Isthmus.Lab.Nodes.Volumes;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>
/// Drives one Pod to its desired state, from its sandbox to its removal. <see cref="PodLifecycle"/> and <see
/// cref="PodPlan"/> decide, and this class acts. Everything that happens elsewhere (an object changed, a container ended, a
/// probe answered) arrives as a message on the Pod's loop.
/// </summary>
internal sealed partial class PodWorker
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly NodeContext _node;
    private readonly PodSubject _pod;
    private readonly PodLoop _loop;
    private readonly PodGrace _grace;
    private readonly VolumeUpkeep _volumes;
    private readonly StatusPublisher _publisher;
    private readonly List<PodContainer> _containers = [];
    private readonly RetryPause _pause = new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(10));
    private readonly string _directory;
    private readonly DateTimeOffset _startedAt;

    private PodStage _stage;
    private PodSandbox? _sandbox;
    private bool _isInitialized, _isGone;
    private string _outcome = "", _reason = "", _message = "";

    internal PodWorker(NodeContext node, Pod pod)
    {
        _node = node;
        _pod = new(pod, node.Events);
        _loop = new(node.Time, Report);
        _grace = new(node.Time);
        _directory = node.Settings.PodDirectory(pod.Metadata.Uid);
        _volumes = new(new PodVolumes(Path.Combine(_directory, "volumes"), node.Settings.ClaimDirectories, node.Api, node.Time), node, _pod);
        _publisher = new(node, pod.Metadata.Uid);
        _startedAt = pod.Status.StartTime ?? node.Time.GetUtcNow();
        foreach (var container in pod.Spec.InitContainers) Add(container, container.RestartPolicy == "Always" ? ContainerRole.Sidecar : ContainerRole.Init);
        foreach (var container in pod.Spec.Containers) Add(container, ContainerRole.Main);
        AddEphemeral();
    }

    internal Pod Pod => _pod.Current;

    /// <summary>The path of its sandbox's network namespace, once it has one.</summary>
    internal string NetworkPath => NamespacePaths.Pod(_node.Settings.Cluster, Pod.Metadata.Uid);

    /// <summary>The object changed.</summary>
    internal void Update(Pod pod) => _loop.Post(() =>
    {
        _pod.Current = pod;
        _volumes.MarkChanged();
        AddEphemeral();
        if (pod.Metadata.DeletionTimestamp is not null) SetGrace();
    });

    /// <summary>An object that its volumes are made from may have changed.</summary>
    internal void Refresh() => _loop.Post(_volumes.MarkChanged);

    /// <summary>The object is gone: everything that still runs ends now.</summary>
    internal void Gone() => _loop.Post(() =>
    {
        _isGone = true;
        SetGrace();
    });

    /// <summary>The current state of one container; null when the Pod has no such container, or is removed.</summary>
    internal Task<ContainerSnapshot?> FindAsync(string container) =>
        _loop.AskAsync(() => _containers.Find(one => one.Name == container)?.ToSnapshot());

    /// <summary>Runs until the Pod is removed. When stopped, containers continue to run for the next node to
    /// find.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        try
        {
            _loop.Start("writing the status", _publisher.RunAsync, stop);
            while (_stage != PodStage.Removed)
            {
                var wake = await TryStepAsync(stop);
                if (_stage == PodStage.Removed) return;
                PublishStatus();
                await _loop.ReadAsync(wake, stop);
            }
        }
        finally
        {
            await _loop.CloseAsync();
            foreach (var container in _containers) container.Release();
            _sandbox?.Dispose();
            _grace.Dispose();
        }
    }

    /// <summary>The only containers that a Pod can get while it runs.</summary>
    private void AddEphemeral()
    {
        foreach (var container in Pod.Spec.EphemeralContainers.Where(container => !_containers.Exists(one => one.Name == container.Name)))
            Add(container, ContainerRole.Ephemeral);
    }

    private void Add(Container container, ContainerRole role) => _containers.Add(new(container, role, _node, _pod, _loop, _grace));

    private void SetGrace()
    {
        if (_isGone) _grace.EndNow();
        else if (Pod.Metadata.DeletionTimestamp is { } at) _grace.EndAt(at);
        else _grace.Begin(TimeSpan.FromSeconds(PodGrace.Seconds(Pod)));
    }

    /// <returns>When to step again even if nothing happens; null for never.</returns>
    private async Task<DateTimeOffset?> TryStepAsync(CancellationToken stop)
    {
        try
        {
            var wake = await StepAsync(stop);
            _pause.Reset();
            return wake;
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            // Every step may be repeated, and an error in one Pod must not end the node's other Pods.
            Report("syncing the Pod", e);
            return _node.Time.GetUtcNow() + _pause.Next();
        }
    }

    private async Task<DateTimeOffset?> StepAsync(CancellationToken stop)
    {
        while (true)
        {
            var goal = Goal();
            if (_stage == PodStage.Running && goal == PodGoal.Fail) MarkDeadlineExceeded();
            switch (PodLifecycle.Decide(_stage, goal, _containers.Exists(one => one.IsRunning)))
            {
                case PodAction.Adopt:
                    Adopt();
                    break;
                case PodAction.Run:
                    var wake = await RunStepAsync(stop);
                    if (_stage == PodStage.Running) return wake;
                    break;
                case PodAction.Leave:
                    Leave();
                    return null;
                case PodAction.Stop:
                    _stage = PodStage.Stopping;
                    StopContainers(PodPlan.StopNext(Facts()));
                    return null;
                case PodAction.Complete:
                    await CompleteAsync(_reason.Length == 0 && _containers.TrueForAll(one => one.Role != ContainerRole.Main || one.HasSucceeded)
                        ? "Succeeded"
                        : "Failed");
                    break;
                case PodAction.Remove:
                    return await TryRemoveAsync(stop) ? null : _node.Time.GetUtcNow() + Retry;
                default:
                    return null;
            }
        }
    }

    private DateTimeOffset? Deadline => Pod.Spec.ActiveDeadlineSeconds is { } seconds ? _startedAt + TimeSpan.FromSeconds(seconds) : null;

    private PodGoal Goal() => _isGone ? PodGoal.Discard
        : Pod.Metadata.DeletionTimestamp is not null ? PodGoal.Remove
        : Deadline <= _node.Time.GetUtcNow() ? PodGoal.Fail
        : PodGoal.Run;

    private void MarkDeadlineExceeded()
    {
        if (_reason.Length > 0) return;
        (_reason, _message) = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
        _pod.Tell(false, _reason, _message);
    }

    /// <summary>Finds what an earlier node left of this Pod.</summary>
    private void Adopt()
    {
        var isComplete = Pod.Status.Phase is "Succeeded" or "Failed";
        _sandbox ??= _node.Sandboxes.TryReopen(Pod.Metadata.Uid);
        if (_sandbox is not null) WriteEtc(_sandbox);
        _isInitialized = _sandbox is { Record.Initialized: true };
        foreach (var container in _containers) container.Adopt(runsCount: _sandbox is not null || isComplete, _sandbox?.Record.Address ?? Pod.Status.PodIP);
        if (isComplete) _outcome = Pod.Status.Phase;
        _stage = isComplete ? PodStage.Completed : PodStage.Running;
    }

    private async Task<DateTimeOffset?> RunStepAsync(CancellationToken stop)
    {
        if (!await EnsureSandboxAsync(stop)) return Earlier(_node.Time.GetUtcNow() + Retry, Deadline);
        var facts = new PodFacts(Pod, _sandbox!.Record.Address, _node.Settings.Address.ToString(), _node.Capacity);
        var wake = await _volumes.EnsureAsync(facts, stop) ? await RunContainersAsync(new(facts, _sandbox, _volumes.Volumes)) : null;
        return Earlier(Earlier(wake, _volumes.Due), Deadline);
    }

    private async Task<bool> EnsureSandboxAsync(CancellationToken stop)
    {
        if (_sandbox is not null) return true;
        try
        {
            _ = HostName();
            _sandbox = await _node.Sandboxes.CreateAsync(Pod, stop);
            WriteEtc(_sandbox);
            return true;
        }
        catch (SandboxException e)
        {
            _pod.Tell(true, "FailedCreatePodSandBox", $"Failed to create pod sandbox: {e.Message}");
            return false;
        }
    }

    private string HostName() => PodFiles.HostName(Pod, _node.Settings.Domain, _node.Settings.NodeName);

    private void WriteEtc(PodSandbox sandbox)
    {
        var etc = Path.Combine(_directory, "etc");
        Directory.CreateDirectory(etc);
        var machine = File.Exists("/etc/resolv.conf") ? File.ReadAllText("/etc/resolv.conf") : "";
        File.WriteAllText(Path.Combine(etc, "hosts"), PodFiles.Hosts(Pod, sandbox.Record.Address, _node.Settings.Domain));
        File.WriteAllText(Path.Combine(etc, "resolv.conf"), PodFiles.ResolvConf(Pod, _node.Settings.DnsAddress.ToString(), _node.Settings.Domain, machine));
        File.WriteAllText(Path.Combine(etc, "hostname"), HostName() + "\n");
    }

    private async Task<DateTimeOffset?> RunContainersAsync(PodResources resources)
    {
        while (true)
        {
            var decision = PodPlan.Decide(Pod.Spec.RestartPolicy, _isInitialized, Facts(), _node.Time.GetUtcNow());
            if (decision.Initialized && !_isInitialized)
            {
                resources.Sandbox.MarkInitialized();
                _isInitialized = true;
            }
            if (!decision.Stop.IsEmpty) StopContainers(decision.Stop);
            if (decision.Outcome.Length > 0)
            {
                await CompleteAsync(decision.Outcome);
                return null;
            }
            foreach (var container in _containers.Where(one => decision.Start.Contains(one.Name))) await container.StartAsync(resources);
            if (decision.Start.IsEmpty) return decision.Wake;
        }
    }

    private ContainerFacts[] Facts() => [.. _containers.Select(one => one.ToFacts())];

    /// <param name="names">The containers that may end now.</param>
    private void StopContainers(ValueList<string> names)
    {
        SetGrace();
        // As with a kubelet, all preStop hooks run at once, and only the signals are sent in order.
        foreach (var container in _containers) container.Stop(names.Contains(container.Name));
    }

    /// <summary>Waits, in parallel to the loop, until no Service sends traffic to the Pod: a process that stops listening
    /// first would lose connections.</summary>
    private void Leave()
    {
        SetGrace();
        _stage = PodStage.Leaving;
        var address = _sandbox is { Network: not null } sandbox ? sandbox.Record.Address : null;
        _loop.Start("waiting for Services to leave the Pod", async stop =>
        {
            if (address is not null) await EndpointsLeaveAsync(address, stop);
            await _loop.InvokeAsync(() =>
            {
                if (_stage == PodStage.Leaving) _stage = PodStage.Stopping;
            }, stop);
        });
    }

    private async Task EndpointsLeaveAsync(string address, CancellationToken stop)
    {
        using var own = new CancellationTokenSource(_node.Settings.EndpointsLeave, _node.Time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop, _grace.Over, own.Token);
        try
        {
            var isServed = false;
            while (await _node.Api.IsReadyEndpointAsync(Pod.Metadata.Namespace, address, limit.Token))
            {
                isServed = true;
                await Task.Delay(TimeSpan.FromMilliseconds(20), _node.Time, limit.Token);
            }
            // Even if the endpoint was gone from the start: it may have been removed only now.
            if (isServed || Pod.Status.IsReady) await Task.Delay(_node.Settings.EndpointsSettle, _node.Time, limit.Token);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or IOException or OperationCanceledException && !stop.IsCancellationRequested)
        {
            // The API server does not answer, or there is no time left: the Pod ends anyway.
        }
    }

    private async Task CompleteAsync(string outcome)
    {
        if (_outcome.Length == 0) _outcome = outcome;
        await ReleaseSandboxAsync();
        _stage = PodStage.Completed;
    }

    /// <summary>Removes the object and everything on this node; false when the API server does not answer.</summary>
    private async Task<bool> TryRemoveAsync(CancellationToken stop)
    {
        await ReleaseSandboxAsync();
        if (!_isGone)
        {
            PublishStatus();
            try
            {
                await _publisher.FlushAsync(stop);
                await _node.Api.RemoveAsync(Pod, stop);
            }
            catch (Exception e) when (e is KubeException or HttpRequestException or IOException)
            {
                return false;
            }
        }
        DeleteFiles();
        PodRemoved(_node.Log, Pod.Key);
        _stage = PodStage.Removed;
        return true;
    }

    private async Task ReleaseSandboxAsync()
    {
        if (_sandbox is not { } sandbox) return;
        await _node.Sandboxes.RemoveAsync(sandbox.Record, CancellationToken.None);
        sandbox.Dispose();
        _sandbox = null;
    }

    private void DeleteFiles()
    {
        PodVolumes.Delete(Path.Combine(_directory, "volumes"));
        if (Directory.Exists(_directory)) Directory.Delete(_directory, recursive: true);
        var meta = Pod.Metadata;
        var logs = _node.Settings.LogDirectory(meta.Namespace, meta.Name, meta.Uid);
        if (Directory.Exists(logs)) Directory.Delete(logs, recursive: true);
    }

    private void PublishStatus()
    {
        // A Pod that was complete before this node started, and of which nothing is left, keeps the status that it has.
        var isKnownOnly = _sandbox is null && _outcome.Length > 0 && _reason.Length == 0 && !_containers.Exists(one => one.HasRun);
        if (_isGone || isKnownOnly) return;
        _publisher.Publish(Pod, new PodStatusInputs(
            Pod, _node.Settings.Address.ToString(), _sandbox?.Record.Address ?? (_outcome.Length > 0 ? Pod.Status.PodIP : ""), _startedAt, _sandbox is not null,
            _isInitialized, _outcome, _reason, _message,
            _containers.Select(one => one.ToView(!_isInitialized && Pod.Spec.InitContainers.Count > 0)).ToValueList()));
    }

    private void Report(string what, Exception e)
    {
        WorkFailed(_node.Log, e, Pod.Key, what);
        _pod.Tell(true, "FailedSync", $"Error {what}, will retry: {e.Message}");
    }

    private static DateTimeOffset? Earlier(DateTimeOffset? one, DateTimeOffset? other) => one is null || other < one ? other : one;

    [LoggerMessage(Level = LogLevel.Error, Message = "{Pod}: error {What}, will retry")]
    private static partial void WorkFailed(ILogger log, Exception error, string pod, string what);

    [LoggerMessage(Level = LogLevel.Information, Message = "removed {Pod}")]
    private static partial void PodRemoved(ILogger log, string pod);
}
