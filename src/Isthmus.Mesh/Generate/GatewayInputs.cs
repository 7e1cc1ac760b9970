using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Generate;

/// <summary>All inputs of the listeners of a gateway, except the services behind AUTO_PASSTHROUGH, and of its route tables, except their routes.</summary>
/// <param name="Mesh">With the settings of the gateway.</param>
/// <param name="Routings">The routes bound to one of its Gateways, oldest first.</param>
public sealed record GatewayInputs(RouteCaller Caller, MeshConfig Mesh, GatewayScope Gateway, ValueList<RouteSet> Routings)
{
    /// <summary>How calls are traced; null if they are not.</summary>
    public TracePlan? Tracing { get; init; }

    /// <summary>The settings of the clusters that TCP connections may get, where a DestinationRule has some.</summary>
    public ValueMap<TcpSettings> TcpSettings { get; init; }

    /// <summary>The routes of each Gateway, by its name.</summary>
    internal ILookup<string, RouteSet> ByGateway() =>
        Routings.SelectMany(routing => routing.Parents.Distinct().Select(parent => (parent, routing)))
            .ToLookup(item => item.parent, item => item.routing, StringComparer.Ordinal);
}

/// <summary>A server together with the Gateway it belongs to.</summary>
internal sealed record BoundServer(Gateway Gateway, GatewayServer Server)
{
    public ServerTlsMode? TlsMode =>
        Server.Tls is { HttpsRedirect: true, Mode: ServerTlsMode.Passthrough } && Server.Protocol.IsHttp() ? null : Server.Tls?.Mode;

    /// <summary>Terminates TLS that carries HTTP.</summary>
    public bool IsHttps => Server.Protocol == Protocol.Https && TlsMode is not (ServerTlsMode.Passthrough or ServerTlsMode.AutoPassthrough or null);

    public bool IsHttp => Server.Protocol.IsHttp() || IsHttps;

    public bool IsAutoPassthrough => TlsMode == ServerTlsMode.AutoPassthrough;

    /// <summary>Its hosts without their namespaces.</summary>
    public IEnumerable<string> HostNames => Server.HostNames;

    /// <summary>Whether a VirtualService in <paramref name="ns"/> may claim <paramref name="host"/> here.</summary>
    public bool Admits(string host, string ns) => Hosts.Admits(Gateway, Server, host, ns);
}

/// <summary>Comparison of host names that may begin with a wildcard.</summary>
public static class Hosts
{
    /// <summary>Whether <paramref name="outer"/> covers every name that <paramref name="inner"/> covers.</summary>
    public static bool Covers(string outer, string inner)
    {
        if (outer == "*" || outer == inner) return true;
        return outer.StartsWith('*') && inner.EndsWith(outer[1..], StringComparison.Ordinal);
    }

    /// <summary>Whether a VirtualService in <paramref name="ns"/> may claim <paramref name="host"/> at a server.</summary>
    public static bool Admits(Gateway gateway, GatewayServer server, string host, string ns)
    {
        foreach (var entry in server.Hosts)
        {
            var slash = entry.IndexOf('/', StringComparison.Ordinal);
            var owner = slash < 0 ? "*" : entry[..slash];
            if (owner != "*" && (owner == "." ? gateway.Namespace : owner) != ns) continue;
            var wanted = slash < 0 ? entry : entry[(slash + 1)..];
            if (Covers(wanted, host) || Covers(host, wanted)) return true;
        }
        return false;
    }

    /// <summary>The wildcards that could cover a name, most specific first: <c>*.b.c</c>, <c>*.c</c>, <c>*</c>.</summary>
    public static IEnumerable<string> Wildcards(string name)
    {
        for (var dot = name.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = name.IndexOf('.', dot + 1))
        {
            if (dot > 0 || !name.StartsWith('.')) yield return "*" + name[dot..];
        }
        yield return "*";
    }
}
