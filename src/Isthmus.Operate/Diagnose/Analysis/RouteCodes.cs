using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Codes of our own about what callers and gateways make of VirtualServices.</summary>
public static class RouteCodes
{
    public static readonly AnalysisCode SubsetHidden = new("ISM1515", "SubsetHidden", Severity.Warning,
        "A VirtualService names a subset, and exportTo of the DestinationRules that define it keeps them from callers to whom the VirtualService applies. "
            + "These get 503.",
        "Export the DestinationRule to the namespaces of the callers.");

    public static readonly AnalysisCode RequestsPassedOn = new("ISM1516", "RequestsPassedOn", Severity.Warning,
        "A VirtualService has routes for requests only, and all servers that it is bound to pass TLS on without looking inside. The routes have no effect.",
        "Write tls routes with match.sniHosts, or let the server end TLS.");

    public static readonly AnalysisCode RoutesOfNoServer = new("ISM1536", "RoutesOfNoServer", Severity.Warning,
        "A VirtualService has routes of one kind, and all servers that it is bound to follow those of another: tls or tcp routes at servers that see requests, "
            + "or http or tls routes at servers that pass connections on. The routes have no effect.",
        "Write routes of the kind that the server follows, or change its protocol or tls.mode.");

    public static readonly AnalysisCode ConnectionsAreRequests = new("ISM1542", "ConnectionsAreRequests", Severity.Warning,
        "A VirtualService has tcp or tls routes for callers within the mesh, to a host whose ports declare HTTP. Proxies route requests there, and the routes "
            + "have no effect.",
        "Write http routes; or declare the port as tcp or tls, if the application does not speak HTTP.");

    public static readonly AnalysisCode OnwardRouteMissing = new("ISM1546", "OnwardRouteMissing", Severity.Warning,
        "A route of the mesh leads to a gateway, such as an egress gateway, and no Gateway takes the host there, or no VirtualService routes it on.",
        "Write the other half: a Gateway with a server for the host, and a route with match.gateways that leads on.");

    public static readonly AnalysisCode RouteTaken = new("ISM1550", "RouteTaken", Severity.Warning,
        "Two VirtualServices are for one host at one gateway, and a route of the older one takes all that a route of the newer one matches. Gateways try the "
            + "routes of the older one first (one for everything last), so the route is never used.",
        "Write the routes of both into one VirtualService, the more specific first.");
}
