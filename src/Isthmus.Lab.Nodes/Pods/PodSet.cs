using System.Collections.Concurrent;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Volumes;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>All Pods of this node, with one worker each, by UID.</summary>
internal sealed partial class PodSet(NodeContext node, CancellationToken stop)
{
    private readonly ConcurrentDictionary<string, (PodWorker Worker, Task Task)> _workers = new(StringComparer.Ordinal);

    /// <summary>The object was added or changed. Calls must come one at a time.</summary>
    internal void Apply(Pod pod)
    {
        var uid = pod.Metadata.Uid;
        if (_workers.TryGetValue(uid, out var known))
        {
            known.Worker.Update(pod);
            return;
        }
        var worker = new PodWorker(node, pod);
        _workers[uid] = (worker, RunAsync(uid, worker));
    }

    internal void Remove(string uid)
    {
        if (_workers.TryGetValue(uid, out var known)) known.Worker.Gone();
    }

    /// <summary>A ConfigMap or Secret of that namespace changed.</summary>
    internal void Refresh(string ns)
    {
        foreach (var (worker, _) in _workers.Values)
        {
            if (worker.Pod.Metadata.Namespace == ns) worker.Refresh();
        }
    }

    internal PodWorker? Find(string ns, string name) =>
        _workers.Values.Select(one => one.Worker).Where(one => one.Pod.Metadata.Name == name && one.Pod.Metadata.Namespace == ns)
            .OrderByDescending(one => one.Pod.Metadata.CreationTimestamp).FirstOrDefault();

    /// <summary>Ends and deletes what is left of Pods that no longer exist. Call it after every existing Pod has been
    /// applied.</summary>
    internal async Task CollectOrphansAsync()
    {
        foreach (var record in node.Sandboxes.Left().Where(record => !_workers.ContainsKey(record.Uid)))
        {
            KillContainers(node.Settings.PodDirectory(record.Uid));
            await node.Sandboxes.RemoveAsync(record, stop);
            OrphanRemoved($"{record.Namespace}/{record.Name}", record.Uid);
        }
        foreach (var directory in Directories(node.Settings.PodDirectories).Where(directory => !_workers.ContainsKey(Path.GetFileName(directory))))
        {
            KillContainers(directory);
            PodVolumes.Delete(Path.Combine(directory, "volumes"));
            Directory.Delete(directory, recursive: true);
        }
        foreach (var directory in Directories(node.Settings.LogDirectories))
        {
            var uid = Path.GetFileName(directory)[(Path.GetFileName(directory).LastIndexOf('_') + 1)..];
            if (!_workers.ContainsKey(uid)) Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>Completes when all workers have stopped.</summary>
    internal Task WhenStoppedAsync() => Task.WhenAll(_workers.Values.Select(one => one.Task));

    private async Task RunAsync(string uid, PodWorker worker)
    {
        await Task.Yield();
        try
        {
            await worker.RunAsync(stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        catch (Exception e)
        {
            // A worker retries what fails. If one ends all the same, the other Pods go on, and the next change of its own
            // Pod gives it a new worker.
            WorkerFailed(e, worker.Pod.Key);
        }
        _workers.TryRemove(uid, out _);
    }

    private static IEnumerable<string> Directories(string path) => Directory.Exists(path) ? Directory.GetDirectories(path) : [];

    private static void KillContainers(string directory)
    {
        foreach (var container in Directories(Path.Combine(directory, "containers")))
        {
            var record = StateFile.Read(Path.Combine(container, "container.json"), NodeJson.Default.ContainerRecord);
            if (record is not { End: null, Process: { } process }) continue;
            using var attached = ContainerProcess.TryAttach(process, Path.Combine(container, $"{record.Attempt}.exit"));
            attached?.Kill();
            attached?.Outer.WaitForExit(TimeSpan.FromSeconds(5));
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "removed what was left of {Pod} ({Uid})")]
    private partial void OrphanRemoved(string pod, string uid);

    [LoggerMessage(Level = LogLevel.Error, Message = "the worker of {Pod} failed; the Pod is not managed until it changes")]
    private partial void WorkerFailed(Exception error, string pod);

    // The source generator of log messages needs a field.
    private readonly ILogger _log = node.Log;
}
