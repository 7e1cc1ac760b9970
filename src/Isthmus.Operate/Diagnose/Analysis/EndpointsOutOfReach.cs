using System.Globalization;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Endpoints of ServiceEntries that are addresses of another cluster: of Pods of another network, to which no packets go, or of a load balancer that
/// does not have the port. Pure.</summary>
public static class EndpointsOutOfReach
{
    public static Analyzer Analyzer
    {
        get;
    } = new("serviceentry.EndpointAnalyzer", "Checks that endpoints of ServiceEntries that are addresses of other clusters can be reached",
        [ClusterCodes.EndpointOutOfReach], ["ServiceEntry", "Pod", "Service"], mesh =>
        from config in mesh.Clusters
        from entry in config.Cluster.Istio<ServiceEntry>()
        from endpoint in entry.Endpoints.Index()
        let address = endpoint.Item.Address.Ip?.ToString() ?? ""
        where address.Length > 0
        let found = OfPod(mesh, config.Cluster, endpoint.Item, address) ?? OfGateway(mesh, config.Cluster, entry, endpoint.Item, address)
        where found is not null
        select ClusterCodes.EndpointOutOfReach.At(config.Cluster, $"ServiceEntry {entry.Namespace}/{entry.Name}",
            $"spec.endpoints[{endpoint.Index}].{found.Value.Field}", found.Value.Message, found.Value.Remedy));

    /// <summary>Ranges of Pods may be the same in several networks: what is here comes first.</summary>
    private static (string Field, string Message, string Remedy)? OfPod(MeshSnapshot mesh, ClusterInventory own, EntryEndpoint endpoint, string address)
    {
        var network = SubsetsDiffer.NetworkOf(own);
        if (endpoint.Network.Length > 0 && endpoint.Network != network) return null;
        var having = mesh.Readable.SelectMany(cluster => cluster.Pods.Where(pod => pod.Status.PodIP == address && !pod.Spec.HostNetwork
            && pod.Metadata.DeletionTimestamp is null).Select(pod => (Cluster: cluster, Pod: pod, Network: SubsetsDiffer.NetworkOf(cluster)))).ToList();
        if (having.Count == 0 || having.Exists(one => one.Network == network)) return null;
        var (far, pod, other) = having[0];
        var service = far.Services.FirstOrDefault(one => one.Metadata.Namespace == pod.Metadata.Namespace && one.Spec.Selector.Count > 0
            && LabelSelector.Selects(one.Spec.Selector, pod.Metadata.Labels));
        return ("address", $"is {address}, the address of Pod {pod.Key} in {far.Context}: it is in network {other}, and callers in {own.Context} are in "
            + $"{(network.Length > 0 ? network : "another one")}, from which no packets go to Pods there",
            (service is null ? "" : $"call {HostTable.NameOf(service)} instead, without an entry: the mesh knows the way through the gateway; or ")
                + $"set network: {other} for the endpoint, so that calls go through the gateway of that network");
    }

    private static (string Field, string Message, string Remedy)? OfGateway(MeshSnapshot mesh, ClusterInventory own, ServiceEntry entry, EntryEndpoint endpoint,
        string address)
    {
        // Gateways of .global names are looked at as such (ISM1405).
        if (entry.Hosts.Any(host => host.EndsWith(".global", StringComparison.Ordinal))) return null;
        foreach (var cluster in mesh.Readable)
            foreach (var service in cluster.Services.Where(one => one.Status.LoadBalancer.Ingress.Exists(ingress => ingress.Ip == address)))
            {
                var has = service.Spec.Ports.Select(port => port.Port).ToHashSet();
                var wanted = entry.Ports.Select(port => (port.Number, Target: Target(port, endpoint))).Where(port => port.Target > 0).ToList();
                if (has.Count == 0 || wanted.Count == 0 || wanted.Exists(port => has.Contains(port.Target))) continue;
                return ("ports", $"lead port {wanted[0].Number} to {wanted[0].Target} of {address}, the address of Service {service.Key} in {cluster.Context}, "
                    + $"which has no such port: it has {string.Join(", ", has.Order())}",
                    $"set ports: {{{entry.Ports[0].Name}: PORT}} of the endpoint, or targetPort, to one that the Service has"
                        + (cluster == own ? "" : "; to call a Service of that cluster, no entry is needed: call it by its name"));
            }
        return null;
    }

    private static int Target(Mesh.Model.ServicePort port, EntryEndpoint endpoint) => endpoint.Ports.TryGetValue(port.Name, out var own) ? own
        : port.TargetPort.Length == 0 ? port.Number
        : int.TryParse(port.TargetPort, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
}
