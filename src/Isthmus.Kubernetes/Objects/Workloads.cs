using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

/// <summary>apps/v1 StatefulSet.</summary>
public sealed class StatefulSet : KubeObject
{
    public StatefulSetSpec Spec { get; init => field = value ?? new(); } = new();
    public StatefulSetStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class StatefulSetSpec
{
    public int? Replicas { get; init; }
    public string ServiceName { get; init => field = value ?? ""; } = "";
    public LabelSelector Selector { get; init => field = value ?? new(); } = new();
    public JsonObject Template { get; init => field = value ?? []; } = [];
    public List<JsonObject> VolumeClaimTemplates { get; init => field = value ?? []; } = [];
    /// <summary><c>OrderedReady</c> or <c>Parallel</c>.</summary>
    public string PodManagementPolicy { get; init => field = value ?? ""; } = "";
    public UpdateStrategy UpdateStrategy { get; init => field = value ?? new(); } = new();
    public int? RevisionHistoryLimit { get; init; }
    public int MinReadySeconds { get; init; }
    public StatefulSetOrdinals? Ordinals { get; init; }
}

public sealed class StatefulSetOrdinals
{
    public int Start { get; init; }
}

/// <summary>How a StatefulSet or DaemonSet replaces its Pods.</summary>
public sealed class UpdateStrategy
{
    public string Type { get; init => field = value ?? ""; } = "";
    public RollingUpdate? RollingUpdate { get; init; }
}

public sealed class StatefulSetStatus
{
    public long ObservedGeneration { get; init; }
    public int Replicas { get; init; }
    public int ReadyReplicas { get; init; }
    public int AvailableReplicas { get; init; }
    public int CurrentReplicas { get; init; }
    public int UpdatedReplicas { get; init; }
    public string CurrentRevision { get; init => field = value ?? ""; } = "";
    public string UpdateRevision { get; init => field = value ?? ""; } = "";
    public int? CollisionCount { get; init; }
}

/// <summary>apps/v1 DaemonSet.</summary>
public sealed class DaemonSet : KubeObject
{
    public DaemonSetSpec Spec { get; init => field = value ?? new(); } = new();
    public DaemonSetStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class DaemonSetSpec
{
    public LabelSelector Selector { get; init => field = value ?? new(); } = new();
    public JsonObject Template { get; init => field = value ?? []; } = [];
    public UpdateStrategy UpdateStrategy { get; init => field = value ?? new(); } = new();
    public int MinReadySeconds { get; init; }
    public int? RevisionHistoryLimit { get; init; }
}

public sealed class DaemonSetStatus
{
    public long ObservedGeneration { get; init; }
    public int CurrentNumberScheduled { get; init; }
    public int NumberMisscheduled { get; init; }
    public int DesiredNumberScheduled { get; init; }
    public int NumberReady { get; init; }
    public int UpdatedNumberScheduled { get; init; }
    public int NumberAvailable { get; init; }
    public int NumberUnavailable { get; init; }
    public int? CollisionCount { get; init; }
}

/// <summary>apps/v1 ControllerRevision: an earlier template of a StatefulSet or DaemonSet.</summary>
public sealed class ControllerRevision : KubeObject
{
    public JsonObject Data { get; init => field = value ?? []; } = [];
    public long Revision { get; init; }
}

/// <summary>batch/v1 Job.</summary>
public sealed class Job : KubeObject
{
    public JobSpec Spec { get; init => field = value ?? new(); } = new();
    public JobStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class JobSpec
{
    public int? Parallelism { get; init; }
    public int? Completions { get; init; }
    public int? BackoffLimit { get; init; }
    public long? ActiveDeadlineSeconds { get; init; }
    public int? TtlSecondsAfterFinished { get; init; }
    public bool Suspend { get; init; }
    /// <summary><c>NonIndexed</c> or <c>Indexed</c>.</summary>
    public string CompletionMode { get; init => field = value ?? ""; } = "";
    public LabelSelector Selector { get; init => field = value ?? new(); } = new();
    public JsonObject Template { get; init => field = value ?? []; } = [];
}

public sealed class JobStatus
{
    public int Active { get; init; }
    public int Ready { get; init; }
    public int Succeeded { get; init; }
    public int Failed { get; init; }
    public DateTimeOffset? StartTime { get; init; }
    public DateTimeOffset? CompletionTime { get; init; }
    public List<Condition> Conditions { get; init => field = value ?? []; } = [];

    /// <summary>Whether it has finished, successfully or not.</summary>
    public bool IsFinished => Conditions.Any(condition => condition is { Type: "Complete" or "Failed", Status: "True" });
}

/// <summary>batch/v1 CronJob.</summary>
public sealed class CronJob : KubeObject
{
    public CronJobSpec Spec { get; init => field = value ?? new(); } = new();
    public CronJobStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class CronJobSpec
{
    public string Schedule { get; init => field = value ?? ""; } = "";
    public string? TimeZone { get; init; }
    public bool Suspend { get; init; }
    /// <summary><c>Allow</c>, <c>Forbid</c> or <c>Replace</c>.</summary>
    public string ConcurrencyPolicy { get; init => field = value ?? ""; } = "";
    public long? StartingDeadlineSeconds { get; init; }
    public int? SuccessfulJobsHistoryLimit { get; init; }
    public int? FailedJobsHistoryLimit { get; init; }
    public JsonObject JobTemplate { get; init => field = value ?? []; } = [];
}

public sealed class CronJobStatus
{
    public List<ObjectReference> Active { get; init => field = value ?? []; } = [];
    public DateTimeOffset? LastScheduleTime { get; init; }
    public DateTimeOffset? LastSuccessfulTime { get; init; }
}

/// <summary>policy/v1 PodDisruptionBudget.</summary>
public sealed class PodDisruptionBudget : KubeObject
{
    public PodDisruptionBudgetSpec Spec { get; init => field = value ?? new(); } = new();
    public PodDisruptionBudgetStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class PodDisruptionBudgetSpec
{
    public LabelSelector? Selector { get; init; }
    public JsonNode? MinAvailable { get; init; }
    public JsonNode? MaxUnavailable { get; init; }
}

public sealed class PodDisruptionBudgetStatus
{
    public long ObservedGeneration { get; init; }
    public int CurrentHealthy { get; init; }
    public int DesiredHealthy { get; init; }
    public int DisruptionsAllowed { get; init; }
    public int ExpectedPods { get; init; }
    public List<Condition> Conditions { get; init => field = value ?? []; } = [];
}
