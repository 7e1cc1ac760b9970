namespace Isthmus.Graph.History;

/// <summary>The newest changes, bounded in number and in size. Changes of one object shortly after each other are one.</summary>
internal sealed class ChangeRing(int mostItems, int mostBytes)
{
    private readonly Queue<ChangeSlot> _slots = [];
    private readonly Dictionary<(string Cluster, string Kind, string Namespace, string Name), ChangeSlot> _newest = [];
    private int _bytes;

    /// <summary>How many were dropped because others are newer.</summary>
    internal long Dropped { get; private set; }

    internal IEnumerable<ChangeSlot> Slots => _slots;

    internal ChangeSlot? Newest(Mesh.Model.ObjectRef source) => _newest.GetValueOrDefault((source.Cluster, source.Kind, source.Namespace, source.Name));

    internal ChangeSlot Add(ChangeSlot slot)
    {
        _slots.Enqueue(slot);
        _newest[KeyOf(slot)] = slot;
        _bytes += slot.Bytes;
        while (_slots.Count > mostItems || (_bytes > mostBytes && _slots.Count > 1)) Drop();
        return slot;
    }

    /// <summary>Counts what a slot holds now.</summary>
    internal void Resized(ChangeSlot slot, int before)
    {
        _bytes += slot.Bytes - before;
        while (_bytes > mostBytes && _slots.Count > 1) Drop();
    }

    private void Drop()
    {
        var slot = _slots.Dequeue();
        slot.IsDropped = true;
        _bytes -= slot.Bytes;
        Dropped += slot.Count;
        if (_newest.TryGetValue(KeyOf(slot), out var newest) && ReferenceEquals(newest, slot)) _newest.Remove(KeyOf(slot));
    }

    private static (string, string, string, string) KeyOf(ChangeSlot slot) =>
        (slot.Change.Source.Cluster, slot.Change.Source.Kind, slot.Change.Source.Namespace, slot.Change.Source.Name);
}

/// <summary>A change while it may still grow.</summary>
internal sealed class ChangeSlot(NotedChange change, DateTimeOffset at)
{
    private const int Overhead = 256;

    internal NotedChange Change { get; set; } = change;

    internal DateTimeOffset First { get; } = at;

    internal DateTimeOffset Last { get; set; } = at;

    internal int Count { get; set; } = 1;

    internal PushEffect? Effect { get; set; }

    internal (EndpointCount Before, EndpointCount Fewest, EndpointCount After)? Endpoints { get; set; }

    internal bool IsDropped { get; set; }

    internal int Bytes =>
        Overhead + (2 * (Change.Source.Namespace.Length + Change.Source.Name.Length + Change.User.Name.Length
        + (Change.Write?.Fields.Sum(path => path.Length + 12) ?? 0) + Change.Reach.Hosts.Sum(host => host.Length + 12)
        + Change.Reach.Selector.Items.Sum(label => label.Key.Length + label.Value.Length + 24)
        + (Effect?.Types.Sum(type => 40 + type.Names.Sum(name => name.Length + 12)) ?? 0)));

    internal RememberedChange Remembered => new(First, Last, Count, Change, Effect, Endpoints);
}
