using Google.Protobuf;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.ListenerFilters;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>The inbound listener of a sidecar: chains for its ports, and a catch-all for ports that no Service names.</summary>
public static class InboundGenerator
{
    private const int Port = Core.Names.Ports.Inbound;

    public static Listener Listener(InboundScope inbound, MeshConfig mesh)
    {
        var listener = new Listener
        {
            Name = ResourceNames.VirtualInbound,
            Address = Parts.Address(EndpointAddress.Of(ResourceNames.AnyAddress), Port),
            TrafficDirection = TrafficDirection.Inbound,
            ListenerFiltersTimeout = Parts.Duration(mesh.ProtocolDetectionTimeout),
            ContinueOnListenerFiltersTimeout = true,
        };
        listener.AccessLog.AddRange(AccessLogs.OfUnmatched(mesh));
        listener.FilterChains.Add(new FilterChain
        {
            Name = ResourceNames.VirtualInbound + "-blackhole",
            FilterChainMatch = new() { DestinationPort = Port },
            Filters = { Parts.TcpProxy(ResourceNames.BlackHole, mesh, log: false) },
        });
        var context = new Context(mesh, inbound.Security, inbound.Software.Has(IstioFilters.ServerExchange), inbound.Tracing);
        listener.FilterChains.AddRange(Chains(null, inbound.CatchAll, context));
        foreach (var port in inbound.Ports) listener.FilterChains.AddRange(port.IsBlocked ? [Blocked(port, mesh)] : Chains(port, port.Mode, context));
        AddInspectors(listener, inbound);
        return listener;
    }

    /// <summary>The listener within the proxy for what comes out of tunnels. Of callers, it knows what the end of the tunnel tells; TLS within a tunnel is
    /// the application's own.</summary>
    public static Listener Tunnelled(InboundScope inbound, MeshConfig mesh)
    {
        var listener = new Listener
        {
            Name = ResourceNames.MainInternal,
            InternalListener = new(),
            TrafficDirection = TrafficDirection.Inbound,
            ListenerFiltersTimeout = Parts.Duration(mesh.ProtocolDetectionTimeout),
            ContinueOnListenerFiltersTimeout = true,
        };
        listener.AccessLog.AddRange(AccessLogs.OfUnmatched(mesh));
        var context = new Context(mesh, inbound.Security is { } security ? security with { InTunnels = true } : null, false, inbound.Tracing);
        var ports = inbound.Ports.Where(port => !port.IsUnnamed).ToList();
        listener.FilterChains.AddRange(ports.SelectMany(port => port.IsBlocked ? [Blocked(port, mesh)] : TunnelChains(port, context)));
        listener.FilterChains.AddRange(TunnelChains(null, context));
        foreach (var chain in listener.FilterChains)
        {
            chain.FilterChainMatch.TransportProtocol = "";
            // A tunnel leads to the workload and nowhere else.
            chain.FilterChainMatch.PrefixRanges.Clear();
            chain.FilterChainMatch.PrefixRanges.AddRange(inbound.Tunnelled.Select(address => Parts.Range(Core.Net.AddressOrRange.Of(address))));
        }
        listener.ListenerFilters.Add(TunnelGenerator.OriginalDestination);
        listener.ListenerFilters.Add(Inspector("envoy.filters.listener.http_inspector", new HttpInspector(),
            ports.Where(port => port.Protocol != Protocol.Auto).Select(port => port.Port)));
        return listener;
    }

    private static IEnumerable<FilterChain> TunnelChains(InboundPort? port, Context context)
    {
        var protocol = port?.Protocol ?? Protocol.Auto;
        if (protocol == Protocol.Auto || protocol.IsHttp())
            yield return Http(port, "", protocol == Protocol.Auto ? TlsContexts.PlainHttpAlpns : [], null, context);
        if (!protocol.IsHttp()) yield return Tcp(port, "", [], null, context);
    }

    /// <summary>What the chains of a listener share.</summary>
    private sealed record Context(MeshConfig Mesh, WorkloadSecurity? Security, bool ExchangesMetadata, TracePlan? Tracing);

