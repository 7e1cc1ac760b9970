using System.Text.Json.Nodes;
using Isthmus.Graph.History;
using Isthmus.Kubernetes.Watch;

namespace Isthmus.Graph.Intake;

/// <summary>The watch of one kind in one cluster.</summary>
/// <param name="isOptional">The cluster may lack the kind or deny access to it: neither affects the cluster's health.</param>
internal abstract class KindWatch(MeshKind kind, bool isOptional)
{
    internal MeshKind Kind { get; } = kind;

    internal bool IsOptional { get; } = isOptional;

    /// <summary>Completes when the kind has been listed once, or the cluster lacks it or denies access.</summary>
    internal abstract Task Synced { get; }

    /// <summary>Completes when the API server could not be read for the first time.</summary>
    internal abstract Task FirstFailure { get; }

    internal abstract DateTimeOffset? LastContact { get; }

    /// <summary>The resource version up to which changes were passed on; null if unknown.</summary>
    internal abstract string? Version { get; }

    /// <summary>Why the API server could not be read; null while the watch is up.</summary>
    internal abstract Exception? LastError { get; }

    internal abstract Task RunAsync(CancellationToken stop);
}

/// <inheritdoc/>
internal sealed class KindWatch<TObject, TFacts> : KindWatch where TObject : class where TFacts : class
{
    private readonly MeshKind<TObject, TFacts> _kind;
    private readonly WatchId _id;
    private readonly IServedVersions? _served;
    private readonly Func<string, Func<TObject, TFacts?>, Informer<TObject, TFacts>> _informers;
    private readonly IClusterObjects _objects;
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Null while the cluster does not serve the kind.
    private volatile Informer<TObject, TFacts>? _informer;
    private bool _replaced;

    // Who wrote the objects that were read but not passed on yet. Only the informer's task uses this field and the next.
    private Dictionary<string, ObjectWrite>? _writes;

    // What is compared with the next version of an object.
    private readonly KnownSpecs _specs = new(SpecRoom.Shared);

    /// <param name="served">Says when and in which version the cluster serves the kind; null: it does.</param>
    /// <param name="informers">Creates an informer, given the version and what it keeps of an object.</param>
    internal KindWatch(
        MeshKind<TObject, TFacts> kind, WatchId id, bool isOptional, IServedVersions? served,
        Func<string, Func<TObject, TFacts?>, Informer<TObject, TFacts>> informers, IClusterObjects objects)
        : base(kind, isOptional)
    {
        (_kind, _id, _served, _informers, _objects) = (kind, id, served, informers, objects);
        if (served is null) _informer = informers(kind.Descriptor.ReadVersion, Read);
    }

    internal override Task Synced => _served is not null ? _answered.Task : IsOptional ? _informer!.Answered : _informer!.Synced;

    internal override Task FirstFailure => _informer?.FirstFailure ?? Task.Delay(Timeout.Infinite);

    internal override DateTimeOffset? LastContact => _informer?.LastContact;

    internal override string? Version => _informer?.Version;

    internal override Exception? LastError => _informer is { } informer ? informer.LastError : _served?.LastError;

    internal override async Task RunAsync(CancellationToken stop)
    {
        try
        {
            await (_served is null ? RunAsync(_informer!, stop) : FollowAsync(_served, stop));
        }
        finally
        {
            _specs.Clear();
        }
    }

    /// <summary>Reads the kind while the cluster serves it, in the version that it serves.</summary>
    private async Task FollowAsync(IServedVersions served, CancellationToken stop)
    {
        var (version, changed) = await served.FindAsync(_kind.Resource, _kind.Descriptor.Versions, stop);
        while (!stop.IsCancellationRequested)
        {
            using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
            var reading = ReadAsync(version, end.Token);
            var next = version;
            try
            {
                while (next == version && !reading.IsCompleted)
                {
                    await Task.WhenAny(reading, changed);
                    if (!changed.IsCompleted || stop.IsCancellationRequested) continue;
                    (next, changed) = await served.FindAsync(_kind.Resource, _kind.Descriptor.Versions, stop);
                }
            }
            finally
            {
                await end.CancelAsync();
                await reading;
            }
            version = next;
        }
    }

    private async Task ReadAsync(string? version, CancellationToken stop)
    {
        _informer = version is null ? null : _informers(version, Read);
        (_replaced, _writes) = (false, null);
        _specs.Clear();
        if (_informer is { } informer)
        {
            var running = RunAsync(informer, stop);
            if (await Task.WhenAny(informer.Answered, running) == informer.Answered) _answered.TrySetResult();
            await running;
            return;
        }
        // Its objects went with the kind.
        await _objects.Replace(_id, _kind, []);
        _answered.TrySetResult();
        await Task.Delay(Timeout.Infinite, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private Task RunAsync(Informer<TObject, TFacts> informer, CancellationToken stop) => informer.RunAsync(async changes =>
    {
        _specs.Passed(changes.Select(change => (change.Key, IsGone: change.Object is null)));
        // The first list replaces the objects of an earlier watch of the cluster with other credentials, or of another version.
        if (_replaced) await _objects.Apply(_id, _kind, changes, WritesOf(changes));
        else await _objects.Replace(_id, _kind,
            [.. changes.Where(change => change.Object is not null).Select(change => KeyValuePair.Create(change.Key, change.Object!))]);
        _replaced = true;
        // Not before: a change that cannot be passed on now is passed on again, by itself.
        foreach (var change in changes) _writes?.Remove(change.Key);
        if (_writes is { Count: 0 }) _writes = null;
    }, stop);

    /// <summary>Who wrote the objects of these changes. Null if writers are not recorded. The writer of the mesh reads it later, on another thread.</summary>
    private Dictionary<string, ObjectWrite>? WritesOf(IReadOnlyList<Change<TFacts>> changes)
    {
        if (_writes is null) return null;
        var writes = new Dictionary<string, ObjectWrite>(StringComparer.Ordinal);
        foreach (var change in changes)
            if (change.Object is not null && _writes.TryGetValue(change.Key, out var write)) writes[change.Key] = write;
        return writes;
    }

    private TFacts? Read(TObject item)
    {
        var facts = _kind.Read(_id.Cluster, item);
        if (!_kind.IsRemembered || facts is null) return facts;
        var source = _kind.SourceOf(facts);
        var key = source.Namespace.Length == 0 ? source.Name : $"{source.Namespace}/{source.Name}";
        var fields = item is JsonObject tree ? _specs.Changed(key, tree["spec"]) : default;
        // Objects of the first list are not changes.
        if (_replaced && ObjectWrite.Of(item) is { } write) (_writes ??= new(StringComparer.Ordinal))[key] = write with { Fields = fields };
        return facts;
    }
}
