using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

public sealed class EnvVar
{
    public string Name { get; set; } = "";
    public string? Value { get; set; }
    public EnvVarSource? ValueFrom { get; set; }
}

public sealed class EnvVarSource
{
    public ObjectFieldSelector? FieldRef { get; set; }
    public ResourceFieldSelector? ResourceFieldRef { get; set; }
    public KeySelector? ConfigMapKeyRef { get; set; }
    public KeySelector? SecretKeyRef { get; set; }
}

public sealed class ObjectFieldSelector
{
    public string ApiVersion { get; set => field = value ?? ""; } = "";
    public string FieldPath { get; set; } = "";
}

public sealed class ResourceFieldSelector
{
    public string ContainerName { get; set => field = value ?? ""; } = "";
    public string Resource { get; set; } = "";
    public JsonNode? Divisor { get; set; }
}

public sealed class KeySelector
{
    public string Name { get; set; } = "";
    public string Key { get; set; } = "";
    public bool? Optional { get; set; }
}

public sealed class EnvFromSource
{
    public string Prefix { get; set => field = value ?? ""; } = "";
    public NameReference? ConfigMapRef { get; set; }
    public NameReference? SecretRef { get; set; }
}

public sealed class NameReference
{
    public string Name { get; set; } = "";
    public bool? Optional { get; set; }
}
