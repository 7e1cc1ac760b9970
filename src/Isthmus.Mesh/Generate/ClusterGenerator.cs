using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Upstreams;
using DiscoveryType = Isthmus.Wire.Envoy.Clusters.Cluster.Types.DiscoveryType;

namespace Isthmus.Mesh.Generate;

/// <summary>CDS: one cluster for each port and subset of a host, plus the static clusters of every proxy.</summary>
public static class ClusterGenerator
{
    private const uint MaxStreams = 1073741824;

    internal const string HttpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

    public static IEnumerable<Cluster> Outbound(ClusterInputs inputs)
    {
        foreach (var port in inputs.Service.Ports)
        {
            if (port.Protocol == Protocol.Udp) continue;
            yield return One(inputs, port, null, false);
            if (PassesThrough(inputs, port, null)) yield return One(inputs, port, null, true);
            foreach (var subset in inputs.Rule?.Subsets ?? default)
            {
                yield return One(inputs, port, subset, false);
                if (PassesThrough(inputs, port, subset)) yield return One(inputs, port, subset, true);
            }
            // Gateways have endpoints of headless hosts anyway.
            if (inputs.Service.IsRouteTarget && inputs.Caller.From.Kind == ProxyKind.Sidecar) yield return One(inputs, port, Subset.Any, false);
        }
    }

    /// <summary>
    /// Whether the port gets an SNI cluster, which passes the caller's mesh TLS through. EDS drops endpoints that do not accept mesh TLS
    /// one by one; a DNS cluster holds its own endpoints and is dropped as a whole.
    /// </summary>
    private static bool PassesThrough(ClusterInputs inputs, ServicePort port, Subset? subset)
    {
        if (!inputs.SniPassthrough || inputs.Service.Resolution == Resolution.DynamicDns) return false;
        if (inputs.Service.Resolution is not (Resolution.Dns or Resolution.DnsRoundRobin)) return true;
        var tls = TrafficPolicy.Effective(inputs.Rule, subset, port.Number).Tls;
        return tls is { Mode: ClientTlsMode.IstioMutual } || (tls is null && inputs.HasMtls);
    }

    /// <summary>Clusters that exist without any service.</summary>
    public static IEnumerable<Cluster> Static(ProxyKind kind, MeshConfig mesh)
    {
        yield return new() { Name = ResourceNames.BlackHole, Type = DiscoveryType.Static, ConnectTimeout = Parts.Duration(mesh.ConnectTimeout) };
        if (kind == ProxyKind.Router) yield break;
        var passthrough = OriginalDestination(ResourceNames.Passthrough, mesh);
        if (mesh.DefaultPolicy.Pool is { } pool)
        {
            passthrough.ConnectTimeout = Parts.Duration(pool.ConnectTimeout ?? mesh.ConnectTimeout);
            ClusterPolicy.SetLimits(passthrough, pool);
            ClusterPolicy.ApplyPool(passthrough, Protocol.Auto, pool);
        }
        yield return passthrough;
        if (mesh.OutboundTrafficPolicy == OutboundPolicy.AllowAnyDynamicDns) yield return ByRequest(passthrough, mesh);
        var inbound = OriginalDestination(ResourceNames.InboundPassthrough, mesh);
        inbound.UpstreamBindConfig = InboundBind();
        yield return inbound;
    }

    /// <summary>The clusters to the workload's own ports.</summary>
    public static IEnumerable<Cluster> Inbound(InboundScope inbound, MeshConfig mesh)
    {
        foreach (var port in inbound.Ports.Where(port => !port.IsBlocked && !port.IsUnnamed))
        {
            var name = ResourceNames.Inbound(port.Port);
            var pool = port.Limits?.Pool;
            var cluster = new Cluster { Name = name, ConnectTimeout = Parts.Duration(pool?.ConnectTimeout ?? mesh.ConnectTimeout) };
            ClusterPolicy.SetLimits(cluster, pool);
            var endpoint = port.DefaultEndpoint ?? (mesh.CallsLocalhost ? DefaultEndpoint.Local(port.Port) : null);
            if (endpoint is null)
            {
                cluster.Type = DiscoveryType.OriginalDst;
                cluster.LbPolicy = Cluster.Types.LbPolicy.ClusterProvided;
                cluster.CleanupInterval = Parts.Duration(TimeSpan.FromSeconds(60));
                cluster.UpstreamBindConfig = InboundBind();
            }
            else SetDefaultEndpoint(cluster, endpoint.Value);
            SetProtocol(cluster, port.Protocol);
            // The application's port decides its HTTP version, not a client's rule.
            ClusterPolicy.ApplyPool(cluster, port.Protocol, pool is null ? null : pool with { UpgradeToHttp2 = null, UseClientProtocol = false });
            var services = new ListValue();
            services.Values.AddRange(port.Hosts.Select(host => ServiceValue(host.Hostname, host.Name, host.Namespace)));
            var fields = Parts.Fields(("services", new Value { ListValue = services }));
            if (port.Limits?.Rule is { } rule) fields.Fields["config"] = Parts.ConfigPath(rule, "destination-rule");
            cluster.Metadata = Parts.Metadata(("istio", fields));
            yield return cluster;
        }
    }

