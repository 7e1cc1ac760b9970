using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Graph.Settings;
using Isthmus.Core.Live;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>
/// A kind of object that affects the mesh: how it is read, its source in the graph, and what its changes cause. Its descriptor says where it is read,
/// and what else is known of it. One file for each kind; <see cref="MeshKinds"/> is the table of them.
/// </summary>
public abstract class MeshKind(KindDescriptor descriptor)
{
    public KindDescriptor Descriptor { get; } = descriptor;

    /// <summary>The kind as API servers know it, in the version that is read where nobody asks which ones are served.</summary>
    public ResourceKind Resource { get; } = descriptor.Resource;

    public KindPlace Place => Descriptor.Place;

    /// <summary>The only namespace in which it is read; null for all, or as <see cref="Place"/> says.</summary>
    public virtual string? Namespace => null;

    /// <summary>Null for every object.</summary>
    public virtual string? FieldSelector => null;

    /// <summary>Whether a cluster may lack the kind or deny access to it: neither affects the cluster's health.</summary>
    /// <param name="isConfig">Whether it is the configuration cluster.</param>
    internal bool IsOptionalIn(bool isConfig) => Descriptor.Need == KindNeed.Nowhere || (Descriptor.Need == KindNeed.ConfigCluster && !isConfig);

    internal abstract void Remove(MeshSources sources, ObjectKey key);

    internal abstract void RemoveCluster(MeshSources sources, string cluster);

    /// <summary>Reads and stages an object that comes from no watch; false: the mesh does not use it.</summary>
    internal abstract bool StageTree(MeshWriter writer, string cluster, JsonObject item);

    /// <summary>A watch of the kind in one cluster, not started.</summary>
    /// <param name="served">Says when and in which version the cluster serves the kind; null: it does, as <see cref="Resource"/> says.</param>
    internal abstract KindWatch Watch(
        WatchId id, bool isOptional, IServedVersions? served, KubeClient client, IClusterObjects objects, InformerSettings settings, TimeProvider time);

    private protected static void RemoveOf<T>(Source<ObjectKey, T> source, string cluster)
        where T : IEquatable<T> => source.RemoveWhere(key => key.Cluster == cluster);

    /// <summary>The items of a list may lack apiVersion and kind.</summary>
    private protected JsonObject Named(JsonObject item)
    {
        item["apiVersion"] ??= Resource.ApiVersion;
        item["kind"] ??= Resource.Kind;
        return item;
    }
}

/// <summary>A kind, typed by the facts that the mesh keeps of its objects.</summary>
public abstract class MeshKind<TFacts>(KindDescriptor descriptor) : MeshKind(descriptor) where TFacts : class
{
    /// <summary>The object that the facts describe.</summary>
    internal abstract ObjectRef SourceOf(TFacts facts);

    internal abstract void Put(MeshSources sources, TFacts facts);

    /// <summary>Whom the object concerns; null for kinds that change all the time, which the history of changes counts by host.</summary>
    internal virtual Reach? ReachOf(TFacts facts) => null;

    /// <summary>Whether the history of changes can ignore the difference.</summary>
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
public abstract class MeshKind<TObject, TFacts>(KindDescriptor descriptor) : MeshKind<TFacts>(descriptor), IObjectKind<TObject>
    where TObject : class where TFacts : class
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

    internal sealed override KindWatch Watch(
        WatchId id, bool isOptional, IServedVersions? served, KubeClient client, IClusterObjects objects, InformerSettings settings, TimeProvider time) =>
        new KindWatch<TObject, TFacts>(
            this, id, isOptional, served, (version, project) => new(client, Descriptor.In(version), project, settings, time), objects);
}

/// <summary>A kind whose facts are the items of one source of the graph.</summary>
public abstract class SourceKind<TObject, TFacts>(KindDescriptor descriptor) : MeshKind<TObject, TFacts>(descriptor)
    where TObject : class where TFacts : class, IEquatable<TFacts>
{
    internal abstract Source<ObjectKey, TFacts> SourceIn(MeshSources sources);

    internal override void Put(MeshSources sources, TFacts facts) => SourceIn(sources).Put(KeyOf(facts), facts);

    internal override void Remove(MeshSources sources, ObjectKey key) => SourceIn(sources).Remove(key);

    internal override void RemoveCluster(MeshSources sources, string cluster) => RemoveOf(SourceIn(sources), cluster);
}
