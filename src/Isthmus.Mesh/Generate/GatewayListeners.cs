using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.ListenerFilters;
using Isthmus.Wire.Envoy.Listeners;

namespace Isthmus.Mesh.Generate;

/// <summary>A gateway's listener. When <paramref name="SniHosts"/> is not empty, a chain for each service port that they
/// cover is appended.</summary>
public sealed record GatewayListener(Listener Listener, ValueList<string> SniHosts);

/// <summary>LDS of gateways: one listener for each port that a Gateway serves and the workload exposes.</summary>
public static class GatewayListeners
{
    private const int FirstFreePort = 1024;

    public static IEnumerable<GatewayListener> Of(GatewayInputs inputs)
    {
        var routings = inputs.ByGateway();
        foreach (var (port, servers) in ByTargetPort(inputs.Gateway))
        {
            var listener = new Listener
            {
                Name = ResourceNames.Listener(port.Bind, port.Target),
                Address = Parts.Address(EndpointAddress.Of(port.Bind), port.Target),
                TrafficDirection = TrafficDirection.Outbound,
            };
            listener.AccessLog.AddRange(AccessLogs.OfUnmatched(inputs.Mesh));
            // The header precedes everything else.
            if (inputs.Gateway.Topology.ReadsProxyHeader)
                listener.ListenerFilters.Add(OutboundListeners.Inspector("envoy.filters.listener.proxy_protocol", new ProxyProtocol()));
            if (servers.Any(server => server.Server.Tls is not null && !server.Server.Protocol.IsHttp()))
            {
                listener.ListenerFilters.Add(OutboundListeners.Inspector("envoy.filters.listener.tls_inspector", new TlsInspector()));
            }
            AddChains(new(listener), servers, inputs, port, routings);
            var sniHosts = inputs.Gateway.SniDnat
                ? default
                : servers.Where(server => server.IsAutoPassthrough).SelectMany(server => server.HostNames).Distinct().Order(StringComparer.Ordinal)
                    .ToValueList();
            if (listener.FilterChains.Count == 0 && sniHosts.IsEmpty) continue; // no chain has a destination
            yield return new(listener, sniHosts);
        }
        foreach (var listener in UdpListeners.Of(inputs)) yield return new(listener, default);
        var secure = ByTargetPort(inputs.Gateway).SelectMany(port => port.Value).Distinct();
        foreach (var listener in QuicListeners.Of(secure, inputs, (bound, place) => HttpsChain(bound, place, inputs))) yield return new(listener, default);
    }

    /// <summary>The chains of one service's ports and subsets on an AUTO_PASSTHROUGH port: matched by SNI, mesh TLS only,
    /// never terminated.</summary>
    /// <param name="security">Only policies that select this gateway apply here: the others need the caller's identity,
    /// which is visible only where its TLS terminates.</param>
    /// <param name="target">The port of the listener.</param>
    public static IEnumerable<FilterChain> SniChains(MeshService service, DestinationRule? rule, MeshConfig mesh, WorkloadSecurity? security = null,
        int target = 0)
    {
        var own = security is null
            ? WorkloadSecurity.None
            : security with { Policies = security.Policies.Where(policy => !policy.Selector.IsEmpty).ToValueList() };
        foreach (var port in service.Ports)
        {
            if (port.Protocol == Protocol.Udp) continue;
            yield return SniChain(ResourceNames.Sni(port.Number, "", service.Hostname), mesh, own, target);
            foreach (var subset in rule?.Subsets ?? default)
                yield return SniChain(ResourceNames.Sni(port.Number, subset.Name, service.Hostname), mesh, own, target);
        }
    }

    /// <summary>Whether an AUTO_PASSTHROUGH server with these hosts exposes the service; a headless host includes its Pods.</summary>
    public static bool Exposes(ValueList<string> sniHosts, MeshService service) =>
        !service.External && sniHosts.Any(host => Hosts.Covers(host, service.Hostname) || (service.Pod is { } pod && Hosts.Covers(host, pod.Hostname)));

    /// <summary>The encoded listener with its services' encoded chains.</summary>
    public static ByteString Assemble(GatewayListener listener, IEnumerable<ByteString> sniChains) =>
        Assembled.Of(listener.Listener, Listener.FilterChainsFieldNumber, sniChains);

