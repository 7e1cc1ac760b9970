using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>
/// Names that a server must not answer for: another server of its port is for them, and has another rule for client certificates, or keeps its
/// hosts to itself. A connection gets its server by the name in the TLS handshake, which a request need not repeat, so without this a client
/// without a certificate would reach the other server's routes wherever names overlap. 421 tells clients that reuse connections to open one
/// for the name.
/// </summary>
internal sealed class MisdirectedHosts
{
    private readonly HostServers _owners;
    private readonly bool _differ;

    /// <param name="servers">All servers of a port; the first that has a host has it.</param>
    public MisdirectedHosts(IEnumerable<BoundServer> servers)
    {
        ClientRule? first = null;
        _owners = new(servers.Where(server => server.IsHttps));
        foreach (var server in _owners.All)
        {
            var clients = server.Server.Tls!.Clients;
            _differ |= (first ??= clients) != clients || server.Gateway.IsolatesHosts;
        }
    }

    /// <summary>The hosts of other servers among those names.</summary>
    /// <param name="server">One of the servers.</param>
    public IEnumerable<string> Of(BoundServer server) => _differ ? _owners.Names.Where(name => IsFor(server, name)) : [];

    /// <summary>Whether a name is one of those.</summary>
    public bool IsFor(BoundServer server, string name) => _differ && _owners.Of(name) is { } owner && IsForeign(server, owner);

    private static bool IsForeign(BoundServer server, BoundServer owner) =>
        owner.Server.Tls!.Clients != server.Server.Tls!.Clients || (server.Gateway.IsolatesHosts && owner != server);

    /// <summary>Lets a host refuse everything.</summary>
    public static void Refuse(VirtualHost host)
    {
        host.RequireTls = default;
        host.Routes.Clear();
        host.Routes.Add(new Route { Name = "misdirected", Match = new() { Prefix = "/" }, DirectResponse = new() { Status = 421 } });
    }
}
