using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>The conditions Available, Progressing and ReplicaFailure, which <c>kubectl rollout status</c> and <c>kubectl wait</c>
/// read.</summary>
internal sealed class DeploymentConditions
{
    /// <summary>A deadline of this many seconds means no deadline (as in Kubernetes: the largest int32).</summary>
    private const int NoDeadline = int.MaxValue;

    private readonly List<Condition> _conditions;
    private readonly DateTimeOffset _now;

    internal DeploymentConditions(Deployment deployment, DateTimeOffset now) =>
        (_conditions, _now) = ([.. deployment.Status.Conditions], now);

    internal Condition? this[string type] => _conditions.FirstOrDefault(condition => condition.Type == type);

    /// <summary>Sets a condition. Its transition time changes only when the status does.</summary>
    internal void Set(string type, string status, string reason, string message)
    {
        var before = this[type];
        if (before is not null && before.Status == status && before.Reason == reason && before.Message == message) return;
        var transition = before?.Status == status ? before.LastTransitionTime : _now;
        _conditions.RemoveAll(condition => condition.Type == type);
        _conditions.Add(new() { Type = type, Status = status, Reason = reason, Message = message, LastUpdateTime = _now, LastTransitionTime = transition });
    }

    /// <summary>Records progress, even if the message stays the same: the deadline starts from here.</summary>
    private void Refresh(string reason, string message)
    {
        var before = this["Progressing"];
        _conditions.RemoveAll(condition => condition.Type == "Progressing");
        _conditions.Add(new()
        {
            Type = "Progressing", Status = "True", Reason = reason, Message = message, LastUpdateTime = _now,
            LastTransitionTime = before?.Status == "True" ? before.LastTransitionTime : _now,
        });
    }

    internal void Availability(int available, int least)
    {
        if (available >= least) Set("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.");
        else Set("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.");
    }

    /// <summary>Why the newest ReplicaSet cannot make its Pods.</summary>
    internal void Failure(ReplicaSet? newest)
    {
        if (newest?.Status.Conditions.FirstOrDefault(condition => condition.Type == ReplicaSetPlan.ReplicaFailure) is { Status: "True" } failed)
            Set(failed.Type, failed.Status, failed.Reason, failed.Message);
        else _conditions.RemoveAll(condition => condition.Type == ReplicaSetPlan.ReplicaFailure);
    }

    internal void Paused(bool paused)
    {
        var progressing = this["Progressing"];
        if (progressing?.Reason == "ProgressDeadlineExceeded") return;
        var saysPaused = progressing?.Reason == "DeploymentPaused";
        if (paused && !saysPaused) Set("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused");
        else if (!paused && saysPaused) Set("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed");
    }

    /// <returns>How long until the deadline; null when none is running.</returns>
    internal TimeSpan? Progress(Deployment deployment, string? newest, DeploymentCounts counts)
    {
        var deadline = deployment.Spec.ProgressDeadlineSeconds ?? 600;
        if (deadline == NoDeadline || deployment.Spec.Paused) return null;
        var name = newest is null ? $"Deployment \"{deployment.Metadata.Name}\"" : $"ReplicaSet \"{newest}\"";
        var current = this["Progressing"];
        if (counts.Replicas == counts.Updated && current?.Reason == "NewReplicaSetAvailable" && counts.IsComplete(deployment)) return null;
        if (counts.IsComplete(deployment))
        {
            Set("Progressing", "True", "NewReplicaSetAvailable", $"{name} has successfully progressed.");
            return null;
        }
        if (counts.Replicas == counts.Updated && current?.Reason == "NewReplicaSetAvailable") return null;
        if (counts.HasMoved(deployment.Status) || current is null) Refresh(current is null ? "NewReplicaSetCreated" : "ReplicaSetUpdated",
            current is null ? $"Created new replica set \"{newest}\"" : $"{name} is progressing.");
        else if (current.Reason is not "NewReplicaSetAvailable" && current.LastUpdateTime?.AddSeconds(deadline) <= _now)
            Set("Progressing", "False", "ProgressDeadlineExceeded", $"{name} has timed out progressing.");
        var since = this["Progressing"] is { Status: not "False" } running ? running.LastUpdateTime : null;
        return since is { } start ? start.AddSeconds(deadline + 1) - _now : null;
    }

    internal JsonArray ToJson() => [.. _conditions.Select(condition => (JsonNode)new JsonObject
    {
        ["type"] = condition.Type, ["status"] = condition.Status,
        ["lastUpdateTime"] = ApiTime.Seconds(condition.LastUpdateTime ?? _now), ["lastTransitionTime"] = ApiTime.Seconds(condition.LastTransitionTime ?? _now),
        ["reason"] = condition.Reason, ["message"] = condition.Message,
    })];
}

/// <summary>The counts in a Deployment's status.</summary>
internal sealed record DeploymentCounts(int Replicas, int Updated, int Ready, int Available)
{
    internal bool IsComplete(Deployment deployment)
    {
        var wanted = deployment.Spec.Replicas ?? 1;
        return Updated == wanted && Replicas == wanted && Available == wanted;
    }

    internal bool HasMoved(DeploymentStatus before) =>
        Updated > before.UpdatedReplicas || Replicas - Updated < before.Replicas - before.UpdatedReplicas
        || Ready > before.ReadyReplicas || Available > before.AvailableReplicas;
}
