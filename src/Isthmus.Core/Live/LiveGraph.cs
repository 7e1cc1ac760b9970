namespace Isthmus.Core.Live;

/// <summary>
/// A graph of live collections with one writer: stage changes on sources, then <see cref="Commit"/> them as one revision.
/// After a commit every collection stands at the same revision. Not thread-safe: the owner serialises all use.
/// </summary>
public sealed class LiveGraph
{
    // Creation order is a topological order: a node can only read what already exists.
    private readonly List<LiveNode> _nodes = [];

    public long Revision { get; private set; }

    public IReadOnlyList<LiveNode> Nodes => _nodes;

    /// <summary>Transforms that threw since the start; each kept its last output.</summary>
    public long Failures => _nodes.Sum(node => node.Failures);

    internal int Add(LiveNode node)
    {
        _nodes.Add(node);
        return _nodes.Count;
    }

    public long Commit()
    {
        foreach (var node in _nodes) node.Step();
        Committed?.Invoke(++Revision);
        foreach (var node in _nodes) node.Settle();
        return Revision;
    }

    /// <summary>Raised inside <see cref="Commit"/>, while <see cref="Live{TKey,T}.Changed"/> still tells what changed.</summary>
    public event Action<long>? Committed;

    /// <summary>Recomputes every derived collection from scratch and names those that differ from what increments made.</summary>
    public IReadOnlyList<string> Verify() => [.. _nodes.SelectMany(node => node.Verify())];
}

/// <summary>One collection of a <see cref="LiveGraph"/>, without its types: what a debug page shows.</summary>
public abstract class LiveNode(LiveGraph graph, string name)
{
    internal LiveGraph Graph { get; } = graph;

    public string Name { get; } = name;

    public abstract int Count { get; }

    public long Failures { get; private protected set; }

    /// <summary>The last failure of a transform, or null.</summary>
    public Exception? LastFailure { get; private protected set; }

    internal abstract void Step();

    internal abstract void Settle();

    internal virtual IEnumerable<string> Verify() => [];
}
