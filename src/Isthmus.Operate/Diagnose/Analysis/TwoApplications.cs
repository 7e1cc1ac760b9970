using Isthmus.Graph.Derive;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Services of one name that are two applications in two clusters: the mesh takes them for one host. Pure.</summary>
public static class TwoApplications
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.ApplicationAnalyzer", "Checks that Services of one name select the same application in all clusters",
        [ClusterCodes.TwoApplications], ["Service", "Pod"], mesh =>
        from known in mesh.Workloads.SelectMany(area => area.Cluster.Services.Where(service => !MeshSnapshot.IsSystem(area.Cluster, service.Metadata.Namespace)
                && !ServiceAgreement.IsClusterLocal(HostTable.NameOf(service), area.Cluster.Mesh ?? MeshConfig.Default))
            .Select(service => (Area: area, Service: service)))
        group known by known.Service.Key into same
        let first = same.First()
        from other in same.Skip(1)
        where MeshSnapshot.ShareHosts(first.Area.Cluster, other.Area.Cluster)
        let says = Says((first.Area.Cluster.Context, first.Service, Pods(first.Area, first.Service)),
            (other.Area.Cluster.Context, other.Service, Pods(other.Area, other.Service)))
        where says is not null
        select ClusterCodes.TwoApplications.At(other.Area.Cluster, $"Service {other.Service.Key}", "spec.selector", says, Remedy(other.Service)));

    private static List<Pod> Pods(ClusterWorkloads area, Service service) => [.. area.Behind(service).Select(workload => workload.Pod!)];

    /// <summary>What is said of two Services of one name, each with its cluster and Pods; null where they may be one application: their selectors have
    /// something in common, or their Pods an image.</summary>
    public static string? Says((string Context, Service Service, IReadOnlyList<Pod> Pods) one, (string Context, Service Service, IReadOnlyList<Pod> Pods) other)
    {
        var (ours, theirs) = (one.Service.Spec.Selector, other.Service.Spec.Selector);
        if (ours.Count == 0 || theirs.Count == 0 || ours.Values.Intersect(theirs.Values, StringComparer.Ordinal).Any()) return null;
        var (here, there) = (Images(one.Pods), Images(other.Pods));
        return here.Count == 0 || there.Count == 0 || here.Overlaps(there) ? null
            : $"is {Text(theirs)}, and in {one.Context}, the Service of this name selects {Text(ours)}: two applications (image {there.Min} here, {here.Min} "
                + "there) have one name, and each call goes to one or the other";
    }

    /// <summary>What helps.</summary>
    public static string Remedy(Service service) => "give one of them another name; or keep calls in their cluster: in meshConfig of all clusters, "
        + $"serviceSettings: [{{settings: {{clusterLocal: true}}, hosts: [{HostTable.NameOf(service)}]}}]";

    /// <summary>Those of the applications.</summary>
    private static SortedSet<string> Images(IEnumerable<Pod> pods) => new(pods.SelectMany(pod => pod.Spec.Containers)
        .Where(container => container.Name != "istio-proxy").Select(container => container.Image).Where(image => image.Length > 0), StringComparer.Ordinal);

    private static string Text(Dictionary<string, string> selector) =>
        string.Join(",", selector.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));
}
