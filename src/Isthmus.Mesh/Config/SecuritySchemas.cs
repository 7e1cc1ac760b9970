using static Isthmus.Mesh.Config.Schema;

namespace Isthmus.Mesh.Config;

/// <summary>The specs of security.istio.io (Istio API reference, "Security"). Unknown fields are errors at every depth.</summary>
internal static class SecuritySchemas
{
    internal static readonly Schema SelectedLabels = SelectorLabels.AtMost(4096).With(SchemaRule.NoWildcardKeys, SchemaRule.NoEmptyKey);

    internal static readonly (string, Schema)[] TargetRefFields =
    [
        ("group", Text.AtMost(253).Matching(@"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?")),
        ("kind", Text.Between(1, 63).Matching("[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?")), ("name", Text.Between(1, 253)),
            ("namespace", Text.With(SchemaRule.OwnNamespace)),
    ];

    internal static readonly SchemaRule OneTarget = SchemaRule.AtMostOne("selector", "targetRef", "targetRefs");

    private static readonly Schema Selector = Strict(("matchLabels", SelectedLabels));

    private static readonly Schema TargetRef = Strict(TargetRefFields).Requiring("kind", "name");

    private static readonly Schema Filled = Text.AtLeast(1);

    private static readonly Schema Accounts = List(Text.AtMost(320)).AtMost(16);

    private static readonly Schema JwksAddress = Text.Between(1, 2048).With(SchemaRule.HttpAddress);

    private static readonly Schema Mtls = Strict(("mode", OneOf("UNSET", "DISABLE", "PERMISSIVE", "STRICT")));

    private static readonly Schema Source = Strict(
        ("principals", Texts), ("notPrincipals", Texts), ("requestPrincipals", Texts), ("notRequestPrincipals", Texts),
        ("namespaces", Texts), ("notNamespaces", Texts), ("serviceAccounts", Accounts), ("notServiceAccounts", Accounts), ("trustDomains", Texts),
            ("notTrustDomains", Texts),
        ("ipBlocks", Texts), ("notIpBlocks", Texts), ("remoteIpBlocks", Texts), ("notRemoteIpBlocks", Texts)).With(KindRules.AccountsAlone);

    private static readonly Schema Operation = Strict(
        ("hosts", Texts), ("notHosts", Texts), ("ports", Texts), ("notPorts", Texts),
        ("methods", Texts), ("notMethods", Texts), ("paths", Texts), ("notPaths", Texts));

    public static readonly ObjectSchema PeerAuthentication = Strict(
        ("selector", Selector),
        ("mtls", Mtls),
        ("portLevelMtls", (Map(Mtls) with { Fewest = 1 }).With(SchemaRule.PortKeys))).With(KindRules.PortsNeedSelector);

    public static readonly ObjectSchema AuthorizationPolicy = Strict(
        ("selector", Selector), ("targetRef", TargetRef), ("targetRefs", List(TargetRef).AtMost(16)),
        ("action", OneOf("ALLOW", "DENY", "AUDIT", "CUSTOM")),
        ("provider", Strict(("name", Text))),
        ("rules", List(Strict(
            ("from", List(Strict(("source", Source))).AtMost(512)),
            ("to", List(Strict(("operation", Operation)))),
            ("when", List(Strict(("key", Text), ("values", Texts), ("notValues", Texts)).Requiring("key"))))).AtMost(512))).With(OneTarget);

    public static readonly ObjectSchema RequestAuthentication = Strict(
        ("selector", Selector), ("targetRef", TargetRef), ("targetRefs", List(TargetRef).AtMost(16)),
        ("jwtRules", List(Strict(
            ("issuer", Filled), ("audiences", List(Filled)), ("jwksUri", JwksAddress), ("jwks_uri", JwksAddress), ("jwks", Text),
            ("fromHeaders", List(Strict(("name", Filled), ("prefix", Text)).Requiring("name"))), ("fromParams", List(Filled)), ("fromCookies", List(Filled)),
            ("outputPayloadToHeader", Text), ("outputClaimToHeaders", List(Strict(("header", Text.AtLeast(1).Matching("[-_A-Za-z0-9]+")),
                ("claim", Filled)).Requiring("header", "claim"))),
            ("forwardOriginalToken", Flag), ("timeout", Duration), ("spaceDelimitedClaims", List(Filled).AtMost(64)))
            .With(SchemaRule.AtMostOne("jwksUri", "jwks_uri", "jwks"))).AtMost(4096))).With(OneTarget);
}
