using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Install;

/// <summary>Who misses a revision that is uninstalled: the gateways that go with it, and the proxies that ask its control plane.</summary>
/// <param name="client">The cluster.</param>
public sealed class RevisionUsers(KubeClient client)
{
    private const int MostNames = 8;

    /// <summary>A line for the gateways, and one for the proxies of Pods that stay; none where nobody misses it.</summary>
    public async Task<IReadOnlyList<string>> DescribeAsync(string revision, IReadOnlyList<Removal> plan, CancellationToken stop)
    {
        var workloads = plan.Where(removal => removal.Kind == Kinds.Deployment || removal.Kind == Kinds.DaemonSet).ToList();
        var gateways = workloads.Where(removal => !removal.Name.StartsWith(WellKnown.Istiod, StringComparison.Ordinal))
            .Select(removal => removal.ToString()).ToList();
        var pods = (await client.ListAllAsync<Pod>(Kinds.Pod, null, new ListOptions(), stop))
            .Where(pod => pod.Metadata.DeletionTimestamp is null && pod.Status.Phase is not ("Succeeded" or "Failed")
                && InjectedRevision.Of(pod) == revision && !workloads.Exists(removal => Uninstaller.IsOf(removal, pod)))
            .Select(pod => pod.Key).Order(StringComparer.Ordinal).ToList();
        var lines = new List<string>();
        if (gateways.Count > 0)
            lines.Add($"Gateways of the revision go with it: {Named(gateways)}. If the mesh needs them, install them with another revision first.");
        if (pods.Count > 0)
            lines.Add($"{(pods.Count == 1 ? "1 Pod has its proxy" : $"{pods.Count} Pods have their proxies")} from revision {revision}: {Named(pods)}. "
                + "Without its control plane, they hear of no change: restart their workloads first, with another revision.");
        return lines;
    }

    private static string Named(List<string> names) =>
        string.Join(", ", names.Take(MostNames)) + (names.Count > MostNames ? $" and {names.Count - MostNames} more" : "");
}
