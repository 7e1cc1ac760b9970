using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Decides what one Deployment needs next: one step of a rollout, a change of size, history cleanup, a status
/// update.</summary>
public sealed class DeploymentPlan
{
    private readonly Deployment _deployment;
    private readonly DeploymentConditions _conditions;
    private readonly List<Write> _writes = [];
    private readonly List<Note> _notes = [];
    private readonly List<ReplicaSet> _sets;
    private readonly int _wanted;
    private readonly bool _oldPodsRun;
    private readonly ReplicaSet? _newest;

    private DeploymentPlan(Deployment deployment, IEnumerable<ReplicaSet> sets, bool oldPodsRun, DateTimeOffset now)
    {
        (_deployment, _oldPodsRun) = (deployment, oldPodsRun);
        _conditions = new(deployment, now);
        _wanted = deployment.Spec.Replicas ?? 1;
        (_sets, var claims) = Ownership.Claim(Kinds.Deployment, deployment, deployment.Spec.Selector, Kinds.ReplicaSet, sets);
        _writes.AddRange(claims);
        _newest = _sets.Where(set => PodTemplates.Same(set.Spec.Template, deployment.Spec.Template)).MinBy(set => set.Metadata.CreationTimestamp);
    }

    private IEnumerable<ReplicaSet> Old => _sets.Where(set => set != _newest);

    /// <param name="sets">All ReplicaSets of the namespace.</param>
    /// <param name="oldPodsRun">Whether Pods of older ReplicaSets still exist: Recreate waits for them.</param>
    public static Plan For(Deployment deployment, IEnumerable<ReplicaSet> sets, bool oldPodsRun, DateTimeOffset now) =>
        new DeploymentPlan(deployment, sets, oldPodsRun, now).Make();

    /// <summary>The ReplicaSet that this Deployment would create now.</summary>
    public static JsonObject NewReplicaSet(Deployment deployment, int replicas, long revision)
    {
        var hash = PodTemplates.Hash(deployment.Spec.Template, deployment.Status.CollisionCount);
        var template = (JsonObject)deployment.Spec.Template.DeepClone();
        var metadata = template["metadata"] as JsonObject ?? [];
        template["metadata"] = metadata.Parent is null ? metadata : metadata.DeepClone();
        var labels = template["metadata"]!["labels"] as JsonObject ?? [];
        template["metadata"]!["labels"] = labels = (JsonObject)labels.DeepClone();
        labels[PodTemplates.HashLabel] = hash;
        return new()
        {
            ["apiVersion"] = "apps/v1", ["kind"] = "ReplicaSet",
            ["metadata"] = new JsonObject
            {
                ["name"] = $"{deployment.Metadata.Name}-{hash}", ["namespace"] = deployment.Metadata.Namespace,
                ["labels"] = labels.DeepClone(),
                ["annotations"] = Tree.Map(DeploymentAnnotations.ForNewest(deployment, null, revision)),
                ["ownerReferences"] = new JsonArray(Tree.OwnedBy(Kinds.Deployment, deployment)),
            },
            ["spec"] = new JsonObject
            {
                ["replicas"] = replicas,
                ["minReadySeconds"] = ReplicaSetPlan.Some(deployment.Spec.MinReadySeconds),
                ["selector"] = Selector(deployment.Spec.Selector, hash),
                ["template"] = template,
            },
        };
    }

    private Plan Make()
    {
        if (_deployment.Metadata.DeletionTimestamp is null)
        {
            _conditions.Paused(_deployment.Spec.Paused);
            if (_deployment.Spec.Paused || IsBeingScaled()) Scale();
            else if (_deployment.Spec.Strategy.Type == "Recreate") Recreate();
            else Roll();
        }
        var again = WriteStatus();
        return new() { Writes = _writes, Notes = _notes, Again = again };
    }

    private void Roll()
    {
        var (surge, unavailable) = RollingNumbers.Of(_deployment.Spec);
        var total = _sets.Sum(Size);
        if (!PrepareNewest(() => Rollout.NextOfNewest(_wanted, surge, _newest is null ? 0 : Size(_newest), total))) return;
        if (Resize(_newest!, Rollout.NextOfNewest(_wanted, surge, Size(_newest!), total))) return;
        foreach (var (name, size) in Rollout.NextOfOld(_wanted, unavailable, Member(_newest!), [.. Old.Select(Member)]))
            Resize(_sets.Single(set => set.Metadata.Name == name), size);
        if (Old.All(set => Size(set) == 0)) TrimHistory();
    }

