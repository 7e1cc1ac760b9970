using Isthmus.Kubernetes.Watch;

namespace Isthmus.ControlPlane.Intake;

/// <summary>The watch of one kind in one cluster.</summary>
internal abstract class KindWatch(MeshKind kind)
{
    internal MeshKind Kind { get; } = kind;

    /// <summary>Completes when the kind has been listed once, or the cluster lacks it or denies access.</summary>
    internal abstract Task Synced { get; }

    /// <summary>Completes when the API server could not be read for the first time.</summary>
    internal abstract Task FirstFailure { get; }

    internal abstract DateTimeOffset? LastContact { get; }

    /// <summary>Why the API server could not be read; null while the watch is up.</summary>
    internal abstract Exception? LastError { get; }

    internal abstract Task RunAsync(CancellationToken stop);
}

/// <inheritdoc/>
internal sealed class KindWatch<TObject, TFacts>(MeshKind<TObject, TFacts> kind, WatchId id, Informer<TObject, TFacts> informer, IClusterObjects objects) : KindWatch(kind)
    where TObject : class where TFacts : class
{
    private bool _replaced;

    internal override Task Synced => Kind.IsOptional ? informer.Answered : informer.Synced;

    internal override Task FirstFailure => informer.FirstFailure;

    internal override DateTimeOffset? LastContact => informer.LastContact;

    internal override Exception? LastError => informer.LastError;

    internal override Task RunAsync(CancellationToken stop) => informer.RunAsync(async changes =>
    {
        // The first list replaces the objects of an earlier watch of the cluster with other credentials.
        if (_replaced) await objects.Apply(id, kind, changes);
        else await objects.Replace(id, kind, [.. changes.Where(change => change.Object is not null).Select(change => KeyValuePair.Create(change.Key, change.Object!))]);
        _replaced = true;
    }, stop);
}