    /// <summary>The chains of one port, by its protocol and the TLS that it accepts; <paramref name="port"/> null: every
    /// other port.</summary>
    private static IEnumerable<FilterChain> Chains(InboundPort? port, MtlsMode mode, Context context)
    {
        var protocol = port?.Protocol ?? Protocol.Auto;
        var http = mode == MtlsMode.Disable ? null : TlsContexts.MeshServer(context.Mesh, exchanges: false);
        var tcp = mode == MtlsMode.Disable ? null : TlsContexts.MeshServer(context.Mesh, context.ExchangesMetadata);
        if (protocol == Protocol.Auto)
        {
            if (http is not null) yield return Http(port, "tls", TlsContexts.MeshHttpAlpns, http, context);
            if (mode != MtlsMode.Strict) yield return Http(port, "raw_buffer", TlsContexts.PlainHttpAlpns, null, context);
            if (tcp is not null) yield return Tcp(port, "tls", mode == MtlsMode.Strict ? [] : TlsContexts.MeshTcpAlpns, tcp, context);
            if (mode != MtlsMode.Strict) yield return Tcp(port, "raw_buffer", [], null, context);
            if (mode != MtlsMode.Strict) yield return Tcp(port, "tls", [], null, context);
            yield break;
        }
        string[] alpns = mode == MtlsMode.Permissive ? TlsContexts.MeshAlpns : [];
        if (protocol.IsHttp())
        {
            if (http is not null) yield return Http(port, "tls", alpns, http, context);
            if (mode != MtlsMode.Strict) yield return Http(port, "raw_buffer", [], null, context);
            yield break;
        }
        if (tcp is not null) yield return Tcp(port, "tls", alpns, tcp, context);
        if (mode == MtlsMode.Permissive) yield return Tcp(port, "tls", [], null, context); // the application's own TLS
        if (mode != MtlsMode.Strict) yield return Tcp(port, "raw_buffer", [], null, context);
    }

    /// <summary>Without a chain of its own, the port would be one of those that no Service names, and open.</summary>
    private static FilterChain Blocked(InboundPort port, MeshConfig mesh) => new()
    {
        Name = ResourceNames.Listener(ResourceNames.AnyAddress, port.Port),
        FilterChainMatch = new() { DestinationPort = (uint)port.Port },
        Filters = { Parts.TcpProxy(ResourceNames.BlackHole, mesh) },
    };

    private static FilterChain Http(InboundPort? port, string transport, string[] alpns, TransportSocket? tls, Context context)
    {
        var prefix = port is null or { IsUnnamed: true }
            ? ResourceNames.InboundPassthrough
            : $"inbound_{ResourceNames.Listener(ResourceNames.AnyAddress, port.Port)}";
        var filter = HttpConnections.Inbound(prefix, Routes(port), port?.Protocol ?? Protocol.Auto, context.Mesh, context.Security, context.Tracing,
            PortOf(port));
        return Chain(
            port, port is null or { IsUnnamed: true } ? ResourceNames.VirtualInbound + "-catchall-http" : null, transport, alpns, tls,
            [.. PluginFilters.Network(context.Mesh, isServer: true, PortOf(port)), filter]);
    }

    private static int PortOf(InboundPort? port) => port?.Port ?? 0;

    private static FilterChain Tcp(InboundPort? port, string transport, string[] alpns, TransportSocket? tls, Context context) =>
        Chain(port, port is null or { IsUnnamed: true } ? ResourceNames.VirtualInbound : null, transport, alpns, tls,
            TcpFilters(port, exchanges: tls is not null && context.ExchangesMetadata, context));

    private static List<Filter> TcpFilters(InboundPort? port, bool exchanges, Context context)
    {
        var filters = new List<Filter>();
        if (exchanges) filters.Add(Parts.ServerExchange);
        filters.AddRange(PluginFilters.Network(context.Mesh, isServer: true, PortOf(port),
            context.Security is { } security ? Authorizations.Tcp(security, context.Mesh) : null));
        if (port?.Protocol == Protocol.Mongo) filters.Add(Parts.Mongo(ClusterOf(port)));
        filters.AddRange(MetricConfigs.Tcp(Traffic.Inbound, context.Mesh));
        filters.Add(Parts.TcpProxy(ClusterOf(port), context.Mesh, idleTimeout: port?.Limits?.Pool?.TcpIdleTimeout));
        return filters;
    }

