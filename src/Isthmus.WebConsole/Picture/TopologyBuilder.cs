using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.WebConsole.Reading;

namespace Isthmus.WebConsole.Picture;

/// <summary>Turns what was read into nodes, as a pure function.</summary>
internal static class TopologyBuilder
{
    public static Topology Build(MeshState mesh) => new(
        mesh.Time,
        [.. mesh.Clusters.Select(Cluster)],
        [.. mesh.Clusters.SelectMany(cluster => cluster.Services.Where(service => IsShown(cluster, service)).Select(service => Node(cluster, service)))
            .GroupBy(node => (node.Namespace, node.Name)).SelectMany(Everywhere).OrderBy(node => node.Id, StringComparer.Ordinal)],
        [.. mesh.Clusters.SelectMany(cluster => Watches(mesh, cluster)).Distinct()]) { IsPart = mesh.Clusters.Any(cluster => cluster.IsPart) };

    /// <summary>A Service without endpoints is in order while another cluster has some.</summary>
    private static IEnumerable<ServiceNode> Everywhere(IEnumerable<ServiceNode> nodes)
    {
        var all = nodes.ToList();
        return all.Any(node => node.All > 0) ? all : all.Select(node => node.Health == "empty" ? node with { Health = "down" } : node);
    }

    /// <summary>The identity of a node: a Service and a workload of one name are different nodes.</summary>
    public static string IdOf(string context, string ns, string name, string kind = "service") =>
        kind == "service" ? $"{context}/{ns}/{name}" : $"{context}/{ns}/{name} ({kind})";

    /// <summary>Services of the cluster itself and of control planes are not part of what flows through the mesh.</summary>
    private static bool IsShown(ClusterState cluster, Service service) =>
        // Which of the Services beside the control plane are gateways is not known yet.
        !(cluster.IsPart && service.Metadata.Namespace == cluster.Facts.SystemNamespace)
        && service.Metadata.Namespace is not ("kube-system" or "kube-public" or "kube-node-lease") && service.Key != "default/kubernetes"
        && service.Metadata.Labels.GetValueOrDefault("app") != WellKnown.Istiod && cluster.Facts.Gateways.All(gateway => gateway.Name != service.Key);

    private static ClusterNode Cluster(ClusterState cluster)
    {
        var facts = cluster.Facts;
        var planes = facts.Hosted.Select(plane => new ControlPlaneNode(plane.Namespace, plane.Cluster, plane.Pods.Count(pod => pod.Value), plane.Pods.Count));
        if (facts.ControlPlanes.Count > 0)
            planes = planes.Prepend(new(facts.SystemNamespace, cluster.Name, facts.ControlPlanes.Count(pod => pod.Value), facts.ControlPlanes.Count));
        return new(cluster.Context, cluster.Name, facts.NetworkLabel, facts.Error, [.. planes],
            [.. facts.Gateways.Select(gateway => new GatewayNode(gateway.Name, gateway.Network, [.. gateway.Addresses], gateway.ReadyEndpoints))],
            cluster.Proxies.Count())
        {
            Withheld = cluster.Withheld,
        };
    }

    private static ServiceNode Node(ClusterState cluster, Service service)
    {
        var endpoints = cluster.Slices.Where(slice => slice.Metadata.Namespace == service.Metadata.Namespace
            && slice.Metadata.Labels.GetValueOrDefault(Labels.ServiceName) == service.Metadata.Name)
            .SelectMany(slice => slice.Endpoints).DistinctBy(endpoint => endpoint.Addresses.FirstOrDefault()).ToList();
        var ready = endpoints.Count(endpoint => endpoint.Conditions.Ready ?? true);
        var pods = service.Spec.Selector.Count == 0 ? [] : Behind(cluster, service).ToList();
        var health = endpoints.Count == 0
            ? service.Spec.Selector.Count == 0 ? "none" : "empty"
            : ready == 0
            ? "down"
            : ready < endpoints.Count
            ? "degraded"
            : "ok";
        return new(IdOf(cluster.Context, service.Metadata.Namespace, service.Metadata.Name), cluster.Context, service.Metadata.Namespace, service.Metadata.Name,
            "service",
            ready, endpoints.Count, pods.Count(ClusterState.HasProxy), health)
        {
            Caller = pods.Where(pod => pod.Status.Phase == "Running" && !ClusterState.IsGateway(pod)).Select(ClusterState.CallerOf).FirstOrDefault() ?? "",
            OtherProxies = [.. pods.Select(ClusterState.OtherProxy).Where(image => image.Length > 0).Distinct(StringComparer.Ordinal)
                .Order(StringComparer.Ordinal)],
        };
    }

    public static IEnumerable<Pod> Behind(ClusterState cluster, Service service) =>
        cluster.Pods.Where(pod => pod.Metadata.Namespace == service.Metadata.Namespace && pod.Metadata.DeletionTimestamp is null
            && LabelSelector.Selects(service.Spec.Selector, pod.Metadata.Labels));

    private static IEnumerable<WatchLine> Watches(MeshState mesh, ClusterState cluster) => cluster.Facts.Watched.Select((WatchedCluster watched) =>
        new WatchLine(cluster.Context, mesh.Named(watched.Id)?.Context ?? watched.Id, watched.Shown,
            watched.Message.Length > 0 ? watched.Message : watched.Warning));
}
