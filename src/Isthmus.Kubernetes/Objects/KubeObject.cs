using System.Text.Json.Serialization;

namespace Isthmus.Kubernetes.Objects;

/// <summary>
/// A typed view of an object, for reading only. It omits fields that Isthmus does not use, so never send one back: write
/// through JSON (<see cref="Client.KubeClient"/>) instead. Lists and maps are never null.
/// </summary>
public abstract class KubeObject
{
    public string ApiVersion { get; set; } = "";

    public string Kind { get; set; } = "";

    public ObjectMeta Metadata { get; set => field = value ?? new(); } = new();

    /// <summary><c>namespace/name</c>, or <c>name</c> at cluster scope.</summary>
    [JsonIgnore]
    public string Key => Metadata.Namespace.Length == 0 ? Metadata.Name : $"{Metadata.Namespace}/{Metadata.Name}";
}

/// <summary>meta/v1 ObjectMeta.</summary>
public sealed class ObjectMeta
{
    public string Name { get; set => field = value ?? ""; } = "";
    public string Namespace { get; set => field = value ?? ""; } = "";
    public string GenerateName { get; set => field = value ?? ""; } = "";
    public string Uid { get; set => field = value ?? ""; } = "";
    public string ResourceVersion { get; set => field = value ?? ""; } = "";
    public long Generation { get; set; }
    public DateTimeOffset? CreationTimestamp { get; set; }
    public DateTimeOffset? DeletionTimestamp { get; set; }
    public long? DeletionGracePeriodSeconds { get; set; }
    public Dictionary<string, string> Labels { get; set => field = value ?? []; } = [];
    public Dictionary<string, string> Annotations { get; set => field = value ?? []; } = [];
    public List<string> Finalizers { get; set => field = value ?? []; } = [];
    public List<OwnerReference> OwnerReferences { get; set => field = value ?? []; } = [];

    [JsonPropertyName("managedFields"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public LastWrite LastWrite { get; set; }
}

public sealed class OwnerReference
{
    public string ApiVersion { get; set; } = "";
    public string Kind { get; set; } = "";
    public string Name { get; set; } = "";
    public string Uid { get; set; } = "";
    public bool? Controller { get; set; }
    public bool? BlockOwnerDeletion { get; set; }
}

public sealed class ObjectReference
{
    public string ApiVersion { get; set => field = value ?? ""; } = "";
    public string Kind { get; set => field = value ?? ""; } = "";
    public string Name { get; set => field = value ?? ""; } = "";
    public string Namespace { get; set => field = value ?? ""; } = "";
    public string Uid { get; set => field = value ?? ""; } = "";
    public string FieldPath { get; set => field = value ?? ""; } = "";
}

/// <summary>A condition of any object's status.</summary>
public sealed class Condition
{
    public string Type { get; set; } = "";
    public string Status { get; set; } = "";
    public string Reason { get; set => field = value ?? ""; } = "";
    public string Message { get; set => field = value ?? ""; } = "";
    public DateTimeOffset? LastTransitionTime { get; set; }
    public DateTimeOffset? LastUpdateTime { get; set; }
}

/// <summary>Only the metadata of an object of any kind.</summary>
public sealed class PartialObject : KubeObject;
