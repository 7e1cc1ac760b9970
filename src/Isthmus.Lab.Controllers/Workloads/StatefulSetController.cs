using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Keeps the Pods of StatefulSets.</summary>
internal sealed class StatefulSetController : Controller
{
    private readonly WatchedList<StatefulSet> _sets;
    private readonly WatchedList<ControllerRevision> _revisions;
    private readonly PodWriter _pods;

    internal StatefulSetController(Runtime runtime, WatchedList<ControllerRevision> revisions) : base("statefulset-controller", runtime)
    {
        _pods = new(runtime, Name);
        _revisions = revisions;
        _sets = View.Watch<StatefulSet>(Kinds.StatefulSet);
        _sets.Listen(change =>
        {
            if (change.Object is null) _pods.Forget(change.Key);
            else Enqueue(change.Key);
        });
        View.Pods.Listen(change =>
        {
            foreach (var pod in (Pod?[])[change.Object, change.Before])
                if (pod is not null && Tree.ControllerOf(pod) is { Kind: "StatefulSet" } owner) Enqueue($"{pod.Metadata.Namespace}/{owner.Name}");
        });
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (_sets.Find(key) is not { } set) return;
        if (!_pods.Settled(key))
        {
            EnqueueAfter(key, Expectations.Patience);
            return;
        }
        var history = _revisions.Items.Where(revision => Tree.ControllerOf(revision)?.Uid == set.Metadata.Uid).ToList();
        var plan = StatefulSetPlan.For(set, View.PodsByNamespace[set.Metadata.Namespace], history, Runtime.Now);
        // Objects that the Pods need come first. They may exist from an earlier StatefulSet.
        foreach (var write in plan.Writes.Where(write => write.Verb == WriteVerb.Create && write.Kind != Kinds.Pod)) await EnsureAsync(write, stop);
        var rest = plan with { Writes = [.. plan.Writes.Where(write => write.Verb != WriteVerb.Create || write.Kind == Kinds.Pod)] };
        await _pods.DoAsync(Kinds.StatefulSet, set, rest, stop);
        if (plan.Again is { } again) EnqueueAfter(key, again);
    }

    private async Task EnsureAsync(Write write, CancellationToken stop)
    {
        try
        {
            await Runtime.DoAsync(write, stop);
        }
        catch (KubeException e) when (e.IsAlreadyExists)
        {
            // It already exists, which is all that is needed.
        }
    }
}
