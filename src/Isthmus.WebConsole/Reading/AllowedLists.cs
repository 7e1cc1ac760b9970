using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;

namespace Isthmus.WebConsole.Reading;

/// <summary>Lists objects of a cluster: of all namespaces or, for whoever may not do that, of those that are named.</summary>
internal sealed class AllowedLists(ClusterLists all, IReadOnlyList<string> namespaces)
{
    private readonly Lock _lock = new();   // guards _withheld
    private readonly List<string> _withheld = [];

    /// <summary>What the API server refused to list, one line for each kind.</summary>
    public IReadOnlyList<string> Withheld
    {
        get { lock (_lock) return [.. _withheld.Order(StringComparer.Ordinal)]; }
    }

    public async Task<IReadOnlyList<T>> ListAsync<T>(KindDescriptor kind, CancellationToken stop) where T : class
    {
        try
        {
            return await all.ListAsync<T>(kind, stop);
        }
        catch (KubeException e) when (e.Code == 403)
        {
            var lists = await Task.WhenAll(namespaces.Select(ns => ListAsync<T>(kind, ns, stop)));
            var read = namespaces.Zip(lists).Where(pair => pair.Second is not null).Select(pair => pair.First).ToList();
            lock (_lock)
                _withheld.Add(
                    $"{kind}: {(read.Count > 0 ? $"you may list those of {string.Join(", ", read)} only"
                        : $"you may list none, neither of all namespaces nor of {string.Join(", ", namespaces)}")}");
            return [.. lists.SelectMany(list => list ?? [])];
        }
    }

    /// <summary>Null: the API server refuses.</summary>
    private async Task<IReadOnlyList<T>?> ListAsync<T>(KindDescriptor kind, string ns, CancellationToken stop) where T : class
    {
        try
        {
            return await all.ListAsync<T>(kind, stop, ns);
        }
        catch (KubeException e) when (e.Code == 403)
        {
            return null;
        }
    }
}
