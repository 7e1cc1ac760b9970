using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Said = Isthmus.Wire.Reports.SpokenPort.Types.Protocol;

namespace Isthmus.Mesh.Spoken;

/// <summary>Ports of Services on which clients speak another protocol than declared, as proxies have seen: one problem for each port and protocol,
/// however many proxies there are. Pure.</summary>
public static class SpokenProblems
{
    /// <summary>Clients speak something else on a port than it declares.</summary>
    public const string Code = "ISM1480";

    /// <param name="Begun">What lets callers speak TLS there; null: nothing that is known.</param>
    /// <param name="Redirect">The object that redirects requests there to https; empty: none.</param>
    private sealed record Place(string Cluster, string Service, string Port, Protocol Declared, Said Said, BegunTls? Begun, string Redirect);

    /// <summary>TLS that is not the mesh's, which a DestinationRule lets proxies of callers begin.</summary>
    private sealed record BegunTls(string Rule, string Field, string Mode);

    private sealed record Sighting(Place Place, ProxyIdentity Proxy, long Connections);

    /// <returns>Each with the cluster of the Service.</returns>
    public static IReadOnlyList<(string Cluster, Problem Problem)> Of(MeshView view, IReadOnlyList<SpokenProxy> proxies) =>
    [
        .. proxies.SelectMany(proxy => Sightings(view, proxy)).GroupBy(sighting => sighting.Place)
            .OrderBy(group => group.Key.Cluster, StringComparer.Ordinal).ThenBy(group => group.Key.Service, StringComparer.Ordinal)
            .ThenBy(group => group.Key.Port, StringComparer.Ordinal).ThenBy(group => group.Key.Said)
            .Select(group => (group.Key.Cluster, Join(group))),
    ];

    // What counts is how the port is declared now: the proxy may have met it as it was before.
    private static IEnumerable<Sighting> Sightings(MeshView view, SpokenProxy proxy) => ScopeResolver.PortsOf(proxy.Proxy, new(view))
        .Join(proxy.Spoken, port => port.Target, spoken => spoken.Port, (port, spoken) => (port, spoken))
        .Where(found => Differs(found.port.Port.Protocol, found.spoken.Protocol)
            && !(found.spoken.Protocol == Said.Other && BeginsWithHeader(view, found.port.Service.Hostname)))
        .Select(found => new Sighting(
            new(proxy.Proxy.Cluster, $"{found.port.Service.Namespace}/{found.port.Service.Name}", NameOf(found.port.Port), found.port.Port.Protocol,
                found.spoken.Protocol,
                found.spoken.Protocol == Said.Tls ? Begun(view, found.port.Service.Hostname, found.port.Port.Number, proxy.Proxy.Cluster) : null,
                found.spoken.Protocol == Said.Tls ? Redirecting(view, found.port.Service.Hostname) : ""),
            proxy.Proxy, found.spoken.Connections));

    /// <summary>What callers say first is a header of the PROXY protocol, of which a DestinationRule is the cause, and not the port.</summary>
    private static bool BeginsWithHeader(MeshView view, string host) => view.Traffic.Rules.Values.SelectMany(rules => rules)
        .Any(rule => Generate.Hosts.Covers(rule.Host, host)
            && rule.Subsets.Select(subset => subset.Policy).Append(rule.Policy).Any(policy => policy?.ProxyProtocol is not null));

    /// <summary>Clients that follow a redirect to https come back to the same port, and speak TLS there.</summary>
    private static string Redirecting(MeshView view, string host) => view.Traffic.RoutingsByHost.GetValueOrDefault(host)
        .SelectMany(set => set.Rules.Where(rule => rule.Filters.Redirect is { Scheme: "https", Port: 0, Authority: "" or null })
            .Select(rule => rule.Source ?? set.Source)).Select(source => $"{source.Kind} {source.Namespace}/{source.Name}").FirstOrDefault("");

    /// <summary>The DestinationRule by which callers begin TLS at a port: of callers near the Service first, then of those of other namespaces.</summary>
    private static BegunTls? Begun(MeshView view, string host, int port, string cluster)
    {
        if (view.Registry.Services.GetValueOrDefault(host) is not { } service) return null;
        return view.Traffic.Rules.Keys.Select(key => key.Namespace).Distinct().Order(StringComparer.Ordinal).Prepend(service.Namespace)
            .Select(ns => view.RuleFor(service, new(ProxyKind.Sidecar, cluster, "", ns, "", default, null)))
            .Select(rule => rule is null ? null : Begun(rule, port))
            .FirstOrDefault(begun => begun is not null);
    }

