using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;

namespace Isthmus.Mesh.Generate;

/// <summary>CDS and EDS of the ports for datagrams, for gateways that pass these on. They have no TLS, so gateways of other networks do not lead to
/// them.</summary>
public static class UdpClusters
{
    /// <summary>Whether the clusters of the service take their endpoints from EDS, as all here do.</summary>
    private static bool HasClusters(MeshService service) => EndpointGenerator.HasAssignments(service, ProxyKind.Router);

    public static IEnumerable<Cluster> Of(ClusterInputs inputs)
    {
        if (!inputs.PassesDatagrams || !HasClusters(inputs.Service)) yield break;
        foreach (var port in inputs.Service.Ports.Where(port => port.Protocol == Protocol.Udp))
        {
            var cluster = new Cluster
            {
                Name = ResourceNames.Datagrams(port.Number, inputs.Service.Hostname),
                Type = Cluster.Types.DiscoveryType.Eds,
                EdsClusterConfig = new() { EdsConfig = Parts.Ads, ServiceName = ResourceNames.Datagrams(port.Number, inputs.Service.Hostname) },
                ConnectTimeout = Parts.Duration(inputs.Mesh.ConnectTimeout),
                LbPolicy = Cluster.Types.LbPolicy.LeastRequest,
            };
            ClusterPolicy.SetLimits(cluster, null);
            yield return cluster;
        }
    }

    public static IEnumerable<ClusterLoadAssignment> Assignments(EndpointInputs inputs)
    {
        if (!inputs.PassesDatagrams || !HasClusters(inputs.Service)) yield break;
        foreach (var port in inputs.Service.Ports.Where(port => port.Protocol == Protocol.Udp)) yield return Assignment(inputs, port.Number);
    }

    private static ClusterLoadAssignment Assignment(EndpointInputs inputs, int port)
    {
        var assignment = new ClusterLoadAssignment { ClusterName = ResourceNames.Datagrams(port, inputs.Service.Hostname) };
        var members = inputs.Endpoints
            .Where(endpoint => endpoint is { Health: EndpointHealth.Ready, Address.IsNone: false } && endpoint.UdpPort(port) is not null
                && EndpointGenerator.MayCall(endpoint, inputs)
                && EndpointGenerator.IsDirect(inputs.From.Network, endpoint.Network, inputs.Gateways))
            .GroupBy(endpoint => endpoint.Locality).OrderBy(group => group.Key);
        foreach (var group in members)
        {
            var locality = new LocalityLbEndpoints { Locality = Parts.Locality(group.Key) };
            foreach (var endpoint in group)
            {
                locality.LbEndpoints.Add(new LbEndpoint
                {
                    Endpoint = new() { Address = Parts.Address(endpoint.Address, endpoint.UdpPort(port)!.Value.Target) },
                    LoadBalancingWeight = Math.Max(1, endpoint.Weight),
                });
            }
            locality.LoadBalancingWeight = (uint)Math.Min(uint.MaxValue, locality.LbEndpoints.Sum(endpoint => (long)endpoint.LoadBalancingWeight!.Value));
            assignment.Endpoints.Add(locality);
        }
        return assignment;
    }
}
