using System.Net;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Model;
using EndpointAddress = Isthmus.Mesh.Model.EndpointAddress;
using Service = Isthmus.Kubernetes.Objects.Service;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Gateways of networks that <c>meshNetworks</c> name, as before labels: nobody corrects their addresses.</summary>
internal static class GivenGateways
{
    /// <summary>An address of a gateway that is written there, and that no gateway of these clusters has; null for others.</summary>
    /// <param name="address">With the port.</param>
    /// <param name="said">What became of the connection there.</param>
    public static Problem? Of(TraceFacts facts, string address, string said)
    {
        if (!IPEndPoint.TryParse(address, out var point) || GatewayPlace.Find(facts, point) is not { Service: null }
            || facts.MapNameOf(facts.Home) is not { Length: > 0 } map) return null;
        var ip = EndpointAddress.Of(point.Address);
        foreach (var (network, entry) in facts.Settings.Networks.Networks)
        {
            if (entry.Gateways.Index().FirstOrDefault(gateway => gateway.Item.Address == ip && gateway.Item.Port == point.Port) is not (var i, { })) continue;
            var real = facts.Clusters.Where(cluster => cluster.Network == network).SelectMany(cluster => cluster.Services
                .Where(service => IsGateway(cluster, service)).Select(service => (Cluster: cluster, Service: service))).FirstOrDefault();
            return Faults.Of("ISM2155", map, $"data[meshNetworks].networks.{network}.gateways[{i}].address",
                $"is {point.Address}, which no gateway of these clusters has: {said}",
                real.Service is null ? $"write the address of a gateway of {network} there, or remove it and label its Service {Labels.Network}={network}"
                    : $"write {AddressOf(real.Service)} there, which Service {real.Service.Key} in {real.Cluster.Context} has; or remove the gateway from "
                        + $"meshNetworks, and label that Service {Labels.Network}={network}");
        }
        return null;
    }

    /// <summary>Whether a Service has an address outside, and its Pods pass connections on.</summary>
    private static bool IsGateway(ClusterObjects cluster, Service service) => AddressOf(service).Length > 0 && service.Spec.Selector.Count > 0
        && cluster.Istio<Gateway>().Any(gateway => gateway.Servers.Any(server => server.Tls is { Mode: ServerTlsMode.AutoPassthrough }
            && service.Spec.Ports.Any(port => port.Port == server.Port))
            && cluster.Behind(service).Any(pod => gateway.Selector.All(term => pod.Metadata.Labels.GetValueOrDefault(term.Key) == term.Value)));

    private static string AddressOf(Service service) =>
        service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip).Concat(service.Spec.ExternalIPs).FirstOrDefault(ip => ip.Length > 0) ?? "";
}
