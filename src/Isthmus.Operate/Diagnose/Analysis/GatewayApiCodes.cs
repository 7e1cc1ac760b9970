using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Codes of our own about what routes of the Gateway API lead to.</summary>
public static class GatewayApiCodes
{
    public static readonly AnalysisCode BackendSpeaksElse = new("ISM1510", "BackendSpeaksElse", Severity.Warning,
        "A route leads to a port that declares another protocol than the route sends: of the Gateway API, TLS to a port of HTTP, requests in plain text to a "
            + "port of HTTPS, or gRPC to a port of HTTP/1.1; of a VirtualService, TLS to a port of HTTP, "
            + "or requests in plain text to a port of HTTPS. Calls fail.",
        "Lead to a port of that protocol, begin TLS with a DestinationRule or a BackendTLSPolicy, or declare what the application speaks.");

    public static readonly AnalysisCode SwitchedOff = new("ISM1549", "GatewayApiSwitchedOff", Severity.Warning,
        "A variable of the control plane (PILOT_ENABLE_GATEWAY_API, or one that begins with it) keeps it from a part of the Gateway API, and there are "
            + "Gateways of a class of the mesh. It does not serve them, or does not say how they are.",
        "Remove the variable from the Deployment of the control plane, and from the values of the installation.");

    public static readonly AnalysisCode RoutePartlyAttached = new("ISM1511", "RoutePartlyAttached", Severity.Info,
        "A route of the Gateway API is attached to some listeners of its parent only: others that have its hosts take no routes of its namespace, and no route "
            + "there has these hosts.",
        "Allow the namespace of the route in spec.listeners[].allowedRoutes, or name the listener that is meant in sectionName.");
}
