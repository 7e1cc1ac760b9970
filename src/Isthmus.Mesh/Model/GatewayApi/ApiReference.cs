using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model.GatewayApi;

/// <summary>A reference to an object, or to a part of it.</summary>
/// <param name="Group">Empty for Kubernetes' core group.</param>
/// <param name="Namespace">That of the object with the reference, where it names none.</param>
public sealed record ApiReference(string Group, string Kind, string Namespace, string Name)
{
    /// <summary>0: none.</summary>
    public int Port { get; init; }

    /// <summary>The listener of a Gateway, or the port of a Service, by name; empty: all.</summary>
    public string Section { get; init; } = "";

    /// <summary>Whether it is to CAs of the whole cluster, which have no namespace and which everybody may refer to.</summary>
    public bool IsTrustBundle => Group == "certificates.k8s.io" && Kind == "ClusterTrustBundle";

    /// <summary>Where the CAs are that it refers to.</summary>
    public ObjectName Bundle => new(IsTrustBundle ? "" : Namespace, Name);

    /// <summary>Whether the reference itself has each of the optional fields: a status repeats it as it was written.</summary>
    public ReferenceFields Written { get; init; }
}

[Flags]
public enum ReferenceFields { None = 0, Group = 1, Kind = 2, Namespace = 4 }

/// <summary>Permits objects of other namespaces to refer to those of its own.</summary>
public sealed record ReferenceGrant(ObjectRef Source, ValueList<GrantFrom> From, ValueList<GrantTo> To)
{
    public string Namespace => Source.Namespace;
}

public sealed record GrantFrom(string Group, string Kind, string Namespace);

/// <param name="Name">Empty: every object of the kind.</param>
public sealed record GrantTo(string Group, string Kind, string Name);
