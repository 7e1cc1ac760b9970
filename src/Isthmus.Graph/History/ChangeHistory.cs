using Isthmus.Mesh.Model;

namespace Isthmus.Graph.History;

/// <summary>
/// What changed in the mesh since this control plane is ready, and what an earlier one kept of that. Objects are noted one by one; Pods and EndpointSlices
/// are not, because they change all the time: their hosts' endpoints are counted instead, once a minute for each host that changes. From any thread.
/// </summary>
public sealed class ChangeHistory(TimeProvider time)
{
    private const int MostChanges = 1000;
    private const int MostBytes = 1 << 20;

    /// <summary>An autoscaler writes often.</summary>
    private const int MostWorkloads = 500;

    /// <summary>Changes of one object within this time are remembered as one.</summary>
    private static readonly TimeSpan Together = TimeSpan.FromMinutes(1);

    private readonly Lock _guard = new(); // Guards the fields below.
    private readonly ChangeRing _objects = new(MostChanges, MostBytes);
    private readonly ChangeRing _endpoints = new(MostChanges, MostBytes);
    private readonly ChangeRing _workloads = new(MostWorkloads, MostBytes / 4);
    // By host and cluster.
    private readonly Dictionary<string, Dictionary<string, EndpointCount>> _counts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, EndpointCount> _tally = new(StringComparer.Ordinal);
    private List<ChangeSlot> _pending = [];
    private DateTimeOffset? _since, _keptSince;
    private IReadOnlyList<RememberedChange> _kept = [];
    private long _version, _keptForgotten;

    /// <summary>The users whose writes the webhook admitted.</summary>
    public AdmittedWrites Admitted { get; } = new();

    /// <summary>The users whose deletions it was told of.</summary>
    public AdmittedDeletions Deletions { get; } = new(time);

    /// <summary>Grows with each change of the memory.</summary>
    public long Version
    {
        get { lock (_guard) return _version; }
    }

    /// <summary>When the memory of the earlier control planes begins; null: there is none.</summary>
    public DateTimeOffset? KeptSince
    {
        get { lock (_guard) return _keptSince; }
    }

    /// <summary>When the memory of this control plane begins; null: nothing is noted yet.</summary>
    public DateTimeOffset? Since
    {
        get { lock (_guard) return _since; }
    }

    /// <summary>How many changes were forgotten because there were too many, here and by earlier control planes.</summary>
    public long Forgotten
    {
        get { lock (_guard) return _keptForgotten + Dropped; }
    }

    /// <summary>How many this control plane has forgotten itself.</summary>
    public long ForgottenHere
    {
        get { lock (_guard) return Dropped; }
    }

    private long Dropped => _objects.Dropped + _endpoints.Dropped + _workloads.Dropped;

    /// <summary>Takes over what earlier control planes remembered, oldest first, in place of what was taken over before. What began when this one
    /// already remembered is left out: it has that itself.</summary>
    /// <param name="forgotten">How many changes they have forgotten.</param>
    public void Restore(DateTimeOffset since, IReadOnlyList<RememberedChange> changes, long forgotten)
    {
        lock (_guard)
        {
            // Kept times are whole milliseconds: those of own changes are not before this.
            var own = _since is { } begun ? begun.AddTicks(-(begun.Ticks % TimeSpan.TicksPerMillisecond)) : DateTimeOffset.MaxValue;
            var before = changes.Where(change => change.First < own).ToList();
            if (since >= own && before.Count == 0) return;
            (_keptSince, _kept, _keptForgotten) = (since < own ? since : own, before, forgotten);
        }
    }

    /// <summary>The mesh is known: what comes from now on are changes.</summary>
    internal void Start(IEnumerable<KeyValuePair<string, HostEndpoints>> hosts)
    {
        lock (_guard)
        {
            if (_since is not null) return;
            _since = time.GetUtcNow();
            foreach (var (host, endpoints) in hosts)
            {
                Tally(endpoints);
                _counts[host] = new(_tally, StringComparer.Ordinal);
            }
        }
    }

    /// <summary>Notes a change of an object.</summary>
    internal void Note(NotedChange change) => Note(change, isPushed: true);

    /// <summary>Notes a change of an object that is not pushed to proxies, so that no push is its effect.</summary>
    public void NoteApart(NotedChange change) => Note(change, isPushed: false);

    /// <summary>Notes that somebody may have scaled or deleted a workload, as an API server asks: no watch says whether that came about.</summary>
    public void NoteWorkload(NotedChange change)
    {
        lock (_guard)
        {
            if (_since is null) return;
            _version++;
            var now = time.GetUtcNow();
            // API servers ask again about a write that met another one.
            if (_workloads.Newest(change.Source) is { } newest && now - newest.Last < Together && newest.Change.Verb == change.Verb
                && newest.Change.Scaling == change.Scaling)
            {
                var before = newest.Bytes;
                (newest.Change, newest.Last) = (change with { User = newest.Change.User.Or(change.User) }, now);
                _workloads.Resized(newest, before);
                return;
            }
            _workloads.Add(new(change, now));
        }
    }

