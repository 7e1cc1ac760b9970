using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Counts how many Pods of each PodDisruptionBudget may be evicted. The API server reads the count before an
/// eviction.</summary>
internal sealed class DisruptionController : Controller
{
    private readonly WatchedList<PodDisruptionBudget> _budgets;

    internal DisruptionController(Runtime runtime) : base("disruption-controller", runtime)
    {
        _budgets = View.Watch<PodDisruptionBudget>(Kinds.PodDisruptionBudget).Listen(change =>
        {
            if (change.Object is not null) Enqueue(change.Key);
        });
        View.Pods.Listen(change =>
        {
            foreach (var budget in _budgets.Items)
                if (Selects(budget, change.Object) || Selects(budget, change.Before)) Enqueue(budget.Key);
        });
    }

    private static bool Selects(PodDisruptionBudget budget, Pod? pod) =>
        pod is not null && budget.Spec.Selector is { } selector && pod.Metadata.Namespace == budget.Metadata.Namespace && selector.Matches(pod.Metadata.Labels);

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (_budgets.Find(key) is not { } budget) return;
        var pods = View.PodsByNamespace[budget.Metadata.Namespace].Where(pod => Selects(budget, pod) && PodStates.IsActive(pod)).ToList();
        await DoAsync(key, DisruptionPlan.For(budget, pods, Wanted(pods), Runtime.Now), stop);
    }

    /// <summary>How many Pods the owners want together. Pods that are missing at the moment count too.</summary>
    private int Wanted(List<Pod> pods)
    {
        var total = 0;
        foreach (var owner in pods.GroupBy(pod => Tree.ControllerOf(pod)?.Uid ?? "", StringComparer.Ordinal))
        {
            var set = View.ReplicaSets.Items.FirstOrDefault(set => set.Metadata.Uid == owner.Key);
            total += set?.Spec.Replicas ?? owner.Count();
        }
        return total;
    }
}

/// <summary>The arithmetic of a PodDisruptionBudget.</summary>
public static class DisruptionPlan
{
    /// <param name="pods">The Pods that it selects, without finished and terminating ones.</param>
    /// <param name="expected">How many Pods there should be.</param>
    public static Plan For(PodDisruptionBudget budget, IReadOnlyList<Pod> pods, int expected, DateTimeOffset now)
    {
        var healthy = pods.Count(pod => pod.Status.IsReady);
        var desired = budget.Spec.MaxUnavailable is { } most
            ? Math.Max(0, expected - RollingNumbers.Resolve(most, expected, roundUp: true))
            : budget.Spec.MinAvailable is { } least ? RollingNumbers.Resolve(least, expected, roundUp: true) : 0;
        var allowed = expected == 0 ? 0 : Math.Max(0, healthy - desired);
        var present = budget.Status;
        if (present.ObservedGeneration == budget.Metadata.Generation && present.CurrentHealthy == healthy && present.DesiredHealthy == desired
            && present.ExpectedPods == expected && present.DisruptionsAllowed == allowed && present.Conditions.Count > 0) return Plan.Nothing;
        var sufficient = allowed > 0;
        var since = present.Conditions.FirstOrDefault(condition => condition.Type == "DisruptionAllowed"
            && condition.Status == (sufficient ? "True" : "False"))?.LastTransitionTime
            ?? now;
        return new()
        {
            Writes = [Write.Status(Kinds.PodDisruptionBudget, budget, new JsonObject
            {
                ["observedGeneration"] = budget.Metadata.Generation, ["currentHealthy"] = healthy, ["desiredHealthy"] = desired,
                ["disruptionsAllowed"] = allowed, ["expectedPods"] = expected, ["disruptedPods"] = null,
                ["conditions"] = new JsonArray(new JsonObject
                {
                    ["type"] = "DisruptionAllowed", ["status"] = sufficient ? "True" : "False", ["reason"] = sufficient ? "SufficientPods" : "InsufficientPods",
                    ["message"] = "", ["lastTransitionTime"] = ApiTime.Seconds(since), ["observedGeneration"] = budget.Metadata.Generation,
                }),
            })],
        };
    }
}
