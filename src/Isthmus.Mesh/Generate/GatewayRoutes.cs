using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>RDS of gateways: one table for each address and port of plain HTTP, one for each HTTPS server.</summary>
public static class GatewayRoutes
{
    /// <param name="inputs">The gateway. Its routes are not looked at.</param>
    public static IEnumerable<GatewayRouteTable> Of(GatewayInputs inputs)
    {
        var ports = GatewayListeners.ByTargetPort(inputs.Gateway).ToList();
        // A server that is behind several ports has one table for all.
        var placed = ports.SelectMany(port => port.Value.Where(server => server.IsHttps).Select(server => (Name: HttpsName(server), port.Key)))
            .ToLookup(item => item.Name, item => item.Key);
        var made = new HashSet<string>(StringComparer.Ordinal);
        var together = new Dictionary<string, MisdirectedHosts>(StringComparer.Ordinal);
        foreach (var (port, servers) in ports)
        {
            var plain = servers.Where(server => server.Server.Protocol.IsHttp()).ToList();
            if (plain.Count > 0) yield return new(HttpName(port), plain, null, inputs);
            var own = new MisdirectedHosts(servers);
            foreach (var secure in servers.Where(server => server.IsHttps && made.Add(HttpsName(server))))
            {
                var beside = placed[HttpsName(secure)].ToHashSet();
                yield return new(HttpsName(secure), [secure], beside.Count == 1 ? own : Together(beside), inputs);
            }
        }

        MisdirectedHosts Together(HashSet<(Core.Net.Address Bind, int Target)> places)
        {
            var name = string.Join(' ', places.Order());
            if (!together.TryGetValue(name, out var known))
                together[name] = known = new(ports.Where(port => places.Contains(port.Key)).SelectMany(port => port.Value));
            return known;
        }
    }

    /// <summary>As in Istio, it has the address only where a server has one of its own (<c>bind</c>).</summary>
    internal static string HttpName((Core.Net.Address Bind, int Target) port) =>
        $"http.{ResourceNames.Port(port.Target)}{(port.Bind == ResourceNames.AnyAddress ? "" : $".{port.Bind}")}";

    internal static string HttpsName(BoundServer bound) =>
        $"https.{ResourceNames.Port(bound.Server.Port)}.{bound.Server.PortName}.{bound.Gateway.Name}.{bound.Gateway.Namespace}";

    /// <summary>Older VirtualServices of a host come first, but a route for everything comes last, as in Istio: it must not hide what newer ones
    /// route. The oldest of several is the only one that can match.</summary>
    internal static void Append(VirtualHost host, List<Route> routes)
    {
        var last = host.Routes.Count > 0 && IsEverything(host.Routes[^1]) ? host.Routes[^1] : null;
        if (last is null)
        {
            host.Routes.AddRange(routes);
            return;
        }
        host.Routes.RemoveAt(host.Routes.Count - 1);
        host.Routes.AddRange(routes.Where(route => !IsEverything(route)));
        host.Routes.Add(last);
    }

    private static bool IsEverything(Route route) =>
        route.Match is { } match && (match.Prefix == "/" || match.PathSeparatedPrefix == "/" || match.SafeRegex is { Regex: ".*" })
        && match.Headers.Count == 0 && match.QueryParameters.Count == 0 && match.DynamicMetadata.Count == 0 && match.RuntimeFraction is null;

    internal static VirtualHost New(string host, BoundServer bound, ProxyHeaders headers)
    {
        var made = new VirtualHost { Name = ResourceNames.HostPort(host, bound.Server.Port), IncludeRequestAttemptCount = headers.HasAttemptCount };
        made.Domains.Add(host);
        // A name cannot have a wildcard at both ends.
        if (host != "*") made.Domains.Add(host.StartsWith('*') ? ResourceNames.HostPort(host, bound.Server.Port) : host + ":*");
        if (bound.Server.Tls is { HttpsRedirect: true }) made.RequireTls = VirtualHost.Types.TlsRequirementType.All;
        return made;
    }
}
