using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.History;

/// <summary>What happened to an object.</summary>
public enum ChangeVerb
{
    Created,
    Changed,
    Deleted,

    /// <summary>It has errors: the last good configuration stays in force.</summary>
    Invalid,

    /// <summary>A cluster joined the mesh.</summary>
    Joined,

    /// <summary>A cluster left the mesh.</summary>
    Left,

    /// <summary>The API server of a cluster does not answer any more.</summary>
    Lost,

    /// <summary>The API server of a cluster answers again.</summary>
    Regained,
}

/// <summary>One change, as it is noted.</summary>
/// <param name="Write">Null: nothing is known about who made it.</param>
public sealed record NotedChange(ObjectRef Source, ChangeVerb Verb, Reach Reach, ObjectWrite? Write = null)
{
    /// <summary>Who made it.</summary>
    public Writer User { get; init; } = Writer.Unknown;

    /// <summary>Only of a cluster that left.</summary>
    public Departure? Departure { get; init; }

    /// <summary>Only of a workload that was scaled.</summary>
    public Scaling? Scaling { get; init; }

    /// <summary>This change together with one that is shown as one with it.</summary>
    internal NotedChange After(NotedChange earlier) => this with
    {
        Reach = earlier.Reach.With(Reach),
        Write = Write is null ? null : Write with { Fields = ChangedFields.Join(earlier.Write?.Fields ?? default, Write.Fields) },
    };

    /// <summary>Whether a later change may be shown as one with this one.</summary>
    internal bool IsLike(NotedChange other) => Source == other.Source && Verb == other.Verb && User == other.User && Write?.Manager == other.Write?.Manager;
}

/// <summary>How many endpoints of a host in a cluster can be called.</summary>
/// <param name="Ready">Those that are ready.</param>
public readonly record struct EndpointCount(int Ready, int Total)
{
    /// <summary>With one endpoint more.</summary>
    public EndpointCount With(MeshEndpoint endpoint) => new(Ready + (endpoint.Health == EndpointHealth.Ready ? 1 : 0), Total + 1);
}

/// <summary>What a cluster that left takes along.</summary>
/// <param name="Secret">The remote secret that named it.</param>
/// <param name="Services">How many Services of it were known.</param>
public sealed record Departure(string Secret, int Services);

/// <summary>The replicas that a workload was to have, before and after a write.</summary>
public sealed record Scaling(int Before, int After);

/// <summary>What a push changed for proxies.</summary>
/// <param name="Proxies">How many proxies got something new.</param>
/// <param name="Types">The types of resources of which they got something new.</param>
/// <param name="Changes">How many changes the push contained: its effect is that of all of them.</param>
public sealed record PushEffect(int Proxies, ValueList<ChangedType> Types, int Changes = 1);

/// <summary>Changed resources of one type.</summary>
/// <param name="Proxies">How many proxies got one.</param>
/// <param name="Count">How many resources differ.</param>
/// <param name="Names">The names of the first of them. Resources that belong to single proxies have none.</param>
public sealed record ChangedType(string Type, int Proxies, int Count, ValueList<string> Names);

/// <summary>A change as it is remembered: of one object, or of the endpoints of one host.</summary>
/// <param name="First">When it happened; with <paramref name="Count"/> over 1, when the first of them did.</param>
/// <param name="Count">How many changes it stands for.</param>
/// <param name="Effect">What it did to proxies; null while that is not known.</param>
/// <param name="Endpoints">For endpoints: how many there were before the first, the fewest, and those after the last.</param>
public sealed record RememberedChange(DateTimeOffset First, DateTimeOffset Last, int Count, NotedChange Change, PushEffect? Effect,
    (EndpointCount Before, EndpointCount Fewest, EndpointCount After)? Endpoints)
{
    /// <summary>The Pod of the control plane that saw it, if that is an earlier one; empty: this one.</summary>
    public string Istiod { get; init; } = "";
}
