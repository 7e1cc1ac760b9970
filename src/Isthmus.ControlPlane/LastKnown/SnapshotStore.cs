using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.ControlPlane.LastKnown;

/// <summary>
/// Keeps snapshots in ConfigMaps of the system namespace. Several control planes may write: while a cluster is part of the
/// mesh, each removes only what it wrote or found itself.
/// </summary>
public sealed class SnapshotStore(KubeClient client, string ns, TimeProvider time)
{
    /// <summary>A part that no index lists may be one that another control plane is about to list.</summary>
    private static readonly TimeSpan LooseFor = TimeSpan.FromMinutes(10);

    private readonly Dictionary<string, HashSet<string>> _maps = new(StringComparer.Ordinal);
    private IReadOnlyList<ConfigMap> _loose = [];

    public async Task<(IReadOnlyList<StoredSnapshot> Found, IReadOnlyList<(string Cluster, Problem Problem)> Problems)> LoadAsync(CancellationToken stop)
    {
        var maps = await client.ListAllAsync<ConfigMap>(Kinds.ConfigMap, ns, new ListOptions { LabelSelector = SnapshotMaps.Label }, stop)
            .ConfigureAwait(false);
        var (found, problems, loose) = SnapshotMaps.Read(maps);
        _loose = loose;
        _maps.Clear();
        foreach (var snapshot in found) _maps[snapshot.Cluster] = [.. snapshot.Maps];
        foreach (var (cluster, _) in problems) _maps.TryAdd(cluster, [SnapshotMaps.NameOf(cluster)]);
        return (found, problems);
    }

    /// <summary>Removes parts that no index listed in that time: leftovers of a control plane that was killed during a write.</summary>
    public async Task SweepAsync(CancellationToken stop)
    {
        bool IsOld(ConfigMap part) => time.GetUtcNow() - (part.Metadata.CreationTimestamp ?? DateTimeOffset.MinValue) > LooseFor;
        if (!_loose.Any(IsOld)) return;
        // A part with the same content may have been listed meanwhile.
        foreach (var part in _loose.Where(part => IsOld(part) && !_maps.Values.Any(names => names.Contains(part.Metadata.Name))))
            await client.DeleteAsync(Kinds.ConfigMap, ns, part.Metadata.Name, stop).ConfigureAwait(false);
        _loose = [.. _loose.Where(part => !IsOld(part))];
    }

    /// <summary>Clusters that have a snapshot here, complete or not.</summary>
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
            await client.PatchAsync(Kinds.ConfigMap, ns, SnapshotMaps.NameOf(cluster), SnapshotMaps.Confirmation(confirmed), PatchType.Merge, stop)
                .ConfigureAwait(false);
            return true;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return false;
        }
    }

    /// <summary>The index is removed first: without it the parts have no effect, whoever wrote them.</summary>
    public async Task DropAsync(string cluster, CancellationToken stop)
    {
        var index = SnapshotMaps.NameOf(cluster);
        await client.DeleteAsync(Kinds.ConfigMap, ns, index, stop).ConfigureAwait(false);
        var maps = await client.ListAllAsync<ConfigMap>(Kinds.ConfigMap, ns, new ListOptions { LabelSelector = SnapshotMaps.Label }, stop)
            .ConfigureAwait(false);
        foreach (var part in maps.Where(map => map.Metadata.Name.StartsWith($"{index}-", StringComparison.Ordinal)))
            await client.DeleteAsync(Kinds.ConfigMap, ns, part.Metadata.Name, stop).ConfigureAwait(false);
        _maps.Remove(cluster);
    }
}
