using System.Threading.Channels;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Network;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Env;
using Isthmus.Lab.Nodes.Volumes;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>
/// Makes one Pod be as its object says, from its sandbox to its removal. All of its state is touched by one loop; whatever
/// happens elsewhere (an object changed, a container ended, a probe answered) is mailed to it.
/// </summary>
internal sealed partial class PodWorker
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan QuickRetry = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestVolumesRetry = TimeSpan.FromSeconds(10);

    private readonly NodeContext _node;
    private readonly Channel<Action> _mail = Channel.CreateUnbounded<Action>(new UnboundedChannelOptions { SingleReader = true });
    private readonly List<ContainerSlot> _slots = [];
    private readonly PodVolumes _volumes;
    private readonly ContainerStarter _starter;
    private readonly StatusPublisher _publisher;
    private readonly string _directory;

    private Pod _pod;
    private PodSandbox? _sandbox;
    private bool _volumesMade, _volumesDirty = true, _initialized, _gone, _finished;
    private DateTimeOffset? _volumesDue;
    private TimeSpan _volumesRetry = QuickRetry;
    private readonly DateTimeOffset _startedAt;
    private string _outcome = "", _reason = "", _message = "";

    internal PodWorker(NodeContext node, Pod pod)
    {
        _node = node;
        _pod = pod;
        _directory = node.Settings.PodDirectory(pod.Metadata.Uid);
        _volumes = new PodVolumes(Path.Combine(_directory, "volumes"), node.Settings.ClaimDirectories, node.Api, node.Time);
        _starter = new ContainerStarter(node);
        _publisher = new StatusPublisher(node, pod.Metadata.Uid);
        _startedAt = pod.Status.StartTime ?? node.Time.GetUtcNow();
        foreach (var container in pod.Spec.InitContainers)
            AddSlot(container, container.RestartPolicy == "Always" ? ContainerRole.Sidecar : ContainerRole.Init);
        foreach (var container in pod.Spec.Containers) AddSlot(container, ContainerRole.Main);
        AddEphemeral();
    }

    internal Pod Pod => _pod;

    /// <summary>Where the network namespace of its sandbox is, once it has one.</summary>
    internal string NetworkPath => NamespacePaths.Pod(_node.Settings.Cluster, _pod.Metadata.Uid);

    /// <summary>The object changed.</summary>
    internal void Update(Pod pod) => _mail.Writer.TryWrite(() =>
    {
        _pod = pod;
        _volumesDirty = true;
        AddEphemeral();
        HurryTermination();
    });

    /// <summary>Something that its volumes are made from may have changed.</summary>
    internal void Refresh() => _mail.Writer.TryWrite(() => _volumesDirty = true);

    /// <summary>The object is no more: whatever still runs ends now.</summary>
    internal void Gone() => _mail.Writer.TryWrite(() =>
    {
        _gone = true;
        HurryTermination();
    });

    /// <summary>Asks about the Pod's present state, on its own loop.</summary>
    internal Task<T> AskAsync<T>(Func<IReadOnlyList<ContainerSlot>, T> question)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!_mail.Writer.TryWrite(() => answer.TrySetResult(question(_slots)))) answer.TrySetCanceled();
        return answer.Task;
    }

    /// <summary>Runs until the Pod is removed. When stopped, containers go on running for the next node to find.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        using var publishing = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var publisher = _publisher.RunAsync(publishing.Token);
        try
        {
            Adopt();
            while (!_finished)
            {
                var wake = await StepAsync(stop);
                PublishStatus();
                if (!_finished) await ReadMailAsync(wake, stop);
            }
        }
        finally
        {
            _mail.Writer.TryComplete();
            foreach (var slot in _slots) slot.Running?.Dispose();
            _sandbox?.Dispose();
            await publishing.CancelAsync();
            await publisher;
        }
    }

    /// <summary>The only containers that a Pod can get while it runs.</summary>
    private void AddEphemeral()
    {
        foreach (var container in _pod.Spec.EphemeralContainers.Where(container => !_slots.Exists(slot => slot.Spec.Name == container.Name)))
            AddSlot(container, ContainerRole.Ephemeral);
    }

    private void AddSlot(Container container, ContainerRole role)
    {
        var meta = _pod.Metadata;
        var files = new ContainerFiles(
            Path.Combine(_directory, "containers", container.Name),
            Path.Combine(_node.Settings.LogDirectory(meta.Namespace, meta.Name, meta.Uid), container.Name));
        _slots.Add(new ContainerSlot(container, role, files));
    }

    private async Task ReadMailAsync(DateTimeOffset? wake, CancellationToken stop)
    {
        if (!_mail.Reader.TryPeek(out _))
        {
            var wait = wake is { } at ? at - _node.Time.GetUtcNow() : Timeout.InfiniteTimeSpan;
            if (wake is not null && wait <= TimeSpan.Zero) return;
            using var timer = CancellationTokenSource.CreateLinkedTokenSource(stop);
            if (wake is not null) timer.CancelAfter(wait < TimeSpan.FromDays(20) ? wait : TimeSpan.FromDays(20));
            try
            {
                await _mail.Reader.WaitToReadAsync(timer.Token);
            }
            catch (OperationCanceledException) when (!stop.IsCancellationRequested)
            {
                return;
            }
        }
        while (_mail.Reader.TryRead(out var letter)) letter();
    }

    /// <returns>When to step again although nothing happens; null for never.</returns>
    private async Task<DateTimeOffset?> StepAsync(CancellationToken stop)
    {
        if (_gone || _pod.Metadata.DeletionTimestamp is not null) return await EndStepAsync(stop);
        if (_outcome.Length > 0) return null;
        var deadline = _pod.Spec.ActiveDeadlineSeconds is { } seconds ? _startedAt + TimeSpan.FromSeconds(seconds) : (DateTimeOffset?)null;
        if (deadline <= _node.Time.GetUtcNow()) return await ExceedDeadlineAsync(stop);
        var wake = await EnsureSandboxAsync(stop) ?? await EnsureVolumesAsync(stop) ?? await RunContainersAsync();
        return deadline is null || wake < deadline ? wake : deadline;
    }

    private async Task<DateTimeOffset?> EnsureSandboxAsync(CancellationToken stop)
    {
        if (_sandbox is not null) return null;
        try
        {
            _sandbox = await PodSandbox.EnsureAsync(_pod, _node.Settings, _node.Addresses, _node.Network, _node.Time, stop);
            WriteEtc();
            return null;
        }
        catch (SandboxException e)
        {
            _node.Events.Tell(_pod, true, "FailedCreatePodSandBox", $"Failed to create pod sandbox: {e.Message}");
            return _node.Time.GetUtcNow() + Retry;
        }
    }

    private void WriteEtc()
    {
        var etc = Path.Combine(_directory, "etc");
        Directory.CreateDirectory(etc);
        var machine = File.Exists("/etc/resolv.conf") ? File.ReadAllText("/etc/resolv.conf") : "";
        File.WriteAllText(Path.Combine(etc, "hosts"), PodFiles.Hosts(_pod, _sandbox!.Record.Address, _node.Settings.Domain));
        File.WriteAllText(Path.Combine(etc, "resolv.conf"), PodFiles.ResolvConf(_pod, _node.Settings.DnsAddress.ToString(), _node.Settings.Domain, machine));
        File.WriteAllText(Path.Combine(etc, "hostname"), PodFiles.HostName(_pod) + "\n");
    }

    /// <summary>Null when the volumes are there and good for longer.</summary>
    private async Task<DateTimeOffset?> EnsureVolumesAsync(CancellationToken stop)
    {
        var now = _node.Time.GetUtcNow();
        if (!_volumesDirty && !(_volumesDue <= now)) return _volumesMade ? null : _volumesDue;
        try
        {
            var group = _pod.Spec.SecurityContext?.FsGroup is { } asked && _node.CanSetGroups && _node.Groups.Contains(asked) ? asked : (long?)null;
            _volumesDue = await _volumes.RefreshAsync(Facts(), group, stop);
            (_volumesMade, _volumesDirty, _volumesRetry) = (true, false, QuickRetry);
            return null;
        }
        catch (Exception e) when (e is VolumeException or ConfigurationException or KubeException or HttpRequestException or IOException)
        {
            // What runs goes on with what it has.
            _volumesDue = now + _volumesRetry;
            _volumesDirty = false;
            _node.Events.Tell(_pod, true, "FailedMount", $"MountVolume.SetUp failed: {e.Message}");
            // What is missing may come from elsewhere and be told at once (Refresh): asking ever less often costs nothing.
            _volumesRetry = _volumesRetry * 2 < LongestVolumesRetry ? _volumesRetry * 2 : LongestVolumesRetry;
            return _volumesMade ? null : _volumesDue;
        }
    }

    private async Task<DateTimeOffset?> RunContainersAsync()
    {
        while (true)
        {
            var decision = PodPlan.Decide(_pod.Spec.RestartPolicy, _initialized, [.. _slots.Select(slot => slot.ToFacts())], _node.Time.GetUtcNow());
            if (decision.Initialized && !_initialized)
            {
                _initialized = true;
                _sandbox!.MarkInitialized(_directory);
            }
            if (decision.StopSidecars) StopSidecars();
            if (decision.Outcome.Length > 0)
            {
                _outcome = decision.Outcome;
                await ReleaseSandboxAsync();
                return null;
            }
            foreach (var slot in _slots.Where(slot => decision.Start.Contains(slot.Spec.Name))) await StartAsync(slot);
            if (decision.Start.IsEmpty) return decision.Wake is { } wake && _volumesDue > wake ? wake : decision.Wake ?? _volumesDue;
        }
    }

    private async Task StartAsync(ContainerSlot slot)
    {
        var container = slot.Spec;
        try
        {
            var running = await _starter.StartAsync(_pod, _sandbox!, _volumes, slot, Facts());
            _node.Events.Tell(_pod, false, "Pulled", $"Container image \"{container.Image}\" already present on machine", container);
            _node.Events.Tell(_pod, false, "Created", $"Created container: {container.Name}", container);
            _node.Events.Tell(_pod, false, "Started", $"Started container {container.Name}", container);
            (slot.WaitingReason, slot.WaitingMessage, slot.StartBackOff) = ("", "", TimeSpan.Zero);
            (slot.Started, slot.ProbedReady, slot.IsStale) = (false, false, false);
            Watch(slot, running);
            BeginLife(slot, running, adopted: false);
        }
        catch (Exception e) when (e is StartException or IOException)
        {
            FailStart(slot, e is StartException start ? start : new StartException("CreateContainerError", e.Message));
        }
    }

    private void FailStart(ContainerSlot slot, StartException e)
    {
        var container = slot.Spec;
        var again = slot.WaitingReason is "ErrImagePull" or "ImagePullBackOff";
        (slot.WaitingReason, slot.WaitingMessage) = (e.Reason, e.Message);
        if (e.Reason == "ErrImagePull")
        {
            slot.StartBackOff = CrashBackOff.Grow(slot.StartBackOff);
            slot.NotBefore = _node.Time.GetUtcNow() + slot.StartBackOff;
            if (again) (slot.WaitingReason, slot.WaitingMessage) = ("ImagePullBackOff", $"Back-off pulling image \"{container.Image}\": {e.Message}");
            else
            {
                _node.Events.Tell(_pod, true, "Failed", $"Failed to pull image \"{container.Image}\": {e.Message}", container);
                _node.Events.Tell(_pod, true, "Failed", "Error: ErrImagePull", container);
            }
            _node.Events.Tell(_pod, false, "BackOff", $"Back-off pulling image \"{container.Image}\"", container);
            return;
        }
        _node.Events.Tell(_pod, true, e.Reason == "InvalidImageName" ? "InspectFailed" : "Failed", $"Error: {e.Message}", container);
        if (e.Reason == "RunContainerError") AfterEnd(slot, TimeSpan.Zero);
        else slot.NotBefore = _node.Time.GetUtcNow() + Retry;
    }

    private PodFacts Facts() => new(_pod, _sandbox?.Record.Address ?? "", _node.Settings.Address.ToString(), _node.Capacity);

    private void PublishStatus()
    {
        if (_gone || (_sandbox is null && _outcome.Length > 0 && _reason.Length == 0 && _slots.TrueForAll(slot => slot.Record is null))) return;
        _publisher.Publish(_pod, new PodStatusInputs(
            _pod, _node.Settings.Address.ToString(), _sandbox?.Record.Address ?? (_outcome.Length > 0 ? _pod.Status.PodIP : ""), _startedAt, _sandbox is not null,
            _initialized, _outcome, _reason, _message, _slots.Select(slot => slot.ToView(!_initialized && _pod.Spec.InitContainers.Count > 0)).ToValueList()));
    }

    private async Task ReleaseSandboxAsync()
    {
        if (_sandbox is not { } sandbox) return;
        _sandbox = null;
        sandbox.Dispose();
        await PodSandbox.RemoveAsync(sandbox.Record, _node.Settings, _node.Addresses, _node.Network, CancellationToken.None);
        File.Delete(PodSandbox.RecordFile(_directory));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Pod}: {Container} ended with {Code} ({Reason})")]
    private static partial void ContainerEnded(ILogger log, string pod, string container, int code, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "removed {Pod}")]
    private static partial void PodRemoved(ILogger log, string pod);
}
