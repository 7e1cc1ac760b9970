using Google.Protobuf.WellKnownTypes;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Endpoints;
using HealthStatus = Isthmus.Wire.Envoy.HealthStatus;
using Locality = Isthmus.Mesh.Model.Locality;

namespace Isthmus.Mesh.Generate;

/// <summary>EDS: the endpoints of a cluster as one proxy reaches them; those of other networks through their gateways.</summary>
public static class EndpointGenerator
{
    internal const string SocketMatch = "envoy.transport_socket_match";

    private static readonly Struct MtlsMatch = Parts.Fields(("tlsMode", Value.ForString("istio")));

    /// <summary>Every assignment of a host: one for each port and subset, as <see cref="ClusterGenerator.Outbound"/> names them.</summary>
    public static IEnumerable<ClusterLoadAssignment> All(EndpointInputs inputs)
    {
        if (!HasAssignments(inputs.Service, inputs.From.Kind)) yield break;
        var isOriginal = inputs is { Service.Resolution: Resolution.Original, From.Kind: ProxyKind.Sidecar };
        foreach (var port in inputs.Service.Ports)
        {
            if (port.Protocol == Protocol.Udp) continue;
            foreach (var subset in isOriginal ? [Subset.Any] : inputs.Rule?.Subsets.Prepend(null) ?? [null])
            {
                // An original-destination cluster requests no endpoints, and a blocked one has none.
                if (TrafficPolicy.Effective(inputs.Rule, subset, port.Number) is { IsBlocked: true } or { Balancing.Algorithm: LbAlgorithm.Passthrough })
                    continue;
                yield return One(inputs, port.Number, subset, false);
                if (inputs.SniPassthrough) yield return One(inputs, port.Number, subset, true);
            }
        }
    }

    /// <summary>Where the endpoints of a proxy's own host are, under the name that Istio gives them: proxies that are zone aware compare other
    /// hosts with them.</summary>
    public static ClusterLoadAssignment Own(OwnHost own, IEnumerable<MeshEndpoint> endpoints)
    {
        var assignment = new ClusterLoadAssignment { ClusterName = ResourceNames.OwnEndpoints };
        var members = endpoints.Where(endpoint => endpoint is { Health: EndpointHealth.Ready, Address.IsNone: false }
            && (endpoint.Locality.Region ?? "") == own.Region && endpoint.Port(own.Port) is not null)
            .GroupBy(endpoint => endpoint.Locality).OrderBy(group => group.Key);
        foreach (var group in members)
        {
            var locality = new LocalityLbEndpoints { Locality = Parts.Locality(group.Key), LoadBalancingWeight = (uint)group.Count() };
            locality.LbEndpoints.AddRange(group.Select(endpoint => new LbEndpoint
            {
                Endpoint = new() { Address = Parts.Address(endpoint.Address, endpoint.Port(own.Port)!.Value.Target) }, HealthStatus = HealthStatus.Healthy,
                LoadBalancingWeight = 1
            }));
            assignment.Endpoints.Add(locality);
        }
        return assignment;
    }

    /// <summary>Whether clusters of the service take their endpoints from here.</summary>
    public static bool HasAssignments(MeshService service, ProxyKind kind) =>
        service.Resolution == Resolution.Endpoints || (service.Resolution == Resolution.Original && (kind == ProxyKind.Router || service.IsRouteTarget));

    public static ClusterLoadAssignment One(EndpointInputs inputs, int port, Subset? subset, bool sni)
    {
        var host = inputs.Service.Hostname;
        var assignment = new ClusterLoadAssignment
        {
            ClusterName = sni ? ResourceNames.Sni(port, subset?.Name ?? "", host) : ResourceNames.Outbound(port, subset?.Name ?? "", host),
        };
        var policy = TrafficPolicy.Effective(inputs.Rule, subset, port, inputs.Mesh);
        // Gateways of other networks know mesh TLS only.
        var tls = inputs.Service.BackendTlsAt(port) is null ? policy.Tls?.Mode : ClientTlsMode.Disable;
        var sendsUnready = SendsUnready(inputs.Service, inputs.Mesh, policy);
        var members = inputs.Endpoints
            .Where(endpoint => (endpoint.Health == EndpointHealth.Ready || (sendsUnready && IsUnreadyHere(endpoint, inputs)))
                && IsMember(endpoint, inputs, port, subset) && (!sni || SpeaksMeshTls(endpoint.Port(port)!.Value, tls)))
            .GroupBy(endpoint => endpoint.Locality)
            .OrderBy(group => group.Key);
        foreach (var group in members)
        {
            // Who passes mesh TLS on has none of its own to leave out.
            var locality = SplitHorizon(sni ? inputs with { SendsTunnels = false } : inputs, port, group, tls);
            if (locality is null) continue;
            locality.Locality = Parts.Locality(group.Key);
            assignment.Endpoints.Add(locality);
        }
        Localities.Apply(assignment, inputs, policy);
        return assignment;
    }

