using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Isthmus.Kubernetes.Objects;

/// <summary>core/v1 Namespace.</summary>
public sealed class Namespace : KubeObject
{
    public NamespaceSpec Spec { get; init => field = value ?? new(); } = new();
    public NamespaceStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class NamespaceSpec
{
    public List<string> Finalizers { get; init => field = value ?? []; } = [];
}

public sealed class NamespaceStatus
{
    public string Phase { get; init => field = value ?? ""; } = "";
    public List<Condition> Conditions { get; init => field = value ?? []; } = [];
}

/// <summary>core/v1 Node.</summary>
public sealed class Node : KubeObject
{
    public NodeSpec Spec { get; init => field = value ?? new(); } = new();
    public NodeStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class NodeSpec
{
    public string PodCIDR { get; init => field = value ?? ""; } = "";
    public bool Unschedulable { get; init; }
    public List<Taint> Taints { get; init => field = value ?? []; } = [];
}

public sealed class Taint
{
    public string Key { get; init; } = "";
    public string Value { get; init => field = value ?? ""; } = "";
    public string Effect { get; init; } = "";
}

public sealed class NodeStatus
{
    public List<NodeAddress> Addresses { get; init => field = value ?? []; } = [];
    public List<Condition> Conditions { get; init => field = value ?? []; } = [];
    public NodeSystemInfo NodeInfo { get; init => field = value ?? new(); } = new();

    public bool IsReady => Conditions.Any(condition => condition is { Type: "Ready", Status: "True" });
}

public sealed class NodeSystemInfo
{
    public string KubeletVersion { get; init => field = value ?? ""; } = "";
}

public sealed class NodeAddress
{
    public string Type { get; init; } = "";
    public string Address { get; init; } = "";
}

/// <summary>core/v1 ConfigMap.</summary>
public sealed class ConfigMap : KubeObject
{
    public Dictionary<string, string> Data { get; init => field = value ?? []; } = [];
    /// <summary>Values in base64.</summary>
    public Dictionary<string, string> BinaryData { get; init => field = value ?? []; } = [];
}

/// <summary>core/v1 Secret.</summary>
public sealed class Secret : KubeObject
{
    public string Type { get; init => field = value ?? ""; } = "";
    /// <summary>Values in base64; <see cref="Bytes"/> decodes.</summary>
    public Dictionary<string, string> Data { get; init => field = value ?? []; } = [];

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
    public bool? AutomountServiceAccountToken { get; init; }
}

/// <summary>coordination.k8s.io/v1 Lease.</summary>
public sealed class Lease : KubeObject;

/// <summary>apps/v1 Deployment.</summary>
public sealed class Deployment : KubeObject
{
    public DeploymentSpec Spec { get; init => field = value ?? new(); } = new();
    public DeploymentStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class DeploymentSpec
{
    public int? Replicas { get; init; }
    public LabelSelector Selector { get; init => field = value ?? new(); } = new();
    public JsonObject Template { get; init => field = value ?? []; } = [];

    /// <summary>The labels of the Pods.</summary>
    [JsonIgnore]
    public IReadOnlyDictionary<string, string> TemplateLabels => (Template["metadata"]?["labels"] as JsonObject ?? []).ToDictionary(pair => pair.Key, pair => pair.Value?.ToString() ?? "", StringComparer.Ordinal);

    public DeploymentStrategy Strategy { get; init => field = value ?? new(); } = new();
    public int MinReadySeconds { get; init; }
    public int? RevisionHistoryLimit { get; init; }
    public int? ProgressDeadlineSeconds { get; init; }
    public bool Paused { get; init; }
}

public sealed class DeploymentStrategy
{
    public string Type { get; init => field = value ?? ""; } = "";
    public RollingUpdate? RollingUpdate { get; init; }
}

public sealed class RollingUpdate
{
    public JsonNode? MaxSurge { get; init; }
    public JsonNode? MaxUnavailable { get; init; }
    public int? Partition { get; init; }
}

public sealed class DeploymentStatus
{
    public long ObservedGeneration { get; init; }
    public int Replicas { get; init; }
    public int UpdatedReplicas { get; init; }
    public int ReadyReplicas { get; init; }
    public int AvailableReplicas { get; init; }
    public int UnavailableReplicas { get; init; }
    public int? CollisionCount { get; init; }
    public List<Condition> Conditions { get; init => field = value ?? []; } = [];
}

/// <summary>apps/v1 ReplicaSet.</summary>
public sealed class ReplicaSet : KubeObject
{
    public ReplicaSetSpec Spec { get; init => field = value ?? new(); } = new();
    public ReplicaSetStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class ReplicaSetSpec
{
    public int? Replicas { get; init; }
    public int MinReadySeconds { get; init; }
    public LabelSelector Selector { get; init => field = value ?? new(); } = new();
    public JsonObject Template { get; init => field = value ?? []; } = [];
}

public sealed class ReplicaSetStatus
{
    public int Replicas { get; init; }
    public int FullyLabeledReplicas { get; init; }
    public int ReadyReplicas { get; init; }
    public int AvailableReplicas { get; init; }
    public long ObservedGeneration { get; init; }
}
