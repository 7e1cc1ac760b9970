using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model.GatewayApi;

/// <summary>The features of the Gateway API that gateways and sidecars have, by the names of its conformance suite: what a GatewayClass says that it
/// supports.</summary>
public static class GatewayFeatures
{
    /// <summary>By profile or kind.</summary>
    public static readonly IReadOnlyList<(string Profile, string[] Features)> ByProfile =
    [
        ("Gateway", [
            "Gateway", "GatewayAddressEmpty", "GatewayAddressRoutability", "GatewayAddressRoutabilityCluster", "GatewayBackendClientCertificate",
            "GatewayFrontendClientCertificateValidation",
            "GatewayFrontendClientCertificateValidationInsecureFallback", "GatewayHTTPListenerIsolation", "GatewayHTTPSListenerDetectMisdirectedRequests",
            "GatewayInfrastructurePropagation", "GatewayPort8080", "GatewayStaticAddresses", "ListenerSet", "ReferenceGrant",
        ]),
        ("HTTPRoute", [
            "HTTPRoute", "HTTPRoute303RedirectStatusCode", "HTTPRoute307RedirectStatusCode", "HTTPRoute308RedirectStatusCode", "HTTPRouteBackendProtocolH2C",
            "HTTPRouteBackendProtocolWebSocket", "HTTPRouteBackendRequestHeaderModification", "HTTPRouteBackendTimeout", "HTTPRouteBackendURLRewrite",
            "HTTPRouteCORS",
            "HTTPRouteDestinationPortMatching", "HTTPRouteHostRewrite", "HTTPRouteMethodMatching", "HTTPRouteNamedRouteRule", "HTTPRouteParentRefPort",
            "HTTPRoutePathRedirect", "HTTPRoutePathRewrite",
            "HTTPRoutePortRedirect", "HTTPRouteQueryParamMatching", "HTTPRouteRequestMirror", "HTTPRouteRequestMultipleMirrors",
            "HTTPRouteRequestPercentageMirror",
            "HTTPRouteRequestTimeout", "HTTPRouteResponseHeaderModification", "HTTPRouteRetry", "HTTPRouteRetryBackendTimeout", "HTTPRouteRetryCodes",
            "HTTPRouteRetryConnectionError", "HTTPRouteSchemeRedirect",
        ]),
        ("GRPCRoute", ["GRPCRoute", "GRPCRouteNamedRouteRule", "GRPCRouteRequestHeaderModifier"]),
        ("TLSRoute", ["TLSRoute", "TLSRouteModeMixed", "TLSRouteModeTerminate"]),
        ("TCPRoute", ["TCPRoute"]),
        ("UDPRoute", ["UDPRoute"]),
        ("BackendTLSPolicy", ["BackendTLSPolicy", "BackendTLSPolicySANValidation", "ClusterTrustBundle"]),
        ("Mesh", [
            "Mesh", "MeshClusterIPMatching", "MeshConsumerRoute", "MeshHTTPRouteBackendRequestHeaderModification", "MeshHTTPRouteNamedRouteRule",
            "MeshHTTPRouteQueryParamMatching", "MeshHTTPRouteRedirectPath", "MeshHTTPRouteRedirectPort", "MeshHTTPRouteRewritePath",
                "MeshHTTPRouteSchemeRedirect",
        ]),
    ];

    /// <summary>All of them, in the order of a status.</summary>
    public static readonly IReadOnlyList<string> All = [.. ByProfile.SelectMany(profile => profile.Features).Order(StringComparer.Ordinal)];

    /// <summary>Those of calls within the mesh.</summary>
    public static readonly ValueList<string> OfMesh = ByProfile.Where(row => row.Profile is "HTTPRoute" or "GRPCRoute" or "BackendTLSPolicy" or "Mesh")
        .SelectMany(row => row.Features).Order(StringComparer.Ordinal).ToValueList();
}
