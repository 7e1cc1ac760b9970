using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

public sealed class EnvVar
{
    public string Name { get; init; } = "";
    public string? Value { get; init; }
    public EnvVarSource? ValueFrom { get; init; }
}

public sealed class EnvVarSource
{
    public ObjectFieldSelector? FieldRef { get; init; }
    public ResourceFieldSelector? ResourceFieldRef { get; init; }
    public KeySelector? ConfigMapKeyRef { get; init; }
    public KeySelector? SecretKeyRef { get; init; }
}

public sealed class ObjectFieldSelector
{
    public string ApiVersion { get; init => field = value ?? ""; } = "";
    public string FieldPath { get; init; } = "";
}

public sealed class ResourceFieldSelector
{
    public string ContainerName { get; init => field = value ?? ""; } = "";
    public string Resource { get; init; } = "";
    public JsonNode? Divisor { get; init; }
}

public sealed class KeySelector
{
    public string Name { get; init; } = "";
    public string Key { get; init; } = "";
    public bool? Optional { get; init; }
}

public sealed class EnvFromSource
{
    public string Prefix { get; init => field = value ?? ""; } = "";
    public NameReference? ConfigMapRef { get; init; }
    public NameReference? SecretRef { get; init; }
}

public sealed class NameReference
{
    public string Name { get; init; } = "";
    public bool? Optional { get; init; }
}
