using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

/// <summary>apps/v1 StatefulSet.</summary>
public sealed class StatefulSet : KubeObject
{
    public StatefulSetSpec Spec { get; set => field = value ?? new(); } = new();
    public StatefulSetStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class StatefulSetSpec
{
    public int? Replicas { get; set; }
    public string ServiceName { get; set => field = value ?? ""; } = "";
    public LabelSelector Selector { get; set => field = value ?? new(); } = new();
    public JsonObject Template { get; set => field = value ?? []; } = [];
    public List<JsonObject> VolumeClaimTemplates { get; set => field = value ?? []; } = [];
    /// <summary><c>OrderedReady</c> or <c>Parallel</c>.</summary>
    public string PodManagementPolicy { get; set => field = value ?? ""; } = "";
    public UpdateStrategy UpdateStrategy { get; set => field = value ?? new(); } = new();
    public int? RevisionHistoryLimit { get; set; }
    public int MinReadySeconds { get; set; }
    public StatefulSetOrdinals? Ordinals { get; set; }
}

public sealed class StatefulSetOrdinals
{
    public int Start { get; set; }
}

/// <summary>How a StatefulSet or DaemonSet replaces its Pods.</summary>
public sealed class UpdateStrategy
{
    public string Type { get; set => field = value ?? ""; } = "";
    public RollingUpdate? RollingUpdate { get; set; }
}

public sealed class StatefulSetStatus
{
    public long ObservedGeneration { get; set; }
    public int Replicas { get; set; }
    public int ReadyReplicas { get; set; }
    public int AvailableReplicas { get; set; }
    public int CurrentReplicas { get; set; }
    public int UpdatedReplicas { get; set; }
    public string CurrentRevision { get; set => field = value ?? ""; } = "";
    public string UpdateRevision { get; set => field = value ?? ""; } = "";
    public int? CollisionCount { get; set; }
}

/// <summary>apps/v1 DaemonSet.</summary>
public sealed class DaemonSet : KubeObject
{
    public DaemonSetSpec Spec { get; set => field = value ?? new(); } = new();
    public DaemonSetStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class DaemonSetSpec
{
    public LabelSelector Selector { get; set => field = value ?? new(); } = new();
    public JsonObject Template { get; set => field = value ?? []; } = [];
    public UpdateStrategy UpdateStrategy { get; set => field = value ?? new(); } = new();
    public int MinReadySeconds { get; set; }
    public int? RevisionHistoryLimit { get; set; }
}

public sealed class DaemonSetStatus
{
    public long ObservedGeneration { get; set; }
    public int CurrentNumberScheduled { get; set; }
    public int NumberMisscheduled { get; set; }
    public int DesiredNumberScheduled { get; set; }
    public int NumberReady { get; set; }
    public int UpdatedNumberScheduled { get; set; }
    public int NumberAvailable { get; set; }
    public int NumberUnavailable { get; set; }
    public int? CollisionCount { get; set; }
}

/// <summary>apps/v1 ControllerRevision: an earlier template of a StatefulSet or DaemonSet.</summary>
public sealed class ControllerRevision : KubeObject
{
    public JsonObject Data { get; set => field = value ?? []; } = [];
    public long Revision { get; set; }
}

/// <summary>batch/v1 Job.</summary>
public sealed class Job : KubeObject
{
    public JobSpec Spec { get; set => field = value ?? new(); } = new();
    public JobStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class JobSpec
{
    public int? Parallelism { get; set; }
    public int? Completions { get; set; }
    public int? BackoffLimit { get; set; }
    public long? ActiveDeadlineSeconds { get; set; }
    public int? TtlSecondsAfterFinished { get; set; }
    public bool Suspend { get; set; }
    /// <summary><c>NonIndexed</c> or <c>Indexed</c>.</summary>
    public string CompletionMode { get; set => field = value ?? ""; } = "";
    public LabelSelector Selector { get; set => field = value ?? new(); } = new();
    public JsonObject Template { get; set => field = value ?? []; } = [];
}

public sealed class JobStatus
{
    public int Active { get; set; }
    public int Ready { get; set; }
    public int Succeeded { get; set; }
    public int Failed { get; set; }
    public DateTimeOffset? StartTime { get; set; }
    public DateTimeOffset? CompletionTime { get; set; }
    public List<Condition> Conditions { get; set => field = value ?? []; } = [];

    /// <summary>Whether it has finished, successfully or not.</summary>
    public bool IsFinished => Conditions.Any(condition => condition is { Type: "Complete" or "Failed", Status: "True" });
}

/// <summary>batch/v1 CronJob.</summary>
public sealed class CronJob : KubeObject
{
    public CronJobSpec Spec { get; set => field = value ?? new(); } = new();
    public CronJobStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class CronJobSpec
{
    public string Schedule { get; set => field = value ?? ""; } = "";
    public string? TimeZone { get; set; }
    public bool Suspend { get; set; }
    /// <summary><c>Allow</c>, <c>Forbid</c> or <c>Replace</c>.</summary>
    public string ConcurrencyPolicy { get; set => field = value ?? ""; } = "";
    public long? StartingDeadlineSeconds { get; set; }
    public int? SuccessfulJobsHistoryLimit { get; set; }
    public int? FailedJobsHistoryLimit { get; set; }
    public JsonObject JobTemplate { get; set => field = value ?? []; } = [];
}

public sealed class CronJobStatus
{
    public List<ObjectReference> Active { get; set => field = value ?? []; } = [];
    public DateTimeOffset? LastScheduleTime { get; set; }
    public DateTimeOffset? LastSuccessfulTime { get; set; }
}

/// <summary>policy/v1 PodDisruptionBudget.</summary>
public sealed class PodDisruptionBudget : KubeObject
{
    public PodDisruptionBudgetSpec Spec { get; set => field = value ?? new(); } = new();
    public PodDisruptionBudgetStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class PodDisruptionBudgetSpec
{
    public LabelSelector? Selector { get; set; }
    public JsonNode? MinAvailable { get; set; }
    public JsonNode? MaxUnavailable { get; set; }
}

public sealed class PodDisruptionBudgetStatus
{
    public long ObservedGeneration { get; set; }
    public int CurrentHealthy { get; set; }
    public int DesiredHealthy { get; set; }
    public int DisruptionsAllowed { get; set; }
    public int ExpectedPods { get; set; }
    public List<Condition> Conditions { get; set => field = value ?? []; } = [];
}
