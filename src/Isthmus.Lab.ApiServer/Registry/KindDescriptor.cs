using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Schemas;

namespace Isthmus.Lab.ApiServer.Registry;

/// <summary>A subresource that the registry itself serves on the stored object.</summary>
/// <param name="Name">status, scale, finalize, ephemeralcontainers, approval.</param>
/// <param name="Verbs">API verbs for discovery and routing.</param>
public sealed record SubresourceDescriptor(string Name, ValueList<string> Verbs)
{
    public static readonly ValueList<string> ReadWrite = ["get", "patch", "update"];
}

/// <summary>Everything the generic registry knows about one kind in one version.</summary>
public sealed record KindDescriptor
{
    public static readonly ValueList<string> AllVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

    public required string Group { get; init; }

    public required string Version { get; init; }

    public required string Kind { get; init; }

    public required string Plural { get; init; }

    public required string Singular { get; init; }

    public required bool Namespaced { get; init; }

    public string ListKind { get; init; } = "";

    public ValueList<string> ShortNames { get; init; }

    public ValueList<string> Categories { get; init; }

    public ValueList<string> Verbs { get; init; } = AllVerbs;

    public ValueList<SubresourceDescriptor> Subresources { get; init; }

    /// <summary>Differs from (Group, Plural) where two groups serve the same objects, as for events.</summary>
    public GroupResource Storage { get; init; }

    /// <summary>apiVersion in which objects are stored; empty means this version.</summary>
    public string StorageApiVersion { get; init; } = "";

    /// <summary>A former apiVersion in which bodies are still accepted, with the same fields; empty without.</summary>
    public string OlderApiVersion { get; init; } = "";

    /// <summary>Fields, field numbers, merge keys of a built-in kind; null for custom resources.</summary>
    public TypeSchema? Schema { get; init; }

    public required KindStrategy Strategy { get; init; }

    /// <summary>Where the scale subresource finds its numbers; the strategy may say otherwise.</summary>
    public ScaleFields? Scale { get; init; }

    /// <summary>Columns of tables; null means Name and Age.</summary>
    public ITableFormat? Table { get; init; }

    /// <summary>Paths that field selectors may name, beyond metadata.name and metadata.namespace and what the strategy adds.</summary>
    public ValueList<string> FieldLabels { get; init; }

    public bool IsCustom { get; init; }

    /// <summary>Set for a deprecated version: sent as a Warning with each answer.</summary>
    public string DeprecationWarning { get; init; } = "";

    /// <summary>Set while requests of a kind must not create objects: its definition is terminating.</summary>
    public bool CreateForbidden { get; init; }

    /// <summary>JSON of this version's OpenAPI v3 schema of a custom resource, for /openapi; null without.</summary>
    public System.Text.Json.Nodes.JsonObject? OpenApiSchema { get; init; }

    public GroupVersion GroupVersion => new(Group, Version);

    public string ApiVersion => GroupVersion.ToString();

    public GroupResource GroupResource => new(Group, Plural);

    public SubresourceDescriptor? Subresource(string name)
    {
        foreach (var subresource in Subresources)
            if (subresource.Name == name) return subresource;
        return null;
    }

    // Descriptors are compared by identity: one exists for each registration.
    public bool Equals(KindDescriptor? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => HashCode.Combine(Group, Version, Plural);
}
