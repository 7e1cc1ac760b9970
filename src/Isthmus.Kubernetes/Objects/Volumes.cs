using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

public sealed class Volume
{
    public string Name { get; set; } = "";
    public EmptyDirVolume? EmptyDir { get; set; }
    public ConfigMapVolume? ConfigMap { get; set; }
    public SecretVolume? Secret { get; set; }
    public ProjectedVolume? Projected { get; set; }
    public DownwardApiVolume? DownwardAPI { get; set; }
    public HostPathVolume? HostPath { get; set; }
    public JsonObject? PersistentVolumeClaim { get; set; }
    public JsonObject? Csi { get; set; }
}

public sealed class EmptyDirVolume
{
    public string Medium { get; set => field = value ?? ""; } = "";
    public JsonNode? SizeLimit { get; set; }
}

public sealed class HostPathVolume
{
    public string Path { get; set; } = "";
    public string Type { get; set => field = value ?? ""; } = "";
}

public sealed class KeyToPath
{
    public string Key { get; set; } = "";
    public string Path { get; set; } = "";
    public int? Mode { get; set; }
}

public sealed class ConfigMapVolume
{
    public string Name { get; set => field = value ?? ""; } = "";
    public List<KeyToPath> Items { get; set => field = value ?? []; } = [];
    public int? DefaultMode { get; set; }
    public bool? Optional { get; set; }
}

public sealed class SecretVolume
{
    public string SecretName { get; set => field = value ?? ""; } = "";
    /// <summary>The Secret's name when it is a source of a projected volume.</summary>
    public string Name { get; set => field = value ?? ""; } = "";
    public List<KeyToPath> Items { get; set => field = value ?? []; } = [];
    public int? DefaultMode { get; set; }
    public bool? Optional { get; set; }
}

public sealed class DownwardApiVolume
{
    public List<DownwardApiFile> Items { get; set => field = value ?? []; } = [];
    public int? DefaultMode { get; set; }
}

public sealed class DownwardApiFile
{
    public string Path { get; set; } = "";
    public ObjectFieldSelector? FieldRef { get; set; }
    public ResourceFieldSelector? ResourceFieldRef { get; set; }
    public int? Mode { get; set; }
}

public sealed class ProjectedVolume
{
    public List<VolumeProjection> Sources { get; set => field = value ?? []; } = [];
    public int? DefaultMode { get; set; }
}

public sealed class VolumeProjection
{
    public ConfigMapVolume? ConfigMap { get; set; }
    public SecretVolume? Secret { get; set; }
    public DownwardApiVolume? DownwardAPI { get; set; }
    public ServiceAccountTokenProjection? ServiceAccountToken { get; set; }
}

public sealed class ServiceAccountTokenProjection
{
    public string Audience { get; set => field = value ?? ""; } = "";
    public long? ExpirationSeconds { get; set; }
    public string Path { get; set; } = "";
}
