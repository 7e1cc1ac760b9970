using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.History;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Intake;

/// <summary>Where the objects of a kind are read.</summary>
public enum KindPlace
{
    EveryCluster,

    /// <summary>The configuration cluster only, in all its namespaces.</summary>
    ConfigCluster,

    /// <summary>The configuration cluster, and the others if the control plane is to read their Secrets.</summary>
    CredentialClusters,

    /// <summary>The system namespace of the cluster that runs the control plane, which may not be the configuration cluster.</summary>
    HomeNamespace,
}

/// <summary>
/// A kind of object that affects the mesh: where it is read, how it is read, its source in the graph, and what its changes cause.
/// One file for each kind; <see cref="MeshKinds"/> is the table of them.
/// </summary>
public abstract class MeshKind(ResourceKind resource)
{
    public ResourceKind Resource { get; } = resource;

    public virtual KindPlace Place => KindPlace.EveryCluster;

    /// <summary>The only namespace in which it is read; null: all, or as <see cref="Place"/> says.</summary>
    public virtual string? Namespace => null;

    /// <summary>Null for every object.</summary>
    public virtual string? FieldSelector => null;

    /// <summary>A cluster may lack the kind or deny access to it: neither affects the cluster's health.</summary>
    public virtual bool IsOptional => false;

    /// <summary>As <see cref="IsOptional"/>, for clusters other than the configuration cluster.</summary>
    public virtual bool IsOptionalInRemotes => IsOptional;

    /// <summary>Adds the effects of the current commit on proxies, besides changes of hosts and endpoints.</summary>
    internal virtual void Collect(MeshGraph mesh, MeshChanges changes)
    {
    }

    internal abstract void Remove(MeshSources sources, ObjectKey key);

    internal abstract void RemoveCluster(MeshSources sources, string cluster);

    /// <summary>Reads and stages an object that comes from no watch; false: the mesh does not use it.</summary>
    internal abstract bool StageTree(MeshWriter writer, string cluster, JsonObject item);

    /// <summary>A watch of the kind in one cluster, not started.</summary>
    /// <param name="isOptional">The cluster may lack the kind or deny access to it.</param>
    internal abstract KindWatch Watch(WatchId id, bool isOptional, KubeClient client, IClusterObjects objects, InformerSettings settings, TimeProvider time);

    private protected static void RemoveOf<T>(Source<ObjectKey, T> source, string cluster) where T : IEquatable<T> => source.RemoveWhere(key => key.Cluster == cluster);

    /// <summary>The items of a list may lack apiVersion and kind.</summary>
    private protected JsonObject Named(JsonObject item)
    {
        item["apiVersion"] ??= Resource.ApiVersion;
        item["kind"] ??= Resource.Kind;
        return item;
    }
}

/// <summary>A kind, typed by the facts that the mesh keeps of its objects.</summary>
public abstract class MeshKind<TFacts>(ResourceKind resource) : MeshKind(resource) where TFacts : class
{
    /// <summary>The object that the facts describe.</summary>
    internal abstract ObjectRef SourceOf(TFacts facts);

    internal abstract void Put(MeshSources sources, TFacts facts);

    /// <summary>Whom the object concerns; null for kinds that change all the time, which the history of changes counts by host.</summary>
    internal virtual Reach? ReachOf(TFacts facts) => null;

    /// <summary>Whether a change is none for the history of changes.</summary>
    internal virtual bool IsSame(TFacts before, TFacts after) => Equals(before, after);

    /// <summary>Whether the object is in force: not if it has errors.</summary>
    internal virtual bool IsInForce(TFacts facts) => true;

    private protected ObjectKey KeyOf(TFacts facts) => SourceOf(facts) is var source ? new(source.Cluster, source.Namespace, source.Name) : default;
}

/// <summary>A kind, typed by the view that its objects are parsed to.</summary>
internal interface IObjectKind<in TObject> where TObject : class
{
    ResourceKind Resource { get; }

    /// <summary>Reads and stages an object that comes from no watch.</summary>
    void Stage(MeshWriter writer, string cluster, TObject item);
}

/// <summary>A kind, typed by both: the view that its objects are parsed to, and the facts that the mesh keeps.</summary>
public abstract class MeshKind<TObject, TFacts>(ResourceKind resource) : MeshKind<TFacts>(resource), IObjectKind<TObject> where TObject : class where TFacts : class
{
    void IObjectKind<TObject>.Stage(MeshWriter writer, string cluster, TObject item)
    {
        if (Read(cluster, item) is { } facts) writer.Put(this, facts);
    }

    internal sealed override bool StageTree(MeshWriter writer, string cluster, JsonObject item)
    {
        if (Read(cluster, item as TObject ?? item.Deserialize(KubeJson.Of<TObject>())!) is not { } facts) return false;
        writer.Put(this, facts);
        return true;
    }

    /// <summary>Reduces an object to the fields that the mesh uses, so that other changes stop here. Null: the mesh does
    /// not use the object.</summary>
    internal abstract TFacts? Read(string cluster, TObject item);

    /// <summary>Whether the history of changes names single objects of the kind.</summary>
    internal virtual bool IsRemembered => true;

    internal sealed override KindWatch Watch(WatchId id, bool isOptional, KubeClient client, IClusterObjects objects, InformerSettings settings, TimeProvider time) =>
        new KindWatch<TObject, TFacts>(this, id, isOptional, project => new(client, Resource, project, settings, time), objects);
}

/// <summary>A kind whose facts are the items of one source of the graph.</summary>
public abstract class SourceKind<TObject, TFacts>(ResourceKind resource) : MeshKind<TObject, TFacts>(resource) where TObject : class where TFacts : class, IEquatable<TFacts>
{
    internal abstract Source<ObjectKey, TFacts> SourceIn(MeshSources sources);

    internal override void Put(MeshSources sources, TFacts facts) => SourceIn(sources).Put(KeyOf(facts), facts);

    internal override void Remove(MeshSources sources, ObjectKey key) => SourceIn(sources).Remove(key);

    internal override void RemoveCluster(MeshSources sources, string cluster) => RemoveOf(SourceIn(sources), cluster);
}
