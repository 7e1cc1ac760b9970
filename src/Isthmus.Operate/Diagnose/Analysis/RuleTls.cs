using Isthmus.Core.Names;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>TLS of DestinationRules that begins within that of applications, or does not begin at a port that has settings of its own. Pure.</summary>
public static class RuleTls
{
    private const int AnyPort = 0;

    public static Analyzer Twice
    {
        get;
    } = new("destinationrule.DoubleTlsAnalyzer", "Checks that DestinationRules begin no TLS at ports that carry the TLS of applications",
        [OwnCodes.TlsTwice], ["DestinationRule", "Service", "VirtualService"], mesh =>
        from requested in new[] { Requested(mesh).ToHashSet() }
        from config in mesh.Clusters
        from rule in config.Cluster.Istio<DestinationRule>()
        where !rule.Host.StartsWith('*')
        from place in Places(rule)
        where place.Policy.Tls is { Mode: ClientTlsMode.Simple or ClientTlsMode.Mutual }
        let met = mesh.Hosts.Find(rule.Host).SelectMany(known => known.Protocols).Distinct()
            .Where(port => port.Protocol.IsTls() && place.IsFor(port.Number)
                && !requested.Contains((rule.Host, port.Number)) && !requested.Contains((rule.Host, AnyPort))).Take(1).ToList()
        where met.Count > 0
        select OwnCodes.TlsTwice.At(config.Cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", $"{place.Path}.tls.mode",
            $"is {place.Policy.Tls!.Mode.ToString().ToUpperInvariant()}, and port {met[0].Number} of {rule.Host} declares "
                + $"{met[0].Protocol.ToString().ToUpperInvariant()}: applications begin TLS there themselves, so that the server gets TLS within TLS",
            $"remove {place.Path}.tls for this port, or call http:// at a port that declares HTTP"));

    public static Analyzer Dropped
    {
        get;
    } = new("destinationrule.PortPolicyAnalyzer", "Checks that settings of ports in DestinationRules repeat the TLS of the host", [OwnCodes.PortPolicyDropsTls],
        ["DestinationRule"], mesh =>
        from cluster in mesh.Readable
        from rule in cluster.Istio<DestinationRule>()
        from policy in Policies(rule)
        where policy.Policy.Tls is { Mode: ClientTlsMode.Simple or ClientTlsMode.Mutual }
        from port in policy.Policy.Ports.Index()
        where port.Item.Policy.Tls is null
        select OwnCodes.PortPolicyDropsTls.At(cluster, $"DestinationRule {rule.Namespace}/{rule.Name}", $"{policy.Path}.portLevelSettings[{port.Index}]",
            $"takes the place of all that {policy.Path} says for port {port.Item.Port}: its tls ({policy.Policy.Tls!.Mode.ToString().ToUpperInvariant()}) does "
                + "not count there, and calls are plain text",
            $"repeat tls in {policy.Path}.portLevelSettings[{port.Index}]"));

    /// <summary>The hosts and ports to which routes send requests, which proxies put into TLS.</summary>
    private static IEnumerable<(string Host, int Port)> Requested(MeshSnapshot mesh) =>
    [
        .. from config in mesh.Clusters
           from placed in RouteDestinations.Of(config)
           where placed.IsHttpRoute
           select (placed.Destination.Host, placed.Destination.Port),
        .. from api in mesh.GatewayApis
           from attached in api.Verdicts.Routes
           where attached.Route.Source.Kind.Split('.')[0] is "HTTPRoute" or "GRPCRoute"
           from backend in attached.Route.Rules.SelectMany(rule => rule.Backends)
           select (backend.To.Kind == "Hostname" ? backend.To.Name : Service(backend.To.Name, backend.To.Namespace), backend.To.Port),
        .. IngressObjects.BackendServices(mesh).Select(service => (Service(service.Name, service.Namespace), AnyPort)),
    ];

    private static string Service(string name, string ns) => $"{name}.{ns}.svc.{WellKnown.DefaultDomainSuffix}";

    internal static IEnumerable<(string Path, TrafficPolicy Policy)> Policies(DestinationRule rule) =>
        rule.Subsets.Index().Where(subset => subset.Item.Policy is not null)
            .Select(subset => ($"spec.subsets[{subset.Index}].trafficPolicy", subset.Item.Policy!)).Prepend(("spec.trafficPolicy", rule.Policy));

    private static IEnumerable<(string Path, TrafficPolicy Policy, Func<int, bool> IsFor)> Places(DestinationRule rule) =>
        Policies(rule).SelectMany(place => place.Policy.Ports.Index()
            .Select(own => ($"{place.Path}.portLevelSettings[{own.Index}]", own.Item.Policy, (Func<int, bool>)(port => port == own.Item.Port)))
            .Prepend((place.Path, place.Policy, port => !place.Policy.Ports.Any(own => own.Port == port))));
}