    private static FilterChain Chain(InboundPort? port, string? name, string transport, string[] alpns, TransportSocket? tls, List<Filter> filters)
    {
        var match = new FilterChainMatch { TransportProtocol = transport };
        if (port is null) match.PrefixRanges.Add(new CidrRange { AddressPrefix = ResourceNames.AnyAddress.ToString(), PrefixLen = 0 });
        else match.DestinationPort = (uint)port.Port;
        match.ApplicationProtocols.AddRange(alpns);
        return new()
        {
            Name = name ?? ResourceNames.Listener(ResourceNames.AnyAddress, port!.Port),
            FilterChainMatch = match,
            Filters = { filters },
            TransportSocket = tls,
        };
    }

    private static string ClusterOf(InboundPort? port) =>
        port is null or { IsUnnamed: true } ? ResourceNames.InboundPassthrough : ResourceNames.Inbound(port.Port);

    private static RouteConfiguration Routes(InboundPort? port)
    {
        if (port is { IsUnnamed: true }) port = null;
        var host = port is { Hosts.IsEmpty: false } ? ResourceNames.HostPort(port.Hosts[0].Hostname, port.Hosts[0].ServicePort) : $":{port?.Port ?? 0}";
        var cluster = ClusterOf(port);
        return new()
        {
            Name = cluster,
            ValidateClusters = false,
            VirtualHosts =
            {
                new VirtualHost
                {
                    Name = $"inbound|http|{(port is null || port.Hosts.IsEmpty ? port?.Port ?? 0 : port.Hosts[0].ServicePort)}",
                    Domains = { "*" },
                    Routes =
                    {
                        new Route
                        {
                            Name = "default",
                            Match = new() { Prefix = "/" },
                            Decorator = new() { Operation = host + "/*" },
                            Route_ = new() { Cluster = cluster, Timeout = Parts.Zero, MaxStreamDuration = RouteGenerator.Unlimited },
                        },
                    },
                },
            },
        };
    }

    private static void AddInspectors(Listener listener, InboundScope inbound)
    {
        var needTls = inbound.CatchAll != MtlsMode.Disable || inbound.Ports.Any(port => port.Mode != MtlsMode.Disable);
        var needHttp = inbound.CatchAll != MtlsMode.Strict || inbound.Ports.Any(port => port.Protocol == Protocol.Auto && port.Mode != MtlsMode.Strict);
        listener.ListenerFilters.Add(Inspector("envoy.filters.listener.original_dst", new OriginalDst(), []));
        if (needTls)
        {
            var without = inbound.Ports.Where(port => port.Mode == MtlsMode.Disable).Select(port => port.Port);
            listener.ListenerFilters.Add(Inspector("envoy.filters.listener.tls_inspector", new TlsInspector(), without.Append(Port)));
        }
        if (needHttp)
        {
            var without = inbound.Ports.Where(port => port.Protocol != Protocol.Auto || port.Mode == MtlsMode.Strict).Select(port => port.Port);
            listener.ListenerFilters.Add(Inspector("envoy.filters.listener.http_inspector", new HttpInspector(), without.Append(Port)));
        }
    }

    private static ListenerFilter Inspector(string name, IMessage config, IEnumerable<int> disabled)
    {
        var filter = new ListenerFilter { Name = name, TypedConfig = Parts.Pack(config) };
        var ranges = disabled.Distinct().Order()
            .Select(port => new ListenerFilterChainMatchPredicate { DestinationPortRange = new() { Start = port, End = port + 1 } }).ToList();
        if (ranges.Count == 1) filter.FilterDisabled = ranges[0];
        else if (ranges.Count > 1) filter.FilterDisabled = new() { OrMatch = new() { Rules = { ranges } } };
        return filter;
    }
}
