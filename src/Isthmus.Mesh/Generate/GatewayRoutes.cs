using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>RDS of gateways: one table for each plain HTTP port, one for each HTTPS server.</summary>
public static class GatewayRoutes
{
    public static IEnumerable<RouteConfiguration> Of(GatewayInputs inputs)
    {
        foreach (var (port, servers) in GatewayListeners.ByTargetPort(inputs.Gateway))
        {
            var plain = servers.Where(server => server.Server.Protocol.IsHttp()).ToList();
            if (plain.Count > 0) yield return Table($"http.{port.Target}", plain, inputs);
            foreach (var secure in servers.Where(server => server.IsHttps)) yield return Table(HttpsName(secure), [secure], inputs);
        }
    }

    internal static string HttpsName(BoundServer bound) =>
        $"https.{ResourceNames.Port(bound.Server.Port)}.{bound.Server.PortName}.{bound.Gateway.Name}.{bound.Gateway.Namespace}";

    private static RouteConfiguration Table(string name, List<BoundServer> servers, GatewayInputs inputs)
    {
        var hosts = new SortedDictionary<string, VirtualHost>(StringComparer.Ordinal);
        foreach (var bound in servers)
        {
            foreach (var routing in inputs.Routings)
            {
                if (routing.Http.IsEmpty || !routing.Gateways.Contains(bound.Gateway.FullName)) continue;
                AddHosts(hosts, bound, routing, inputs);
            }
        }
        // Hosts that only redirect need no VirtualService.
        foreach (var bound in servers.Where(server => server.Server.Tls is { HttpsRedirect: true }))
        {
            foreach (var host in bound.HostNames.Where(host => !hosts.ContainsKey(host))) hosts[host] = New(host, bound, inputs.Scope.Headers);
        }
        var table = new RouteConfiguration { Name = name, ValidateClusters = false };
        table.VirtualHosts.AddRange(hosts.Values);
        if (hosts.Count == 0)
        {
            table.VirtualHosts.Add(new VirtualHost { Name = ResourceNames.HostPort("blackhole", servers[0].Server.Port), Domains = { "*" } });
        }
        return table;
    }

    private static void AddHosts(SortedDictionary<string, VirtualHost> hosts, BoundServer bound, VirtualService routing, GatewayInputs inputs)
    {
        var context = new HttpRoutes.Context(inputs.Scope, inputs.Mesh, bound.Server.Port, bound.Gateway.FullName, inputs.Destinations);
        List<Route>? routes = null;
        foreach (var host in routing.Hosts)
        {
            if (!bound.Admits(host, routing.Namespace)) continue;
            // The narrower of what the VirtualService claims and what the server offers.
            var offered = bound.HostNames.FirstOrDefault(offer => Hosts.Covers(offer, host)) is not null
                ? [host]
                : bound.HostNames.Where(offer => Hosts.Covers(host, offer)).ToArray();
            routes ??= [.. HttpRoutes.Of(routing, context)];
            foreach (var name in offered)
            {
                // The oldest VirtualService owns a host; later ones append their routes, unless those would be unreachable.
                var entry = hosts.TryGetValue(name, out var known) ? known : hosts[name] = New(name, bound, inputs.Scope.Headers);
                if (entry.Routes.Count > 0 && entry.Routes[^1].Match is { Prefix: "/" } last && last.Headers.Count == 0 && last.QueryParameters.Count == 0 && last.DynamicMetadata.Count == 0) continue;
                entry.Routes.AddRange(routes);
            }
        }
    }

    private static VirtualHost New(string host, BoundServer bound, ProxyHeaders headers)
    {
        var made = new VirtualHost { Name = ResourceNames.HostPort(host, bound.Server.Port), IncludeRequestAttemptCount = headers.HasAttemptCount };
        made.Domains.Add(host);
        // A name cannot have a wildcard at both ends.
        if (host != "*") made.Domains.Add(host.StartsWith('*') ? ResourceNames.HostPort(host, bound.Server.Port) : host + ":*");
        if (bound.Server.Tls is { HttpsRedirect: true }) made.RequireTls = VirtualHost.Types.TlsRequirementType.All;
        return made;
    }
}
