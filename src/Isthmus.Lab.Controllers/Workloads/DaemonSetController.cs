using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Keeps one Pod of each DaemonSet on every eligible node.</summary>
internal sealed class DaemonSetController : Controller
{
    private readonly WatchedList<DaemonSet> _sets;
    private readonly WatchedList<ControllerRevision> _revisions;
    private readonly PodWriter _pods;

    internal DaemonSetController(Runtime runtime, WatchedList<ControllerRevision> revisions) : base("daemonset-controller", runtime)
    {
        _pods = new(runtime, Name);
        _revisions = revisions;
        _sets = View.Watch<DaemonSet>(Kinds.DaemonSet);
        _sets.Listen(change =>
        {
            if (change.Object is null) _pods.Forget(change.Key);
            else Enqueue(change.Key);
        });
        EnqueueOwnersOfPods("DaemonSet");
        View.Nodes.Listen(_ =>
        {
            foreach (var set in _sets.Items) Enqueue(set.Key);
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
        var plan = DaemonSetPlan.For(set, View.PodsByNamespace[set.Metadata.Namespace], [.. View.Nodes.Items], history, Runtime.Now);
        await _pods.DoAsync(Kinds.DaemonSet, set, plan, stop);
        if (plan.Again is { } again) EnqueueAfter(key, again);
    }
}
