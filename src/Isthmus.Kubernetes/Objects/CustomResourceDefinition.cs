namespace Isthmus.Kubernetes.Objects;

/// <summary>apiextensions.k8s.io/v1 CustomResourceDefinition, without the schemas, which are most of it.</summary>
public sealed class CustomResourceDefinition : KubeObject
{
    public CustomResourceDefinitionSpec Spec { get; set => field = value ?? new(); } = new();
    public CustomResourceDefinitionStatus Status { get; set => field = value ?? new(); } = new();

    /// <summary>Whether the API server serves the kind: names are accepted, and nobody deletes it.</summary>
    public bool IsEstablished =>
        Metadata.DeletionTimestamp is null && Status.Conditions.Exists(condition => condition is { Type: "Established", Status: "True" });
}

public sealed class CustomResourceDefinitionSpec
{
    public string Group { get; set => field = value ?? ""; } = "";
    public List<CustomResourceVersion> Versions { get; set => field = value ?? []; } = [];
}

public sealed class CustomResourceVersion
{
    public string Name { get; set => field = value ?? ""; } = "";
    public bool Served { get; set; }
}

public sealed class CustomResourceDefinitionStatus
{
    public List<Condition> Conditions { get; set => field = value ?? []; } = [];
}