    /// <summary>Follows the workload's own declaration, unless a rule requires or disables mesh TLS.</summary>
    private static bool SpeaksMeshTls(EndpointPort port, ClientTlsMode? rule) =>
        rule == ClientTlsMode.IstioMutual || (port.Mtls && rule != ClientTlsMode.Disable);

    /// <summary>
    /// As in Istio 1.31, proxies know of the endpoints that are not ready, and send them nothing: they show in dumps, and the part of a locality or
    /// priority that is healthy tells how much it can take. Not where a rule lets proxies panic (minHealthPercent): they would call them.
    /// Those that terminate are never sent.
    /// </summary>
    internal static bool SendsUnready(MeshService service, MeshConfig mesh, TrafficPolicy policy) =>
        mesh.SendsUnready && (policy.Outlier is not { MinHealthPercent: > 0 } || service.Distribution != TrafficDistribution.Any);

    /// <summary>A gateway stands for the ready endpoints behind it.</summary>
    private static bool IsUnreadyHere(MeshEndpoint endpoint, EndpointInputs inputs) =>
        endpoint is { Health: EndpointHealth.NotReady, Address.IsNone: false } && IsDirect(inputs.From.Network, endpoint.Network, inputs.Gateways);

    private static bool IsMember(MeshEndpoint endpoint, EndpointInputs inputs, int port, Subset? subset)
    {
        if (endpoint.Port(port) is null) return false;
        return (subset is null || Selectors.Matches(subset.Labels, endpoint.Labels)) && MayCall(endpoint, inputs);
    }

    /// <summary>Whether these callers may have the endpoint at all.</summary>
    internal static bool MayCall(MeshEndpoint endpoint, EndpointInputs inputs)
    {
        if ((inputs.Service.ClusterLocal || endpoint.Withheld) && endpoint.Cluster != inputs.From.Cluster) return false;
        if (inputs.Service.NodeLocal && (endpoint.Cluster != inputs.From.Cluster || endpoint.Node != inputs.From.Node)) return false;
        return inputs.From.NetworkView.IsEmpty || endpoint.Network.Length == 0 || inputs.From.NetworkView.Contains(endpoint.Network);
    }

    /// <summary>The endpoints of one locality: local ones directly, remote ones as weights of the gateways of their network.</summary>
    private static LocalityLbEndpoints? SplitHorizon(EndpointInputs inputs, int port, IEnumerable<MeshEndpoint> endpoints, ClientTlsMode? tls)
    {
        var gateways = inputs.Gateways;
        var result = new LocalityLbEndpoints();
        var far = new Dictionary<(EndpointAddress Address, int Port), ulong>();
        ulong total = 0;
        foreach (var endpoint in endpoints)
        {
            var target = endpoint.Port(port)!.Value;
            var weight = Math.Min(uint.MaxValue, (ulong)Math.Max(1, endpoint.Weight) * gateways.Scale);
            if (IsDirect(inputs.From.Network, endpoint.Network, gateways))
            {
                if (endpoint.Address.IsNone) continue;
                var made = Direct(endpoint, target, (uint)weight, target.Mtls && tls != ClientTlsMode.Disable);
                if (IsTunnelled(endpoint, inputs)) TunnelGenerator.LeadThrough(made, endpoint.Address, target.Target);
                result.LbEndpoints.Add(made);
                total += weight;
            }
            else if (SpeaksMeshTls(target, tls)) // a gateway forwards by SNI alone: without mesh TLS there is none
            {
                var entries = gateways.For(endpoint.Network, endpoint.Cluster, inputs.From.Family);
                var shares = GatewayTable.Total(entries);
                foreach (var entry in entries)
                {
                    var key = (entry.Address, entry.Port);
                    far[key] = far.GetValueOrDefault(key) + weight * entry.Weight / shares;
                }
            }
        }
        foreach (var (address, gatewayPort, weight) in InOrder(far))
        {
            var bounded = (uint)Math.Clamp(weight, 1, uint.MaxValue);
            result.LbEndpoints.Add(Gateway(address, gatewayPort, bounded, inputs.From.Cluster));
            total += bounded;
        }
        if (result.LbEndpoints.Count == 0) return null;
        result.LoadBalancingWeight = (uint)Math.Min(uint.MaxValue, total);
        return result;
    }

