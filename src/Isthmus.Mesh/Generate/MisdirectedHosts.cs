using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>
/// Names that a server must not answer for: another server of its port is for them, and has another rule for client certificates. A connection
/// gets its server by the name in the TLS handshake, which a request need not repeat, so without this a client without a certificate
/// would reach the other server's routes wherever names overlap. 421 tells clients that reuse connections to open one for the name.
/// </summary>
internal sealed class MisdirectedHosts
{
    private readonly Dictionary<string, BoundServer> _owners = new(StringComparer.Ordinal);
    private readonly bool _differ;

    /// <param name="servers">All servers of a port; the first that has a host has it.</param>
    public MisdirectedHosts(IEnumerable<BoundServer> servers)
    {
        ClientRule? first = null;
        foreach (var server in servers.Where(server => server.IsHttps))
        {
            var clients = server.Server.Tls!.Clients;
            _differ |= (first ??= clients) != clients;
            foreach (var host in server.HostNames) _owners.TryAdd(host, server);
        }
    }

    /// <param name="server">One of the servers.</param>
    /// <param name="known">The names that it has routes for.</param>
    public IEnumerable<string> Of(BoundServer server, IEnumerable<string> known)
    {
        if (!_differ) return [];
        var own = server.Server.Tls!.Clients;
        return known.Concat(_owners.Keys).Distinct().Where(name => Owner(name) is { } owner && owner.Server.Tls!.Clients != own);
    }

    /// <summary>Lets a host refuse everything.</summary>
    public static void Refuse(VirtualHost host)
    {
        host.RequireTls = default;
        host.Routes.Clear();
        host.Routes.Add(new Route { Name = "misdirected", Match = new() { Prefix = "/" }, DirectResponse = new() { Status = 421 } });
    }

    /// <summary>The server that the name in a handshake chooses: that of the most exact host. Null when no host covers the name.</summary>
    private BoundServer? Owner(string name)
    {
        if (_owners.TryGetValue(name, out var exact)) return exact;
        for (var dot = name.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = name.IndexOf('.', dot + 1))
            if (_owners.TryGetValue($"*{name[dot..]}", out var covering)) return covering;
        return _owners.GetValueOrDefault("*");
    }
}
