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

    private sealed record Place(string Cluster, string Service, string Port, Protocol Declared, Said Said);

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
                found.spoken.Protocol),
            proxy.Proxy, found.spoken.Connections));

    /// <summary>What callers say first is a header of the PROXY protocol, of which a DestinationRule is the cause, and not the port.</summary>
    private static bool BeginsWithHeader(MeshView view, string host) => view.Traffic.Rules.Values.SelectMany(rules => rules)
        .Any(rule => Generate.Hosts.Covers(rule.Host, host)
            && rule.Subsets.Select(subset => subset.Policy).Append(rule.Policy).Any(policy => policy?.ProxyProtocol is not null));

    private static string NameOf(ServicePort port) => port.Name.Length > 0 ? port.Name : port.Number.ToString(CultureInfo.InvariantCulture);

    private static bool Differs(Protocol declared, Said said) => declared switch
    {
        Protocol.Auto or Protocol.Udp or Protocol.Hbone => false,
        _ when declared.IsHttp() => said is Said.Tls or Said.Other,
        _ => said is Said.Http1 or Said.Http2,
    };

    private static Problem Join(IGrouping<Place, Sighting> seen)
    {
        var place = seen.Key;
        var proxies = seen.Select(sighting => sighting.Proxy.Id).Distinct().Order(StringComparer.Ordinal).ToList();
        var count = seen.Sum(sighting => sighting.Connections);
        var where = proxies.Count == 1 ? $"at proxy {proxies[0]}" : $"at {proxies.Count} proxies, for example {proxies[0]}";
        var (spoken, effect, remedy, severity) = Judge(place.Declared, place.Said);
        return new(Code, $"Service {place.Service}", $"spec.ports[{place.Port}]",
            $"is declared {place.Declared.ToString().ToUpperInvariant()}, and clients speak {spoken} there: {effect} ({count} "
                + $"connection{(count == 1 ? "" : "s")} in the last minute, {where})",
            remedy, severity);
    }

    private static (string Spoken, string Effect, string Remedy, Severity Severity) Judge(Protocol declared, Said said) => (declared.IsHttp(), said) switch
    {
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
