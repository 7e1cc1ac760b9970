using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>Writes a Pod's status when it has changed, only the newest one, and retries while the API server is unreachable.</summary>
internal sealed partial class StatusPublisher(NodeContext node, string uid)
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _wake = new(0);
    private readonly Lock _guard = new(); // guards what is to be written and what was
    private (Pod Pod, PodStatusInputs Inputs)? _next;
    private string _written = "";
    private List<Condition> _conditions = [];
    private TaskCompletionSource _idle = Completed();

    internal void Publish(Pod pod, PodStatusInputs inputs)
    {
        lock (_guard)
        {
            _next = (pod, inputs);
            if (_idle.Task.IsCompleted) _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        _wake.Release();
    }

    /// <summary>Completes when the newest status is written.</summary>
    internal Task FlushAsync(CancellationToken stop)
    {
        lock (_guard) return _idle.Task.WaitAsync(stop);
    }

    internal async Task RunAsync(CancellationToken stop)
    {
        var pause = new RetryPause(FirstRetry, LongestRetry);
        try
        {
            while (true)
            {
                await _wake.WaitAsync(stop);
                while (Take() is { } next)
                {
                    var isWritten = false;
                    try
                    {
                        isWritten = await WriteAsync(next.Pod, next.Inputs, stop);
                    }
                    finally
                    {
                        if (!isWritten) PutBack(next);
                    }
                    if (isWritten) pause.Reset();
                    else await Task.Delay(pause.Next(), node.Time, stop);
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    private void PutBack((Pod Pod, PodStatusInputs Inputs) unwritten)
    {
        lock (_guard) _next ??= unwritten;
        _wake.Release();
    }

    private (Pod Pod, PodStatusInputs Inputs)? Take()
    {
        lock (_guard)
        {
            var next = _next;
            _next = null;
            if (next is null) _idle.TrySetResult();
            return next;
        }
    }

    private async Task<bool> WriteAsync(Pod pod, PodStatusInputs inputs, CancellationToken stop)
    {
        // The condition that was last written here is newer than the one that the watch has returned.
        var before = _conditions.Concat(pod.Status.Conditions.Where(one => _conditions.TrueForAll(own => own.Type != one.Type))).ToList();
        var status = PodStatusView.Derive(inputs, before, node.Time.GetUtcNow());
        var text = status.ToJsonString();
        if (text == _written) return true;
        try
        {
            if (await node.Api.WriteStatusAsync(pod, status, stop)) _written = text;
            _conditions = [.. ((JsonArray)status["conditions"]!).Select(one => new Condition
            {
                Type = (string)one!["type"]!,
                Status = (string)one["status"]!,
                LastTransitionTime = one["lastTransitionTime"] is { } time
                    ? DateTimeOffset.Parse((string)time!, System.Globalization.CultureInfo.InvariantCulture)
                    : null,
            }).Where(one => one.Type is "PodReadyToStartContainers" or "Initialized" or "Ready" or "ContainersReady" or "PodScheduled")];
            return true;
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or IOException)
        {
            StatusFailed(node.Log, pod.Key, uid, e.Message);
            return false;
        }
    }

    private static TaskCompletionSource Completed()
    {
        var done = new TaskCompletionSource();
        done.SetResult();
        return done;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "could not write the status of {Pod} ({Uid}): {Error}")]
    private static partial void StatusFailed(ILogger log, string pod, string uid, string error);
}
