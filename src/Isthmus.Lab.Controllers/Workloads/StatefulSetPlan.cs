using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Decides what one StatefulSet needs next: Pods with stable names, created in order, removed and replaced from
/// the last to the first.</summary>
public sealed class StatefulSetPlan
{
    private const string PodName = "statefulset.kubernetes.io/pod-name";
    private const string PodIndex = "apps.kubernetes.io/pod-index";

    private readonly StatefulSet _set;
    private readonly DateTimeOffset _now;
    private readonly IReadOnlyList<ControllerRevision> _history;
    private readonly SortedDictionary<int, Pod> _pods = [];
    private readonly List<Write> _writes = [];
    private readonly Revisions.Found _update;
    private readonly string _current;

    private StatefulSetPlan(StatefulSet set, IEnumerable<Pod> pods, IReadOnlyList<ControllerRevision> history, DateTimeOffset now)
    {
        (_set, _now, _history) = (set, now, history);
        var (owned, claims) = Ownership.Claim(Kinds.StatefulSet, set, set.Spec.Selector, Kinds.Pod, pods.Where(pod => Ordinal(set, pod) is not null));
        _writes.AddRange(claims);
        foreach (var pod in owned) _pods[Ordinal(set, pod)!.Value] = pod;
        var inUse = owned.Select(Revision).Select(name => name[(name.LastIndexOf('-') + 1)..]).ToHashSet(StringComparer.Ordinal);
        _update = Revisions.Ensure(Kinds.StatefulSet, set, set.Spec.Template, set.Spec.RevisionHistoryLimit, history, inUse);
        _writes.AddRange(_update.Writes);
        _current = set.Status.CurrentRevision.Length > 0 ? set.Status.CurrentRevision : _update.Name;
    }

    private int First => _set.Spec.Ordinals?.Start ?? 0;

    private int End => First + (_set.Spec.Replicas ?? 1);

    private bool Ordered => _set.Spec.PodManagementPolicy != "Parallel";

    /// <param name="pods">All Pods of the namespace.</param>
    /// <param name="history">The ControllerRevisions that belong to the set.</param>
    public static Plan For(StatefulSet set, IEnumerable<Pod> pods, IReadOnlyList<ControllerRevision> history, DateTimeOffset now) =>
        new StatefulSetPlan(set, pods, history, now).Make();

    private Plan Make()
    {
        if (_set.Metadata.DeletionTimestamp is null && Fill() && Shrink()) Replace();
        var status = Status();
        if (!Tree.Holds(status, Present())) _writes.Add(Write.Status(Kinds.StatefulSet, _set, status));
        return new() { Writes = _writes, Again = PodStates.UntilAvailable(_pods.Values, _set.Spec.MinReadySeconds, _now) };
    }

    /// <summary>Creates missing Pods, lowest first; false when later steps must wait.</summary>
    private bool Fill()
    {
        for (var ordinal = First; ordinal < End; ordinal++)
        {
            if (!_pods.TryGetValue(ordinal, out var pod))
            {
                AddClaims(ordinal);
                _writes.Add(Write.Create(Kinds.Pod, NewPod(ordinal)));
                if (Ordered) return false;
                continue;
            }
            if (PodStates.IsFinished(pod) && pod.Metadata.DeletionTimestamp is null)
            {
                _writes.Add(Write.Delete(Kinds.Pod, pod));
                if (Ordered) return false;
                continue;
            }
            if (Ordered && (pod.Metadata.DeletionTimestamp is not null || !IsHealthy(pod))) return CanReplaceBroken(pod);
        }
        return true;
    }

    /// <summary>A Pod that never became ready holds up the rest, but not the update that may fix it.</summary>
    private bool CanReplaceBroken(Pod pod)
    {
        if (pod.Metadata.DeletionTimestamp is null && Revision(pod) != _update.Name && Ordinal(_set, pod) >= Partition()
            && _set.Spec.UpdateStrategy.Type != "OnDelete" && pod.Status.Phase == "Pending")
            _writes.Add(Write.Delete(Kinds.Pod, pod));
        return false;
    }

    /// <summary>Removes Pods beyond the desired number, highest first; false while one of them still exists.</summary>
    private bool Shrink()
    {
        var beyond = _pods.Where(pair => pair.Key >= End || pair.Key < First).Select(pair => pair.Value).Reverse().ToList();
        foreach (var pod in beyond)
        {
            if (pod.Metadata.DeletionTimestamp is null) _writes.Add(Write.Delete(Kinds.Pod, pod));
            if (Ordered) return false;
        }
        return beyond.Count == 0;
    }

    /// <summary>Replaces Pods of older templates, highest first, one at a time.</summary>
    private void Replace()
    {
        if (_set.Spec.UpdateStrategy.Type == "OnDelete") return;
        for (var ordinal = End - 1; ordinal >= Partition(); ordinal--)
        {
            if (!_pods.TryGetValue(ordinal, out var pod)) return;
            if (pod.Metadata.DeletionTimestamp is not null) return;
            if (Revision(pod) != _update.Name)
            {
                _writes.Add(Write.Delete(Kinds.Pod, pod));
                return;
            }
            if (!IsHealthy(pod)) return;
        }
    }

