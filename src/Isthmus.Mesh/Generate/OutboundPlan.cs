using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Generate;

/// <summary>The destination of a TCP chain: weighted clusters, usually one.</summary>
public sealed record TcpTarget(string StatPrefix, ValueList<WeightedName> Clusters)
{
    public TcpSettings Settings { get; init; } = TcpSettings.None;
}

/// <summary>What DestinationRules say of TCP connections to a cluster.</summary>
/// <param name="IdleTimeout">How long a connection may carry no bytes; zero: for ever; null: the proxy's default.</param>
/// <param name="Tunnel">The hosts are forward proxies, which are asked for a tunnel; null: they get the bytes.</param>
public sealed record TcpSettings(TimeSpan? IdleTimeout, TunnelEnd? Tunnel)
{
    public static readonly TcpSettings None = new(null, null);
}

public readonly record struct WeightedName(string Cluster, int Weight);

/// <summary>A chain of an outbound listener. Without names and ranges it is the default chain.</summary>
/// <param name="Rule">The VirtualService that made it, or null.</param>
public sealed record TcpChain(ValueList<string> ServerNames, ValueList<AddressOrRange> Ranges, TcpTarget Target, Protocol Protocol, ObjectRef? Rule = null)
{
    public bool IsDefault => ServerNames.IsEmpty && Ranges.IsEmpty;
}

/// <summary>The plan of one outbound listener.</summary>
/// <param name="RouteName">The route table of its HTTP; empty when it has none.</param>
/// <param name="HttpProtocol">The declared HTTP protocol; <see cref="Protocol.Auto"/> when it is sniffed.</param>
public sealed record OutboundListener(Address Address, int Port, string RouteName, Protocol HttpProtocol, ValueList<TcpChain> Chains)
{
    /// <summary>Addresses of HTTP services within the ranges of some chain. As in Envoy, the address is matched first: HTTP to these
    /// addresses would be the range's.</summary>
    public ValueList<Address> HttpAddresses { get; init; }

    public string Name => ResourceNames.Listener(Address, Port);
}

/// <summary>A host that a scope sees, with what its listeners need.</summary>
/// <param name="Endpoints">Only for headless hosts: their addresses are dialled directly.</param>
/// <param name="L4">The routes of its connections, or null.</param>
public sealed record VisibleHost(MeshService Service, ValueList<MeshEndpoint> Endpoints, RouteSet? L4)
{
    /// <summary>The settings of the clusters that its connections may get, where a DestinationRule has some.</summary>
    public ValueMap<TcpSettings> TcpSettings { get; init; }

    /// <summary>It has routes of the Gateway API, which are for calls to the Service, whatever host they name.</summary>
    public bool HasServiceRoutes { get; init; }
}

/// <summary>Decides which outbound listeners a scope has. When two hosts need the same listener, the first by rank has it.</summary>
public static class OutboundPlan
{
    /// <summary>The address of listeners that have no address of their own.</summary>
    public static readonly Address Any = ResourceNames.AnyAddress;

    public static IReadOnlyList<OutboundListener> Of(ListenerCaller caller, IEnumerable<VisibleHost> hosts)
    {
        var drafts = new SortedDictionary<(Address Address, int Port), Draft>(Comparer<(Address Address, int Port)>.Create((a, b) =>
            a.Port != b.Port ? a.Port.CompareTo(b.Port) : a.Address.CompareTo(b.Address)));
        var all = hosts.ToList();
        var byPods = all.Where(host => host.Service.Pod is not null).Select(host => host.Service.Pod!.Hostname).ToHashSet(StringComparer.Ordinal);
        var ranked = ServiceAddresses.Ranked(all, host => host.Service, caller.Addresses.Cluster).ToList();
        // Where some Service of a namespace has routes of its own, a call to another one must not get them because of the host that it names.
        var apart = all.Where(host => host.HasServiceRoutes && !host.Service.FromServiceEntry).Select(host => host.Service.Namespace)
            .ToHashSet(StringComparer.Ordinal);
        foreach (var host in ranked)
        {
            foreach (var port in host.Service.Ports)
            {
                if (port.Protocol == Protocol.Udp) continue;
                if (host.Service.Pod is not null) AddPod(drafts, caller, host, port);
                else Add(drafts, caller, host, port, BindAddresses(host, caller, port.Number, byPods.Contains(host.Service.Hostname)));
                if (port.Protocol.IsHttp() && host.Service is { Headless: false, FromServiceEntry: false, Pod: null } && apart.Contains(host.Service.Namespace))
                    AddApart(drafts, caller, host.Service, port);
            }
        }
        // Last, because others have the addresses.
        foreach (var host in ranked.Where(host => host.Service is { Headless: true, Pod: null } && host.Endpoints.Any(endpoint => endpoint.IsBorrowed)))
        {
            foreach (var port in host.Service.Ports.Where(port => port.Protocol != Protocol.Udp))
                Add(drafts, caller, host, port, Dialled(Near(host, caller, port.Number).Where(endpoint => endpoint.IsBorrowed)));
        }
        return [.. drafts.Values.Select(draft => draft.Finish())];
    }

