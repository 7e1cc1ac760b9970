using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Whether calls of other networks can enter that of a cluster. <c>verify</c> judges by the same checks what runs. Pure.</summary>
public static class NetworkEntrances
{
    public static Analyzer Gateways
    {
        get;
    } = new("multicluster.GatewayServiceAnalyzer", "Checks that gateways between networks have an address, ready Pods and the port of mesh traffic",
        [ClusterCodes.GatewayUnaddressed, ClusterCodes.GatewayUnready, ClusterCodes.GatewayPortMissing], ["Service", "Pod", "Deployment", "Namespace"], mesh =>
        from area in mesh.Workloads
        let gateways = area.Cluster.Services.Where(service => service.Metadata.Labels.ContainsKey(Labels.Network))
            .Select(service => Facts(area, service)).ToList()
        from gateway in gateways
        where HasCallers(mesh, area.Cluster, gateway.Network)
        let problem = NetworkVerification.Fault(area.Cluster.Context, gateway, gateways)
        where problem is not null && IsKnown(mesh, area.Cluster, gateway, problem)
        select new Finding(area.Cluster.Context, problem));

    public static Analyzer Exposed
    {
        get;
    } = new("multicluster.ExposedServiceAnalyzer", "Checks that a Gateway exposes the Services behind a gateway between networks",
        [ClusterCodes.ServicesHidden], ["Gateway", MeshApi.ApiGateway.Name, "Service", "Namespace"], mesh =>
        from config in mesh.Clusters
        let cluster = config.Cluster
        where MeshSnapshot.HasControlPlane(cluster) && !mesh.Passing(config).Any()
            // Those with errors stay in effect in control planes that read them before.
            && !cluster.Written<Gateway>().Any(gateway => gateway.PassesBySni)
        let own = SubsetsDiffer.NetworkOf(cluster)
        let entrance = cluster.Services.FirstOrDefault(service => service.Metadata.Labels.GetValueOrDefault(Labels.Network) is { Length: > 0 } network
            && network == own)
        where entrance is not null && HasCallers(mesh, cluster, own)
        let problem = NetworkVerification.Hidden(cluster.Context, own, PassingGateways.Nearest(cluster.Written<Gateway>()))
        select new Finding(cluster.Context, problem.Object.Length > 0 ? problem : problem with { Object = $"Service {entrance.Key}" }));

    /// <summary>Whether clusters of other networks call that of a cluster, by gateways with the label of the network.</summary>
    private static bool HasCallers(MeshSnapshot mesh, ClusterInventory cluster, string network) => !cluster.IsJoinedByNames
        && mesh.Readable.Any(other => other != cluster && SubsetsDiffer.NetworkOf(other) is { Length: > 0 } from && from != network);

    /// <summary>Whether what is said follows from the objects. Those of files have no status; others speak of what lacks Pods by its selector or their
    /// refusal; and meshNetworks of callers may give an address that is nobody's of the cluster.</summary>
    private static bool IsKnown(MeshSnapshot mesh, ClusterInventory cluster, GatewayFacts gateway, Problem problem) => problem.Code switch
    {
        "ISM1005" => (gateway.Type != "LoadBalancer" || cluster.Server.Length > 0)
            && !mesh.Readable.SelectMany(other => other.MeshMaps).Any(map => map.IsReadable
                && map.Settings.Networks.Networks.GetValueOrDefault(gateway.Network)?.Gateways.Any(given => given.RegistryServiceName.Length == 0) == true),
        "ISM1006" => gateway.ScaledToZero.Length > 0 || (cluster.Server.Length > 0 && gateway is { SelectsNothing: "", Refused: null }),
        _ => true,
    };

    private static GatewayFacts Facts(ClusterWorkloads area, Service service)
    {
        var pods = area.Behind(service).ToList();
        var deployment = pods.Count > 0 ? null : area.Cluster.Deployments.FirstOrDefault(one => one.Metadata.Namespace == service.Metadata.Namespace
            && service.Spec.Selector.Count > 0 && LabelSelector.Selects(service.Spec.Selector, one.Spec.TemplateLabels));
        var port = NetworkGatewayReader.PortOf(service);
        return new(service.Key, service.Metadata.Labels[Labels.Network], MeshFactsReader.AddressesOf(service),
            // Who has no selector has endpoints that somebody writes.
            service.Spec.Selector.Count == 0 ? 1 : pods.Count(pod => pod.Pod!.Status.IsReady), service.Spec.Ports.Any(one => one.Port == port),
            service.Metadata.Annotations.ContainsKey(Annotations.NodeSelector))
        {
            Port = port, Type = service.Spec.Type, ScaledToZero = deployment is { Spec.Replicas: 0 } ? deployment.Key : "",
            SelectsNothing = pods.Count > 0 || deployment is not null ? ""
                : string.Join(',', service.Spec.Selector.Select(label => $"{label.Key}={label.Value}")),
            Refused = deployment is not null && PodRefusal.Why(deployment) is { Length: > 0 } why
                ? new(deployment.Key, why, PodRefusal.Remedy(area.Cluster.Context, deployment)) : null,
        };
    }
}
