using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

/// <summary>v1 PersistentVolumeClaim.</summary>
public sealed class PersistentVolumeClaim : KubeObject
{
    public ClaimSpec Spec { get; set => field = value ?? new(); } = new();
    public ClaimStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class ClaimSpec
{
    public List<string> AccessModes { get; set => field = value ?? []; } = [];
    public JsonObject Resources { get; set => field = value ?? []; } = [];
    /// <summary>Null for the cluster's default class; empty for a volume that a user created.</summary>
    public string? StorageClassName { get; set; }
    public string VolumeName { get; set => field = value ?? ""; } = "";
}

public sealed class ClaimStatus
{
    public string Phase { get; set => field = value ?? ""; } = "";
}

/// <summary>v1 PersistentVolume.</summary>
public sealed class PersistentVolume : KubeObject
{
    public VolumeSpec Spec { get; set => field = value ?? new(); } = new();
    public ClaimStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class VolumeSpec
{
    public string StorageClassName { get; set => field = value ?? ""; } = "";
    public ClaimReference ClaimRef { get; set => field = value ?? new(); } = new();
}

public sealed class ClaimReference
{
    public string Namespace { get; set => field = value ?? ""; } = "";
    public string Name { get; set => field = value ?? ""; } = "";
    public string Uid { get; set => field = value ?? ""; } = "";
}
