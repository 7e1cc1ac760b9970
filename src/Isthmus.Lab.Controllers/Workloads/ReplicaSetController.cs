using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Keeps the desired number of Pods of each ReplicaSet.</summary>
internal sealed class ReplicaSetController : Controller
{
    private readonly PodWriter _pods;

    internal ReplicaSetController(Runtime runtime) : base("replicaset-controller", runtime)
    {
        _pods = new(runtime, Name);
        View.ReplicaSets.Listen(change =>
        {
            if (change.Object is null) _pods.Forget(change.Key);
            else Enqueue(change.Key);
        });
        View.Pods.Listen(OnPod);
    }

    private void OnPod(Change<Pod> change)
    {
        foreach (var pod in (Pod?[])[change.Object, change.Before])
        {
            if (pod is null) continue;
            if (Tree.ControllerOf(pod) is { } owner)
            {
                if (owner.Kind == "ReplicaSet") Enqueue($"{pod.Metadata.Namespace}/{owner.Name}");
                continue;
            }
            // Every ReplicaSet that selects an orphan may adopt it.
            foreach (var set in View.ReplicaSetsByNamespace[pod.Metadata.Namespace])
                if (set.Spec.Selector.Matches(pod.Metadata.Labels)) Enqueue(set.Key);
        }
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (View.ReplicaSets.Find(key) is not { } set) return;
        if (!_pods.Settled(key))
        {
            EnqueueAfter(key, Expectations.Patience);
            return;
        }
        var plan = ReplicaSetPlan.For(set, View.PodsByNamespace[set.Metadata.Namespace], Runtime.Now);
        try
        {
            await _pods.DoAsync(Kinds.ReplicaSet, set, plan, stop);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            if (ReplicaSetPlan.Failed(set, e.Message, Runtime.Now) is { } told) await Runtime.DoAsync(told, stop);
            throw;
        }
        if (plan.Again is { } again) EnqueueAfter(key, again);
    }
}
