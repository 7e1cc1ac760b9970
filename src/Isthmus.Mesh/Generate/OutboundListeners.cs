using Google.Protobuf;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.ListenerFilters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;

namespace Isthmus.Mesh.Generate;

/// <summary>LDS, outbound: captured connections, by their original destination.</summary>
public static class OutboundListeners
{
    /// <summary>The listener that accepts captured connections, and handles those that no other listener matches.</summary>
    public static Listener Virtual(MeshConfig mesh, OutboundPolicy policy, TracePlan? tracing = null)
    {
        var listener = Common(ResourceNames.VirtualOutbound, ResourceNames.AnyAddress, Ports.Outbound, mesh);
        listener.UseOriginalDst = true;
        listener.FilterChains.Add(new FilterChain
        {
            Name = ResourceNames.VirtualOutbound + "-blackhole", // dialled directly: would loop
            FilterChainMatch = new() { DestinationPort = Ports.Outbound },
            Filters = { Parts.TcpProxy(ResourceNames.BlackHole, mesh, log: false) },
        });
        if (policy == OutboundPolicy.AllowAnyDynamicDns)
        {
            listener.FilterChains.Add(new FilterChain
            {
                Name = ResourceNames.VirtualOutbound + "-catchall-http",
                FilterChainMatch = new() { TransportProtocol = "raw_buffer", ApplicationProtocols = { TlsContexts.PlainHttpAlpns } },
                Filters = { Plugins(mesh, 0), HttpConnections.Outbound($"outbound_{ResourceNames.VirtualOutbound}", RouteGenerator.Open(mesh), mesh, tracing) },
            });
            AddInspectors(listener, http: true, tls: false);
        }
        listener.FilterChains.Add(new FilterChain
        {
            Name = ResourceNames.VirtualOutbound + "-catchall-tcp",
            Filters = { Plugins(mesh, 0), MetricConfigs.Tcp(Traffic.Outbound, mesh), Parts.TcpProxy(Fallback(policy), mesh) },
        });
        return listener;
    }

    public static Listener Build(OutboundListener plan, MeshConfig mesh, OutboundPolicy policy, TracePlan? tracing = null)
    {
        var listener = Common(plan.Name, plan.Address, plan.Port, mesh);
        listener.BindToPort = false;
        var hasHttp = plan.RouteName.Length > 0;
        var ordered = plan.Chains.Where(chain => !chain.IsDefault).ToList();
        var last = plan.Chains.FirstOrDefault(chain => chain.IsDefault);
        foreach (var chain in ordered) listener.FilterChains.Add(Chain(chain, mesh, plan.Port));
        if (hasHttp)
        {
            listener.FilterChains.Add(HttpChain(plan, mesh, tracing));
            if (!plan.HttpAddresses.IsEmpty)
            {
                var exact = HttpChain(plan, mesh, tracing);
                exact.FilterChainMatch.PrefixRanges.AddRange(plan.HttpAddresses.Select(address => Parts.Range(AddressOrRange.Of(address))));
                listener.FilterChains.Add(exact);
            }
        }
        if (last is not null && !hasHttp && ordered.Count == 0) listener.FilterChains.Add(Chain(last, mesh, plan.Port));
        else if (last is not null) listener.DefaultFilterChain = Chain(last, mesh, plan.Port);
        else if (plan.Address == OutboundPlan.Any || hasHttp)
        {
            listener.DefaultFilterChain = new()
            {
                Name = "PassthroughFilterChain",
                FilterChainMatch = new(),
                Filters = { Plugins(mesh, plan.Port), MetricConfigs.Tcp(Traffic.Outbound, mesh), Parts.TcpProxy(Fallback(policy), mesh) },
            };
        }
        AddInspectors(listener, hasHttp, ordered.Any(chain => !chain.ServerNames.IsEmpty));
        return listener;
    }

