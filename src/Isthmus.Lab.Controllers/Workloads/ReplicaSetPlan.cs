using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Decides what one ReplicaSet needs: Pods to create or delete, Pods to adopt or release, a status
/// update.</summary>
public static class ReplicaSetPlan
{
    /// <summary>As in Kubernetes: limits how many Pods one round creates before it notices a failure.</summary>
    private const int MostAtOnce = 500;

    private const string DeletionCost = "controller.kubernetes.io/pod-deletion-cost";

    /// <summary>The condition of a ReplicaSet or Deployment whose Pods cannot be made.</summary>
    internal const string ReplicaFailure = "ReplicaFailure";

    /// <param name="pods">All Pods of the namespace.</param>
    public static Plan For(ReplicaSet set, IEnumerable<Pod> pods, DateTimeOffset now)
    {
        var (owned, writes) = Ownership.Claim(Kinds.ReplicaSet, set, set.Spec.Selector, Kinds.Pod, pods.Where(pod => !PodStates.IsFinished(pod)));
        var active = owned.Where(PodStates.IsActive).ToList();
        var wanted = set.Spec.Replicas ?? 1;
        if (set.Metadata.DeletionTimestamp is null)
        {
            for (var missing = Math.Min(wanted - active.Count, MostAtOnce); missing > 0; missing--)
                writes.Add(Write.Create(Kinds.Pod, PodTemplates.Pod(set.Spec.Template, Kinds.ReplicaSet, set)));
            if (active.Count > wanted)
                writes.AddRange(Victims(active, active.Count - wanted).Take(MostAtOnce).Select(pod => Write.Delete(Kinds.Pod, pod)));
        }
        var status = Status(set, active, now);
        // What kept Pods from being made is told until as many are there as are wanted.
        if (set.Status.Conditions.Count > 0 && active.Count >= wanted) status["conditions"] = null;
        if (!Tree.Holds(status, Present(set.Status))) writes.Add(Write.Status(Kinds.ReplicaSet, set, status));
        return new() { Writes = writes, Again = PodStates.UntilAvailable(active, set.Spec.MinReadySeconds, now) };
    }

    /// <summary>The Pods to delete first: those that serve least.</summary>
    internal static IEnumerable<Pod> Victims(IReadOnlyList<Pod> active, int count)
    {
        var onNode = active.CountBy(pod => pod.Spec.NodeName).ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal);
        return active
            .OrderBy(pod => pod.Spec.NodeName.Length > 0)
            .ThenBy(pod => pod.Status.Phase switch { "Pending" => 0, "Unknown" => 1, _ => 2 })
            .ThenBy(pod => pod.Status.IsReady)
            .ThenBy(Cost)
            .ThenByDescending(pod => onNode[pod.Spec.NodeName])
            .ThenByDescending(pod => PodStates.ReadySince(pod) ?? DateTimeOffset.MaxValue)
            .ThenByDescending(pod => pod.Status.ContainerStatuses.Sum(container => container.RestartCount))
            .ThenByDescending(pod => pod.Metadata.CreationTimestamp)
            .ThenBy(pod => pod.Metadata.Name, StringComparer.Ordinal)
            .Take(count);
    }

    private static int Cost(Pod pod) =>
        pod.Metadata.Annotations.TryGetValue(DeletionCost, out var text)
        && int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var cost) ? cost : 0;

    private static JsonObject Status(ReplicaSet set, List<Pod> active, DateTimeOffset now)
    {
        var labels = set.Spec.Template["metadata"]?["labels"] as JsonObject ?? [];
        var labelled = active.Count(pod => labels.All(label => pod.Metadata.Labels.TryGetValue(label.Key, out var value) && value == (string?)label.Value));
        return new()
        {
            ["replicas"] = active.Count,
            ["fullyLabeledReplicas"] = Some(labelled),
            ["readyReplicas"] = Some(active.Count(pod => pod.Status.IsReady)),
            ["availableReplicas"] = Some(active.Count(pod => PodStates.IsAvailable(pod, set.Spec.MinReadySeconds, now))),
            ["observedGeneration"] = set.Metadata.Generation,
        };
    }

    private static JsonObject Present(ReplicaSetStatus status) => new()
    {
        ["replicas"] = status.Replicas, ["fullyLabeledReplicas"] = Some(status.FullyLabeledReplicas), ["readyReplicas"] = Some(status.ReadyReplicas),
        ["availableReplicas"] = Some(status.AvailableReplicas), ["observedGeneration"] = status.ObservedGeneration,
        ["conditions"] = Told(status),
    };

    private static JsonArray? Told(ReplicaSetStatus status) => status.Conditions.Count == 0 ? null
        : [.. status.Conditions.Select(condition => (JsonNode)Condition(condition.Status, condition.Reason, condition.Message, condition.LastTransitionTime))];

    /// <summary>The condition that says why Pods cannot be made, which Deployments take over; null when there is one. Like that of Kubernetes, it keeps
    /// its first reason: each attempt fails for a Pod of another name, and to write that would be a change to act on at once, without back-off.</summary>
    public static Write? Failed(ReplicaSet set, string why, DateTimeOffset now)
    {
        var before = set.Status.Conditions.FirstOrDefault(condition => condition.Type == ReplicaFailure);
        return before is { Status: "True" } ? null
            : Write.Status(Kinds.ReplicaSet, set, new()
            {
                ["conditions"] = new JsonArray(Condition("True", "FailedCreate", why, before?.LastTransitionTime ?? now)),
            });
    }

    private static JsonObject Condition(string status, string reason, string message, DateTimeOffset? since) => new()
    {
        ["type"] = ReplicaFailure, ["status"] = status, ["reason"] = reason, ["message"] = message,
        ["lastTransitionTime"] = since is { } time ? ApiTime.Seconds(time) : null,
    };

    /// <summary>Omits zero, as the API server does: in a merge patch, null removes the field.</summary>
    internal static JsonNode? Some(int count) => count == 0 ? null : count;
}
