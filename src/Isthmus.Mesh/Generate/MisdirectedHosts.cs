using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>
/// Names that a server must not answer for: another server of its port is for them, and has another rule for client certificates. A connection
/// gets its server by the name in the TLS handshake, which a request need not repeat, so without this a client without a certificate
/// would reach the other server's routes wherever names overlap. 421 tells clients that reuse connections to open one for the name.
/// </summary>
internal static class MisdirectedHosts
{
    /// <param name="known">The names that the server has routes for.</param>
    /// <param name="beside">All servers of its ports.</param>
    public static IEnumerable<string> Of(BoundServer server, IEnumerable<string> known, IReadOnlyList<BoundServer> beside)
    {
        var secure = beside.Where(other => other.IsHttps).ToList();
        return from name in known.Concat(secure.SelectMany(other => other.HostNames)).Distinct()
               where Owner(name, secure) is { } owner && owner.Server.Tls!.Clients != server.Server.Tls!.Clients
               select name;
    }

    /// <summary>Lets a host refuse everything.</summary>
    public static void Refuse(VirtualHost host)
    {
        host.RequireTls = default;
        host.Routes.Clear();
        host.Routes.Add(new Route { Name = "misdirected", Match = new() { Prefix = "/" }, DirectResponse = new() { Status = 421 } });
    }

    /// <summary>The server that the name in a handshake chooses: that of the most exact host. Null when no host covers the name.</summary>
    private static BoundServer? Owner(string name, IEnumerable<BoundServer> servers) =>
        servers.SelectMany(server => server.HostNames.Where(host => Hosts.Covers(host, name)).Select(host => (Server: server, Host: host)))
            .OrderBy(item => item.Host.StartsWith('*')).ThenByDescending(item => item.Host.Length).FirstOrDefault().Server;
}
