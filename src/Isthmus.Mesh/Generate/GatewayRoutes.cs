using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>RDS of gateways: one table for each plain HTTP port, one for each HTTPS server.</summary>
public static class GatewayRoutes
{
    public static IEnumerable<RouteConfiguration> Of(GatewayInputs inputs)
    {
        var routings = inputs.ByGateway();
        var ports = GatewayListeners.ByTargetPort(inputs.Gateway).ToList();
        // A server that is behind several ports has one table for all.
        var placed = ports.SelectMany(port => port.Value.Where(server => server.IsHttps).Select(server => (Name: HttpsName(server), port.Key))).ToLookup(item => item.Name, item => item.Key);
        foreach (var (port, servers) in ports)
        {
            var plain = servers.Where(server => server.Server.Protocol.IsHttp()).ToList();
            if (plain.Count > 0) yield return Table($"http.{port.Target}", plain, inputs, routings);
            var own = new MisdirectedHosts(servers);
            foreach (var secure in servers.Where(server => server.IsHttps))
            {
                var beside = ports.Where(other => placed[HttpsName(secure)].Contains(other.Key)).ToList();
                yield return Https(secure, beside.Count == 1 ? own : new(beside.SelectMany(other => other.Value)), inputs, routings);
            }
        }
    }

    private static RouteConfiguration Https(BoundServer secure, MisdirectedHosts misdirected, GatewayInputs inputs, ILookup<string, RouteSet> routings)
    {
        var table = Table(HttpsName(secure), [secure], inputs, routings);
        if (QuicListeners.PortOf(secure, inputs) is not null) table.ResponseHeadersToAdd.Add(QuicListeners.Advertisement(secure));
        var hosts = table.VirtualHosts.ToDictionary(host => host.Domains[0], StringComparer.Ordinal);
        foreach (var name in misdirected.Of(secure, hosts.Keys).Order(StringComparer.Ordinal).ToList())
        {
            if (!hosts.TryGetValue(name, out var host)) table.VirtualHosts.Add(host = New(name, secure, inputs.Scope.Headers));
            MisdirectedHosts.Refuse(host);
            // A port in the authority does not lead past a wildcard.
            table.IgnorePortInHostMatching = true;
        }
        return table;
    }

    internal static string HttpsName(BoundServer bound) =>
        $"https.{ResourceNames.Port(bound.Server.Port)}.{bound.Server.PortName}.{bound.Gateway.Name}.{bound.Gateway.Namespace}";

    private static RouteConfiguration Table(string name, List<BoundServer> servers, GatewayInputs inputs, ILookup<string, RouteSet> routings)
    {
        var hosts = new SortedDictionary<string, VirtualHost>(StringComparer.Ordinal);
        var added = new HashSet<(string, ObjectRef)>();
        // Servers that share the table, and keep their hosts to themselves.
        var isolated = servers.Where(server => server.Gateway.IsolatesHosts).ToList() is { Count: > 1 } several ? new HostServers(several) : null;
        foreach (var bound in servers)
        {
            foreach (var routing in routings[bound.Gateway.FullName].Where(routing => !routing.Rules.IsEmpty))
            {
                AddHosts(hosts, added, bound, routing, inputs, isolated);
            }
        }
        // Without routes of its own, a host would get those of a wider one.
        foreach (var host in isolated?.Names ?? [])
            if (!hosts.ContainsKey(host)) hosts[host] = New(host, isolated!.Of(host)!, inputs.Scope.Headers);
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

    /// <param name="added">The VirtualServices whose routes each host has: several servers may offer one host.</param>
    /// <param name="isolated">The servers of the table that keep their hosts to themselves; null: at most one does.</param>
    private static void AddHosts(
        SortedDictionary<string, VirtualHost> hosts, HashSet<(string, ObjectRef)> added, BoundServer bound, RouteSet routing, GatewayInputs inputs, HostServers? isolated)
    {
        var context = new HttpRoutes.Context(RouteCaller.Of(inputs.Scope, routing), inputs.Mesh, bound.Server.Port, bound.Gateway.FullName, inputs.Destinations) { IsTls = bound.IsHttps };
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
                if (bound.Gateway.IsolatesHosts && isolated?.Of(name) is { } owner && owner != bound) continue;
                var entry = hosts.TryGetValue(name, out var known) ? known : hosts[name] = New(name, bound, inputs.Scope.Headers);
                Append(entry, added.Add((name, routing.Source)) ? routes : routes.Where(route => !entry.Routes.Contains(route)).ToList());
            }
        }
    }

    /// <summary>Older VirtualServices of a host come first, but a route for everything comes last, as in Istio: it must not hide what newer ones
    /// route. The oldest of several is the only one that can match.</summary>
    private static void Append(VirtualHost host, List<Route> routes)
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
