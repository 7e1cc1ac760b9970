using System.Collections.Concurrent;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Nodes;

/// <summary>Deletes Pods from nodes with a <c>NoExecute</c> taint that they do not tolerate, or no longer
/// tolerate.</summary>
internal sealed class TaintEvictionController : Controller
{
    /// <summary>Since when each Pod has been on its tainted node, by uid.</summary>
    private readonly ConcurrentDictionary<string, long> _since = new(StringComparer.Ordinal);

    internal TaintEvictionController(Runtime runtime) : base("taint-eviction-controller", runtime)
    {
        View.Pods.Listen(change =>
        {
            if (change.Object is { Spec.NodeName.Length: > 0 }) Enqueue(change.Key);
            else if (change is { Object: null, Before: { } gone }) _since.TryRemove(gone.Metadata.Uid, out _);
        });
        View.Nodes.Listen(change =>
        {
            if (change.Object is null) return;
            foreach (var pod in View.PodsByNode[change.Key]) Enqueue(pod.Key);
        });
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (View.Pods.Find(key) is not { } pod || pod.Metadata.DeletionTimestamp is not null) return;
        if (View.Nodes.Find(pod.Spec.NodeName) is not { } node || TaintTolerance.Of(pod, node.Spec.Taints) is not { } stays)
        {
            _since.TryRemove(pod.Metadata.Uid, out _);
            return;
        }
        var left = stays - Runtime.Time.GetElapsedTime(_since.GetOrAdd(pod.Metadata.Uid, _ => Runtime.Time.GetTimestamp()));
        if (left > TimeSpan.Zero)
        {
            EnqueueAfter(key, left);
            return;
        }
        await Runtime.DoAsync(Write.Delete(Kinds.Pod, pod), stop);
        Runtime.Record(Name, Note.Normal(Kinds.Pod, pod, "TaintManagerEviction", $"Marking for deletion Pod {key}"));
    }
}

/// <summary>How long a Pod may stay on a node with taints.</summary>
public static class TaintTolerance
{
    private static readonly TimeSpan Longest = TimeSpan.FromDays(20);

    /// <returns>Null for no limit; zero to delete the Pod now.</returns>
    public static TimeSpan? Of(Pod pod, IEnumerable<Taint> taints)
    {
        TimeSpan? shortest = null;
        foreach (var taint in taints.Where(taint => taint.Effect == "NoExecute"))
        {
            var tolerations = pod.Spec.Tolerations.Where(toleration => PodStates.Tolerates(toleration, taint)).ToList();
            if (tolerations.Count == 0) return TimeSpan.Zero;
            foreach (var seconds in tolerations.Select(toleration => toleration.TolerationSeconds).OfType<long>())
            {
                var limit = TimeSpan.FromSeconds(Math.Clamp(seconds, 0, (long)Longest.TotalSeconds));
                if (shortest is null || limit < shortest) shortest = limit;
            }
        }
        return shortest;
    }
}
