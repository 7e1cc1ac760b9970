using System.Text.Json.Serialization;

namespace Isthmus.Kubernetes.Objects;

/// <summary>
/// A typed view of an object, for reading only. It omits fields that Isthmus does not use, so never send one back: write
/// through JSON (<see cref="Client.KubeClient"/>) instead. Lists and maps are never null.
/// </summary>
public abstract class KubeObject
{
    public string ApiVersion { get; init; } = "";

    public string Kind { get; init; } = "";

    public ObjectMeta Metadata { get; init => field = value ?? new(); } = new();

    /// <summary><c>namespace/name</c>, or <c>name</c> at cluster scope.</summary>
    [JsonIgnore]
    public string Key => Metadata.Namespace.Length == 0 ? Metadata.Name : $"{Metadata.Namespace}/{Metadata.Name}";
}

/// <summary>meta/v1 ObjectMeta.</summary>
public sealed class ObjectMeta
{
    public string Name { get; init => field = value ?? ""; } = "";
    public string Namespace { get; init => field = value ?? ""; } = "";
    public string GenerateName { get; init => field = value ?? ""; } = "";
    public string Uid { get; init => field = value ?? ""; } = "";
    public string ResourceVersion { get; init => field = value ?? ""; } = "";
    public long Generation { get; init; }
    public DateTimeOffset? CreationTimestamp { get; init; }
    public DateTimeOffset? DeletionTimestamp { get; init; }
    public long? DeletionGracePeriodSeconds { get; init; }
    public Dictionary<string, string> Labels { get; init => field = value ?? []; } = [];
    public Dictionary<string, string> Annotations { get; init => field = value ?? []; } = [];
    public List<string> Finalizers { get; init => field = value ?? []; } = [];
    public List<OwnerReference> OwnerReferences { get; init => field = value ?? []; } = [];

    [JsonPropertyName("managedFields"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public LastWrite LastWrite { get; init; }
}

public sealed class OwnerReference
{
    public string ApiVersion { get; init; } = "";
    public string Kind { get; init; } = "";
    public string Name { get; init; } = "";
    public string Uid { get; init; } = "";
    public bool? Controller { get; init; }
    public bool? BlockOwnerDeletion { get; init; }
}

public sealed class ObjectReference
{
    public string ApiVersion { get; init => field = value ?? ""; } = "";
    public string Kind { get; init => field = value ?? ""; } = "";
    public string Name { get; init => field = value ?? ""; } = "";
    public string Namespace { get; init => field = value ?? ""; } = "";
    public string Uid { get; init => field = value ?? ""; } = "";
    public string FieldPath { get; init => field = value ?? ""; } = "";
}

/// <summary>A condition of any object's status.</summary>
public sealed class Condition
{
    public string Type { get; init; } = "";
    public string Status { get; init; } = "";
    public string Reason { get; init => field = value ?? ""; } = "";
    public string Message { get; init => field = value ?? ""; } = "";
    public DateTimeOffset? LastTransitionTime { get; init; }
    public DateTimeOffset? LastUpdateTime { get; init; }
}

/// <summary>Only the metadata of an object of any kind.</summary>
public sealed class PartialObject : KubeObject;