    /// <summary>HTTP to the addresses of a Service is for the Service, whatever host a request names.</summary>
    private static void AddApart(SortedDictionary<(Address, int), Draft> drafts, ListenerCaller caller, MeshService service, ServicePort port)
    {
        foreach (var address in ServiceAddresses.For(service, caller.Addresses).Where(address => !address.IsRange))
            Get(drafts, address.Address, port.Number).AddHttp(ResourceNames.HostPort(service.Hostname, port.Number), port.Protocol);
    }

    private static void Add(SortedDictionary<(Address, int), Draft> drafts, ListenerCaller caller, VisibleHost host, ServicePort port,
        IEnumerable<AddressOrRange> addresses)
    {
        if (port.Protocol.IsHttp())
        {
            var shared = Get(drafts, Any, port.Number);
            shared.AddHttp(ResourceNames.Port(port.Number), port.Protocol);
            if (!host.Service.FromServiceEntry) shared.AddHttpAddresses(addresses);
            return;
        }
        foreach (var bind in addresses)
        {
            var at = bind.IsRange ? Any : bind.Address;
            var draft = Get(drafts, at, port.Number);
            if (port.Protocol == Protocol.Auto && at != Any)
            {
                draft.AddHttp(ResourceNames.HostPort(host.Service.Hostname, port.Number), Protocol.Auto);
            }
            foreach (var chain in Chains(caller, host, port, bind.IsRange ? [bind] : default, at == Any && !bind.IsRange)) draft.AddChain(chain);
        }
    }

    /// <summary>
    /// The address that stands for a Pod of another network leads to it and nowhere else, so that its HTTP shares no listener. It answers
    /// at the Pod's own port too: that is what is dialled of a headless Service's Pod that is near.
    /// </summary>
    private static void AddPod(SortedDictionary<(Address, int), Draft> drafts, ListenerCaller caller, VisibleHost host, ServicePort port)
    {
        var own = host.Endpoints.IsEmpty ? null : host.Endpoints[0].Port(port.Number);
        foreach (var address in ServiceAddresses.For(host.Service, caller.Addresses).Select(address => address.Address))
        {
            Bind(Get(drafts, address, port.Number));
            if (own is { Target: var target } && host.Service.Port(target) is null) Bind(Get(drafts, address, target));
        }

        void Bind(Draft draft)
        {
            if (port.Protocol.IsHttp() || port.Protocol == Protocol.Auto)
                draft.AddHttp(ResourceNames.HostPort(host.Service.Hostname, port.Number), port.Protocol);
            foreach (var chain in Chains(caller, host, port, default, false)) draft.AddChain(chain);
        }
    }

    /// <summary>
    /// Addresses to listen on; ranges share the wildcard. A headless host without known endpoints takes the whole port, unless all it has
    /// are Pods of other networks, which have addresses of their own.
    /// </summary>
    private static IEnumerable<AddressOrRange> BindAddresses(VisibleHost host, ListenerCaller caller, int port, bool hasPods)
    {
        if (host.Service.Headless)
        {
            var pods = Near(host, caller, port).ToList();
            return pods.Count > 0 || hasPods
                ? Dialled(pods.Where(endpoint => !endpoint.IsBorrowed))
                : Everywhere;
        }
        var addresses = ServiceAddresses.For(host.Service, caller.Addresses);
        // Known by name only: nothing on the wire identifies it.
        if (addresses.IsEmpty && (host.Service.ExportOf.Length > 0 || !host.Service.Addresses.IsEmpty)) return [];
        return addresses.IsEmpty ? Everywhere : addresses;
    }

