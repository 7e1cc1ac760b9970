using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.ControlPlane.LastKnown;

/// <summary>Keeps snapshots in ConfigMaps of the system namespace. Several control planes may write; each removes only what it wrote or found itself.</summary>
public sealed class SnapshotStore(KubeClient client, string ns, TimeProvider time)
{
    /// <summary>A part that no index names may be one that another control plane is about to name.</summary>
    private static readonly TimeSpan LooseFor = TimeSpan.FromMinutes(10);

    private readonly Dictionary<string, HashSet<string>> _maps = new(StringComparer.Ordinal);

    public async Task<(IReadOnlyList<StoredSnapshot> Found, IReadOnlyList<(string Cluster, Problem Problem)> Problems)> LoadAsync(CancellationToken stop)
    {
        var maps = await client.ListAllAsync<ConfigMap>(Kinds.ConfigMap, ns, new ListOptions { LabelSelector = SnapshotMaps.Label }, stop).ConfigureAwait(false);
        var (found, problems, loose) = SnapshotMaps.Read(maps);
        _maps.Clear();
        foreach (var snapshot in found) _maps[snapshot.Cluster] = [.. snapshot.Maps];
        foreach (var (cluster, _) in problems) _maps.TryAdd(cluster, [SnapshotMaps.NameOf(cluster)]);
        foreach (var part in loose.Where(part => time.GetUtcNow() - (part.Metadata.CreationTimestamp ?? DateTimeOffset.MinValue) > LooseFor))
            await client.DeleteAsync(Kinds.ConfigMap, ns, part.Metadata.Name, stop).ConfigureAwait(false);
        return (found, problems);
    }

    /// <summary>Clusters that have something here, whole or not.</summary>
    public IReadOnlyCollection<string> Clusters => [.. _maps.Keys];

    public async Task SaveAsync(string cluster, EncodedSnapshot encoded, DateTimeOffset confirmed, CancellationToken stop)
    {
        var before = _maps.GetValueOrDefault(cluster) ?? [];
        var now = new HashSet<string>(StringComparer.Ordinal);
        foreach (var part in SnapshotMaps.Parts(ns, cluster, encoded))
        {
            await client.ApplyAsync(Kinds.ConfigMap, part, stop).ConfigureAwait(false);
            now.Add(part["metadata"]!["name"]!.ToString());
        }
        await client.ApplyAsync(Kinds.ConfigMap, SnapshotMaps.IndexOf(ns, cluster, encoded, confirmed), stop).ConfigureAwait(false);
        now.Add(SnapshotMaps.NameOf(cluster));
        _maps[cluster] = [.. now, .. before];
        foreach (var name in before.Where(name => !now.Contains(name))) await client.DeleteAsync(Kinds.ConfigMap, ns, name, stop).ConfigureAwait(false);
        _maps[cluster] = now;
    }

    /// <summary>False when the index is gone: then the snapshot has to be saved again.</summary>
    public async Task<bool> ConfirmAsync(string cluster, DateTimeOffset confirmed, CancellationToken stop)
    {
        try
        {
            await client.PatchAsync(Kinds.ConfigMap, ns, SnapshotMaps.NameOf(cluster), SnapshotMaps.Confirmation(confirmed), PatchType.Merge, stop).ConfigureAwait(false);
            return true;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return false;
        }
    }

    /// <summary>The index goes first: without it the parts are nothing.</summary>
    public async Task DropAsync(string cluster, CancellationToken stop)
    {
        var index = SnapshotMaps.NameOf(cluster);
        await client.DeleteAsync(Kinds.ConfigMap, ns, index, stop).ConfigureAwait(false);
        foreach (var name in _maps.GetValueOrDefault(cluster) ?? []) await client.DeleteAsync(Kinds.ConfigMap, ns, name, stop).ConfigureAwait(false);
        _maps.Remove(cluster);
    }
}
