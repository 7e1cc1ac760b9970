using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes that redirect requests to where they came from. Pure.</summary>
public static class RedirectLoops
{
    private const string Http = "http", Https = "https";

    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.RedirectAnalyzer", "Checks for redirects of VirtualServices and HTTPRoutes that lead back to themselves",
        [OwnCodes.RedirectLoop], [],
        mesh => mesh.Clusters.SelectMany(config => OfVirtualServices(mesh, config)).Concat(mesh.GatewayApis.SelectMany(OfRoutes)));

    private static IEnumerable<Finding> OfVirtualServices(MeshSnapshot mesh, ConfigCluster config) =>
        from routes in config.Cluster.Istio<VirtualService>()
        // What a delegate leads to depends on whoever names it.
        where !routes.Hosts.IsEmpty && routes.Http.Any(route => route.Redirect is not null)
        let ways = Ways(mesh, config, routes).Distinct().ToList()
        from route in routes.Http.Index()
        where route.Item.Redirect is not null
        let target = (route.Item.Matches.IsEmpty ? [HttpMatch.Any] : route.Item.Matches)
            .Select(match => RedirectTarget.Again(route.Item.Redirect!, match, routes.Hosts, ways)).FirstOrDefault(target => target is not null)
        where target is not null && !routes.Http.Take(route.Index).Any(earlier => target.Value.MayGoTo(earlier.Matches))
        let isOfTls = route.Item.Redirect!.Scheme == Https && target.Value.Path is null
        select OwnCodes.RedirectLoop.At(config.Cluster, $"VirtualService {routes.Namespace}/{routes.Name}", $"spec.http[{route.Index}].redirect",
            Says(route.Item.Redirect!, target.Value),
            isOfTls ? $"match only what comes without TLS (spec.http[{route.Index}].match[].scheme.exact: http)"
                : $"change spec.http[{route.Index}].redirect, or its match");

    /// <summary>The ways by which sidecars and gateways get requests for the hosts.</summary>
    private static IEnumerable<ArrivalWay> Ways(MeshSnapshot mesh, ConfigCluster config, VirtualService routes) =>
        (routes.ForSidecars ? routes.Hosts.SelectMany(mesh.Hosts.Find).SelectMany(host => host.Ports).Select(port => new ArrivalWay(Http, port)) : [])
        .Concat(from gateway in config.Cluster.Istio<Gateway>()
                where routes.Gateways.Contains(gateway.FullName)
                from server in gateway.Servers
                where routes.Hosts.Any(host => Hosts.Admits(gateway, server, host, routes.Namespace))
                    // Such a server redirects before it asks routes.
                    && server.Tls is not { HttpsRedirect: true }
                select new ArrivalWay(server.Protocol == Protocol.Https ? Https : Http, server.Port));

    private static IEnumerable<Finding> OfRoutes(JudgedGatewayApi api) =>
        from attached in api.Verdicts.Routes
        from rule in attached.Route.Rules.Index()
        let to = rule.Item.Filters.Redirect
        where to is not null
        let listeners = attached.Parents.SelectMany(parent => parent.Listeners).ToList()
        let hosts = listeners.Count == 0 || listeners.Exists(listener => listener.Hostnames.IsEmpty) ? ["*"]
            : listeners.SelectMany(listener => listener.Hostnames).ToList()
        let ways = listeners.Select(listener => new ArrivalWay(listener.TerminatesTls ? Https : Http, listener.Port)).ToList()
        let found = (rule.Item.Matches.IsEmpty ? [HttpMatch.Any] : rule.Item.Matches)
            .Select(match => (Match: match, Target: RedirectTarget.Again(to, match, hosts, ways))).FirstOrDefault(found => found.Target is not null)
        where found.Target is { } target && !Others(api, attached, rule.Item).Any(other => IsNarrower(other, found.Match) && target.MayGoTo([other]))
        select OwnCodes.RedirectLoop.At(api.Cluster, JudgedGatewayApi.Name(attached.Route.Source), $"spec.rules[{rule.Index}].filters",
            Says(to, found.Target.GetValueOrDefault()), $"change requestRedirect of spec.rules[{rule.Index}], or its matches");

    /// <summary>What other rules match that have a parent with this one.</summary>
    private static IEnumerable<HttpMatch> Others(JudgedGatewayApi api, AttachedRoute attached, ApiRule rule) =>
        api.Verdicts.Routes.Where(other => other.Route.Parents.Any(parent => attached.Route.Parents.Contains(parent)))
            .SelectMany(other => other.Route.Rules).Where(other => !ReferenceEquals(other, rule)).SelectMany(other => other.Matches);

    /// <summary>Whether a match may come before another one: longer paths do.</summary>
    private static bool IsNarrower(HttpMatch match, HttpMatch than) =>
        match.Uri is { } uri && (uri.Kind is not (MatchKind.Prefix or MatchKind.PathPrefix) || uri.Value.Length >= (than.Uri?.Value.Length ?? 0));

    private static string Says(HttpRedirect to, RedirectTarget target) =>
        $"{(target.Path is { } path ? $"redirects to {path}{(target.IsOpen ? "…" : "")}, which the route takes as well"
            : to.Scheme == Https ? "redirects what comes by HTTPS to HTTPS again"
            : "changes neither path nor host, scheme or port")}: clients that follow it come back again and again";
}