    private static FilterChain SniChain(string name, MeshConfig mesh, WorkloadSecurity security, int target) => new()
    {
        FilterChainMatch = new() { ServerNames = { name }, ApplicationProtocols = { TlsContexts.MeshAlpns } },
        // Proxies keep connections open for hours: without an entry at the start, successful calls would be missing from the log.
        Filters =
        {
            PluginFilters.Network(mesh, isServer: false, target, Authorizations.Tcp(security, mesh)), MetricConfigs.Tcp(Traffic.Gateway, mesh),
            Parts.TcpProxy(name, mesh, logConnected: true)
        },
    };

    /// <summary>Servers by the port at which Pods listen: the target port of their Service port, or their own if no Service of the gateway has it.</summary>
    internal static IEnumerable<KeyValuePair<(Core.Net.Address Bind, int Target), List<BoundServer>>> ByTargetPort(GatewayScope scope)
    {
        var ports = new SortedDictionary<(Core.Net.Address Bind, int Target), List<BoundServer>>(Comparer<(Core.Net.Address Bind, int Target)>.Create((a, b) =>
            a.Target != b.Target ? a.Target.CompareTo(b.Target) : a.Bind.CompareTo(b.Bind)));
        foreach (var gateway in scope.Gateways)
        {
            foreach (var server in gateway.Servers.Where(server => server.Protocol != Protocol.Udp))
            {
                foreach (var target in (server.TargetPort > 0 ? [server.TargetPort] : Targets(scope, gateway, server.Port))
                    .Where(target => !Ports.IsOfGateway(target)))
                {
                    var key = (server.Bind ?? ResourceNames.AnyAddress, target);
                    (ports.TryGetValue(key, out var servers) ? servers : ports[key] = []).Add(new(gateway, server));
                }
            }
        }
        return ports;
    }

    /// <summary>A Service of the Gateway API is made for its Gateway, and has its ports. That of an Istio gateway may lead to the same Pods by other numbers,
    /// as an east-west gateway does whose network has another port. Gateways have no rights to listen on the ports of a system.</summary>
    private static List<int> Targets(GatewayScope scope, Gateway gateway, int port)
    {
        var targets = scope.Ports.Where(mapping => mapping.Service == port).Select(mapping => mapping.Target).Distinct().ToList();
        return targets.Count > 0 || gateway.PodNamespace.Length > 0 || port < FirstFreePort ? targets : [port];
    }

    private static void AddChains(
        DistinctChains listener, List<BoundServer> servers, GatewayInputs inputs, (Core.Net.Address Bind, int Target) port, ILookup<string, RouteSet> routings)
    {
        var target = port.Target;
        var plainDone = false;
        var isolated = new HostServers(servers.Where(server => server is { Gateway.IsolatesHosts: true, Server.Tls: not null }));
        foreach (var bound in servers)
        {
            if (bound.IsAutoPassthrough)
            {
                if (inputs.Gateway.SniDnat) listener.Add(SniDnat.Chain(bound, target, inputs));
                continue;
            }
            if (bound.Server.Tls is { IsBlocked: true })
            {
                listener.Add(Blocked(bound, inputs.Mesh));
                continue;
            }
            if (bound.Server.Protocol.IsHttp())
            {
                // Every plain HTTP server of an address and port shares one route table.
                if (!plainDone) listener.Add(HttpChain((listener.Name, target), GatewayRoutes.HttpName(port), null, [], inputs));
                plainDone = true;
            }
            else if (bound.IsHttps)
            {
                listener.Add(HttpsChain(bound, (listener.Name, target), inputs));
            }
            else AddL4(listener, bound, inputs, target, isolated, routings[bound.Gateway.FullName]);
        }
        // Names of a server without routes must not reach that of a wider one.
        foreach (var bound in servers.Where(server => server is { Gateway.IsolatesHosts: true, IsHttp: false, IsAutoPassthrough: false, Server.Tls: not null }))
            if (ServerNames(bound).Count > 0 || listener.HasAny) listener.Add(Blocked(bound, inputs.Mesh));
    }

