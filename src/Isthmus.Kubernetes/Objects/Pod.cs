using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Isthmus.Kubernetes.Objects;

/// <summary>core/v1 Pod.</summary>
public sealed class Pod : KubeObject
{
    public PodSpec Spec { get; init => field = value ?? new(); } = new();
    public PodStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class PodSpec
{
    public List<Container> Containers { get; init => field = value ?? []; } = [];
    public List<Container> InitContainers { get; init => field = value ?? []; } = [];
    public List<Container> EphemeralContainers { get; init => field = value ?? []; } = [];
    public List<Volume> Volumes { get; init => field = value ?? []; } = [];
    public string NodeName { get; init => field = value ?? ""; } = "";
    public string ServiceAccountName { get; init => field = value ?? ""; } = "";
    public string RestartPolicy { get; init => field = value ?? ""; } = "";
    public bool HostNetwork { get; init; }
    public bool? ShareProcessNamespace { get; init; }
    public string DnsPolicy { get; init => field = value ?? ""; } = "";
    public PodDnsConfig? DnsConfig { get; init; }
    public string Hostname { get; init => field = value ?? ""; } = "";
    public string Subdomain { get; init => field = value ?? ""; } = "";
    public List<HostAlias> HostAliases { get; init => field = value ?? []; } = [];
    public long? TerminationGracePeriodSeconds { get; init; }
    public long? ActiveDeadlineSeconds { get; init; }
    public bool? EnableServiceLinks { get; init; }
    public bool? AutomountServiceAccountToken { get; init; }
    public PodSecurityContext? SecurityContext { get; init; }
    public Dictionary<string, string> NodeSelector { get; init => field = value ?? []; } = [];
    public JsonObject? Affinity { get; init; }
    public List<Toleration> Tolerations { get; init => field = value ?? []; } = [];
    public List<PodReadinessGate> ReadinessGates { get; init => field = value ?? []; } = [];
    public string SchedulerName { get; init => field = value ?? ""; } = "";
}

public sealed class PodReadinessGate
{
    public string ConditionType { get; init; } = "";
}

public sealed class HostAlias
{
    public string Ip { get; init; } = "";
    public List<string> Hostnames { get; init => field = value ?? []; } = [];
}

public sealed class Toleration
{
    public string Key { get; init => field = value ?? ""; } = "";
    public string Operator { get; init => field = value ?? ""; } = "";
    public string Value { get; init => field = value ?? ""; } = "";
    public string Effect { get; init => field = value ?? ""; } = "";
    public long? TolerationSeconds { get; init; }
}

public sealed class PodDnsConfig
{
    public List<string> Nameservers { get; init => field = value ?? []; } = [];
    public List<string> Searches { get; init => field = value ?? []; } = [];
    public List<PodDnsConfigOption> Options { get; init => field = value ?? []; } = [];
}

public sealed class PodDnsConfigOption
{
    public string Name { get; init; } = "";
    public string? Value { get; init; }
}

public sealed class PodSecurityContext
{
    public long? RunAsUser { get; init; }
    public long? RunAsGroup { get; init; }
    public bool? RunAsNonRoot { get; init; }
    public long? FsGroup { get; init; }
    public List<long> SupplementalGroups { get; init => field = value ?? []; } = [];
    public List<Sysctl> Sysctls { get; init => field = value ?? []; } = [];
}

public sealed class Sysctl
{
    public string Name { get; init; } = "";
    public string Value { get; init; } = "";
}

public sealed class Container
{
    public string Name { get; init; } = "";
    public string Image { get; init => field = value ?? ""; } = "";
    public string ImagePullPolicy { get; init => field = value ?? ""; } = "";
    public List<string> Command { get; init => field = value ?? []; } = [];
    public List<string> Args { get; init => field = value ?? []; } = [];
    public string WorkingDir { get; init => field = value ?? ""; } = "";
    public List<ContainerPort> Ports { get; init => field = value ?? []; } = [];
    public List<EnvVar> Env { get; init => field = value ?? []; } = [];
    public List<EnvFromSource> EnvFrom { get; init => field = value ?? []; } = [];
    public ResourceRequirements Resources { get; init => field = value ?? new(); } = new();
    public List<VolumeMount> VolumeMounts { get; init => field = value ?? []; } = [];
    public Probe? LivenessProbe { get; init; }
    public Probe? ReadinessProbe { get; init; }
    public Probe? StartupProbe { get; init; }
    public Lifecycle? Lifecycle { get; init; }
    public SecurityContext? SecurityContext { get; init; }
    public bool Stdin { get; init; }
    public bool StdinOnce { get; init; }
    public bool Tty { get; init; }
    /// <summary><c>Always</c> on an init container makes it a sidecar.</summary>
    public string RestartPolicy { get; init => field = value ?? ""; } = "";
    public string TerminationMessagePath { get; init => field = value ?? ""; } = "";
    public string TerminationMessagePolicy { get; init => field = value ?? ""; } = "";
}

public sealed class ContainerPort
{
    public string Name { get; init => field = value ?? ""; } = "";
    [JsonPropertyName("containerPort")]
    public int Number { get; init; }
    public int? HostPort { get; init; }
    public string Protocol { get; init => field = value ?? "TCP"; } = "TCP";
}

public sealed class ResourceRequirements
{
    public Dictionary<string, JsonNode> Limits { get; init => field = value ?? []; } = [];
    public Dictionary<string, JsonNode> Requests { get; init => field = value ?? []; } = [];
}

public sealed class VolumeMount
{
    public string Name { get; init; } = "";
    public string MountPath { get; init; } = "";
    public string SubPath { get; init => field = value ?? ""; } = "";
    public string SubPathExpr { get; init => field = value ?? ""; } = "";
    public bool ReadOnly { get; init; }
}

public sealed class SecurityContext
{
    public long? RunAsUser { get; init; }
    public long? RunAsGroup { get; init; }
    public bool? RunAsNonRoot { get; init; }
    public bool? ReadOnlyRootFilesystem { get; init; }
    public bool? Privileged { get; init; }
    public bool? AllowPrivilegeEscalation { get; init; }
    public Capabilities? Capabilities { get; init; }
}

public sealed class Capabilities
{
    public List<string> Add { get; init => field = value ?? []; } = [];
    public List<string> Drop { get; init => field = value ?? []; } = [];
}
