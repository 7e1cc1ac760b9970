using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>Routes at one of the servers of a table.</summary>
/// <param name="Server">The place of the server in the table.</param>
/// <param name="Routes">Rules in the order in which they are tried.</param>
public readonly record struct ServerRoutes(int Server, RouteSet Routes);

/// <summary>A place in a table: hosts with routes come first, by name, then the one for nothing, then the names of other servers.</summary>
/// <param name="Rank">What comes first.</param>
/// <param name="Name">A host name.</param>
public readonly record struct HostPlace(int Rank, string Name) : IComparable<HostPlace>
{
    public int CompareTo(HostPlace other) => Rank != other.Rank ? Rank.CompareTo(other.Rank) : string.CompareOrdinal(Name, other.Name);
}

/// <summary>
/// A route table of a gateway, without its routes: which servers share it, and which names it has in any case. Each virtual host is made by itself, of
/// the routes for its name.
/// </summary>
public sealed class GatewayRouteTable
{
    private const int Routed = 0, Blackhole = 1, Foreign = 2;
    private const string Everything = "*";

    private readonly IReadOnlyList<BoundServer> _servers;
    private readonly GatewayInputs _inputs;
    // Servers that share the table, and keep their hosts to themselves; null: at most one does.
    private readonly HostServers? _isolated;
    private readonly ForeignHosts _foreign;
    // Names that have a virtual host without routes of their own, with their servers.
    private readonly Dictionary<string, BoundServer> _own = new(StringComparer.Ordinal);

    /// <param name="name">The name.</param>
    /// <param name="servers">The servers that share it.</param>
    /// <param name="misdirected">What a server over TLS must not answer for; null if the servers are plain.</param>
    /// <param name="inputs">The gateway.</param>
    internal GatewayRouteTable(string name, IReadOnlyList<BoundServer> servers, MisdirectedHosts? misdirected, GatewayInputs inputs)
    {
        (Name, _servers, _foreign, _inputs) = (name, servers, misdirected?.Of(servers[0]) ?? ForeignHosts.None, inputs);
        Gateways = [.. servers.Select(server => server.Gateway.FullName)];
        _isolated = servers.Where(server => server.Gateway.IsolatesHosts).ToList() is { Count: > 1 } several ? new(several) : null;
        // Without routes of its own, a host would get those of a wider one.
        foreach (var host in _isolated?.Names ?? []) _own[host] = _isolated!.Of(host)!;
        // Hosts that only redirect need no VirtualService.
        foreach (var bound in servers.Where(server => server.Server.Tls is { HttpsRedirect: true }))
            foreach (var host in bound.HostNames) _own.TryAdd(host, bound);
        // Its own hosts are not among those that it refuses, whether they have routes or not.
        foreach (var host in servers[0].HostNames.Where(_foreign.Hides)) _own.TryAdd(host, servers[0]);
        Head = RouteGenerator.Head(name);
        if (misdirected is not null
            && QuicListeners.PortOf(servers[0], inputs) is not null) Head.ResponseHeadersToAdd.Add(QuicListeners.Advertisement(servers[0]));
        // A port in the authority does not lead past a wildcard.
        if (_foreign.Names.Count > 0) Head.IgnorePortInHostMatching = true;
    }

    public string Name { get; }

    /// <summary>The Gateways of its servers, in the order of these: a Gateway may have several.</summary>
    public IReadOnlyList<string> Gateways { get; }

    /// <summary>The table without its virtual hosts.</summary>
    public RouteConfiguration Head { get; }

    /// <summary>The names that have a virtual host without routes.</summary>
    public IEnumerable<string> OwnNames => _own.Keys;

    /// <summary>The names of other servers, for which the table refuses calls.</summary>
    public IReadOnlyCollection<string> Foreigners => _foreign.Names;

    /// <summary>The names for which routes are, at a server.</summary>
    public IEnumerable<string> NamesOf(ServerRoutes at)
    {
        if (at.Routes.Rules.IsEmpty) return [];
        var bound = _servers[at.Server];
        return at.Routes.Hosts.Where(host => bound.Admits(host, at.Routes.Namespace))
            // The narrower of what the VirtualService claims and what the server offers.
            .SelectMany(host => bound.HostNames.Any(offer => Hosts.Covers(offer, host)) ? [host] : bound.HostNames.Where(offer => Hosts.Covers(host, offer)))
            .Where(name => !bound.Gateway.IsolatesHosts || _isolated?.Of(name) is not { } owner || owner == bound).Distinct();
    }

    /// <summary>The virtual host of a name, and its place.</summary>
    /// <param name="name">The name.</param>
    /// <param name="routes">The routes for it, in the order of the servers, and the oldest of a server first.</param>
    /// <param name="shapes">What is known of the hosts that they lead to.</param>
    /// <returns>Null: the table has none.</returns>
    public (HostPlace Place, VirtualHost Host)? HostOf(string name, IReadOnlyList<ServerRoutes> routes, ValueMap<DestinationShape> shapes)
    {
        var headers = _inputs.Mesh.ProxyHeaders;
        var host = routes.Count > 0 ? OfRoutes(name, routes, shapes) : _own.TryGetValue(name, out var bound) ? GatewayRoutes.New(name, bound, headers) : null;
        var isForeign = _foreign.Has(name);
        if (host is null && !isForeign) return null;
        var place = new HostPlace(host is null ? Foreign : Routed, name);
        host ??= GatewayRoutes.New(name, _servers[0], headers);
        if (isForeign) MisdirectedHosts.Refuse(host);
        return (place, host);
    }

    /// <summary>What a table without routes has, so that it is not empty.</summary>
    public (HostPlace Place, VirtualHost Host) HostOfNothing()
    {
        var host = new VirtualHost { Name = ResourceNames.HostPort("blackhole", _servers[0].Server.Port), Domains = { Everything } };
        if (_foreign.Has(Everything)) MisdirectedHosts.Refuse(host);
        return (new(Blackhole, Everything), host);
    }

    private VirtualHost OfRoutes(string name, IReadOnlyList<ServerRoutes> routes, ValueMap<DestinationShape> shapes)
    {
        var host = GatewayRoutes.New(name, _servers[routes[0].Server], _inputs.Mesh.ProxyHeaders);
        // Several servers may offer one host.
        var added = new HashSet<ObjectRef>();
        foreach (var (server, set) in routes)
        {
            var bound = _servers[server];
            var context = new HttpRoutes.Context(_inputs.Caller.For(set), _inputs.Mesh, bound.Server.Port, bound.Gateway.FullName,
                shapes) { IsTls = bound.IsHttps };
            var made = HttpRoutes.Of(set, context);
            GatewayRoutes.Append(host, [.. added.Add(set.Source) ? made : made.Where(route => !host.Routes.Contains(route))]);
        }
        return host;
    }
}
