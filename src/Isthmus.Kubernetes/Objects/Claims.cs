using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

/// <summary>v1 PersistentVolumeClaim.</summary>
public sealed class PersistentVolumeClaim : KubeObject
{
    public ClaimSpec Spec { get; init => field = value ?? new(); } = new();
    public ClaimStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class ClaimSpec
{
    public List<string> AccessModes { get; init => field = value ?? []; } = [];
    public JsonObject Resources { get; init => field = value ?? []; } = [];
    /// <summary>Null for the cluster's default class; empty for a volume that a user created.</summary>
    public string? StorageClassName { get; init; }
    public string VolumeName { get; init => field = value ?? ""; } = "";
}

public sealed class ClaimStatus
{
    public string Phase { get; init => field = value ?? ""; } = "";
}

/// <summary>v1 PersistentVolume.</summary>
public sealed class PersistentVolume : KubeObject
{
    public VolumeSpec Spec { get; init => field = value ?? new(); } = new();
    public ClaimStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class VolumeSpec
{
    public string StorageClassName { get; init => field = value ?? ""; } = "";
    public ClaimReference ClaimRef { get; init => field = value ?? new(); } = new();
}

public sealed class ClaimReference
{
    public string Namespace { get; init => field = value ?? ""; } = "";
    public string Name { get; init => field = value ?? ""; } = "";
    public string Uid { get; init => field = value ?? ""; } = "";
}
