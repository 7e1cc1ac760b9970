using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>An Istio object as it was read.</summary>
/// <param name="Value">Null when the object has errors and no safe meaning (<see cref="IstioObject"/>).</param>
/// <param name="IsTold">The status of the object says that it has errors, rightly or from before.</param>
public sealed record IstioState<T>(ObjectRef Source, T? Value, ValueList<Problem> Problems, bool IsTold = false) where T : class;

/// <summary>
/// A kind of Istio's API groups. An object with errors that has no safe meaning only changes the problems: the last good version stays.
/// </summary>
public abstract class IstioObjectKind<T>(KindDescriptor kind) : MeshKind<JsonObject, IstioState<T>>(kind) where T : class, IEquatable<T>
{
    /// <summary>The control plane's revision: objects may ask for one by their label.</summary>
    public required string Revision { get; init; }

    /// <returns>Null for a kind whose objects have no value, or become something else of the mesh.</returns>
    internal abstract Source<ObjectKey, T>? SourceIn(MeshSources sources);

    /// <returns>Null for an object of another revision: another control plane reads it.</returns>
    internal sealed override IstioState<T>? Read(string cluster, JsonObject item)
    {
        if (item["metadata"]?["labels"]?[Labels.Revision] is { } revision && revision.ToString() != Revision) return null;
        var read = IstioConfig.Read(Named(item), cluster);
        return new(read.Source, (T?)read.Value, read.Problems, SaysInvalid(item));
    }

    /// <summary>Whom an object concerns.</summary>
    internal abstract Reach ReachOf(T value);

    /// <summary>An object with errors has no value that says which workloads it concerns: those of its namespace are taken.</summary>
    internal sealed override Reach? ReachOf(IstioState<T> facts) =>
        facts.Value is { } value ? ReachOf(value) : Reach.OfWorkloads(facts.Source.Namespace, default);

    internal override bool IsSame(IstioState<T> before, IstioState<T> after) => before with { IsTold = after.IsTold } == after;

    internal sealed override bool IsInForce(IstioState<T> facts) => facts.Value is not null;

    internal sealed override ObjectRef SourceOf(IstioState<T> facts) => facts.Source;

    internal sealed override void Put(MeshSources sources, IstioState<T> facts)
    {
        if (facts is { Problems.IsEmpty: true, IsTold: false }) sources.Problems.Remove(facts.Source);
        else sources.Problems.Put(facts.Source, new(facts.Problems, facts.IsTold));
        if (facts.Value is { } value) PutValue(sources, KeyOf(facts), value);
    }

    internal sealed override void Remove(MeshSources sources, ObjectKey key)
    {
        sources.Problems.Remove(new(key.Cluster, Resource.Kind, key.Namespace, key.Name));
        RemoveValue(sources, key);
    }

    private static bool SaysInvalid(JsonObject item) => item["status"] is JsonObject status && status["conditions"] is JsonArray conditions
        && conditions.Any(condition => condition is JsonObject known && known["type"]?.ToString() is ObjectProblems.Condition or ObjectProblems.Ownership
            && known["status"]?.ToString() == "False");

    internal override void RemoveCluster(MeshSources sources, string cluster)
    {
        if (SourceIn(sources) is { } source) RemoveOf(source, cluster);
    }

    private protected virtual void PutValue(MeshSources sources, ObjectKey key, T value) => SourceIn(sources)?.Put(key, value);

    private protected virtual void RemoveValue(MeshSources sources, ObjectKey key) => SourceIn(sources)?.Remove(key);
}
