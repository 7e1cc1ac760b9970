using static Isthmus.Mesh.Config.Schema;

namespace Isthmus.Mesh.Config;

/// <summary>The specs of security.istio.io (Istio API reference, "Security"). Unknown fields are errors at every depth.</summary>
internal static class SecuritySchemas
{
    private static readonly Schema Selector = Strict(("matchLabels", TextMap));

    private static readonly Schema TargetRef = Strict(("group", Text), ("kind", Text), ("name", Text), ("namespace", Text)).Requiring("kind", "name");

    private static readonly Schema Mtls = Strict(("mode", OneOf("UNSET", "DISABLE", "PERMISSIVE", "STRICT")));

    private static readonly Schema Source = Strict(
        ("principals", Texts), ("notPrincipals", Texts), ("requestPrincipals", Texts), ("notRequestPrincipals", Texts),
        ("namespaces", Texts), ("notNamespaces", Texts), ("serviceAccounts", Texts), ("notServiceAccounts", Texts), ("trustDomains", Texts), ("notTrustDomains", Texts),
        ("ipBlocks", Texts), ("notIpBlocks", Texts), ("remoteIpBlocks", Texts), ("notRemoteIpBlocks", Texts));

    private static readonly Schema Operation = Strict(
        ("hosts", Texts), ("notHosts", Texts), ("ports", Texts), ("notPorts", Texts),
        ("methods", Texts), ("notMethods", Texts), ("paths", Texts), ("notPaths", Texts));

    public static readonly ObjectSchema PeerAuthentication = Strict(
        ("selector", Selector),
        ("mtls", Mtls),
        ("portLevelMtls", Map(Mtls)));

    public static readonly ObjectSchema AuthorizationPolicy = Strict(
        ("selector", Selector), ("targetRef", TargetRef), ("targetRefs", List(TargetRef)),
        ("action", OneOf("ALLOW", "DENY", "AUDIT", "CUSTOM")),
        ("provider", Strict(("name", Text))),
        ("rules", List(Strict(
            ("from", List(Strict(("source", Source)))),
            ("to", List(Strict(("operation", Operation)))),
            ("when", List(Strict(("key", Text), ("values", Texts), ("notValues", Texts)).Requiring("key")))))));

    public static readonly ObjectSchema RequestAuthentication = Strict(
        ("selector", Selector), ("targetRef", TargetRef), ("targetRefs", List(TargetRef)),
        ("jwtRules", List(Strict(
            ("issuer", Text), ("audiences", Texts), ("jwksUri", Text), ("jwks_uri", Text), ("jwks", Text),
            ("fromHeaders", List(Strict(("name", Text), ("prefix", Text)).Requiring("name"))), ("fromParams", Texts), ("fromCookies", Texts),
            ("outputPayloadToHeader", Text), ("outputClaimToHeaders", List(Strict(("header", Text), ("claim", Text)).Requiring("header", "claim"))),
            ("forwardOriginalToken", Flag), ("timeout", Duration), ("spaceDelimitedClaims", Texts)).Requiring("issuer"))));
}