    /// <summary>By the text of their addresses.</summary>
    private static IEnumerable<(EndpointAddress Address, int Port, ulong Weight)> InOrder(Dictionary<(EndpointAddress Address, int Port), ulong> gateways) =>
        gateways.Count == 1 ? gateways.Select(gateway => (gateway.Key.Address, gateway.Key.Port, gateway.Value))
        : gateways.OrderBy(gateway => gateway.Key.Address.ToString(), StringComparer.Ordinal).ThenBy(gateway => gateway.Key.Port)
            .Select(gateway => (gateway.Key.Address, gateway.Key.Port, Weight: gateway.Value));

    /// <summary>Reached at its own address: same network, unknown network, or a network without any known gateway. As in Istio, a proxy
    /// without a network is in none of those that have gateways.</summary>
    internal static bool IsDirect(string own, string other, GatewayTable gateways) =>
        gateways.IsEmpty || other.Length == 0 || own == other || !gateways.Knows(other);

    /// <summary>As in Istio, mesh TLS is taken where it can be, unless tunnels are preferred.</summary>
    private static bool IsTunnelled(MeshEndpoint endpoint, EndpointInputs inputs) =>
        inputs.SendsTunnels && endpoint is { Address.Ip: not null, AcceptsTunnels: true } && (inputs.Mesh.Tunnels.Prefers || !endpoint.HasMeshTls);

    private static LbEndpoint Direct(MeshEndpoint endpoint, EndpointPort target, uint weight, bool mtls)
    {
        var workload = endpoint.Workload;
        var made = new LbEndpoint
        {
            Endpoint = new() { Address = Parts.Address(endpoint.Address, target.Target) },
            HealthStatus = endpoint.Health == EndpointHealth.Ready ? HealthStatus.Healthy : HealthStatus.Unhealthy,
            LoadBalancingWeight = weight,
            Metadata = Workload($"{workload.Name};{workload.Namespace};{workload.CanonicalName};{workload.CanonicalRevision};{endpoint.Cluster}"),
        };
        if (mtls) made.Metadata.FilterMetadata[SocketMatch] = MtlsMatch;
        return made;
    }

    private static LbEndpoint Gateway(EndpointAddress address, int port, uint weight, string cluster)
    {
        var made = new LbEndpoint
        {
            Endpoint = new() { Address = Parts.Address(address, port) },
            LoadBalancingWeight = weight,
            Metadata = Workload($";;;;{cluster}"),
        };
        made.Metadata.FilterMetadata[SocketMatch] = MtlsMatch;
        return made;
    }

    private static Wire.Envoy.Metadata Workload(string name) => Parts.Metadata(("istio", Parts.Fields(("workload", Value.ForString(name)))));

    /// <summary>The assignment embedded in a DNS cluster.</summary>
    internal static ClusterLoadAssignment Inline(ClusterInputs inputs, int port, Subset? subset, string clusterName)
    {
        var assignment = new ClusterLoadAssignment { ClusterName = clusterName };
        var members = inputs.Members
            .Where(endpoint => endpoint.Port(port) is not null && (subset is null || Selectors.Matches(subset.Labels, endpoint.Labels)))
            .GroupBy(endpoint => endpoint.Locality)
            .OrderBy(group => group.Key);
        foreach (var group in members)
        {
            var locality = new LocalityLbEndpoints { Locality = Parts.Locality(group.Key) };
            uint total = 0;
            foreach (var endpoint in group)
            {
                var weight = Math.Max(1, endpoint.Weight);
                locality.LbEndpoints.Add(new LbEndpoint
                {
                    Endpoint = new() { Address = Parts.Address(endpoint.Address, endpoint.Port(port)!.Value.Target) },
                    LoadBalancingWeight = weight,
                    Metadata = Workload($";;;;{endpoint.Cluster}"),
                });
                total += weight;
            }
            locality.LoadBalancingWeight = total;
            assignment.Endpoints.Add(locality);
        }
        var policy = TrafficPolicy.Effective(inputs.Rule, subset, port, inputs.Mesh);
        Localities.Apply(assignment, inputs.Caller.From, Localities.Setting(inputs.Service, inputs.Mesh, policy), inputs.Members, GatewayTable.Empty, policy);
        return assignment;
    }
}
