using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>
/// Names that a server must not answer for: another server of its port is for them, and has another rule for client certificates, or keeps its
/// hosts to itself. A connection gets its server by the name in the TLS handshake, which a request need not repeat, so without this a client
/// without a certificate would reach the other server's routes wherever names overlap. 421 tells clients that reuse connections to open one
/// for the name.
/// </summary>
/// <remarks>
/// Each server has a table of its own, and a table that listed the names of all others would make the square of their number. A name below
/// another foreign one needs no place in a table: the wider one refuses it. So a name is in the tables of those servers whose hosts cover it
/// next, and those that are below no other are in every table, up to <see cref="Listed"/>. Where there are more, the table refuses every host
/// but its own, so that a host of nobody gets 421, too, and not 404.
/// </remarks>
internal sealed class MisdirectedHosts
{
    /// <summary>How many names that are not below hosts of its server a table has at most.</summary>
    internal const int Listed = 64;

    private readonly HostServers _owners;
    private readonly bool _differ;
    private readonly List<string> _tops = [];
    // The names that a name covers next.
    private readonly Dictionary<string, List<string>> _below = new(StringComparer.Ordinal);
    // Servers that share their hosts, and have one rule, refuse the same names.
    private readonly Dictionary<ClientRule, List<string>> _refusedByRule = [];

    /// <param name="servers">All servers of a port; the first that has a host has it.</param>
    public MisdirectedHosts(IEnumerable<BoundServer> servers)
    {
        ClientRule? first = null;
        _owners = new(servers.Where(server => server.IsHttps || IsOtherTls(server)));
        foreach (var server in _owners.All)
        {
            var clients = server.Server.Tls!.Clients;
            _differ |= (first ??= clients) != clients || server.Gateway.IsolatesHosts;
        }
        if (!_differ) return;
        foreach (var name in _owners.Names)
        {
            if (_owners.WiderThan(name) is not { } wider) _tops.Add(name);
            else if (_below.TryGetValue(wider, out var others)) others.Add(name);
            else _below[wider] = [name];
        }
    }

    /// <summary>What the table of a server refuses.</summary>
    /// <param name="server">One of the servers.</param>
    public ForeignHosts Of(BoundServer server)
    {
        if (!_differ) return ForeignHosts.None;
        var refused = new HashSet<string>(StringComparer.Ordinal);
        foreach (var host in server.HostNames) AddBelow(host, name => IsForeign(server, name), refused);
        var others = server.Gateway.IsolatesHosts ? _tops : RefusedBy(server);
        // Of the others, it has few: its own hosts, and what is below these.
        if (others.Count - refused.Count - server.Server.Hosts.Count > Listed) return new(refused, name => IsForeign(server, name), refusesOthers: true);
        var beside = others.Where(name => !refused.Contains(name) && IsForeign(server, name)).ToList();
        if (beside.Count <= Listed) refused.UnionWith(beside);
        return new(refused, name => IsForeign(server, name), refusesOthers: beside.Count > Listed);
    }

    /// <summary>Lets a host refuse everything.</summary>
    public static void Refuse(VirtualHost host)
    {
        host.RequireTls = default;
        host.Routes.Clear();
        host.Routes.Add(new Route { Name = "misdirected", Match = new() { Prefix = "/" }, DirectResponse = new() { Status = 421 } });
    }

    /// <summary>A listener of the Gateway API that is for names, and not for requests: what it passes on gets none of them.</summary>
    private static bool IsOtherTls(BoundServer server) =>
        server is { Gateway.IsolatesHosts: true, IsHttp: false, IsAutoPassthrough: false, Server.Tls: not null };

    private List<string> RefusedBy(BoundServer server)
    {
        var rule = server.Server.Tls!.Clients;
        if (_refusedByRule.TryGetValue(rule, out var known)) return known;
        bool IsRefused(string name) => _owners.Of(name) is { } owner && owner.Server.Tls!.Clients != rule;
        var found = new HashSet<string>(_tops.Where(IsRefused), StringComparer.Ordinal);
        foreach (var top in _tops.Where(top => !IsRefused(top))) AddBelow(top, IsRefused, found);
        return _refusedByRule[rule] = [.. found];
    }

    /// <summary>Adds the widest foreign names below a name that is not foreign.</summary>
    private void AddBelow(string name, Func<string, bool> isForeign, HashSet<string> found)
    {
        if (!_below.TryGetValue(name, out var names)) return;
        foreach (var narrower in names)
        {
            if (isForeign(narrower)) found.Add(narrower);
            else AddBelow(narrower, isForeign, found);
        }
    }

    private bool IsForeign(BoundServer server, string name) =>
        _owners.Of(name) is { } owner
        && (owner.Server.Tls!.Clients != server.Server.Tls!.Clients || (server.Gateway.IsolatesHosts && owner != server));
}

/// <summary>The names of other servers that the table of a server refuses.</summary>
internal sealed class ForeignHosts
{
    public static readonly ForeignHosts None = new([], _ => false, false);

    private readonly HashSet<string> _names;
    private readonly Func<string, bool> _isForeign;
    private readonly bool _refusesOthers;

    /// <param name="names">The widest of them.</param>
    /// <param name="isForeign">Whether a name is another server's.</param>
    /// <param name="refusesOthers">Whether it refuses every name that is not below its own hosts.</param>
    public ForeignHosts(HashSet<string> names, Func<string, bool> isForeign, bool refusesOthers)
    {
        (_names, _isForeign, _refusesOthers) = (names, isForeign, refusesOthers);
        if (refusesOthers) names.Add("*");
    }

    public IReadOnlyCollection<string> Names => _names;

    /// <summary>Whether a name is one of those, or below one.</summary>
    public bool Has(string name) => (_refusesOthers && name == "*") || _isForeign(name);

    /// <summary>Whether a host would be refused if the table had no virtual host for it.</summary>
    public bool Hides(string host) => HostServers.Wildcards(host).Any(_names.Contains);
}
