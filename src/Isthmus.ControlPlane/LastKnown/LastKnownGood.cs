using System.Collections.Concurrent;
using Isthmus.ControlPlane.Clusters;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.LastKnown;

/// <summary>The snapshot kept of one cluster: when it was written, its size, and any problem found when it was loaded.</summary>
public sealed record KeptSnapshot(DateTimeOffset Saved, long Bytes, string Problem);

/// <summary>
/// Stores what remote clusters report in the configuration cluster, so that a control plane that starts while one of their API servers is
/// unreachable serves the last known state. Written soon after a change, but at a limited rate; deleted when the
/// cluster's remote secret goes.
/// </summary>
public sealed partial class LastKnownGood(SnapshotStore store, ClusterSet clusters, MeshObjects objects, PushEngine engine, TimeProvider time,
    ILogger<LastKnownGood> log)
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    /// <summary>The interval between two writes of a constantly changing cluster, for each part.</summary>
    private static readonly TimeSpan WriteInterval = TimeSpan.FromSeconds(10);

    /// <summary>Changes that are written without delay: more than a cluster has while it starts or recovers.</summary>
    private const int Burst = 12;

    private static readonly TimeSpan ConfirmInterval = TimeSpan.FromMinutes(1);

    private readonly TaskCompletionSource _restored = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<string, KeptSnapshot> _kept = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private Dictionary<string, StoredSnapshot> _found = new(StringComparer.Ordinal);

    /// <summary>Completes when every cluster that is named by a remote secret and has a snapshot is served from it.</summary>
    public Task Restored => _restored.Task;

    /// <summary>By cluster. From any thread.</summary>
    public IReadOnlyDictionary<string, KeptSnapshot> Kept => _kept;

    /// <summary>Writes that failed since the start.</summary>
    public long Failures { get; private set; }

    private sealed class Entry(string cluster)
    {
        internal ClusterPart Part { get; } = new(cluster);

        /// <summary>The revision of the cluster that is stored; null for none.</summary>
        internal long? Revision { get; set; }
        internal string Generation { get; set; } = "";
        internal WritePace Pace { get; } = new(WriteInterval, Burst);
        internal DateTimeOffset Confirmed { get; set; }
    }

    public async Task RunAsync(CancellationToken stop)
    {
        try
        {
            while (!await TryAsync(LoadAsync, stop).ConfigureAwait(false)) await Task.Delay(Tick, time, stop).ConfigureAwait(false);
            await clusters.SecretsSeen.WaitAsync(stop).ConfigureAwait(false);
            await RestoreAsync().ConfigureAwait(false);
            _restored.TrySetResult();
            using var timer = new PeriodicTimer(Tick, time);
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
            {
                await RestoreAsync().ConfigureAwait(false);
                await TryAsync(DropAsync, stop).ConfigureAwait(false);
                await TryAsync(store.SweepAsync, stop).ConfigureAwait(false);
                await TryAsync(SaveAsync, stop).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    private async Task LoadAsync(CancellationToken stop)
    {
        var (found, problems) = await store.LoadAsync(stop).ConfigureAwait(false);
        foreach (var (cluster, problem) in problems) Ignore(cluster, problem);
        foreach (var snapshot in found) _kept[snapshot.Cluster] = new(snapshot.Confirmed, snapshot.Encoded.Size, "");
        _found = found.ToDictionary(snapshot => snapshot.Cluster, StringComparer.Ordinal);
    }

    /// <summary>Each snapshot found is used once, until its cluster has reported itself.</summary>
    private async Task RestoreAsync()
    {
        foreach (var (cluster, watch) in clusters.Remotes)
        {
            if (!_found.Remove(cluster, out var stored)) continue;
            try
            {
                var snapshot = SnapshotCodec.Decode(cluster, stored.Encoded);
                watch.SnapshotOf = stored.Confirmed;
                await objects.Restore(cluster, () => clusters.Remotes.ContainsKey(cluster), snapshot.Restore).ConfigureAwait(false);
                LogRestored(cluster, snapshot.Services.Count, snapshot.Pods.Count, stored.Confirmed);
            }
            catch (ProblemException e)
            {
                Ignore(cluster, SnapshotMaps.Ignored(stored.Maps[0], e));
            }
        }
    }

    private async Task DropAsync(CancellationToken stop)
    {
        foreach (var cluster in store.Clusters.Where(cluster => !clusters.IsNamed(cluster)))
        {
            await store.DropAsync(cluster, stop).ConfigureAwait(false);
            _found.Remove(cluster);
            _entries.Remove(cluster);
            _kept.TryRemove(cluster, out _);
            LogDropped(cluster);
        }
    }

    private async Task SaveAsync(CancellationToken stop)
    {
        var (inputs, revisions) = await engine.AskAsync(writer => (SnapshotInputs.Of(writer.Mesh.Sources), writer.Revisions.ByCluster), stop)
            .ConfigureAwait(false);
        foreach (var (cluster, watch) in clusters.Remotes)
        {
            // Only what the cluster has fully reported to this process: a snapshot is never made from a snapshot.
            if (!watch.Contact.Synced || watch.LastContact is not { } contact) continue;
            var entry = _entries.TryGetValue(cluster, out var known) ? known : _entries[cluster] = new(cluster);
            var revision = revisions.GetValueOrDefault(cluster);
            if (entry.Revision != revision && entry.Pace.Allows(time.GetUtcNow()))
            {
                if (await WriteAsync(cluster, entry, inputs, contact, stop).ConfigureAwait(false)) entry.Revision = revision;
            }
            else if (entry.Generation.Length > 0 && contact - entry.Confirmed > ConfirmInterval)
                await ConfirmAsync(cluster, entry, contact, stop).ConfigureAwait(false);
        }
    }

    /// <summary>False when the snapshot cannot be kept.</summary>
    private async Task<bool> WriteAsync(string cluster, Entry entry, SnapshotInputs inputs, DateTimeOffset contact, CancellationToken stop)
    {
        var encoded = SnapshotCodec.Encode(entry.Part.In(inputs));
        if (encoded.Generation == entry.Generation) return true;
        entry.Pace.Wrote(time.GetUtcNow(), encoded.Chunks.Count);
        if (encoded.Chunks.Count > SnapshotCodec.MostChunks)
        {
            LogTooLarge(cluster, encoded.Size);
            return false;
        }
        await store.SaveAsync(cluster, encoded, contact, stop).ConfigureAwait(false);
        (entry.Generation, entry.Confirmed) = (encoded.Generation, contact);
        _kept[cluster] = new(contact, encoded.Size, "");
        return true;
    }

    private async Task ConfirmAsync(string cluster, Entry entry, DateTimeOffset contact, CancellationToken stop)
    {
        if (await store.ConfirmAsync(cluster, contact, stop).ConfigureAwait(false))
        {
            entry.Confirmed = contact;
            _kept[cluster] = _kept.GetValueOrDefault(cluster, new(contact, 0, "")) with { Saved = contact };
        }
        else (entry.Revision, entry.Generation) = (null, "");
    }

    private void Ignore(string cluster, Problem problem)
    {
        LogIgnored(problem.ToString());
        _kept[cluster] = new(DateTimeOffset.MinValue, 0, problem.ToString());
    }

    private async Task<bool> TryAsync(Func<CancellationToken, Task> step, CancellationToken stop)
    {
        try
        {
            await step(stop).ConfigureAwait(false);
            return true;
        }
        catch (Exception e) when (ApiTrouble.Is(e, stop))
        {
            Failures++;
            LogTrouble(e.Message);
            return false;
        }
    }

    [LoggerMessage(Level = LogLevel.Information,
        Message = "Cluster {Cluster} is served in its last known state of {Confirmed:O}, with {Services} services and {Pods} pods, until its API server "
            + "responds")]
    private partial void LogRestored(string cluster, int services, int pods, DateTimeOffset confirmed);

    [LoggerMessage(Level = LogLevel.Information, Message = "Dropped the snapshot of cluster {Cluster}: no remote secret names it")]
    private partial void LogDropped(string cluster);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Problem}")]
    private partial void LogIgnored(string problem);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "The snapshot of cluster {Cluster} is too large to keep ({Bytes} bytes), so its state would not survive a restart of the control plane")]
    private partial void LogTooLarge(string cluster, long bytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Snapshots of clusters could not be read or written; retrying: {Error}")]
    private partial void LogTrouble(string error);
}
