using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Nodes;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Decides what one DaemonSet needs: one Pod on each eligible node, replaced a few at a time.</summary>
public static class DaemonSetPlan
{
    /// <summary>Taints that DaemonSet Pods tolerate automatically (Kubernetes documentation, "Taints and
    /// tolerations").</summary>
    private static readonly (string Key, string Effect)[] Borne =
    [
        ("node.kubernetes.io/not-ready", "NoExecute"), ("node.kubernetes.io/unreachable", "NoExecute"), ("node.kubernetes.io/disk-pressure", "NoSchedule"),
        ("node.kubernetes.io/memory-pressure", "NoSchedule"), ("node.kubernetes.io/pid-pressure", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
    ];

    /// <param name="pods">All Pods of the namespace.</param>
    /// <param name="history">The ControllerRevisions that belong to the set.</param>
    public static Plan For(DaemonSet set, IEnumerable<Pod> pods, IReadOnlyCollection<Node> nodes, IReadOnlyList<ControllerRevision> history, DateTimeOffset now)
    {
        var (owned, writes) = Ownership.Claim(Kinds.DaemonSet, set, set.Spec.Selector, Kinds.Pod, pods);
        var inUse = owned.Select(pod => pod.Metadata.Labels.GetValueOrDefault(Revisions.HashLabel, "")).ToHashSet(StringComparer.Ordinal);
        var revision = Revisions.Ensure(Kinds.DaemonSet, set, set.Spec.Template, set.Spec.RevisionHistoryLimit, history, inUse);
        writes.AddRange(revision.Writes);
        var byNode = owned.ToLookup(TargetNode, StringComparer.Ordinal);
        var wanted = nodes.Where(node => Placement.Suits(Probe(set), node)).Select(node => node.Metadata.Name).Order(StringComparer.Ordinal).ToList();
        if (set.Metadata.DeletionTimestamp is null)
        {
            foreach (var node in wanted) Settle(set, revision.Hash, node, [.. byNode[node]], writes);
            foreach (var stray in owned.Where(pod => pod.Metadata.DeletionTimestamp is null && !wanted.Contains(TargetNode(pod))))
                writes.Add(Write.Delete(Kinds.Pod, stray));
            if (set.Spec.UpdateStrategy.Type != "OnDelete") Roll(set, revision.Hash, wanted, byNode, writes, now);
        }
        var status = Status(set, revision.Hash, wanted, byNode, owned, now);
        if (!Tree.Holds(status, Present(set.Status))) writes.Add(Write.Status(Kinds.DaemonSet, set, status));
        return new() { Writes = writes, Again = PodStates.UntilAvailable(owned, set.Spec.MinReadySeconds, now) };
    }

    private static void Settle(DaemonSet set, string hash, string node, List<Pod> present, List<Write> writes)
    {
        foreach (var ended in present.Where(pod => PodStates.IsFinished(pod) && pod.Metadata.DeletionTimestamp is null))
            writes.Add(Write.Delete(Kinds.Pod, ended));
        var alive = present.Where(PodStates.IsActive).OrderBy(pod => pod.Metadata.CreationTimestamp).ToList();
        foreach (var extra in alive.Skip(1)) writes.Add(Write.Delete(Kinds.Pod, extra));
        // A terminating Pod still holds the node's ports: its successor starts after it.
        if (present.All(PodStates.IsFinished)) writes.Add(Write.Create(Kinds.Pod, NewPod(set, hash, node)));
    }

    private static void Roll(DaemonSet set, string hash, List<string> wanted, ILookup<string, Pod> byNode, List<Write> writes, DateTimeOffset now)
    {
        var limit = Math.Max(1,
            set.Spec.UpdateStrategy.RollingUpdate?.MaxUnavailable is { } value ? RollingNumbers.Resolve(value, wanted.Count, roundUp: true) : 1);
        var away = wanted.Count(node => !byNode[node].Any(pod => PodStates.IsActive(pod) && PodStates.IsAvailable(pod, set.Spec.MinReadySeconds, now)));
        foreach (var node in wanted)
        {
            if (byNode[node].FirstOrDefault(PodStates.IsActive) is not { } pod || pod.Metadata.Labels.GetValueOrDefault(Revisions.HashLabel) == hash) continue;
            var serves = PodStates.IsAvailable(pod, set.Spec.MinReadySeconds, now);
            // Replacing a Pod that is not available costs nothing.
            if (serves && away >= limit) continue;
            if (serves) away++;
            writes.Add(Write.Delete(Kinds.Pod, pod));
        }
    }

    /// <summary>A Pod from the template, to check whether a node is eligible.</summary>
    private static Pod Probe(DaemonSet set)
    {
        var pod = new JsonObject { ["spec"] = NewPod(set, "", "")["spec"]!.DeepClone() };
        (pod["spec"]!["affinity"] as JsonObject)!.Remove("nodeAffinity");
        if (set.Spec.Template["spec"]?["affinity"]?["nodeAffinity"] is { } own) pod["spec"]!["affinity"]!["nodeAffinity"] = own.DeepClone();
        return System.Text.Json.JsonSerializer.Deserialize(pod, KubeJson.Of<Pod>())!;
    }

    private static JsonObject NewPod(DaemonSet set, string hash, string node)
    {
        var pod = PodTemplates.Pod(set.Spec.Template, Kinds.DaemonSet, set);
        var metadata = (JsonObject)pod["metadata"]!;
        var labels = metadata["labels"] as JsonObject ?? (JsonObject)(metadata["labels"] = new JsonObject());
        labels[Revisions.HashLabel] = hash;
        labels["pod-template-generation"] = set.Metadata.Annotations.GetValueOrDefault(Revisions.Generation, $"{set.Metadata.Generation}");
        var spec = pod["spec"] as JsonObject ?? (JsonObject)(pod["spec"] = new JsonObject());
        var affinity = spec["affinity"] as JsonObject ?? (JsonObject)(spec["affinity"] = new JsonObject());
        // The scheduler places it, but has no choice.
        affinity["nodeAffinity"] = new JsonObject
        {
            ["requiredDuringSchedulingIgnoredDuringExecution"] = new JsonObject
            {
                ["nodeSelectorTerms"] = new JsonArray(new JsonObject
                {
                    ["matchFields"] = new JsonArray(new JsonObject { ["key"] = "metadata.name", ["operator"] = "In", ["values"] = Tree.Strings([node]) }),
                }),
            },
        };
        var tolerations = spec["tolerations"] as JsonArray ?? [];
        foreach (var (key, effect) in Borne) tolerations.Add((JsonNode)new JsonObject { ["key"] = key, ["operator"] = "Exists", ["effect"] = effect });
        if (tolerations.Parent is null) spec["tolerations"] = tolerations;
        return pod;
    }

    /// <summary>The node that a Pod is on, or will be bound to.</summary>
    private static string TargetNode(Pod pod) => pod.Spec.NodeName.Length > 0 ? pod.Spec.NodeName
        : (string?)pod.Spec.Affinity?["nodeAffinity"]?["requiredDuringSchedulingIgnoredDuringExecution"]?["nodeSelectorTerms"]?[0]
            ?["matchFields"]?[0]?["values"]?[0] ?? "";

    private static JsonObject Status(DaemonSet set, string hash, List<string> wanted, ILookup<string, Pod> byNode, List<Pod> owned, DateTimeOffset now)
    {
        int Count(Func<Pod, bool> holds) => wanted.Count(node => byNode[node].Any(pod => PodStates.IsActive(pod) && holds(pod)));
        var available = Count(pod => PodStates.IsAvailable(pod, set.Spec.MinReadySeconds, now));
        return new()
        {
            ["observedGeneration"] = set.Metadata.Generation,
            ["currentNumberScheduled"] = Count(_ => true),
            ["numberMisscheduled"] = owned.Count(pod => PodStates.IsActive(pod) && !wanted.Contains(TargetNode(pod))),
            ["desiredNumberScheduled"] = wanted.Count,
            ["numberReady"] = Count(pod => pod.Status.IsReady),
            ["updatedNumberScheduled"] = ReplicaSetPlan.Some(Count(pod => pod.Metadata.Labels.GetValueOrDefault(Revisions.HashLabel) == hash)),
            ["numberAvailable"] = ReplicaSetPlan.Some(available),
            ["numberUnavailable"] = ReplicaSetPlan.Some(wanted.Count - available),
        };
    }

    private static JsonObject Present(DaemonSetStatus status) => new()
    {
        ["observedGeneration"] = status.ObservedGeneration, ["currentNumberScheduled"] = status.CurrentNumberScheduled,
        ["numberMisscheduled"] = status.NumberMisscheduled, ["desiredNumberScheduled"] = status.DesiredNumberScheduled, ["numberReady"] = status.NumberReady,
        ["updatedNumberScheduled"] = ReplicaSetPlan.Some(status.UpdatedNumberScheduled), ["numberAvailable"] = ReplicaSetPlan.Some(status.NumberAvailable),
        ["numberUnavailable"] = ReplicaSetPlan.Some(status.NumberUnavailable),
    };
}
