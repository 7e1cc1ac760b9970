using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;

namespace Isthmus.Lab.ApiServer.Storage;

/// <summary>
/// All objects in memory as immutable snapshots, and in SQLite. One thread writes: it takes what waits, commits it as one transaction,
/// and only then shows it to readers and watchers, in the order of revisions.
/// </summary>
public sealed class ObjectStore : IObjectStore, IDisposable
{
    private const int MaxBatch = 256;
    private readonly ObjectFile _file;
    private readonly BlockingCollection<PendingWrite> _queue = [];
    private readonly ConcurrentDictionary<GroupResource, ChangeLog> _logs = new();
    private readonly Queue<(long Revision, ChangeLog Log)> _window = new();
    private readonly int _keptChanges;
    private readonly Thread _writer;
    private Snapshot _snapshot = new(0, ImmutableDictionary<GroupResource, ResourceObjects>.Empty);
    private long _published;
    private long _compacted;

    /// <param name="path">The database file; made when it does not exist.</param>
    /// <param name="keptChanges">How many changes watches and continued lists may lag.</param>
    /// <exception cref="SqliteException">The file cannot be opened or read.</exception>
    public ObjectStore(string path, bool survivePowerLoss, int keptChanges = 4096)
    {
        _keptChanges = keptChanges;
        _file = new(path, survivePowerLoss);
        Load();
        _writer = new Thread(Run) { IsBackground = true, Name = "store-writer" };
        _writer.Start();
    }

    /// <summary>Called on the writer's thread after each stored change, in order of revision.</summary>
    public Action<GroupResource, ObjectChange>? Stored { get; set; }

    public long Revision => Volatile.Read(ref _snapshot).Revision;

    public StoredObject? Find(GroupResource resource, string ns, string name) =>
        Volatile.Read(ref _snapshot).Resources.TryGetValue(resource, out var objects) ? objects.GetValueOrDefault(StoredObject.KeyOf(ns, name)) : null;

    public ObjectList List(GroupResource resource, string? ns = null)
    {
        var snapshot = Volatile.Read(ref _snapshot);
        return new(snapshot.Revision, snapshot.Resources.TryGetValue(resource, out var objects) ? objects.In(ns) : []);
    }

    public ObjectList ListAt(GroupResource resource, string? ns, long revision)
    {
        var snapshot = Volatile.Read(ref _snapshot);
        var log = Log(resource);
        var head = log.Head;
        if (revision < Volatile.Read(ref _compacted)) throw new CompactedException(revision, Volatile.Read(ref _compacted));
        var objects = (snapshot.Resources.GetValueOrDefault(resource) ?? ResourceObjects.Empty).ToBuilder();
        var undo = new Stack<ObjectChange>();
        for (var node = head.Next; node is not null; node = Volatile.Read(ref node.Next))
            if (node.Change!.Revision > revision && node.Change.Revision <= snapshot.Revision) undo.Push(node.Change);
        foreach (var change in undo)
        {
            if (change.Previous is { } previous) objects[change.Object.Key] = previous;
            else objects.Remove(change.Object.Key);
        }
        return new(revision, new ResourceObjects(objects.ToImmutable()).In(ns));
    }

    public Task<StoredObject?> CreateAsync(GroupResource resource, JsonObject o, CancellationToken stop) => Enqueue(new(resource, null, o, false), stop);

    public Task<StoredObject?> UpdateAsync(GroupResource resource, JsonObject next, StoredObject expected, CancellationToken stop) =>
        Enqueue(new(resource, expected, next, false), stop);

    public Task<StoredObject?> DeleteAsync(GroupResource resource, StoredObject expected, JsonObject? last, CancellationToken stop) =>
        Enqueue(new(resource, expected, last, true), stop);

    public IObjectWatch Watch(GroupResource resource, long after)
    {
        var log = Log(resource);
        var compacted = Volatile.Read(ref _compacted);
        if (after < compacted) throw new CompactedException(after, compacted);
        var start = log.Head;
        // The log may be trimmed at its head meanwhile. Starting early only skips changes that are too old anyway.
        var tail = log.Tail;
        if (tail.Change is { } last && last.Revision <= after) start = tail;
        return new ObjectWatch(log, start, after, () => Volatile.Read(ref _published));
    }

    public void Dispose()
    {
        _queue.CompleteAdding();
        _writer.Join();
        _file.Dispose();
        _queue.Dispose();
    }

    private ChangeLog Log(GroupResource resource) => _logs.GetOrAdd(resource, _ => new ChangeLog());

    private Task<StoredObject?> Enqueue(PendingWrite write, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        _queue.Add(write, stop);
        return write.Done.Task;
    }