    private void Note(NotedChange change, bool isPushed)
    {
        lock (_guard)
        {
            if (_since is null) return;
            if (change.User.Name.Length == 0) change = change with { User = UserOf(change) };
            _version++;
            var now = time.GetUtcNow();
            if (_objects.Newest(change.Source) is { } newest && newest.Change.IsLike(change) && now - newest.First < Together)
            {
                var before = newest.Bytes;
                (newest.Change, newest.Last, newest.Count) = (change.After(newest.Change), now, newest.Count + 1);
                _objects.Resized(newest, before);
                if (isPushed) _pending.Add(newest);
                return;
            }
            var added = _objects.Add(new(change, now));
            if (isPushed) _pending.Add(added);
        }
    }

    private Writer UserOf(NotedChange change) => change switch
    {
        { Verb: ChangeVerb.Deleted } => Deletions.Take(change.Source),
        { Departure: { } departure } => Deletions.OfSecret(departure.Secret),
        { Write: { } write } => Admitted.UserOf(write),
        _ => Writer.Unknown,
    };

    /// <summary>Counts the endpoints of a host in each cluster.</summary>
    private void Tally(HostEndpoints endpoints)
    {
        _tally.Clear();
        foreach (var endpoint in endpoints.Endpoints) _tally[endpoint.Cluster] = _tally.GetValueOrDefault(endpoint.Cluster).With(endpoint);
    }

    /// <summary>Notes that the endpoints of a host changed, in each cluster in which there are more or fewer.</summary>
    /// <param name="host">The host name.</param>
    /// <param name="endpoints">Null: the host is gone.</param>
    internal void NoteEndpoints(string host, HostEndpoints? endpoints)
    {
        lock (_guard)
        {
            if (_since is null) return;
            Tally(endpoints ?? HostEndpoints.None);
            if (!_counts.TryGetValue(host, out var counts)) _counts[host] = counts = new(StringComparer.Ordinal);
            foreach (var cluster in counts.Keys) _tally.TryAdd(cluster, default);
            foreach (var (cluster, after) in _tally)
            {
                var before = counts.GetValueOrDefault(cluster);
                counts[cluster] = after;
                if (after != before) NoteEndpoints(new ObjectRef(cluster, "Endpoints", "", host), before, after);
            }
            if (endpoints is null) _counts.Remove(host);
        }
    }

    private void NoteEndpoints(ObjectRef source, EndpointCount before, EndpointCount after)
    {
        _version++;
        var now = time.GetUtcNow();
        if (_endpoints.Newest(source) is { Endpoints: { } known } newest && now - newest.First < Together)
        {
            (newest.Last, newest.Count, newest.Endpoints) = (now, newest.Count + 1,
                (known.Before, after.Ready < known.Fewest.Ready ? after : known.Fewest, after));
            return;
        }
        _endpoints.Add(new(new(source, ChangeVerb.Changed, Reach.OfHosts(source.Name)),
            now) { Endpoints = (before, after.Ready < before.Ready ? after : before, after) });
    }

    /// <summary>What was noted since the last call, for <see cref="Pushed"/>.</summary>
    internal PendingChanges Take()
    {
        lock (_guard)
        {
            if (_pending.Count == 0) return default;
            var taken = _pending;
            _pending = [];
            return new(taken);
        }
    }

    /// <summary>The changes are published.</summary>
    /// <param name="effect">What that changed for proxies; null for nothing.</param>
    internal void Pushed(PendingChanges changes, PushEffect? effect)
    {
        if (changes.Slots is not { } slots) return;
        lock (_guard)
        {
            _version++;
            var together = slots.Distinct().Count();
            foreach (var slot in slots.Where(slot => !slot.IsDropped))
            {
                var before = slot.Bytes;
                // Of several changes that are remembered as one, what reached more proxies says more.
                if (slot.Effect is null || effect?.Proxies >= slot.Effect.Proxies) slot.Effect = (effect ?? new(0, default)) with { Changes = together };
                _objects.Resized(slot, before);
            }
        }
    }

    /// <summary>All changes that ended at or after a time, oldest first.</summary>
    public IReadOnlyList<RememberedChange> After(DateTimeOffset since)
    {
        lock (_guard)
        {
            return [.. _kept.Where(change => change.Last >= since),
                .. _objects.Slots.Concat(_endpoints.Slots).Concat(_workloads.Slots).Where(slot => slot.Last >= since).OrderBy(slot => slot.Last)
                    .Select(slot => slot.Remembered)];
        }
    }
}

/// <summary>Changes whose effect is not known yet.</summary>
internal readonly record struct PendingChanges(List<ChangeSlot>? Slots)
{
    /// <summary>Both.</summary>
    internal PendingChanges With(PendingChanges other) => Slots is null ? other : other.Slots is null ? this : new([.. Slots, .. other.Slots]);
}
