namespace Isthmus.Kubernetes.Objects;

public sealed class PodStatus
{
    public string Phase { get; set => field = value ?? ""; } = "";
    public string Reason { get; set => field = value ?? ""; } = "";
    public string Message { get; set => field = value ?? ""; } = "";
    public string PodIP { get; set => field = value ?? ""; } = "";
    public List<PodIp> PodIPs { get; set => field = value ?? []; } = [];
    public string HostIP { get; set => field = value ?? ""; } = "";
    public string QosClass { get; set => field = value ?? ""; } = "";
    public DateTimeOffset? StartTime { get; set; }
    public List<Condition> Conditions { get; set => field = value ?? []; } = [];
    public List<ContainerStatus> ContainerStatuses { get; set => field = value ?? []; } = [];
    public List<ContainerStatus> InitContainerStatuses { get; set => field = value ?? []; } = [];

    public bool IsReady => Conditions.Any(condition => condition is { Type: "Ready", Status: "True" });
}

public sealed class PodIp
{
    public string Ip { get; set; } = "";
}

public sealed class ContainerStatus
{
    public string Name { get; set; } = "";
    public bool Ready { get; set; }
    public bool? Started { get; set; }
    public int RestartCount { get; set; }
    public string Image { get; set => field = value ?? ""; } = "";
    public string ImageID { get; set => field = value ?? ""; } = "";
    public string ContainerID { get; set => field = value ?? ""; } = "";
    public ContainerState State { get; set => field = value ?? new(); } = new();
    public ContainerState LastState { get; set => field = value ?? new(); } = new();
}

public sealed class ContainerState
{
    public ContainerStateWaiting? Waiting { get; set; }
    public ContainerStateRunning? Running { get; set; }
    public ContainerStateTerminated? Terminated { get; set; }
}

public sealed class ContainerStateWaiting
{
    public string Reason { get; set => field = value ?? ""; } = "";
    public string Message { get; set => field = value ?? ""; } = "";
}

public sealed class ContainerStateRunning
{
    public DateTimeOffset? StartedAt { get; set; }
}

public sealed class ContainerStateTerminated
{
    public int ExitCode { get; set; }
    public int? Signal { get; set; }
    public string Reason { get; set => field = value ?? ""; } = "";
    public string Message { get; set => field = value ?? ""; } = "";
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }
    public string ContainerID { get; set => field = value ?? ""; } = "";
}
