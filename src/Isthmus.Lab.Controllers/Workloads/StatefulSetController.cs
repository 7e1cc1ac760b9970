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
        EnqueueOwnersOfPods("StatefulSet");
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
        await _pods.DoAsync(Kinds.StatefulSet, set, plan, stop);
        if (plan.Again is { } again) EnqueueAfter(key, again);
    }
}