    private static Cluster One(ClusterInputs inputs, ServicePort port, Subset? subset, bool sni)
    {
        var (service, rule) = (inputs.Service, inputs.Rule);
        // A gateway never sniffs: it forwards as HTTP only what its configuration declares as HTTP, and a GRPCRoute does.
        var sniffs = inputs.Caller.From.Kind == ProxyKind.Sidecar;
        if (port.HasGrpcRoutes && !sniffs) port = port with { Protocol = Protocol.Grpc };
        var policy = TrafficPolicy.Effective(rule, subset, port.Number, inputs.Mesh);
        var subsetName = subset is null || subset == Subset.Any ? "" : subset.Name;
        var cluster = new Cluster
        {
            Name = sni ? ResourceNames.Sni(port.Number, subsetName, service.Hostname)
                : ResourceNames.Outbound(port.Number, subset?.Name ?? "", service.Hostname),
            ConnectTimeout = Parts.Duration(policy.Pool?.ConnectTimeout ?? inputs.Mesh.ConnectTimeout),
            LbPolicy = Cluster.Types.LbPolicy.LeastRequest,
            Metadata = Describe(inputs, port, subsetName),
        };
        // A static cluster without endpoints: requests fail.
        if (policy.IsBlocked || service.BackendTlsAt(port.Number) is { IsBlocked: true }) return cluster;
        SetDiscovery(cluster, inputs, port, subset);
        if (port.Protocol != Protocol.Auto || sniffs) SetProtocol(cluster, port.Protocol);
        ClusterPolicy.Apply(cluster, inputs, port, policy);
        if (sni) return cluster;
        ClusterPolicy.ApplyTls(cluster, inputs, port, subsetName, policy);
        if (policy.ProxyProtocol is { } version) ProxyProtocolSockets.Wrap(cluster, version);
        return cluster;
    }

    private static void SetDiscovery(Cluster cluster, ClusterInputs inputs, ServicePort port, Subset? subset)
    {
        switch (inputs.Service.Resolution)
        {
            // A gateway has no original destination, so it resolves even headless endpoints by name.
            case Resolution.Original when inputs.Caller.From.Kind == ProxyKind.Sidecar && subset != Subset.Any:
                cluster.Type = DiscoveryType.OriginalDst;
                cluster.LbPolicy = Cluster.Types.LbPolicy.ClusterProvided;
                break;
            case Resolution.Dns or Resolution.DnsRoundRobin:
                SetNames(cluster, inputs);
                cluster.LoadAssignment = EndpointGenerator.Inline(inputs, port.Number, subset, cluster.Name);
                break;
            case Resolution.DynamicDns:
                cluster.LbPolicy = Cluster.Types.LbPolicy.ClusterProvided;
                cluster.ClusterType = new()
                {
                    Name = "envoy.clusters.dynamic_forward_proxy",
                    TypedConfig = Parts.Pack(new ClusterConfig
                    {
                        DnsCacheConfig = new()
                        {
                            Name = cluster.Name, DnsLookupFamily = Cluster.Types.DnsLookupFamily.V4Only,
                            DnsRefreshRate = Parts.Duration(inputs.Mesh.DnsRefreshRate), MaxHosts = 1024
                        },
                    }),
                };
                break;
            default:
                cluster.Type = DiscoveryType.Eds;
                cluster.EdsClusterConfig = new() { EdsConfig = Parts.Ads, ServiceName = cluster.Name };
                break;
        }
    }

    private static void SetNames(Cluster cluster, ClusterInputs inputs)
    {
        // Only a logical host has several addresses to race.
        var races = inputs.Service.RacesAddresses;
        var (isLogical, refresh) = (races || inputs.Service.Resolution == Resolution.DnsRoundRobin, Parts.Duration(inputs.Mesh.DnsRefreshRate));
        if (inputs.Caller.IsRecent)
        {
            cluster.ClusterType = new()
            {
                Name = "envoy.cluster.dns",
                TypedConfig = Parts.Pack(new DnsCluster
                {
                    DnsLookupFamily = races ? DnsLookupFamily.All : DnsLookupFamily.V4Only, DnsRefreshRate = refresh, RespectDnsTtl = true,
                    AllAddressesInSingleEndpoint = isLogical
                }),
            };
            return;
        }
        cluster.Type = isLogical ? DiscoveryType.LogicalDns : DiscoveryType.StrictDns;
        cluster.DnsLookupFamily = races ? Cluster.Types.DnsLookupFamily.All : Cluster.Types.DnsLookupFamily.V4Only;
        cluster.DnsRefreshRate = refresh;
        cluster.RespectDnsTtl = true;
    }

