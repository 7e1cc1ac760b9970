using System.Collections.Immutable;
using Isthmus.Lab.ApiServer.Objects;

namespace Isthmus.Lab.ApiServer.Storage;

/// <summary>All objects of one resource, each parsed once into what a consumer needs; as fresh as the store whenever it is read.</summary>
internal sealed class LiveView<T>(IObjectStore store, GroupResource resource, Func<StoredObject, T> read)
{
    private readonly Lock _lock = new(); // guards _watch and the step from one snapshot to the next
    private IObjectWatch? _watch;
    private Snapshot _current = new(0, ImmutableSortedDictionary<string, T>.Empty);

    /// <param name="Version">Differs when the content does.</param>
    /// <param name="Items">By <see cref="StoredObject.Key"/>.</param>
    public sealed record Snapshot(long Version, ImmutableSortedDictionary<string, T> Items);

    public Snapshot Read()
    {
        lock (_lock)
        {
            try
            {
                if (_watch is null) Reload();
                else Follow(_watch);
            }
            catch (CompactedException)
            {
                Reload();
            }
            return _current;
        }
    }

    private void Reload()
    {
        var list = store.List(resource);
        var items = ImmutableSortedDictionary.CreateBuilder<string, T>(StringComparer.Ordinal);
        foreach (var item in list.Items) items[item.Key] = read(item);
        _watch = store.Watch(resource, list.Revision);
        _current = new(_current.Version + 1, items.ToImmutable());
    }

    private void Follow(IObjectWatch watch)
    {
        if (!watch.TryRead(out var change)) return;
        var items = _current.Items;
        do
        {
            items = change.Type == ChangeType.Deleted
                ? items.Remove(change.Object.Key)
                : items.SetItem(change.Object.Key, read(change.Object));
        }
        while (watch.TryRead(out change));
        _current = new(_current.Version + 1, items);
    }
}
