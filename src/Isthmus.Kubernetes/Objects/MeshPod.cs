namespace Isthmus.Kubernetes.Objects;

/// <summary>The fields of a Pod that a mesh uses. Clusters have thousands of Pods, and most of their fields do not concern
/// a mesh: those are skipped and never read.</summary>
public sealed class MeshPod : KubeObject
{
    public MeshPodSpec Spec { get; set => field = value ?? new(); } = new();
    public MeshPodStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class MeshPodSpec
{
    public List<MeshContainer> Containers { get; set => field = value ?? []; } = [];
    public List<MeshContainer> InitContainers { get; set => field = value ?? []; } = [];
    public string NodeName { get; set => field = value ?? ""; } = "";
    public string ServiceAccountName { get; set => field = value ?? ""; } = "";
    public string Hostname { get; set => field = value ?? ""; } = "";
    public string Subdomain { get; set => field = value ?? ""; } = "";
}

public sealed class MeshContainer
{
    public string Name { get; set => field = value ?? ""; } = "";
    public List<string> Args { get; set => field = value ?? []; } = [];
    public List<ContainerPort> Ports { get; set => field = value ?? []; } = [];
}

public sealed class MeshPodStatus
{
    public string Phase { get; set => field = value ?? ""; } = "";
    public string PodIP { get; set => field = value ?? ""; } = "";
    public List<PodIp> PodIPs { get; set => field = value ?? []; } = [];
    public List<Condition> Conditions { get; set => field = value ?? []; } = [];

    public bool IsReady => Conditions.Any(condition => condition is { Type: "Ready", Status: "True" });
}
