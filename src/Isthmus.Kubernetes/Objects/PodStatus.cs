namespace Isthmus.Kubernetes.Objects;

public sealed class PodStatus
{
    public string Phase { get; init => field = value ?? ""; } = "";
    public string Reason { get; init => field = value ?? ""; } = "";
    public string Message { get; init => field = value ?? ""; } = "";
    public string PodIP { get; init => field = value ?? ""; } = "";
    public List<PodIp> PodIPs { get; init => field = value ?? []; } = [];
    public string HostIP { get; init => field = value ?? ""; } = "";
    public string QosClass { get; init => field = value ?? ""; } = "";
    public DateTimeOffset? StartTime { get; init; }
    public List<Condition> Conditions { get; init => field = value ?? []; } = [];
    public List<ContainerStatus> ContainerStatuses { get; init => field = value ?? []; } = [];
    public List<ContainerStatus> InitContainerStatuses { get; init => field = value ?? []; } = [];

    public bool IsReady => Conditions.Any(condition => condition is { Type: "Ready", Status: "True" });
}

public sealed class PodIp
{
    public string Ip { get; init; } = "";
}

public sealed class ContainerStatus
{
    public string Name { get; init; } = "";
    public bool Ready { get; init; }
    public bool? Started { get; init; }
    public int RestartCount { get; init; }
    public string Image { get; init => field = value ?? ""; } = "";
    public string ImageID { get; init => field = value ?? ""; } = "";
    public string ContainerID { get; init => field = value ?? ""; } = "";
    public ContainerState State { get; init => field = value ?? new(); } = new();
    public ContainerState LastState { get; init => field = value ?? new(); } = new();
}

public sealed class ContainerState
{
    public ContainerStateWaiting? Waiting { get; init; }
    public ContainerStateRunning? Running { get; init; }
    public ContainerStateTerminated? Terminated { get; init; }
}

public sealed class ContainerStateWaiting
{
    public string Reason { get; init => field = value ?? ""; } = "";
    public string Message { get; init => field = value ?? ""; } = "";
}

public sealed class ContainerStateRunning
{
    public DateTimeOffset? StartedAt { get; init; }
}

public sealed class ContainerStateTerminated
{
    public int ExitCode { get; init; }
    public int? Signal { get; init; }
    public string Reason { get; init => field = value ?? ""; } = "";
    public string Message { get; init => field = value ?? ""; } = "";
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public string ContainerID { get; init => field = value ?? ""; } = "";
}
