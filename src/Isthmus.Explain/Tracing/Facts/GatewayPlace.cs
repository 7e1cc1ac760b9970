using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using EndpointAddress = Isthmus.Mesh.Model.EndpointAddress;
using Service = Isthmus.Kubernetes.Objects.Service;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>An entry point of a network, and how it is known.</summary>
/// <param name="Service">The Service behind it; null when none of these clusters has it.</param>
/// <param name="How">Where its address comes from.</param>
/// <param name="Label">What declares it as the gateway of that network.</param>
internal sealed record GatewayPlace(ClusterObjects? Cluster, ServiceInCluster? Service, IPEndPoint Address, string Network, string How, string Label)
{
    /// <summary>The gateway at an address; null when it is not one.</summary>
    public static GatewayPlace? Find(TraceFacts facts, IPEndPoint address)
    {
        var configured = ByMeshNetworks(facts, EndpointAddress.Of(address.Address));
        if (ByService(facts, address, configured, AddressSource) is { } gateway) return gateway;
        if (configured is null && ByEntry(facts, address) is { } entry) return entry;
        // Several Services may share an address, such as that of a Node: one that lacks the port is meant only where it is a gateway by its label, and no
        // other has the port.
        if (ByService(facts, address, null, static (_, service, address) => AddressWithoutPort(service, address)) is { } closed) return closed;
        return configured is null
            ? null
            : new(null, null, address, configured, By(facts), By(facts));
    }

    /// <summary>The port at which callers of other networks come to the gateway behind a Service, which may lack it.</summary>
    public static int PortOf(Service service) =>
        int.TryParse(service.Metadata.Labels.GetValueOrDefault(Labels.GatewayPort), out var named) ? named : Ports.EastWest;

    /// <param name="configured">The network of which meshNetworks say that the address is its gateway; null: none.</param>
    /// <param name="source">Says how a Service has an address; null: it does not.</param>
    private static GatewayPlace? ByService(TraceFacts facts, IPEndPoint address, string? configured,
        Func<ClusterObjects, Service, IPEndPoint, string?> source)
    {
        foreach (var cluster in facts.Clusters)
        {
            foreach (var service in cluster.Services)
            {
                var network = service.Metadata.Labels.GetValueOrDefault(Labels.Network);
                if ((network is null && configured is null) || source(cluster, service, address) is not { } how) continue;
                var place = new ServiceInCluster(cluster, service);
                return network is not null ? new(cluster, place, address, network, how, $"label {Labels.Network}={network}")
                    : new(cluster, place, address, configured!, how, By(facts));
            }
        }
        return null;
    }

    /// <summary>How a Service has an address to which callers come at a port that it lacks; null for others.</summary>
    private static string? AddressWithoutPort(Service service, IPEndPoint address)
    {
        if (address.Port != PortOf(service)) return null;
        var ip = address.Address.ToString();
        return service.Status.LoadBalancer.Ingress.Any(ingress => ingress.Ip == ip) ? "status.loadBalancer"
            : service.Spec.ExternalIPs.Contains(ip) ? "spec.externalIPs" : null;
    }

    /// <summary>A gateway that a ServiceEntry of the caller's cluster names, and that forwards calls from other clusters
    /// (replicated control planes).</summary>
    private static GatewayPlace? ByEntry(TraceFacts facts, IPEndPoint address)
    {
        var ip = EndpointAddress.Of(address.Address);
        if (facts.Home.Istio<ServiceEntry>()
            .FirstOrDefault(entry => !entry.External && entry.Endpoints.Any(endpoint => endpoint.Address == ip)) is not { } entry)
            return null;
        var places =
            from cluster in facts.Clusters
            from service in cluster.Services
            where service.Spec.Selector.Count > 0 && Passes(cluster, service)
            let how = AddressSource(cluster, service, address)
            where how is not null
            select new GatewayPlace(cluster, new(cluster, service), address, cluster.Context, how, $"endpoint of ServiceEntry {entry.Namespace}/{entry.Name}");
        return places.FirstOrDefault();
    }

    private static bool Passes(ClusterObjects cluster, Service service)
    {
        var labels = service.Spec.Selector.ToValueMap();
        return cluster.Istio<Gateway>().Any(gateway => Selectors.Matches(gateway.Selector, labels)
            && gateway.Servers.Any(server => server.Tls is { Mode: ServerTlsMode.AutoPassthrough }
                && service.Spec.Ports.Any(port => port.Port == server.Port)));
    }

    private static string? AddressSource(ClusterObjects cluster, Service service, IPEndPoint address)
    {
        var (ip, port) = (address.Address.ToString(), address.Port);
        var named = service.Metadata.Labels.GetValueOrDefault(Labels.GatewayPort);
        if (service.Spec.Ports.Any(candidate => candidate.Port == port))
        {
            var by = named is null ? "" : $", port by label {Labels.GatewayPort}";
            if (service.Status.LoadBalancer.Ingress.Any(ingress => ingress.Ip == ip)) return $"status.loadBalancer{by}";
            if (service.Spec.ExternalIPs.Contains(ip)) return $"spec.externalIPs{by}";
            // The control plane resolved a host name, and only it knows the address.
            if (service.Status.LoadBalancer.Ingress.Any(ingress => ingress.Hostname.Length > 0))
                return $"host name {service.Status.LoadBalancer.Ingress.First(ingress => ingress.Hostname.Length > 0).Hostname} of status.loadBalancer{by}";
        }
        return service.Spec.Ports.Any(candidate => candidate.NodePort == port && port > 0) && cluster.Pods.Any(pod => pod.Status.HostIP == ip)
            ? $"address of a node and its NodePort (annotation {Annotations.NodeSelector})" : null;
    }

    private static string By(TraceFacts facts) =>
        $"meshNetworks of {(facts.MapNameOf(facts.Home) is { Length: > 0 } map ? map : facts.Home.Context)}";

    private static string? ByMeshNetworks(TraceFacts facts, EndpointAddress ip) =>
        facts.Settings.Networks.Networks.FirstOrDefault(network => network.Value.Gateways.Any(gateway => gateway.Address == ip)).Key;
}
