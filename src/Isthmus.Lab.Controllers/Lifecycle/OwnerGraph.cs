using System.Collections.Immutable;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Lifecycle;

/// <summary>An object as the garbage collector sees it.</summary>
public sealed record GraphNode(ResourceKind Kind, ObjectMeta Metadata)
{
    public const string Foreground = "foregroundDeletion";
    public const string Orphan = "orphan";

    public string Uid => Metadata.Uid;

    public bool IsLeaving => Metadata.DeletionTimestamp is not null;

    /// <summary>Terminating, but only after its dependents are gone.</summary>
    public bool WaitsForDependents => IsLeaving && Metadata.Finalizers.Contains(Foreground);
}

/// <summary>The owners and dependents of objects of all kinds. One lock guards the graph: changes are small, and sweeps
/// read copies.</summary>
public sealed class OwnerGraph
{
    private readonly Lock _guard = new();
    private readonly Dictionary<string, GraphNode> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ImmutableHashSet<string>> _dependents = new(StringComparer.Ordinal);

    /// <summary>Records a change. Returns the uids of objects to process because of it.</summary>
    public IReadOnlyList<string> Put(ResourceKind kind, ObjectMeta now)
    {
        lock (_guard)
        {
            var known = _nodes.GetValueOrDefault(now.Uid);
            if (known is not null) Unlink(known);
            var node = new GraphNode(kind, now);
            _nodes[now.Uid] = node;
            foreach (var owner in now.OwnerReferences) _dependents[owner.Uid] = Of(owner.Uid).Add(now.Uid);
            var look = new List<string>();
            if (now.OwnerReferences.Count > 0 && (known is null || known.Metadata.OwnerReferences.Count != now.OwnerReferences.Count
                || now.OwnerReferences.Any(owner => _nodes.GetValueOrDefault(owner.Uid) is null or { WaitsForDependents: true }))) look.Add(now.Uid);
            if (node.IsLeaving && (now.Finalizers.Contains(GraphNode.Foreground) || now.Finalizers.Contains(GraphNode.Orphan)))
            {
                look.Add(now.Uid);
                if (node.WaitsForDependents) look.AddRange(Of(now.Uid));
            }
            return look;
        }
    }

    public IReadOnlyList<string> Remove(string uid)
    {
        lock (_guard)
        {
            if (!_nodes.Remove(uid, out var node)) return [];
            Unlink(node);
            // Its dependents have lost an owner, and its owners may have waited for it.
            return [.. Of(uid),
                .. node.Metadata.OwnerReferences.Select(owner => owner.Uid).Where(owner => _nodes.GetValueOrDefault(owner) is { WaitsForDependents: true })];
        }
    }

    public GraphNode? Find(string uid)
    {
        lock (_guard) return _nodes.GetValueOrDefault(uid);
    }

    public IReadOnlyList<GraphNode> Dependents(string uid)
    {
        lock (_guard) return [.. Of(uid).Select(_nodes.GetValueOrDefault).OfType<GraphNode>()];
    }

    private ImmutableHashSet<string> Of(string uid) => _dependents.GetValueOrDefault(uid, []);

    private void Unlink(GraphNode node)
    {
        foreach (var owner in node.Metadata.OwnerReferences)
        {
            var rest = Of(owner.Uid).Remove(node.Uid);
            if (rest.IsEmpty) _dependents.Remove(owner.Uid);
            else _dependents[owner.Uid] = rest;
        }
    }
}