    private static IEnumerable<AddressOrRange> Everywhere => [AddressOrRange.Of(Any)];

    private static IEnumerable<AddressOrRange> Dialled(IEnumerable<MeshEndpoint> endpoints) =>
        endpoints.Select(endpoint => endpoint.Address.Ip).OfType<Address>().Distinct().Select(AddressOrRange.Of);

    /// <summary>The endpoints of a headless host that are dialled directly.</summary>
    private static IEnumerable<MeshEndpoint> Near(VisibleHost host, ListenerCaller caller, int port) => host.Endpoints
        .Where(endpoint => endpoint.Health == EndpointHealth.Ready && !endpoint.Address.IsNone && endpoint.Port(port) is not null)
        .Where(endpoint => !endpoint.Withheld || endpoint.Cluster == caller.Addresses.Cluster)
        .Where(endpoint => caller.Network.Length == 0 || endpoint.Network.Length == 0 || endpoint.Network == caller.Network);

    private static IEnumerable<TcpChain> Chains(ListenerCaller caller, VisibleHost host, ServicePort port, ValueList<AddressOrRange> ranges, bool wildcard)
    {
        var service = host.Service;
        if (host.L4 is { } rule)
        {
            var any = false;
            foreach (var chain in L4Routes.Chains(caller.Source, rule, port, ranges, RouteSet.Mesh, host.TcpSettings))
            {
                any |= chain.IsDefault;
                yield return chain;
            }
            if (any || (!rule.Tls.IsEmpty && wildcard)) yield break;
        }
        var name = ResourceNames.Outbound(port.Number, "", service.Hostname);
        // On the wildcard address, only the SNI distinguishes TLS hosts.
        ValueList<string> names = wildcard && port.Protocol.IsTls() ? [service.Hostname] : default;
        yield return new(names, ranges, new(name, [new(name, 1)])
        {
            Settings = host.TcpSettings.TryGetValue(name, out var settings) ? settings : Generate.TcpSettings.None
        }, port.Protocol);
    }

    private static Draft Get(SortedDictionary<(Address, int), Draft> drafts, Address address, int port) =>
        drafts.TryGetValue((address, port), out var draft) ? draft : drafts[(address, port)] = new(address, port);

    private sealed class Draft(Address address, int port)
    {
        private readonly List<TcpChain> _chains = [];
        private string _route = "";
        private Protocol _protocol = Protocol.Http;
        private List<Address>? _httpAddresses;

        public void AddHttp(string route, Protocol protocol)
        {
            if (_route.Length > 0) return;
            (_route, _protocol) = (route, protocol);
        }

        public void AddHttpAddresses(IEnumerable<AddressOrRange> addresses) =>
            (_httpAddresses ??= []).AddRange(addresses.Where(known => !known.IsRange && known.Address != Any).Select(known => known.Address));

        /// <summary>Of several chains with the same match, the first is kept.</summary>
        public void AddChain(TcpChain chain)
        {
            if (_chains.Any(known => known.ServerNames == chain.ServerNames && known.Ranges == chain.Ranges)) return;
            _chains.Add(chain);
        }

        public OutboundListener Finish() => new(address, port, _route, _protocol, _chains.ToValueList()) { HttpAddresses = HttpInRanges() };

        private ValueList<Address> HttpInRanges()
        {
            if (_httpAddresses is null || !_chains.Exists(chain => !chain.Ranges.IsEmpty)) return default;
            var ranges = _chains.SelectMany(chain => chain.Ranges).Distinct().ToList();
            return _httpAddresses.Distinct().Where(known => ranges.Exists(range => range.Contains(known)))
                .OrderBy(known => known.ToString(), StringComparer.Ordinal).ToValueList();
        }
    }
}
