using Isthmus.ControlPlane.History;
using Isthmus.Kubernetes.Watch;

namespace Isthmus.ControlPlane.Intake;

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

    /// <summary>The resource version up to which changes were passed on; null: unknown.</summary>
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
    private readonly Informer<TObject, TFacts> _informer;
    private readonly IClusterObjects _objects;
    private bool _replaced;

    // Who wrote the objects that were read and are not passed on yet. Only the informer's task uses it.
    private Dictionary<string, ObjectWrite>? _writes;

    /// <param name="informer">Creates the informer, given what it keeps of an object.</param>
    internal KindWatch(MeshKind<TObject, TFacts> kind, WatchId id, bool isOptional, Func<Func<TObject, TFacts?>, Informer<TObject, TFacts>> informer, IClusterObjects objects) : base(kind, isOptional)
    {
        (_kind, _id, _objects) = (kind, id, objects);
        _informer = informer(Read);
    }

    internal override Task Synced => IsOptional ? _informer.Answered : _informer.Synced;

    internal override Task FirstFailure => _informer.FirstFailure;

    internal override DateTimeOffset? LastContact => _informer.LastContact;

    internal override string? Version => _informer.Version;

    internal override Exception? LastError => _informer.LastError;

    internal override Task RunAsync(CancellationToken stop) => _informer.RunAsync(async changes =>
    {
        var writes = _writes;
        _writes = null;
        // The first list replaces the objects of an earlier watch of the cluster with other credentials.
        if (_replaced) await _objects.Apply(_id, _kind, changes, writes);
        else await _objects.Replace(_id, _kind, [.. changes.Where(change => change.Object is not null).Select(change => KeyValuePair.Create(change.Key, change.Object!))]);
        _replaced = true;
    }, stop);

    private TFacts? Read(TObject item)
    {
        var facts = _kind.Read(_id.Cluster, item);
        // Objects of the first list are not changes.
        if (_replaced && _kind.IsRemembered && facts is not null && ObjectWrite.Of(item) is { } write)
        {
            var source = _kind.SourceOf(facts);
            (_writes ??= new(StringComparer.Ordinal))[source.Namespace.Length == 0 ? source.Name : $"{source.Namespace}/{source.Name}"] = write;
        }
        return facts;
    }
}
