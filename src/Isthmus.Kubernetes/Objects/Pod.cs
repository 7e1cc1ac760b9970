using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Isthmus.Kubernetes.Objects;

/// <summary>core/v1 Pod.</summary>
public sealed class Pod : KubeObject
{
    public PodSpec Spec { get; set => field = value ?? new(); } = new();
    public PodStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class PodSpec
{
    public List<Container> Containers { get; set => field = value ?? []; } = [];
    public List<Container> InitContainers { get; set => field = value ?? []; } = [];
    public List<Container> EphemeralContainers { get; set => field = value ?? []; } = [];
    public List<Volume> Volumes { get; set => field = value ?? []; } = [];
    public string NodeName { get; set => field = value ?? ""; } = "";
    public string ServiceAccountName { get; set => field = value ?? ""; } = "";
    public string RestartPolicy { get; set => field = value ?? ""; } = "";
    public bool HostNetwork { get; set; }
    public bool? ShareProcessNamespace { get; set; }
    public string DnsPolicy { get; set => field = value ?? ""; } = "";
    public PodDnsConfig? DnsConfig { get; set; }
    public string Hostname { get; set => field = value ?? ""; } = "";
    public string Subdomain { get; set => field = value ?? ""; } = "";
    public bool? SetHostnameAsFQDN { get; set; }
    public string? HostnameOverride { get; set; }
    public List<HostAlias> HostAliases { get; set => field = value ?? []; } = [];
    public long? TerminationGracePeriodSeconds { get; set; }
    public long? ActiveDeadlineSeconds { get; set; }
    public bool? EnableServiceLinks { get; set; }
    public bool? AutomountServiceAccountToken { get; set; }
    public PodSecurityContext? SecurityContext { get; set; }
    public Dictionary<string, string> NodeSelector { get; set => field = value ?? []; } = [];
    public JsonObject? Affinity { get; set; }
    public List<Toleration> Tolerations { get; set => field = value ?? []; } = [];
    public List<PodReadinessGate> ReadinessGates { get; set => field = value ?? []; } = [];
    public string SchedulerName { get; set => field = value ?? ""; } = "";
}

public sealed class PodReadinessGate
{
    public string ConditionType { get; set; } = "";
}

public sealed class HostAlias
{
    public string Ip { get; set; } = "";
    public List<string> Hostnames { get; set => field = value ?? []; } = [];
}

public sealed class Toleration
{
    public string Key { get; set => field = value ?? ""; } = "";
    public string Operator { get; set => field = value ?? ""; } = "";
    public string Value { get; set => field = value ?? ""; } = "";
    public string Effect { get; set => field = value ?? ""; } = "";
    public long? TolerationSeconds { get; set; }
}

public sealed class PodDnsConfig
{
    public List<string> Nameservers { get; set => field = value ?? []; } = [];
    public List<string> Searches { get; set => field = value ?? []; } = [];
    public List<PodDnsConfigOption> Options { get; set => field = value ?? []; } = [];
}

public sealed class PodDnsConfigOption
{
    public string Name { get; set; } = "";
    public string? Value { get; set; }
}

public sealed class PodSecurityContext
{
    public long? RunAsUser { get; set; }
    public long? RunAsGroup { get; set; }
    public bool? RunAsNonRoot { get; set; }
    public long? FsGroup { get; set; }
    public List<long> SupplementalGroups { get; set => field = value ?? []; } = [];
    public List<Sysctl> Sysctls { get; set => field = value ?? []; } = [];
}

public sealed class Sysctl
{
    public string Name { get; set; } = "";
    public string Value { get; set; } = "";
}

public sealed class Container
{
    public string Name { get; set; } = "";
    public string Image { get; set => field = value ?? ""; } = "";
    public string ImagePullPolicy { get; set => field = value ?? ""; } = "";
    public List<string> Command { get; set => field = value ?? []; } = [];
    public List<string> Args { get; set => field = value ?? []; } = [];
    public string WorkingDir { get; set => field = value ?? ""; } = "";
    public List<ContainerPort> Ports { get; set => field = value ?? []; } = [];
    public List<EnvVar> Env { get; set => field = value ?? []; } = [];
    public List<EnvFromSource> EnvFrom { get; set => field = value ?? []; } = [];
    public ResourceRequirements Resources { get; set => field = value ?? new(); } = new();
    public List<VolumeMount> VolumeMounts { get; set => field = value ?? []; } = [];
    public Probe? LivenessProbe { get; set; }
    public Probe? ReadinessProbe { get; set; }
    public Probe? StartupProbe { get; set; }
    public Lifecycle? Lifecycle { get; set; }
    public SecurityContext? SecurityContext { get; set; }
    public bool Stdin { get; set; }
    public bool StdinOnce { get; set; }
    public bool Tty { get; set; }
    /// <summary><c>Always</c> on an init container makes it a sidecar.</summary>
    public string RestartPolicy { get; set => field = value ?? ""; } = "";
    public string TerminationMessagePath { get; set => field = value ?? ""; } = "";
    public string TerminationMessagePolicy { get; set => field = value ?? ""; } = "";
}

public sealed class ContainerPort
{
    public string Name { get; set => field = value ?? ""; } = "";
    [JsonPropertyName("containerPort")]
    public int Number { get; set; }
    public int? HostPort { get; set; }
    public string Protocol { get; set => field = value ?? "TCP"; } = "TCP";
}

public sealed class ResourceRequirements
{
    public Dictionary<string, JsonNode> Limits { get; set => field = value ?? []; } = [];
    public Dictionary<string, JsonNode> Requests { get; set => field = value ?? []; } = [];
}

public sealed class VolumeMount
{
    public string Name { get; set; } = "";
    public string MountPath { get; set; } = "";
    public string SubPath { get; set => field = value ?? ""; } = "";
    public string SubPathExpr { get; set => field = value ?? ""; } = "";
    public bool ReadOnly { get; set; }
}

public sealed class SecurityContext
{
    public long? RunAsUser { get; set; }
    public long? RunAsGroup { get; set; }
    public bool? RunAsNonRoot { get; set; }
    public bool? ReadOnlyRootFilesystem { get; set; }
    public bool? Privileged { get; set; }
    public bool? AllowPrivilegeEscalation { get; set; }
    public Capabilities? Capabilities { get; set; }
}

public sealed class Capabilities
{
    public List<string> Add { get; set => field = value ?? []; } = [];
    public List<string> Drop { get; set => field = value ?? []; } = [];
}
