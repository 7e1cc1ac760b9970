using System.Net;
using System.Net.Sockets;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Transports;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Endpoints;
using Endpoint = Isthmus.Proxy.Clusters.Endpoint;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes EDS resources and the endpoints inside clusters.</summary>
internal static class EndpointDecoder
{
    /// <summary>The metadata of endpoints behind internal listeners.</summary>
    public const string TargetMetadata = "envoy.filters.listener.original_dst", WaypointField = "waypoint";

    private const string SocketMatchMetadata = "envoy.transport_socket_match", ForwardProxyMetadata = "envoy.http11_proxy_transport_socket.proxy_address";

    /// <exception cref="ResourceException">An endpoint cannot be used.</exception>
    public static LoadAssignment Decode(ClusterLoadAssignment assignment) => new(assignment.ClusterName,
        assignment.Endpoints.Select(group => Locality(group) with
        {
            Endpoints = group.LbEndpoints.Select(endpoint => Decode(endpoint, group)).ToValueList(),
        }).ToValueList());

    /// <summary>Decodes endpoints that are host names; IP addresses among them resolve to themselves.</summary>
    /// <exception cref="ResourceException">An endpoint cannot be used.</exception>
    public static ValueList<DnsTarget> DecodeDns(ClusterLoadAssignment assignment) =>
        (from @group in assignment.Endpoints
         from endpoint in @group.LbEndpoints
         let socket = endpoint.Endpoint?.Address?.SocketAddress ?? throw new ResourceException("a DNS endpoint without a socket address")
         let template = Properties(endpoint, @group, new IPEndPoint(IPAddress.None, 0))
         select new DnsTarget(socket.Address, (int)socket.PortValue,
             template.Hostname.Length > 0 ? template : template with { Hostname = socket.Address }, Locality(@group))).ToValueList();

    public static ValueMap<string> Labels(Struct? labels) => labels is null
        ? ValueMap<string>.Empty
        : labels.Fields.ToDictionary(f => f.Key, f => f.Value.KindCase == Value.KindOneofCase.StringValue ? f.Value.StringValue : f.Value.ToString())
            .ToValueMap();

    /// <exception cref="ResourceException">Not an address to connect to.</exception>
    public static EndPoint Address(Address? address)
    {
        switch (address?.AddressCase)
        {
            case Wire.Envoy.Address.AddressOneofCase.SocketAddress when address.SocketAddress.Protocol == Wire.Envoy.SocketAddress.Types.Protocol.Tcp:
                var socket = address.SocketAddress;
                if (!IPAddress.TryParse(socket.Address, out var ip)) throw new ResourceException($"'{socket.Address}' is not an IP address");
                if (socket.PortValue > 65535) throw new ResourceException($"port {socket.PortValue} is out of range");
                return new IPEndPoint(ip, (int)socket.PortValue);
            case Wire.Envoy.Address.AddressOneofCase.Pipe:
                return new UnixDomainSocketEndPoint(address.Pipe.Path);
            case Wire.Envoy.Address.AddressOneofCase.EnvoyInternalAddress when address.EnvoyInternalAddress.ServerListenerName.Length > 0:
                return new InternalEndPoint(address.EnvoyInternalAddress.ServerListenerName, address.EnvoyInternalAddress.EndpointId);
            default:
                throw new ResourceException("an address that is neither a TCP socket, nor a pipe, nor the name of an internal listener");
        }
    }

    /// <summary>What the internal listener in front of an endpoint is told; null: nothing.</summary>
    private static TunnelTarget? Target(Struct? told)
    {
        if (told is null) return null;
        IPEndPoint? Field(string name) => !told.Fields.TryGetValue(name, out var value) ? null
            : AddressText.Parse(value.StringValue)
                ?? throw new ResourceException($"metadata {TargetMetadata}: {name} {(value.HasStringValue ? $"'{value.StringValue}'" : value)} is not IP:PORT");
        return new(Field("local"), Field("remote"), Field(WaypointField));
    }

    private static Endpoint Decode(LbEndpoint endpoint, LocalityLbEndpoints group) => Properties(endpoint, group, Address(endpoint.Endpoint?.Address));

    private static Endpoint Properties(LbEndpoint endpoint, LocalityLbEndpoints group, EndPoint address)
    {
        var metadata = endpoint.Metadata?.FilterMetadata;
        Struct? Section(string name) => metadata is not null && metadata.TryGetValue(name, out var section) ? section : null;
        var told = Section("istio")?.Fields.TryGetValue("workload", out var value) == true ? value.StringValue : null;
        var workload = told is null ? Workload.Unknown : Workload.Parse(told);
        var health = endpoint.HealthStatus switch
        {
            HealthStatus.Unhealthy or HealthStatus.Timeout => EndpointHealth.Unhealthy,
            HealthStatus.Draining => EndpointHealth.Draining,
            _ => EndpointHealth.Healthy,
        };
        // A gateway of another network appears as a workload without a name.
        var isGateway = told is not null && workload.Name.Length == 0 && workload.Namespace.Length == 0;
        return new(address, (int)Math.Min(endpoint.LoadBalancingWeight ?? 1u, int.MaxValue), health, Labels(Section(SocketMatchMetadata)), workload,
            isGateway)
        {
            Check = Check(endpoint.Endpoint?.HealthCheckConfig, address),
            Hostname = endpoint.Endpoint?.Hostname ?? "",
            Target = Target(Section(TargetMetadata)),
            ForwardProxy = ForwardProxy(endpoint.Metadata) ?? ForwardProxy(group.Metadata),
        };
    }

    private static EndPoint? ForwardProxy(Metadata? metadata) =>
        metadata is null || !metadata.TypedFilterMetadata.TryGetValue(ForwardProxyMetadata, out var told) ? null
            : told.TryRead(out Address address) ? Address(address)
            : throw new ResourceException($"{ForwardProxyMetadata}: {told.TypeUrl} is not an address");

    private static EndpointCheck? Check(Wire.Envoy.Endpoints.Endpoint.Types.HealthCheckConfig? config, EndPoint address)
    {
        if (config is null) return null;
        if (config.PortValue > 65535) throw new ResourceException($"health_check_config: port {config.PortValue} is out of range");
        var other = config.Address is null ? null : Address(config.Address);
        if (config.PortValue > 0 && (other ?? address) is not IPEndPoint)
            throw new ResourceException("health_check_config: a port for an address that has none");
        return new(other, (int)config.PortValue, config.Hostname, config.DisableActiveHealthCheck);
    }

    private static LocalityEndpoints Locality(LocalityLbEndpoints group) => new(
        group.Locality?.Region ?? "", group.Locality?.Zone ?? "", group.Locality?.SubZone ?? "",
        (int)group.Priority, (int)Math.Min(group.LoadBalancingWeight ?? 0u, int.MaxValue), []);
}
