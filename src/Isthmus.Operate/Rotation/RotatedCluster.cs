using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Rotation;

/// <summary>A cluster that may take part, with the namespace of one control plane, there or elsewhere.</summary>
/// <param name="Name">The name by which its certificate files are found.</param>
public sealed record RotatedCluster(string Context, string Name, KubeClient Client, string Namespace)
{
    /// <summary>Each cluster with the named namespace, and with those of all other control planes in these clusters: a remote cluster has the namespace of
    /// the control plane that serves it. Whether they have the same root is known when they are read.</summary>
    public static async Task<IReadOnlyList<RotatedCluster>> FindAsync(IReadOnlyList<KubeClient> clients, string istioNamespace, CancellationToken stop)
    {
        var planes = await Task.WhenAll(clients.Select(client => PlanesAsync(client, stop)));
        var namespaces = planes.SelectMany(found => found).Select(plane => plane.Namespace).Order(StringComparer.Ordinal).Prepend(istioNamespace).Distinct();
        return [.. from ns in namespaces
                   from one in clients.Zip(planes)
                   let context = one.First.Access.Name
                   // Certificate files have the names that control planes use, as those of a mesh file.
                   let name = one.Second.FirstOrDefault(plane => plane.Namespace == ns && plane.Cluster.Length > 0)?.Cluster ?? context
                   select new RotatedCluster(context, name, one.First, ns)];
    }

    private static async Task<IReadOnlyList<HostedControlPlane>> PlanesAsync(KubeClient client, CancellationToken stop)
    {
        try
        {
            return await ControlPlaneReader.AllAsync(new ClusterLists(client, stop), stop);
        }
        catch (Exception e) when (e is HttpRequestException or KubeException)
        {
            return []; // What reads the cluster next says why it cannot.
        }
    }
}
