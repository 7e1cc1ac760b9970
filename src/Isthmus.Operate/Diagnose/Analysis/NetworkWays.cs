using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>What keeps callers from the gateway of another network although it works: it was taken out, or their proxies do not ask for what is behind it.
/// Pure.</summary>
public static class NetworkWays
{
    /// <summary>All gateways of a network are taken out, such as for maintenance.</summary>
    public static Analyzer Weights
    {
        get;
    } = new("multicluster.GatewayWeightAnalyzer", "Checks that a gateway of each network is in use", [ClusterCodes.GatewaysOut], ["Namespace", "Service"],
        mesh =>
        from network in (from cluster in mesh.Readable
                         from service in cluster.Services
                         let network = service.Metadata.Labels.GetValueOrDefault(Labels.Network, "")
                         where network.Length > 0
                         select (Network: network, Cluster: cluster, Service: service)).GroupBy(gateway => gateway.Network)
        // Clusters that were not read may have another one.
        where mesh.ReadsAll && mesh.Readable.Any(other => SubsetsDiffer.NetworkOf(other) is { Length: > 0 } own && own != network.Key)
            && network.All(gateway => GatewayWeights.IsZero(gateway.Service))
        from gateway in network
        select ClusterCodes.GatewaysOut.At(gateway.Cluster, $"Service {gateway.Service.Key}", $"metadata.annotations[{Annotations.GatewayWeight}]",
            $"is 0, which takes the gateway out, and {network.Key} has no other one in use: callers of other networks get no endpoint in it",
            GatewayWeights.Remove(gateway.Cluster.Context, gateway.Service)));

    /// <summary>Proxies of applications that ask for the endpoints of some networks only, and gateways that ask for none of their own.</summary>
    public static Analyzer Views
    {
        get;
    } = new("multicluster.NetworkViewAnalyzer",
        "Checks that the proxies of applications ask for the endpoints of all networks, and gateways for those of their own", [ClusterCodes.NetworkUnseen],
        ["Namespace", "Pod"], mesh => OfApplications(mesh).Concat(OfGateways(mesh)));

    private static IEnumerable<Finding> OfApplications(MeshSnapshot mesh) =>
        from area in mesh.Workloads
        from made in Specs(area, isGateway: false)
        let view = NetworkView.Of(made.Spec, made.Annotations)
        where view is not null
        let unseen = mesh.Readable.Select(SubsetsDiffer.NetworkOf).Where(network => network is { Length: > 0 } && !view.Networks.Contains(network))
            .Distinct().Order(StringComparer.Ordinal).ToList()
        where unseen.Count > 0
        select ClusterCodes.NetworkUnseen.At(area.Cluster, made.Name, view.Path,
            $"lets the proxy ask for endpoints in {string.Join(", ", view.Networks)} only (ISTIO_META_REQUESTED_NETWORK_VIEW): it gets none in "
                + string.Join(", ", unseen),
            $"add {string.Join(", ", unseen)} to ISTIO_META_REQUESTED_NETWORK_VIEW, or remove it from the Pod's template");

    /// <summary>Gateways between networks have a view on purpose: that of their own network, where callers of others come for Pods.</summary>
    private static IEnumerable<Finding> OfGateways(MeshSnapshot mesh) =>
        from area in mesh.Workloads
        from made in Specs(area, isGateway: true)
        let view = NetworkView.Of(made.Spec, made.Annotations)
        let own = made.Network.Length > 0 ? made.Network : SubsetsDiffer.NetworkOf(area.Cluster)
        where view is not null && own.Length > 0 && !view.Networks.Contains(own)
        select ClusterCodes.NetworkUnseen.At(area.Cluster, made.Name, view.Path,
            $"lets the gateway's proxy ask for endpoints in {string.Join(", ", view.Networks)} only (ISTIO_META_REQUESTED_NETWORK_VIEW): it gets none in "
                + $"{own}, the network that it is in, so that calls to Pods there fail at it",
            $"set ISTIO_META_REQUESTED_NETWORK_VIEW to {own} in the Pod's template");

    /// <summary>Pods of one template have one cause.</summary>
    private static IEnumerable<(string Name, PodSpec Spec, IReadOnlyDictionary<string, string> Annotations, string Network)> Specs(ClusterWorkloads area,
        bool isGateway) =>
        area.All.Where(workload => workload.Pod is not null && workload.IsGateway == isGateway).Select(workload => workload.Pod!)
            .DistinctBy(pod => pod.Metadata.OwnerReferences.Find(owner => owner.Controller == true) is { } owner
                ? $"{pod.Metadata.Namespace}/{owner.Kind}/{owner.Name}" : pod.Key)
            .Select(pod => ($"Pod {pod.Key}", pod.Spec, (IReadOnlyDictionary<string, string>)pod.Metadata.Annotations,
                pod.Metadata.Labels.GetValueOrDefault(Labels.Network, "")));
}
