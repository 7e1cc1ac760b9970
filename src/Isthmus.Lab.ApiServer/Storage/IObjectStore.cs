using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Storage;

/// <summary>One version of one object, as stored: immutable.</summary>
public sealed class StoredObject(string ns, string name, string uid, long revision, byte[] json, int bodyStart, IReadOnlyDictionary<string, string> labels)
{
    public string Namespace { get; } = ns;

    public string Name { get; } = name;

    public string Uid { get; } = uid;

    /// <summary>metadata.resourceVersion.</summary>
    public long Revision { get; } = revision;

    /// <summary>UTF-8 JSON that begins with kind and apiVersion.</summary>
    public ReadOnlyMemory<byte> Json { get; } = json;

    /// <summary>Offset of the first byte after `{"kind":…,"apiVersion":…,`: items of lists begin there.</summary>
    public int BodyStart { get; } = bodyStart;

    public IReadOnlyDictionary<string, string> Labels { get; } = labels;

    public string Key => KeyOf(Namespace, Name);

    /// <summary>A fresh tree that the caller may change.</summary>
    public JsonObject Parse() => JsonText.ParseObject(Json.Span);

    public static string KeyOf(string ns, string name) => ns.Length == 0 ? name : $"{ns}/{name}";
}

/// <summary>Objects of one resource at one revision, in key order.</summary>
public sealed record ObjectList(long Revision, IReadOnlyList<StoredObject> Items);

public enum ChangeType
{
    Added,
    Modified,
    Deleted,
}

/// <summary>One change of one object. For a deletion <see cref="Object"/> has the last content with the new revision.</summary>
public sealed record ObjectChange(ChangeType Type, StoredObject Object, StoredObject? Previous)
{
    public long Revision => Object.Revision;
}

/// <summary>The revision asked for is no longer kept.</summary>
public sealed class CompactedException(long asked, long oldest) : Exception($"too old resource version: {asked} ({oldest})");

/// <summary>
/// All objects of the cluster under one global revision. Reads are from memory and never wait; a write is acknowledged once it survives a
/// crash.
/// Strategies, admission, tokens and controllers of the server use it below the level of the API: nothing is defaulted, validated or
/// admitted here.
/// </summary>
public interface IObjectStore
{
    /// <summary>Of the newest write that can be read.</summary>
    long Revision { get; }

    StoredObject? Find(GroupResource resource, string ns, string name);

    /// <param name="ns">Null for all namespaces.</param>
    ObjectList List(GroupResource resource, string? ns = null);

    /// <summary>The list as it was at an earlier revision.</summary>
    /// <exception cref="CompactedException">That revision is no longer kept.</exception>
    ObjectList ListAt(GroupResource resource, string? ns, long revision);

    /// <summary>Stores a new object, with its resourceVersion set; null when the name is taken.</summary>
    Task<StoredObject?> CreateAsync(GroupResource resource, JsonObject o, CancellationToken stop);

    /// <summary>Replaces the object if it is still at <paramref name="expected"/>; null when it is not.</summary>
    Task<StoredObject?> UpdateAsync(GroupResource resource, JsonObject next, StoredObject expected, CancellationToken stop);

    /// <summary>
    /// Removes the object if it is still at <paramref name="expected"/>; the answer has the deletion's revision, null when it is not.
    /// </summary>
    /// <param name="last">Content that the deletion shows, when it differs from the stored one.</param>
    Task<StoredObject?> DeleteAsync(GroupResource resource, StoredObject expected, JsonObject? last, CancellationToken stop);

    /// <summary>Changes after <paramref name="after"/>, in order, without an end.</summary>
    /// <exception cref="CompactedException">That revision is no longer kept.</exception>
    IObjectWatch Watch(GroupResource resource, long after);
}

/// <summary>One reader of changes. Not thread-safe.</summary>
public interface IObjectWatch
{
    /// <summary>The next change if there is one now.</summary>
    bool TryRead(out ObjectChange change);

    /// <summary>All changes up to this revision were read, so a bookmark may report it.</summary>
    long SeenRevision { get; }

    /// <summary>Completes when <see cref="TryRead"/> may succeed.</summary>
    Task WaitAsync(CancellationToken stop);
}

/// <summary>Retries for writers below the API.</summary>
public static class ObjectStoreWrites
{
    /// <summary>Reads, changes and writes an object. Retries if another writer changes it first.</summary>
    /// <param name="change">Changes the tree in place; false means nothing is to be written.</param>
    /// <returns>The stored object, or null when it does not exist.</returns>
    public static async Task<StoredObject?> ChangeAsync(
        this IObjectStore store, GroupResource resource, string ns, string name, Func<JsonObject, bool> change, CancellationToken stop)
    {
        while (true)
        {
            var current = store.Find(resource, ns, name);
            if (current is null) return null;
            var tree = current.Parse();
            if (!change(tree)) return current;
            if (await store.UpdateAsync(resource, tree, current, stop) is { } stored) return stored;
        }
    }
}