    private int Partition() => Math.Max(First, _set.Spec.UpdateStrategy.RollingUpdate?.Partition ?? 0);

    private bool IsHealthy(Pod pod) => pod.Status.Phase == "Running" && PodStates.IsAvailable(pod, _set.Spec.MinReadySeconds, _now);

    private JsonObject NewPod(int ordinal)
    {
        var name = $"{_set.Metadata.Name}-{ordinal}";
        var older = ordinal < Partition() && _current != _update.Name ? Revisions.Template(_history, _current) : null;
        var pod = PodTemplates.Pod(older ?? _set.Spec.Template, Kinds.StatefulSet, _set);
        var metadata = (JsonObject)pod["metadata"]!;
        metadata.Remove("generateName");
        metadata["name"] = name;
        var labels = metadata["labels"] as JsonObject ?? (JsonObject)(metadata["labels"] = new JsonObject());
        labels[Revisions.HashLabel] = older is null ? _update.Name : _current;
        labels[PodName] = name;
        labels[PodIndex] = ordinal.ToString(CultureInfo.InvariantCulture);
        var spec = (JsonObject)pod["spec"]!;
        (spec["hostname"], spec["subdomain"]) = (name, _set.Spec.ServiceName);
        var volumes = spec["volumes"] as JsonArray ?? [];
        foreach (var claim in _set.Spec.VolumeClaimTemplates)
        {
            var volume = (string?)claim["metadata"]?["name"] ?? "";
            volumes.Add((JsonNode)new JsonObject { ["name"] = volume, ["persistentVolumeClaim"] = new JsonObject { ["claimName"] = $"{volume}-{name}" } });
        }
        if (volumes.Count > 0 && volumes.Parent is null) spec["volumes"] = volumes;
        return pod;
    }

    private void AddClaims(int ordinal)
    {
        foreach (var template in _set.Spec.VolumeClaimTemplates)
        {
            var claim = (JsonObject)template.DeepClone();
            claim["apiVersion"] = "v1";
            claim["kind"] = "PersistentVolumeClaim";
            claim.Remove("status");
            var metadata = claim["metadata"] as JsonObject ?? (JsonObject)(claim["metadata"] = new JsonObject());
            metadata["name"] = $"{(string?)metadata["name"]}-{_set.Metadata.Name}-{ordinal}";
            metadata["namespace"] = _set.Metadata.Namespace;
            metadata["labels"] = Tree.Map(_set.Spec.Selector.MatchLabels);
            _writes.Add(Write.Create(Kinds.PersistentVolumeClaim, claim));
        }
    }

    private JsonObject Status()
    {
        var alive = _pods.Values.Where(pod => !PodStates.IsFinished(pod)).ToList();
        var updated = alive.Count(pod => Revision(pod) == _update.Name && pod.Metadata.DeletionTimestamp is null);
        var done = updated == (_set.Spec.Replicas ?? 1) && alive.Count == updated && alive.All(IsHealthy) && _writes.All(write => write.Kind != Kinds.Pod);
        var current = done ? _update.Name : _current;
        return new()
        {
            ["observedGeneration"] = _set.Metadata.Generation,
            ["replicas"] = alive.Count,
            ["readyReplicas"] = ReplicaSetPlan.Some(alive.Count(pod => pod.Status.IsReady)),
            ["availableReplicas"] = alive.Count(pod => PodStates.IsAvailable(pod, _set.Spec.MinReadySeconds, _now)),
            ["currentReplicas"] = ReplicaSetPlan.Some(alive.Count(pod => Revision(pod) == current && pod.Metadata.DeletionTimestamp is null)),
            ["updatedReplicas"] = ReplicaSetPlan.Some(updated),
            ["currentRevision"] = current,
            ["updateRevision"] = _update.Name,
            ["collisionCount"] = _set.Status.CollisionCount ?? 0,
        };
    }

    private JsonObject Present() => new()
    {
        ["observedGeneration"] = _set.Status.ObservedGeneration, ["replicas"] = _set.Status.Replicas,
        ["readyReplicas"] = ReplicaSetPlan.Some(_set.Status.ReadyReplicas), ["availableReplicas"] = _set.Status.AvailableReplicas,
        ["currentReplicas"] = ReplicaSetPlan.Some(_set.Status.CurrentReplicas), ["updatedReplicas"] = ReplicaSetPlan.Some(_set.Status.UpdatedReplicas),
        ["currentRevision"] = _set.Status.CurrentRevision, ["updateRevision"] = _set.Status.UpdateRevision, ["collisionCount"] = _set.Status.CollisionCount,
    };

    private static string Revision(Pod pod) => pod.Metadata.Labels.GetValueOrDefault(Revisions.HashLabel, "");

    /// <summary>The ordinal at the end of the Pod's name; null when the name does not belong to this set.</summary>
    private static int? Ordinal(StatefulSet set, Pod pod)
    {
        var prefix = set.Metadata.Name + "-";
        return pod.Metadata.Name.StartsWith(prefix, StringComparison.Ordinal)
            && int.TryParse(pod.Metadata.Name.AsSpan(prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var ordinal) ? ordinal : null;
    }
}
