namespace Isthmus.Core.Live;

/// <summary>
/// A graph of live collections with one writer: stage changes on sources, then <see cref="Commit"/> them as one revision.
/// After a commit every collection is at the same revision. Not thread-safe: the owner serialises all use.
/// </summary>
public sealed class LiveGraph
{
    // Creation order is a topological order: a node can only read what already exists.
    private readonly List<LiveNode> _nodes = [];

    public long Revision { get; private set; }

    public IReadOnlyList<LiveNode> Nodes => _nodes;

    /// <summary>Transforms that threw since the start; each kept its last output.</summary>
    public long Failures => _nodes.Sum(node => node.Failures);

    /// <summary>Keys that several inputs currently produce; the oldest holds each.</summary>
    public int Conflicts => _nodes.Sum(node => node.ConflictCount);

    internal int Add(LiveNode node)
    {
        _nodes.Add(node);
        return _nodes.Count;
    }

    public long Commit()
    {
        try
        {
            foreach (var node in _nodes) node.Step();
            Revision++;
            Committed?.Invoke(Revision);
        }
        finally
        {
            foreach (var node in _nodes) node.Settle();
        }
        return Revision;
    }

    /// <summary>Stages what this graph's sources hold in those of another graph with the same collections.</summary>
    public void CopyInputsTo(LiveGraph other)
    {
        foreach (var (from, to) in _nodes.Zip(other._nodes)) from.CopyInputTo(to);
    }

    /// <summary>Raised inside <see cref="Commit"/>, while <see cref="Live{TKey,T}.Changed"/> still shows what changed.</summary>
    public event Action<long>? Committed;

    /// <summary>
    /// Compares every collection and index with a fresh computation from its inputs, and describes each difference. Changes nothing, and
    /// does not read what is staged but not yet committed.
    /// </summary>
    public IReadOnlyList<string> Verify() => [.. _nodes.SelectMany(node => node.Verify())];
}

/// <summary>One collection of a <see cref="LiveGraph"/> without its types, as a debug page shows it.</summary>
public abstract class LiveNode(LiveGraph graph, string name)
{
    internal LiveGraph Graph { get; } = graph;

    public string Name { get; } = name;

    public abstract int Count { get; }

    public long Failures { get; private set; }

    /// <summary>How often its transform has run: what changes cost.</summary>
    public long Transforms { get; private protected set; }

    /// <summary>The last failure of a transform, or null.</summary>
    public Exception? LastFailure { get; private set; }

    /// <summary>How many keys several inputs currently produce.</summary>
    public virtual int ConflictCount => 0;

    /// <summary>Those keys, by name. Only the thread that commits may read it.</summary>
    public virtual IEnumerable<LiveConflict> Conflicts => [];

    /// <summary>Only sources have input.</summary>
    internal virtual void CopyInputTo(LiveNode other)
    {
    }

    private protected void Fail(Exception bug)
    {
        Failures++;
        LastFailure = bug;
    }

    internal abstract void Step();

    internal abstract void Settle();

    /// <summary>The differences from a fresh computation.</summary>
    internal abstract IEnumerable<string> Verify();
}

/// <summary>Several inputs of a transform produce one key.</summary>
/// <param name="Holder">The input whose item counts: the oldest.</param>
/// <param name="Waiting">The inputs that take over when it goes, the next one first.</param>
public sealed record LiveConflict(string Key, string Holder, IReadOnlyList<string> Waiting);