    private void Recreate()
    {
        foreach (var set in Old) Resize(set, 0);
        if (_oldPodsRun) return;
        if (!PrepareNewest(() => _wanted)) return;
        if (!Resize(_newest!, _wanted)) TrimHistory();
    }

    /// <summary>Changes the size without a rollout: while paused, and before a rollout continues.</summary>
    private void Scale()
    {
        if (_newest is not null && !_deployment.Spec.Paused) PrepareNewest(() => 0);
        var active = _sets.Where(set => Size(set) > 0).ToList();
        if (active.Count == 0 && _newest is not null) active.Add(_newest);
        if (active.Count == 0 && _sets.Count > 0) active.Add(_sets.MaxBy(DeploymentAnnotations.RevisionOf)!);
        if (active.Count == 1)
        {
            Resize(active[0], _wanted);
        }
        else if (_newest is not null && Size(_newest) == _wanted && _newest.Status.AvailableReplicas == _wanted
            && DeploymentAnnotations.Number(_newest, DeploymentAnnotations.DesiredReplicas) == _wanted)
        {
            foreach (var set in Old) Resize(set, 0);
        }
        else
        {
            var next = Rollout.Proportional(_wanted, RollingNumbers.Of(_deployment.Spec).Surge, [.. active.Select(Member)]);
            foreach (var set in active) Resize(set, next[set.Metadata.Name]);
        }
    }

    private bool IsBeingScaled() => _sets.Any(set => Size(set) > 0
        && DeploymentAnnotations.Number(set, DeploymentAnnotations.DesiredReplicas) is { } desired && desired != _wanted);

    /// <summary>Ensures that the newest ReplicaSet exists with its annotations; false when this plan only now creates
    /// it.</summary>
    private bool PrepareNewest(Func<int> size)
    {
        var revision = Old.Select(DeploymentAnnotations.RevisionOf).DefaultIfEmpty(0).Max() + 1;
        if (_newest is not null)
        {
            revision = Math.Max(revision, DeploymentAnnotations.RevisionOf(_newest));
            var patch = new JsonObject
            {
                ["metadata"] = new JsonObject { ["annotations"] = Tree.Map(DeploymentAnnotations.ForNewest(_deployment, _newest, revision)) },
            };
            var missing = DeploymentAnnotations.ForNewest(_deployment, _newest, revision)
                .Any(pair => _newest.Metadata.Annotations.GetValueOrDefault(pair.Key) != pair.Value);
            if (_newest.Spec.MinReadySeconds != _deployment.Spec.MinReadySeconds)
            {
                patch["spec"] = new JsonObject { ["minReadySeconds"] = _deployment.Spec.MinReadySeconds };
                missing = true;
            }
            if (missing) _writes.Add(Write.Patch(Kinds.ReplicaSet, _newest, patch));
        }
        if (DeploymentAnnotations.RevisionOf(_deployment) != revision)
        {
            _writes.Add(Write.Patch(Kinds.Deployment, _deployment, new JsonObject
            {
                ["metadata"] = new JsonObject { ["annotations"] = new JsonObject { [DeploymentAnnotations.Revision] = $"{revision}" } },
            }));
        }
        if (_newest is not null) return true;
        var made = NewReplicaSet(_deployment, size(), revision);
        _writes.Add(Write.Create(Kinds.ReplicaSet, made));
        var name = (string)made["metadata"]!["name"]!;
        if (size() > 0) Tell($"Scaled up replica set {name} from 0 to {size()}");
        _conditions.Set("Progressing", "True", "NewReplicaSetCreated", $"Created new replica set \"{name}\"");
        return false;
    }

    private bool Resize(ReplicaSet set, int size)
    {
        var sizes = DeploymentAnnotations.SizesOf(_deployment);
        var sizesHold = sizes.All(pair => set.Metadata.Annotations.GetValueOrDefault(pair.Key) == (string?)pair.Value);
        if (Size(set) == size && (sizesHold || size == 0)) return false;
        _writes.Add(Write.Patch(Kinds.ReplicaSet, set, new JsonObject
        {
            ["metadata"] = new JsonObject { ["resourceVersion"] = set.Metadata.ResourceVersion, ["annotations"] = sizes },
            ["spec"] = new JsonObject { ["replicas"] = size },
        }));
        if (Size(set) != size) Tell($"Scaled {(size > Size(set) ? "up" : "down")} replica set {set.Metadata.Name} from {Size(set)} to {size}");
        return Size(set) != size;
    }

