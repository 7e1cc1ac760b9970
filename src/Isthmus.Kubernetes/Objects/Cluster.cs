using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Isthmus.Kubernetes.Objects;

/// <summary>core/v1 Namespace.</summary>
public sealed class Namespace : KubeObject
{
    public NamespaceSpec Spec { get; set => field = value ?? new(); } = new();
    public NamespaceStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class NamespaceSpec
{
    public List<string> Finalizers { get; set => field = value ?? []; } = [];
}

public sealed class NamespaceStatus
{
    public string Phase { get; set => field = value ?? ""; } = "";
    public List<Condition> Conditions { get; set => field = value ?? []; } = [];
}

/// <summary>core/v1 Node.</summary>
public sealed class Node : KubeObject
{
    public NodeSpec Spec { get; set => field = value ?? new(); } = new();
    public NodeStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class NodeSpec
{
    public string PodCIDR { get; set => field = value ?? ""; } = "";
    public bool Unschedulable { get; set; }
    public List<Taint> Taints { get; set => field = value ?? []; } = [];
}

public sealed class Taint
{
    public string Key { get; set; } = "";
    public string Value { get; set => field = value ?? ""; } = "";
    public string Effect { get; set; } = "";
}

public sealed class NodeStatus
{
    public List<NodeAddress> Addresses { get; set => field = value ?? []; } = [];
    public List<Condition> Conditions { get; set => field = value ?? []; } = [];
    public NodeSystemInfo NodeInfo { get; set => field = value ?? new(); } = new();

    /// <summary>What Pods can have of each resource, as quantities.</summary>
    public Dictionary<string, JsonNode> Allocatable { get; set => field = value ?? []; } = [];

    public bool IsReady => Conditions.Any(condition => condition is { Type: "Ready", Status: "True" });
}

public sealed class NodeSystemInfo
{
    public string KubeletVersion { get; set => field = value ?? ""; } = "";

    public string ContainerRuntimeVersion { get; set => field = value ?? ""; } = "";
}

public sealed class NodeAddress
{
    public string Type { get; set; } = "";
    public string Address { get; set; } = "";
}

/// <summary>core/v1 ConfigMap.</summary>
public sealed class ConfigMap : KubeObject
{
    public Dictionary<string, string> Data { get; set => field = value ?? []; } = [];
    /// <summary>Values in base64.</summary>
    public Dictionary<string, string> BinaryData { get; set => field = value ?? []; } = [];
}

/// <summary>core/v1 Secret.</summary>
public sealed class Secret : KubeObject
{
    public string Type { get; set => field = value ?? ""; } = "";
    /// <summary>Values in base64; <see cref="Bytes"/> decodes.</summary>
    public Dictionary<string, string> Data { get; set => field = value ?? []; } = [];

    /// <summary>The decoded value, or null when the key is missing or not base64.</summary>
    public byte[]? Bytes(string key)
    {
        if (!Data.TryGetValue(key, out var text)) return null;
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text, bytes, out var length) ? bytes[..length] : null;
    }
}

/// <summary>core/v1 ServiceAccount.</summary>
public sealed class ServiceAccount : KubeObject
{
    public bool? AutomountServiceAccountToken { get; set; }
}

/// <summary>coordination.k8s.io/v1 Lease.</summary>
public sealed class Lease : KubeObject;

/// <summary>apps/v1 Deployment.</summary>
public sealed class Deployment : KubeObject
{
    public DeploymentSpec Spec { get; set => field = value ?? new(); } = new();
    public DeploymentStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class DeploymentSpec
{
    public int? Replicas { get; set; }
    public LabelSelector Selector { get; set => field = value ?? new(); } = new();
    public JsonObject Template { get; set => field = value ?? []; } = [];

    /// <summary>The labels of the Pods.</summary>
    [JsonIgnore]
    public IReadOnlyDictionary<string, string> TemplateLabels =>
        (Template["metadata"]?["labels"] as JsonObject ?? []).ToDictionary(pair => pair.Key, pair => pair.Value?.ToString() ?? "", StringComparer.Ordinal);

    public DeploymentStrategy Strategy { get; set => field = value ?? new(); } = new();
    public int MinReadySeconds { get; set; }
    public int? RevisionHistoryLimit { get; set; }
    public int? ProgressDeadlineSeconds { get; set; }
    public bool Paused { get; set; }
}

public sealed class DeploymentStrategy
{
    public string Type { get; set => field = value ?? ""; } = "";
    public RollingUpdate? RollingUpdate { get; set; }
}

public sealed class RollingUpdate
{
    public JsonNode? MaxSurge { get; set; }
    public JsonNode? MaxUnavailable { get; set; }
    public int? Partition { get; set; }
}

public sealed class DeploymentStatus
{
    public long ObservedGeneration { get; set; }
    public int Replicas { get; set; }
    public int UpdatedReplicas { get; set; }
    public int ReadyReplicas { get; set; }
    public int AvailableReplicas { get; set; }
    public int UnavailableReplicas { get; set; }
    public int? CollisionCount { get; set; }
    public List<Condition> Conditions { get; set => field = value ?? []; } = [];
}

/// <summary>apps/v1 ReplicaSet.</summary>
public sealed class ReplicaSet : KubeObject
{
    public ReplicaSetSpec Spec { get; set => field = value ?? new(); } = new();
    public ReplicaSetStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class ReplicaSetSpec
{
    public int? Replicas { get; set; }
    public int MinReadySeconds { get; set; }
    public LabelSelector Selector { get; set => field = value ?? new(); } = new();
    public JsonObject Template { get; set => field = value ?? []; } = [];
}

public sealed class ReplicaSetStatus
{
    public int Replicas { get; set; }
    public int FullyLabeledReplicas { get; set; }
    public int ReadyReplicas { get; set; }
    public int AvailableReplicas { get; set; }
    public long ObservedGeneration { get; set; }
    public List<Condition> Conditions { get; set => field = value ?? []; } = [];
}