    private static BegunTls? Begun(DestinationRule rule, int port)
    {
        return Of("spec.trafficPolicy", rule.Policy)
            ?? rule.Subsets.Select((subset, at) => Of($"spec.subsets[{at}].trafficPolicy", subset.Policy)).FirstOrDefault(begun => begun is not null);

        BegunTls? Of(string field, TrafficPolicy? policy)
        {
            var at = policy?.Ports.Index().FirstOrDefault(one => one.Item.Port == port, (-1, null!)).Index ?? -1;
            return policy?.ForPort(port).Tls is { Mode: ClientTlsMode.Simple or ClientTlsMode.Mutual } tls
                ? new($"DestinationRule {rule.Namespace}/{rule.Name}", $"{field}{(at < 0 ? "" : $".portLevelSettings[{at}]")}.tls.mode",
                    tls.Mode.ToString().ToUpperInvariant()) : null;
        }
    }

    private static string NameOf(ServicePort port) => port.Name.Length > 0 ? port.Name : port.Number.ToString(CultureInfo.InvariantCulture);

    private static bool Differs(Protocol declared, Said said) => declared switch
    {
        Protocol.Auto => said == Said.Http10,
        Protocol.Udp or Protocol.Hbone => false,
        _ when declared.IsHttp() => said is Said.Tls or Said.Other or Said.Http10,
        _ => said is Said.Http1 or Said.Http2,
    };

    private static Problem Join(IGrouping<Place, Sighting> seen)
    {
        var place = seen.Key;
        var proxies = seen.Select(sighting => sighting.Proxy.Id).Distinct().Order(StringComparer.Ordinal).ToList();
        var count = seen.Sum(sighting => sighting.Connections);
        var where = proxies.Count == 1 ? $"at proxy {proxies[0]}" : $"at {proxies.Count} proxies, for example {proxies[0]}";
        var (spoken, effect, remedy, severity) = Judge(place.Declared, place.Said);
        var seenOf = $"{count} connection{(count == 1 ? "" : "s")} in the last minute, {where}";
        var declares = place.Declared == Protocol.Auto ? "declares no protocol" : $"is declared {place.Declared.ToString().ToUpperInvariant()}";
        var declared = $"{declares}, and clients speak {spoken} there: {effect} ({seenOf})";
        if (place.Redirect.Length > 0)
            (declared, remedy) = ($"{declared}; {place.Redirect} redirects requests to https there", $"remove scheme from the redirect, or {remedy}");
        return place.Begun is not { } begun ? new(Code, $"Service {place.Service}", $"spec.ports[{place.Port}]", declared, remedy, severity)
            : new(Code, begun.Rule, begun.Field,
                $"is {begun.Mode}, so that proxies of callers begin TLS at the Pods of Service {place.Service}, whose proxies take only that of the mesh: its "
                    + $"port {place.Port} {declared}",
                "for workloads of the mesh, remove tls from the rule, or set ISTIO_MUTUAL", severity);
    }

    private static (string Spoken, string Effect, string Remedy, Severity Severity) Judge(Protocol declared, Said said) => (declared.IsHttp(), said) switch
    {
        (_, Said.Http10) => ("HTTP/1.0", "the proxy answers 426 (Upgrade Required)",
            "let clients speak HTTP/1.1 (nginx: proxy_http_version 1.1), or set values.pilot.env.PILOT_HTTP10=true for the control plane, so that its proxies "
                + "serve HTTP/1.0", Severity.Warning),
        (true, Said.Tls) => ("TLS", "the proxy expects requests that it can read, and closes these connections",
            $"if the application speaks TLS, {Declare("https")}; otherwise let clients call it in plain text, and lead routes of gateways that pass TLS on "
                + "(TLSRoute, tls routes of VirtualServices) to a port of TLS", Severity.Warning),
        (true, _) => ("something that is not HTTP", "the proxy expects requests, and refuses these connections",
            $"if the application does not speak HTTP, {Declare("tcp")}", Severity.Warning),
        _ when declared.IsTls() => ($"plain {Version(said)}", "an application that expects TLS refuses these connections",
            $"let clients call https://; or, if the application speaks plain HTTP, {Declare(NameOf(said))}", Severity.Warning),
        _ => (Version(said), "the proxy copies bytes there, so that routes, retries, policies and metrics of requests do not apply",
            $"{Declare(NameOf(said))}, unless that is intended", Severity.Info),
    };

    private static string Version(Said said) => said == Said.Http2 ? "HTTP/2" : "HTTP/1";

    private static string NameOf(Said said) => said == Said.Http2 ? "http2" : "http";

    private static string Declare(string protocol) => $"name the port {protocol} or {protocol}-…, or set appProtocol: {protocol}";
}
