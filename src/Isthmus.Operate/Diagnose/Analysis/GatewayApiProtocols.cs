using Isthmus.Core.Names;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes of the Gateway API to ports that declare another protocol than what the routes send. Pure.</summary>
public static class GatewayApiProtocols
{
    public static Analyzer Analyzer { get; } = new("gatewayapi.ProtocolAnalyzer",
        "Checks that the ports to which routes of the Gateway API lead declare what the routes send", [GatewayApiCodes.BackendSpeaksElse], ["Service"],
        mesh => mesh.GatewayApis.SelectMany(api => api.Verdicts.Routes.OrderBy(attached => attached.Route.Source)
            .Where(attached => api.Verdicts.OfRoute(attached.Route.Source) is not null).SelectMany(attached => Check(mesh, api, attached))));

    private static IEnumerable<Finding> Check(MeshSnapshot mesh, JudgedGatewayApi api, AttachedRoute attached) =>
        from rule in attached.Route.Rules.Index()
        from backend in rule.Item.Backends.Index()
        let to = backend.Item.To
        where to is { Group: "", Kind: "Service" } or { Kind: "ServiceImport" }
        let host = $"{to.Name}.{to.Namespace}.svc.{WellKnown.DefaultDomainSuffix}"
        let declared = mesh.Hosts.Find(host).SelectMany(known => known.Protocols).Where(port => port.Number == to.Port).Select(port => port.Protocol).Distinct()
            .ToList()
        // Clusters may disagree: then some calls get through.
        where declared.Count == 1
        let wrong = Wrong(mesh, api, attached, to, host, declared[0])
        where wrong is not null
        select GatewayApiCodes.BackendSpeaksElse.At(api.Cluster, JudgedGatewayApi.Name(attached.Route.Source),
            $"spec.rules[{rule.Index}].backendRefs[{backend.Index}].port",
            $"is {to.Port} of {to.Kind} {to.Namespace}/{to.Name}, which declares {declared[0].ToString().ToUpperInvariant()}, and {wrong.Value.Why}",
            wrong.Value.Remedy);

    private static (string Why, string Remedy)? Wrong(MeshSnapshot mesh, JudgedGatewayApi api, AttachedRoute attached, ApiReference to, string host,
        Protocol declared)
    {
        var kind = attached.Route.Source.Kind;
        if (kind == MeshApi.TlsRoute.Kind)
            return declared.IsHttp()
                && attached.Parents.SelectMany(parent => parent.Listeners).FirstOrDefault(listener => !listener.TerminatesTls) is { } passing
                ? ($"listener {passing.Name} of {passing.Owner.Namespace}/{passing.Owner.Name} passes TLS on without ending it: what takes the connection "
                    + "finds no request",
                    "lead to the port where the application speaks TLS, and name it tls or https; or let the listener end TLS (protocol HTTPS), with an "
                    + "HTTPRoute")
                : null;
        if (kind is not ("HTTPRoute" or "GRPCRoute")) return null;
        if (declared.IsTls())
            return TlsOrigination.MayBegin(mesh, api.Cluster, host) ? null
                : ("nothing begins TLS there: requests are sent in plain text",
                    $"create a BackendTLSPolicy for Service {to.Name} in namespace {to.Namespace}, or a DestinationRule with trafficPolicy.tls; or, if the "
                    + "application speaks plain HTTP, name the port http");
        return kind == "GRPCRoute" && declared == Protocol.Http && !UpgradesToHttp2(mesh, host)
            ? ("it is called with HTTP/1.1, over which gRPC does not work", "lead to a port of gRPC; if the application speaks it there, name the port grpc or "
                + "grpc-…, or set appProtocol: grpc")
            : null;
    }

    private static bool UpgradesToHttp2(MeshSnapshot mesh, string host) => mesh.Clusters.Any(config => config.Cluster.Mesh?.UpgradeToHttp2 == true)
        || TlsOrigination.RulesFor(mesh, host).Any(policy => policy.Pool?.UpgradeToHttp2 == true
            || policy.Ports.Any(port => port.Policy.Pool?.UpgradeToHttp2 == true));
}