    private static FilterChain HttpsChain(BoundServer bound, (string Name, int Port) listener, GatewayInputs inputs) =>
        HttpChain(listener, GatewayRoutes.HttpsName(bound), TlsContexts.GatewayServer(bound.Server.Tls!, inputs.Mesh, true), ServerNames(bound), inputs);

    /// <summary>Without a chain of its own, the server's names would reach the server of a wildcard.</summary>
    private static FilterChain Blocked(BoundServer bound, MeshConfig mesh)
    {
        var chain = new FilterChain { Filters = { Parts.TcpProxy(ResourceNames.BlackHole, mesh) } };
        if (ServerNames(bound) is { Count: > 0 } names) chain.FilterChainMatch = new() { ServerNames = { names } };
        return chain;
    }

    private static FilterChain HttpChain((string Name, int Port) listener, string route, TransportSocket? tls, IReadOnlyList<string> names,
        GatewayInputs inputs)
    {
        var manager = HttpConnections.Gateway($"outbound_{listener.Name}", route, inputs.Mesh, inputs.Gateway, inputs.Tracing, listener.Port);
        var chain = new FilterChain { Filters = { PluginFilters.Network(inputs.Mesh, isServer: false, listener.Port), manager }, TransportSocket = tls };
        if (names.Count > 0) chain.FilterChainMatch = new() { ServerNames = { names } };
        return chain;
    }

    private static List<string> ServerNames(BoundServer bound)
    {
        var names = bound.HostNames.Distinct().ToList();
        return names.Contains("*") ? [] : names;
    }

    /// <summary>TCP, TLS passthrough, and terminated TLS that carries TCP: the tcp and tls routes of the VirtualServices.</summary>
    private static void AddL4(DistinctChains listener, BoundServer bound, GatewayInputs inputs, int target, HostServers isolated,
        IEnumerable<RouteSet> routings)
    {
        var passthrough = bound.TlsMode == ServerTlsMode.Passthrough;
        var tls = bound.TlsMode is null || passthrough ? null : TlsContexts.GatewayServer(bound.Server.Tls!, inputs.Mesh, true);
        var port = new ServicePort(bound.Server.PortName, bound.Server.Port, passthrough ? Protocol.Tls : Protocol.Tcp);
        foreach (var routing in routings)
        {
            var admitted = routing.Hosts.Where(host => bound.Admits(host, routing.Namespace)).ToList();
            if (admitted.Count == 0) continue;
            var usable = passthrough ? routing with { Tcp = default } : tls is not null && routing.MatchesTerminated ? routing : routing with { Tls = default };
            foreach (var chain in L4Routes.Chains(inputs.Caller.Source, usable, port, default, bound.Gateway.FullName, inputs.TcpSettings))
            {
                var names = chain.ServerNames.Where(name => bound.HostNames.Any(host => Hosts.Covers(host, name) || Hosts.Covers(name, host))).ToValueList();
                if (names.IsEmpty && !chain.ServerNames.IsEmpty) continue;
                if (bound.Gateway.IsolatesHosts && bound.Server.Tls is not null)
                {
                    // Several routes share a server, and each name has one.
                    var own = (names.IsEmpty ? admitted.ToValueList() : names).Where(name => isolated.Of(name) == bound).ToValueList();
                    if (own.IsEmpty) continue;
                    names = own.Contains("*") ? default : own;
                }
                else if (tls is not null && (names.IsEmpty || !routing.MatchesTerminated)) names = ServerNames(bound).ToValueList();
                var built = OutboundListeners.Chain(chain with { ServerNames = names }, inputs.Mesh, target,
                    inputs.Gateway.Security is { } security ? Authorizations.Tcp(security, inputs.Mesh) : null);
                built.TransportSocket = tls;
                listener.Add(built);
            }
        }
    }

    /// <summary>Whether the gateway needs the service's SNI clusters.</summary>
    public static bool Exposes(GatewayScope gateway, ValueList<string> sniHosts, MeshService service) =>
        gateway.SniDnat ? SniDnat.Exposes(gateway, sniHosts, service) : Exposes(sniHosts, service);
}