    private void Load()
    {
        var resources = new Dictionary<GroupResource, ImmutableSortedDictionary<string, StoredObject>.Builder>();
        foreach (var (resource, o) in _file.Objects())
        {
            if (!resources.TryGetValue(resource, out var builder)) resources[resource] = builder = ResourceObjects.Empty.ToBuilder();
            builder[o.Key] = o;
        }
        _compacted = _file.Meta("compacted");
        var revision = LoadChanges(resources);
        _published = Math.Max(Math.Max(revision, _file.Meta("revision")), 1);
        _snapshot = new(_published, resources.ToImmutableDictionary(pair => pair.Key, pair => new ResourceObjects(pair.Value.ToImmutable())));
    }

    /// <summary>Changes are read newest first, so that the content after each one is the one before the next.</summary>
    private long LoadChanges(Dictionary<GroupResource, ImmutableSortedDictionary<string, StoredObject>.Builder> resources)
    {
        var after = new Dictionary<(GroupResource, string), StoredObject?>();
        var changes = new Stack<(GroupResource, ObjectChange)>();
        foreach (var row in _file.Changes())
        {
            if (!after.TryGetValue((row.Resource, row.Key), out var current))
                current = resources.TryGetValue(row.Resource, out var objects) ? objects.GetValueOrDefault(row.Key) : null;
            var shown = row.Type == ChangeType.Deleted ? row.Previous is null ? null : StoredJson.Write(row.Previous.Parse(), row.Revision) : current;
            after[(row.Resource, row.Key)] = row.Previous;
            if (shown is not null) changes.Push((row.Resource, new(row.Type, shown, row.Previous)));
        }
        long revision = 0;
        foreach (var (resource, change) in changes)
        {
            Remember(resource, change);
            revision = change.Revision;
        }
        return revision;
    }

    private void Remember(GroupResource resource, ObjectChange change)
    {
        var log = Log(resource);
        log.Append(change);
        _window.Enqueue((change.Revision, log));
    }

    private void Run()
    {
        var batch = new List<PendingWrite>(MaxBatch);
        foreach (var first in _queue.GetConsumingEnumerable())
        {
            batch.Add(first);
            while (batch.Count < MaxBatch && _queue.TryTake(out var more)) batch.Add(more);
            try
            {
                Store(batch);
            }
            catch (SqliteException e)
            {
                // Nothing of this batch was stored. A full disk may have room for the next one.
                foreach (var write in batch) write.Done.TrySetException(new SqliteException($"the store cannot write: {e.Message}"));
            }
            batch.Clear();
        }
        _file.Begin();
        _file.SaveRevision(_snapshot.Revision);
        _file.Commit();
    }

    private void Store(List<PendingWrite> batch)
    {
        var resources = _snapshot.Resources;
        var revision = _snapshot.Revision;
        var changes = new List<(GroupResource Resource, ObjectChange Change, PendingWrite Write)>(batch.Count);
        var refused = new List<PendingWrite>();
        foreach (var write in batch)
        {
            var objects = resources.GetValueOrDefault(write.Resource) ?? ResourceObjects.Empty;
            ObjectChange? change;
            try
            {
                change = write.Apply(objects, revision + 1);
            }
            catch (Exception e) when (e is InvalidOperationException or NullReferenceException or InvalidCastException)
            {
                // Not an object of the API: the caller's bug must not end the writer.
                write.Done.TrySetException(new InvalidOperationException($"{write.Resource}: not a storable object", e));
                continue;
            }
            if (change is null)
            {
                refused.Add(write);
                continue;
            }
            revision++;
            changes.Add((write.Resource, change, write));
            resources = resources.SetItem(write.Resource, objects.With(change));
        }
        if (changes.Count > 0) Commit(changes, new(revision, resources));
        foreach (var write in refused) write.Done.TrySetResult(null);
    }

    private void Commit(List<(GroupResource Resource, ObjectChange Change, PendingWrite Write)> changes, Snapshot next)
    {
        _file.Begin();
        try
        {
            foreach (var (resource, change, _) in changes) _file.Write(resource, change);
            // Trimming rarely and in bulk costs less than a little each time.
            if (_window.Count > _keptChanges + (_keptChanges / 4)) Trim();
            _file.Commit();
        }
        catch (SqliteException)
        {
            _file.TryRollback();
            throw;
        }
        Volatile.Write(ref _snapshot, next);
        foreach (var (resource, change, _) in changes) Remember(resource, change);
        Volatile.Write(ref _published, next.Revision);
        foreach (var resource in changes.Select(change => change.Resource).Distinct()) Log(resource).Signal();
        foreach (var (resource, change, write) in changes)
        {
            Stored?.Invoke(resource, change);
            write.Done.TrySetResult(change.Object);
        }
    }

    private void Trim()
    {
        var compacted = _compacted;
        while (_window.Count > _keptChanges)
        {
            var (revision, log) = _window.Dequeue();
            log.DropOldest();
            compacted = revision;
        }
        _file.Trim(compacted);
        Volatile.Write(ref _compacted, compacted);
    }

    private sealed record Snapshot(long Revision, ImmutableDictionary<GroupResource, ResourceObjects> Resources);
}
