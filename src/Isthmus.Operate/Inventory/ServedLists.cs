using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Inventory;

/// <summary>Lists the objects of described kinds, in the version that the API server serves.</summary>
public static class ServedLists
{
    /// <param name="onPage">Called when a page has arrived.</param>
    /// <exception cref="KubeException">The API server refuses, or serves no version of the kind.</exception>
    public static async Task<IReadOnlyList<T>> ListAsync<T>(KubeClient client, KindDescriptor kind, string? ns, ListOptions options, CancellationToken stop,
        Action? onPage = null) where T : class
    {
        foreach (var version in kind.Versions)
        {
            try
            {
                var resource = kind.In(version);
                var items = await client.ListAllAsync<T>(resource, ns, options, stop, onPage);
                // Items of lists lack apiVersion and kind.
                if (items is IReadOnlyList<JsonObject> trees)
                    foreach (var item in trees) (item["apiVersion"], item["kind"]) = (resource.ApiVersion, resource.Kind);
                return items;
            }
            catch (KubeException e) when (e.IsNotFound && version != kind.Versions[^1])
            {
                // The next version may be served.
            }
        }
        throw new InvalidOperationException($"{kind} has no version");
    }
}
