using System.Collections.Immutable;

namespace Isthmus.Lab.ApiServer.Storage;

/// <summary>All objects of one resource in key order: one immutable version.</summary>
internal sealed class ResourceObjects(ImmutableSortedDictionary<string, StoredObject> objects)
{
    internal static readonly ResourceObjects Empty = new(ImmutableSortedDictionary.Create<string, StoredObject>(StringComparer.Ordinal));

    private IReadOnlyList<StoredObject>? _all;

    internal StoredObject? GetValueOrDefault(string key) => objects.GetValueOrDefault(key);

    internal ImmutableSortedDictionary<string, StoredObject>.Builder ToBuilder() => objects.ToBuilder();

    internal ResourceObjects With(ObjectChange change) =>
        new(change.Type == ChangeType.Deleted ? objects.Remove(change.Object.Key) : objects.SetItem(change.Object.Key, change.Object));

    /// <param name="ns">Null for all.</param>
    internal IReadOnlyList<StoredObject> In(string? ns)
    {
        var all = _all ??= [.. objects.Values];
        if (string.IsNullOrEmpty(ns)) return all;
        var first = LowerBound(all, ns + "/");
        var end = LowerBound(all, ns + "0"); // '0' follows '/'
        return first == end ? [] : [.. all.Skip(first).Take(end - first)];
    }

    private static int LowerBound(IReadOnlyList<StoredObject> all, string key)
    {
        var (low, high) = (0, all.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (string.CompareOrdinal(all[middle].Key, key) < 0) low = middle + 1;
            else high = middle;
        }
        return low;
    }
}
