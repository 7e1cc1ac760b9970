using static Isthmus.Mesh.Config.Schema;

namespace Isthmus.Mesh.Config;

/// <summary>The specs of security.istio.io that are checked by shape so far (Istio API reference, "Security").</summary>
internal static class SecuritySchemas
{
    private static readonly Schema Selector = Object(("matchLabels", TextMap));

    private static readonly Schema Source = Object(
        ("principals", Texts), ("notPrincipals", Texts), ("requestPrincipals", Texts), ("notRequestPrincipals", Texts),
        ("namespaces", Texts), ("notNamespaces", Texts), ("ipBlocks", Texts), ("notIpBlocks", Texts), ("remoteIpBlocks", Texts), ("notRemoteIpBlocks", Texts));

    private static readonly Schema Operation = Object(
        ("hosts", Texts), ("notHosts", Texts), ("ports", Texts), ("notPorts", Texts),
        ("methods", Texts), ("notMethods", Texts), ("paths", Texts), ("notPaths", Texts));

    public static readonly ObjectSchema AuthorizationPolicy = Object(
        ("selector", Selector),
        ("action", OneOf("ALLOW", "DENY", "AUDIT", "CUSTOM")),
        ("provider", Object(("name", Text))),
        ("rules", List(Object(
            ("from", List(Object(("source", Source)))),
            ("to", List(Object(("operation", Operation)))),
            ("when", List(Object(("key", Text), ("values", Texts), ("notValues", Texts))))))));

    public static readonly ObjectSchema RequestAuthentication = Object(
        ("selector", Selector),
        ("jwtRules", List(Object(
            ("issuer", Text), ("audiences", Texts), ("jwksUri", Text), ("jwks_uri", Text), ("jwks", Text),
            ("fromHeaders", List(Object(("name", Text), ("prefix", Text)))), ("fromParams", Texts), ("fromCookies", Texts),
            ("outputPayloadToHeader", Text), ("outputClaimToHeaders", List(Object(("header", Text), ("claim", Text)))),
            ("forwardOriginalToken", Flag), ("timeout", Duration)))));
}
