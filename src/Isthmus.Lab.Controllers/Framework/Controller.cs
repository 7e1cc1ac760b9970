using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;

namespace Isthmus.Lab.Controllers.Framework;

/// <summary>One controller: its lists enqueue keys, and one worker at a time reconciles each key. A failed key is
/// retried.</summary>
internal abstract class Controller(string name, Runtime runtime)
{
    private readonly WorkQueue<string> _queue = new(runtime.Time);

    /// <summary>The name under which it writes events and log lines, for example <c>replicaset-controller</c>.</summary>
    internal string Name => name;

    protected Runtime Runtime => runtime;

    protected ClusterView View => runtime.View;

    protected virtual int Workers => 4;

    /// <summary>Runs until stopped.</summary>
    internal virtual Task RunAsync(CancellationToken stop) =>
        _queue.RunAsync(Workers, ReconcileAsync, (key, e) => runtime.Log($"{name}: {key}: {e.Message}; trying again"), stop);

    /// <summary>Brings the cluster closer to the desired state of the object with this key.</summary>
    protected abstract Task ReconcileAsync(string key, CancellationToken stop);

    protected void Enqueue(string key) => _queue.Add(key);

    /// <summary>From now on, changes of a Pod enqueue its owner, if the owner is of this kind.</summary>
    protected void EnqueueOwnersOfPods(string kind) => View.Pods.Listen(change =>
    {
        foreach (var pod in (Pod?[])[change.Object, change.Before])
            if (pod is not null && Tree.ControllerOf(pod) is { } owner && owner.Kind == kind) Enqueue($"{pod.Metadata.Namespace}/{owner.Name}");
    });

    protected void EnqueueAfter(string key, TimeSpan delay) => _queue.AddAfter(key, delay);

    protected async Task DoAsync(string key, Plan plan, CancellationToken stop)
    {
        await runtime.DoAsync(name, plan, stop);
        if (plan.Again is { } again) EnqueueAfter(key, again);
    }
}