    private static FilterChain HttpChain(OutboundListener plan, MeshConfig mesh, TracePlan? tracing) => new()
    {
        FilterChainMatch = new() { TransportProtocol = "raw_buffer", ApplicationProtocols = { TlsContexts.PlainHttpAlpns } },
        Filters = { Plugins(mesh, plan.Port), HttpConnections.Outbound($"outbound_{plan.Name}", plan.RouteName, plan.HttpProtocol, mesh, tracing, plan.Port) },
    };

    private static IEnumerable<Filter> Plugins(MeshConfig mesh, int port) => PluginFilters.Network(mesh, isServer: false, port);

    /// <param name="chain">The chain.</param>
    /// <param name="mesh">The settings.</param>
    /// <param name="port">The port that clients call, by which plugins may be chosen.</param>
    /// <param name="policies">What callers must fulfil.</param>
    internal static FilterChain Chain(TcpChain chain, MeshConfig mesh, int port, IEnumerable<Filter>? policies = null)
    {
        var built = new FilterChain();
        if (!chain.IsDefault)
        {
            built.FilterChainMatch = new();
            built.FilterChainMatch.ServerNames.AddRange(chain.ServerNames);
            built.FilterChainMatch.PrefixRanges.AddRange(chain.Ranges.Select(Parts.Range));
        }
        if (chain.Rule is { } rule) built.Metadata = Parts.Metadata(("istio", Parts.Fields(("config", Parts.ConfigPath(rule)))));
        built.Filters.AddRange(PluginFilters.Network(mesh, isServer: false, port, policies));
        if (chain.Protocol == Protocol.Mongo)
        {
            built.Filters.Add(Parts.Mongo(chain.Target.StatPrefix));
        }
        built.Filters.AddRange(MetricConfigs.Tcp(Traffic.Outbound, mesh));
        built.Filters.Add(Proxy(chain.Target, mesh));
        return built;
    }

    private static Filter Proxy(TcpTarget target, MeshConfig mesh)
    {
        var proxy = new TcpProxy { StatPrefix = target.StatPrefix };
        if (target.Clusters.Count == 1) proxy.Cluster = target.Clusters[0].Cluster;
        else proxy.WeightedClusters = new();
        if (target.Settings.IdleTimeout is { } idle) proxy.IdleTimeout = Parts.Duration(idle);
        if (target.Settings.Tunnel is { } tunnel) proxy.TunnelingConfig = new() { Hostname = tunnel.Authority, UsePost = tunnel.UsesPost };
        foreach (var (cluster, weight) in target.Clusters.Count > 1 ? target.Clusters : default)
        {
            proxy.WeightedClusters.Clusters.Add(new TcpProxy.Types.WeightedCluster.Types.ClusterWeight { Name = cluster, Weight = (uint)weight });
        }
        proxy.AccessLog.AddRange(AccessLogs.Of(mesh));
        return Parts.TcpFilter(proxy);
    }

    private static string Fallback(OutboundPolicy policy) => policy == OutboundPolicy.RegistryOnly ? ResourceNames.BlackHole : ResourceNames.Passthrough;

    private static Listener Common(string name, Core.Net.Address address, int port, MeshConfig mesh)
    {
        var listener = new Listener
        {
            Name = name,
            Address = Parts.Address(EndpointAddress.Of(address), port),
            TrafficDirection = TrafficDirection.Outbound,
        };
        listener.AccessLog.AddRange(AccessLogs.OfUnmatched(mesh));
        return listener;
    }

    private static void AddInspectors(Listener listener, bool http, bool tls)
    {
        if (http || tls) listener.ListenerFilters.Add(Inspector("envoy.filters.listener.tls_inspector", new TlsInspector()));
        if (!http) return;
        listener.ListenerFilters.Add(Inspector("envoy.filters.listener.http_inspector", new HttpInspector()));
        listener.ListenerFiltersTimeout = Parts.Zero;
        listener.ContinueOnListenerFiltersTimeout = true;
    }

    internal static ListenerFilter Inspector(string name, IMessage config) => new() { Name = name, TypedConfig = Parts.Pack(config) };
}