    private void TrimHistory()
    {
        var spare = Old.Where(set => Size(set) == 0 && set.Status.Replicas == 0 && set.Metadata.DeletionTimestamp is null
            && set.Status.ObservedGeneration >= set.Metadata.Generation).OrderBy(DeploymentAnnotations.RevisionOf).ToList();
        var count = Old.Count() - (_deployment.Spec.RevisionHistoryLimit ?? 10);
        foreach (var set in spare.Take(Math.Max(0, count))) _writes.Add(Write.Delete(Kinds.ReplicaSet, set));
    }

    private TimeSpan? WriteStatus()
    {
        var counts = new DeploymentCounts(_sets.Sum(set => set.Status.Replicas), _newest?.Status.Replicas ?? 0,
            _sets.Sum(set => set.Status.ReadyReplicas), _sets.Sum(set => set.Status.AvailableReplicas));
        _conditions.Availability(counts.Available, _wanted - RollingNumbers.Of(_deployment.Spec).Unavailable);
        _conditions.Failure(_newest);
        var again = _conditions.Progress(_deployment, _newest?.Metadata.Name, counts);
        var wantedPods = _sets.Sum(Size);
        var status = new JsonObject
        {
            ["observedGeneration"] = _deployment.Metadata.Generation,
            ["replicas"] = ReplicaSetPlan.Some(counts.Replicas),
            ["updatedReplicas"] = ReplicaSetPlan.Some(counts.Updated),
            ["readyReplicas"] = ReplicaSetPlan.Some(counts.Ready),
            ["availableReplicas"] = ReplicaSetPlan.Some(counts.Available),
            ["unavailableReplicas"] = ReplicaSetPlan.Some(Math.Max(0, wantedPods - counts.Available)),
            ["conditions"] = _conditions.ToJson(),
        };
        if (!Tree.Holds(status, Present(_deployment))) _writes.Add(Write.Status(Kinds.Deployment, _deployment, status));
        return again;
    }

    private static JsonObject Present(Deployment deployment) => new()
    {
        ["observedGeneration"] = deployment.Status.ObservedGeneration,
        ["replicas"] = ReplicaSetPlan.Some(deployment.Status.Replicas),
        ["updatedReplicas"] = ReplicaSetPlan.Some(deployment.Status.UpdatedReplicas),
        ["readyReplicas"] = ReplicaSetPlan.Some(deployment.Status.ReadyReplicas),
        ["availableReplicas"] = ReplicaSetPlan.Some(deployment.Status.AvailableReplicas),
        ["unavailableReplicas"] = ReplicaSetPlan.Some(deployment.Status.UnavailableReplicas),
        ["conditions"] = new DeploymentConditions(deployment, default).ToJson(),
    };

    private static JsonObject Selector(LabelSelector selector, string hash)
    {
        var labels = Tree.Map(selector.MatchLabels);
        labels[PodTemplates.HashLabel] = hash;
        var made = new JsonObject { ["matchLabels"] = labels };
        if (selector.MatchExpressions.Count > 0)
        {
            made["matchExpressions"] = new JsonArray([.. selector.MatchExpressions.Select(term => (JsonNode)new JsonObject
            {
                ["key"] = term.Key, ["operator"] = term.Operator, ["values"] = term.Values.Count > 0 ? Tree.Strings(term.Values) : null,
            })]);
        }
        return made;
    }

    private static Rollout.Member Member(ReplicaSet set) => new(set.Metadata.Name, Size(set), set.Status.AvailableReplicas,
        set.Metadata.CreationTimestamp ?? default, DeploymentAnnotations.Number(set, DeploymentAnnotations.MaxReplicas));

    private static int Size(ReplicaSet set) => set.Spec.Replicas ?? 1;

    private void Tell(string message) => _notes.Add(Note.Normal(Kinds.Deployment, _deployment, "ScalingReplicaSet", message));
}
