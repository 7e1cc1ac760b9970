using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

public sealed class Volume
{
    public string Name { get; init; } = "";
    public EmptyDirVolume? EmptyDir { get; init; }
    public ConfigMapVolume? ConfigMap { get; init; }
    public SecretVolume? Secret { get; init; }
    public ProjectedVolume? Projected { get; init; }
    public DownwardApiVolume? DownwardAPI { get; init; }
    public HostPathVolume? HostPath { get; init; }
    public JsonObject? PersistentVolumeClaim { get; init; }
    public JsonObject? Csi { get; init; }
}

public sealed class EmptyDirVolume
{
    public string Medium { get; init => field = value ?? ""; } = "";
    public JsonNode? SizeLimit { get; init; }
}

public sealed class HostPathVolume
{
    public string Path { get; init; } = "";
    public string Type { get; init => field = value ?? ""; } = "";
}

public sealed class KeyToPath
{
    public string Key { get; init; } = "";
    public string Path { get; init; } = "";
    public int? Mode { get; init; }
}

public sealed class ConfigMapVolume
{
    public string Name { get; init => field = value ?? ""; } = "";
    public List<KeyToPath> Items { get; init => field = value ?? []; } = [];
    public int? DefaultMode { get; init; }
    public bool? Optional { get; init; }
}

public sealed class SecretVolume
{
    public string SecretName { get; init => field = value ?? ""; } = "";
    /// <summary>The Secret's name when it is a source of a projected volume.</summary>
    public string Name { get; init => field = value ?? ""; } = "";
    public List<KeyToPath> Items { get; init => field = value ?? []; } = [];
    public int? DefaultMode { get; init; }
    public bool? Optional { get; init; }
}

public sealed class DownwardApiVolume
{
    public List<DownwardApiFile> Items { get; init => field = value ?? []; } = [];
    public int? DefaultMode { get; init; }
}

public sealed class DownwardApiFile
{
    public string Path { get; init; } = "";
    public ObjectFieldSelector? FieldRef { get; init; }
    public ResourceFieldSelector? ResourceFieldRef { get; init; }
    public int? Mode { get; init; }
}

public sealed class ProjectedVolume
{
    public List<VolumeProjection> Sources { get; init => field = value ?? []; } = [];
    public int? DefaultMode { get; init; }
}

public sealed class VolumeProjection
{
    public ConfigMapVolume? ConfigMap { get; init; }
    public SecretVolume? Secret { get; init; }
    public DownwardApiVolume? DownwardAPI { get; init; }
    public ServiceAccountTokenProjection? ServiceAccountToken { get; init; }
}

public sealed class ServiceAccountTokenProjection
{
    public string Audience { get; init => field = value ?? ""; } = "";
    public long? ExpirationSeconds { get; init; }
    public string Path { get; init; } = "";
}