    internal static void SetProtocol(Cluster cluster, Protocol protocol)
    {
        if (protocol.IsHttp2())
        {
            cluster.TypedExtensionProtocolOptions[HttpOptions] = Parts.Pack(new HttpProtocolOptions
            {
                ExplicitHttpConfig = new() { Http2ProtocolOptions = new() { MaxConcurrentStreams = MaxStreams } },
            });
        }
        else if (protocol == Protocol.Auto) cluster.TypedExtensionProtocolOptions[HttpOptions] = Parts.Pack(UseDownstream());
    }

    internal static HttpProtocolOptions UseDownstream() => new()
    {
        UseDownstreamProtocolConfig = new() { HttpProtocolOptions = new(), Http2ProtocolOptions = new() { MaxConcurrentStreams = MaxStreams } },
    };

    private static Wire.Envoy.Metadata Describe(ClusterInputs inputs, ServicePort port, string subset)
    {
        var (service, rule) = (inputs.Service, inputs.Rule);
        var services = new ListValue { Values = { ServiceValue(service.Hostname, service.Name, service.Namespace) } };
        var fields = Parts.Fields(("default_original_port", Value.ForNumber(port.Number)), ("services", new Value { ListValue = services }));
        if (subset.Length > 0) fields.Fields["subset"] = Value.ForString(subset);
        if (rule is not null) fields.Fields["config"] = Parts.ConfigPath(rule.Source, "destination-rule");
        // Only proxies that tell the mesh about themselves, and nobody else, ask for it.
        if (service.External && inputs.Caller.TellsMeshOnly) fields.Fields["external"] = Value.ForBool(true);
        return Parts.Metadata(("istio", fields));
    }

    private static Value ServiceValue(string host, string name, string ns) =>
        Value.ForStruct(Parts.Fields(("host", Value.ForString(host)), ("name", Value.ForString(name)), ("namespace", Value.ForString(ns))));

    /// <summary>The names and ports of its hosts come with requests; everything else is as for connections that pass through.</summary>
    private static Cluster ByRequest(Cluster passthrough, MeshConfig mesh)
    {
        var cluster = passthrough.Clone();
        cluster.Name = ResourceNames.DynamicDns;
        cluster.ClusterType = new()
        {
            Name = "envoy.clusters.dynamic_forward_proxy",
            TypedConfig = Parts.Pack(new ClusterConfig { DnsCacheConfig = NamesOfRequests(mesh), AllowInsecureClusterOptions = true }),
        };
        return cluster;
    }

    /// <summary>Envoy's filter and cluster share a cache: they have the same settings.</summary>
    internal static DnsCacheConfig NamesOfRequests(MeshConfig mesh) => new()
    {
        Name = ResourceNames.DynamicDns, DnsLookupFamily = Cluster.Types.DnsLookupFamily.V4Only, DnsRefreshRate = Parts.Duration(mesh.DnsRefreshRate),
        MaxHosts = 1024,
    };

    private static Cluster OriginalDestination(string name, MeshConfig mesh)
    {
        var cluster = new Cluster
        {
            Name = name,
            Type = DiscoveryType.OriginalDst,
            ConnectTimeout = Parts.Duration(mesh.ConnectTimeout),
            LbPolicy = Cluster.Types.LbPolicy.ClusterProvided,
        };
        ClusterPolicy.SetLimits(cluster, null);
        cluster.TypedExtensionProtocolOptions[HttpOptions] = Parts.Pack(UseDownstream());
        return cluster;
    }

    /// <summary>Traffic from the proxy to its own application must not be captured again: the capture rules exclude this
    /// source address.</summary>
    private static Wire.Envoy.BindConfig InboundBind() => new() { SourceAddress = new() { Address = "127.0.0.6", PortValue = 0 } };

    private static void SetDefaultEndpoint(Cluster cluster, DefaultEndpoint endpoint)
    {
        var unix = endpoint.Address.UnixPath is not null;
        var address = unix ? Parts.Address(endpoint.Address, 0) : Parts.Address(EndpointAddress.Of(Core.Net.Address.LoopbackV4), endpoint.Port);
        if (unix) cluster.UpstreamBindConfig = InboundBind();
        cluster.Type = DiscoveryType.Static;
        cluster.LoadAssignment = new()
        {
            ClusterName = cluster.Name,
            Endpoints =
            {
                new Wire.Envoy.Endpoints.LocalityLbEndpoints
                {
                    LbEndpoints = { new Wire.Envoy.Endpoints.LbEndpoint { Endpoint = new() { Address = address } } }
                }
            },
        };
    }
}
