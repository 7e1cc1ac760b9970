using Isthmus.Graph.History;
using Isthmus.Graph.Metrics;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>Passes what watches observe to the graph's writer, in order, one closure for each batch.</summary>
/// <param name="post">Runs the closure on the writer's thread.</param>
/// <param name="metrics">Counts what API servers tell; null: that is not counted.</param>
public sealed class MeshObjects(Func<Action<MeshWriter>, ValueTask> post, ControlMetrics? metrics = null) : IClusterObjects
{
    // Both are touched by the writer's thread only.
    private readonly Dictionary<(string Cluster, MeshKind Kind), HashSet<string>> _known = [];
    private readonly Dictionary<(string Cluster, MeshKind Kind), long> _speakers = [];

    public ValueTask Replace<TFacts>(WatchId watch, MeshKind<TFacts> kind, IReadOnlyList<KeyValuePair<string, TFacts>> items)
        where TFacts : class => post(writer =>
    {
        var (cluster, number) = watch;
        if (_speakers.TryGetValue((cluster, kind), out var speaker) && speaker > number) return;
        _speakers[(cluster, kind)] = number;
        var known = Known(cluster, kind);
        foreach (var gone in known.Except(items.Select(item => item.Key)).ToList())
        {
            Count(kind, "delete");
            Remove(writer, cluster, kind, gone, known);
        }
        foreach (var (key, facts) in items)
        {
            Count(kind, known.Contains(key) ? "update" : "add");
            Put(writer, kind, key, facts, known);
        }
    });

    public ValueTask Apply<TFacts>(WatchId watch, MeshKind<TFacts> kind, IReadOnlyList<Change<TFacts>> changes,
        IReadOnlyDictionary<string, ObjectWrite>? writes = null)
        where TFacts : class => post(writer =>
    {
        var cluster = watch.Cluster;
        if (_speakers.GetValueOrDefault((cluster, kind)) != watch.Number) return;
        var known = Known(cluster, kind);
        foreach (var change in changes)
        {
            Count(kind, change.Object is null ? "delete" : known.Contains(change.Key) ? "update" : "add");
            if (writer.History is { } history && NoteOf(cluster, kind, change, writes?.GetValueOrDefault(change.Key)) is { } note) history.Note(note);
            if (change.Object is { } facts) Put(writer, kind, change.Key, facts, known);
            else Remove(writer, cluster, kind, change.Key, known);
        }
    });

    public ValueTask Remove(WatchId watch) => post(writer =>
    {
        if (_speakers.Any(speaker => speaker.Key.Cluster == watch.Cluster && speaker.Value > watch.Number)) return;
        foreach (var key in _known.Keys.Where(key => key.Cluster == watch.Cluster).ToList()) _known.Remove(key);
        foreach (var key in _speakers.Keys.Where(key => key.Cluster == watch.Cluster).ToList()) _speakers.Remove(key);
        writer.RemoveCluster(watch.Cluster);
    });

    public ValueTask Contact(ClusterContact contact) => post(writer => writer.PutContact(contact));

    /// <summary>
    /// Restores what an earlier control plane knew about a cluster, as one batch. It is served for each kind until a watch
    /// has listed the kind: that list removes what is gone.
    /// </summary>
    /// <param name="isWanted">Called on the writer's thread: the cluster may have left meanwhile.</param>
    public ValueTask Restore(string cluster, Func<bool> isWanted, Action<Restoration> restore) => post(writer =>
    {
        if (isWanted()) restore(new(this, writer, cluster));
    });

    /// <summary>Used on the writer's thread while it restores a cluster.</summary>
    public readonly struct Restoration
    {
        private readonly MeshObjects _objects;
        private readonly MeshWriter _writer;
        private readonly string _cluster;

        internal Restoration(MeshObjects objects, MeshWriter writer, string cluster) => (_objects, _writer, _cluster) = (objects, writer, cluster);

        public MeshKinds Kinds => _writer.Kinds;

        public void Put<TFacts>(MeshKind<TFacts> kind, IEnumerable<TFacts> items) where TFacts : class
        {
            if (_objects._speakers.ContainsKey((_cluster, kind))) return;
            var known = _objects.Known(_cluster, kind);
            foreach (var facts in items)
            {
                var source = kind.SourceOf(facts);
                MeshObjects.Put(_writer, kind, source.Namespace.Length == 0 ? source.Name : $"{source.Namespace}/{source.Name}", facts, known);
            }
        }
    }

    /// <summary>Null for a change that concerns nobody.</summary>
    private static NotedChange? NoteOf<TFacts>(string cluster, MeshKind<TFacts> kind, Change<TFacts> change, ObjectWrite? write) where TFacts : class
    {
        var (before, after) = (change.Before, change.Object);
        if ((before ?? after) is not { } any || kind.ReachOf(any) is not { } reach || (before is not null && after is not null && kind.IsSame(before, after)))
            return null;
        var isInForce = after is not null && kind.IsInForce(after);
        var verb = after is null ? ChangeVerb.Deleted : !isInForce ? ChangeVerb.Invalid : before is null ? ChangeVerb.Created : ChangeVerb.Changed;
        // What it meant before counts as well: hosts that it no longer names are concerned.
        return new(kind.SourceOf(any) with { Cluster = cluster, Kind = kind.Descriptor.Name }, verb, isInForce ? reach.With(kind.ReachOf(after!)) : reach,
            write);
    }

    // Settings and certificates do not count as configuration of the mesh.
    private void Count(MeshKind kind, string change)
    {
        if (kind.Place is KindPlace.EveryCluster or KindPlace.ConfigCluster) metrics?.Told(kind.Resource.Kind, kind.Descriptor.IsIstio, change);
    }

    private HashSet<string> Known(string cluster, MeshKind kind) =>
        _known.TryGetValue((cluster, kind), out var known) ? known : _known[(cluster, kind)] = new(StringComparer.Ordinal);

    private static void Put<TFacts>(MeshWriter writer, MeshKind<TFacts> kind, string key, TFacts facts, HashSet<string> known) where TFacts : class
    {
        known.Add(key);
        writer.Put(kind, facts);
    }

    private static void Remove(MeshWriter writer, string cluster, MeshKind kind, string key, HashSet<string> known)
    {
        known.Remove(key);
        var (ns, name) = key.Split('/', 2) is [var left, var right] ? (left, right) : ("", key);
        writer.Remove(kind, new(cluster, ns, name));
    }
}
