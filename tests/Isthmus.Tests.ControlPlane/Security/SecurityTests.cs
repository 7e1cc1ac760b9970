using System.Collections;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Generate;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Xds;
using Xunit;
using StringMatcher = Isthmus.Wire.Envoy.StringMatcher;

namespace Isthmus.Tests.ControlPlane.Security;

/// <summary>How AuthorizationPolicies and RequestAuthentications change a workload's listener.</summary>
public sealed class SecurityTests
{
    private const string Policies = """
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: callers, namespace: shop}
        spec:
          selector: {matchLabels: {app: orders}}
          rules:
          - from:
            - source: {principals: [cluster.local/ns/till/sa/cashier, '*/sa/admin'], notRemoteIpBlocks: [10.0.0.0/8]}
            - source: {namespaces: [audit-*], requestPrincipals: ['*']}
            to:
            - operation: {methods: [GET], paths: [/orders/*, '/v1/{*}/orders'], notHosts: ['*.internal'], ports: ['8080']}
            when:
            - {key: 'request.auth.claims[groups]', values: [tellers]}
            - {key: 'request.headers[x-till]', values: ['*']}
            - {key: connection.sni, notValues: [outside.example]}
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: no-writes, namespace: shop, annotations: {istio.io/dry-run: 'true'}}
        spec: {action: DENY, rules: [{to: [{operation: {methods: [PUT]}}]}]}
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: everywhere, namespace: istio-system}
        spec: {action: DENY, rules: [{from: [{source: {notNamespaces: [shop, till]}}], to: [{operation: {paths: [/admin]}}]}]}
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: others, namespace: shop}
        spec: {selector: {matchLabels: {app: stock}}}
        ---
        apiVersion: security.istio.io/v1
        kind: RequestAuthentication
        metadata: {name: bank, namespace: shop}
        spec:
          jwtRules:
          - {issuer: bank, jwksUri: 'http://keys:80/all', audiences: [shop], outputClaimToHeaders: [{header: x-groups, claim: groups}]}
          - {issuer: away, jwksUri: 'https://keys.example/all', fromHeaders: [{name: x-away, prefix: 'T '}], forwardOriginalToken: true}
        """;

    [Fact]
    public void Policies_and_tokens_of_a_workload()
    {
        var (rig, orders) = Shop();
        rig.Config(Policies);
        rig.Push();
        Assert.Empty(rig.Mesh.Sources.Problems.Items);
        var chain = MeshRig.Listener(orders, "virtualInbound")!.FilterChains.First(chain => chain.FilterChainMatch.DestinationPort == 8080);
        var filters = Http(chain).HttpFilters.TakeWhile(filter => filter.Name != "istio.metadata_exchange");
        Golden.Verify(string.Join("\n", filters.Select(filter => Pretty(filter))), "http");
        var bytes = MeshRig.Listener(orders,
            "virtualInbound")!.FilterChains.First(chain => chain.Filters.Any(filter => filter.Name.EndsWith("tcp_proxy", StringComparison.Ordinal))
            && chain.FilterChainMatch.DestinationPort is null);
        Golden.Verify(string.Join("\n", bytes.Filters.SkipLast(1).Select(filter => Pretty(filter))), "tcp");
    }

    [Fact]
    public void A_policy_changes_the_workloads_it_selects_and_nobody_else()
    {
        var (rig, orders) = Shop();
        rig.App("c1", "stock", "10.96.0.30", "10.244.0.30");
        var stock = rig.Sidecar("c1", "stock-10.244.0.30", "10.244.0.30");
        rig.Push();
        var (before, others) = (MeshRig.Versions(orders), MeshRig.Versions(stock));
        rig.Config(Policies.Split("---")[0]);
        rig.Push();
        var changed = MeshRig.Versions(orders).Where(item => before[item.Key] != item.Value).Select(item => item.Key);
        Assert.EndsWith("Listener/virtualInbound", Assert.Single(changed), StringComparison.Ordinal);
        Assert.Equal(others, MeshRig.Versions(stock));
        rig.Writer.RemoveConfig("c1", "AuthorizationPolicy", MeshRig.Namespace, "callers");
        rig.Push();
        Assert.Equal(before, MeshRig.Versions(orders));
    }

    /// <summary>Envoy refuses the whole listener for one of them, and with it all other policies.</summary>
    [Theory]
    [InlineData("to: [{operation: {paths: ['VALUE'], notHosts: ['VALUE'], methods: ['VALUE']}}]", "{**}")]
    [InlineData("to: [{operation: {paths: ['VALUE'], notHosts: ['VALUE'], methods: ['VALUE']}}]", "{*}")]
    [InlineData("to: [{operation: {paths: ['VALUE'], notHosts: ['VALUE'], methods: ['VALUE']}}]", "*")]
    [InlineData("to: [{operation: {paths: ['VALUE'], notHosts: ['VALUE'], methods: ['VALUE']}}]", "**")]
    [InlineData("from: [{source: {principals: ['VALUE'], requestPrincipals: ['VALUE'], namespaces: ['VALUE'], trustDomains: ['VALUE']}}]", "*")]
    [InlineData("from: [{source: {principals: ['VALUE'], requestPrincipals: ['VALUE'], namespaces: ['VALUE'], trustDomains: ['VALUE']}}]", "**")]
    [InlineData("when: [{key: 'request.headers[x]', values: ['VALUE']}, {key: 'request.auth.claims[x]', values: ['VALUE']}]", "*")]
    [InlineData("when: [{key: 'experimental.envoy.filters.a.b[c]', values: ['VALUE', '[VALUE]']}, {key: connection.sni, values: ['VALUE']}]", "*")]
    public void A_pattern_that_matches_everything_is_no_empty_prefix_or_suffix(string rule, string value)
    {
        var (rig, orders) = Shop();
        rig.Config($$"""
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: all, namespace: shop}
            spec: {action: DENY, rules: [{{{rule.Replace("VALUE", value, StringComparison.Ordinal)}}}]}
            """);
        rig.Push();
        var rules = Http(MeshRig.Listener(orders, "virtualInbound")!.FilterChains.First(chain => chain.FilterChainMatch.DestinationPort == 8080))
            .HttpFilters[0].TypedConfig.Unpack<Isthmus.Wire.Envoy.HttpFilters.RBAC>().Rules;
        var matchers = Texts(rules).ToList();
        Assert.NotEmpty(matchers);
        Assert.DoesNotContain(matchers, text => (text.MatchPatternCase, text.Prefix, text.Suffix)
            is (StringMatcher.MatchPatternOneofCase.Prefix, "", _) or (StringMatcher.MatchPatternOneofCase.Suffix, _, ""));
    }

    /// <summary>The matches of text in a message.</summary>
    private static IEnumerable<StringMatcher> Texts(IMessage message) => message is StringMatcher text ? [text]
        : message.Descriptor.Fields.InFieldNumberOrder().Where(field => field.FieldType == FieldType.Message)
            .SelectMany(field => field.Accessor.GetValue(message) switch
            {
                IMessage one => Enumerable.Repeat(one, 1),
                IDictionary map => map.Values.OfType<IMessage>(),
                IEnumerable list => list.OfType<IMessage>(),
                _ => [],
            }).SelectMany(Texts);

    [Fact]
    public void An_identity_of_the_mesh_is_meant_in_all_its_trust_domains()
    {
        var (rig, orders) = Shop();
        rig.Writer.PutSettings("c1", YamlText.Parse("{trustDomain: new.example, trustDomainAliases: [old.example]}", "mesh"), null);
        rig.Config("""
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: callers, namespace: shop}
            spec: {rules: [{from: [{source: {principals: [cluster.local/ns/till/sa/cashier, other.example/ns/a/sa/b]}}]}]}
            """);
        rig.Push();
        var rules = Http(MeshRig.Listener(orders, "virtualInbound")!.FilterChains.First(chain => chain.FilterChainMatch.DestinationPort == 8080))
            .HttpFilters[0].TypedConfig.Unpack<Isthmus.Wire.Envoy.HttpFilters.RBAC>().Rules;
        Assert.Equal(
            ["spiffe://new.example/ns/till/sa/cashier", "spiffe://old.example/ns/till/sa/cashier", "spiffe://other.example/ns/a/sa/b"],
            rules.Policies.Values.Single().Principals[0].AndIds.Ids[0].OrIds.Ids.Select(id => id.Authenticated.PrincipalName.Exact));
    }

    [Fact]
    public void Keys_are_fetched_as_soon_as_the_mesh_knows_the_way_to_them()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Config(Policies.Split("---")[4]);
        var orders = rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1");
        rig.Push();
        Assert.Equal(TokenChecks.NoKeys, Provider(orders).LocalJwks.InlineString); // Meanwhile, no token is accepted.
        rig.App("c1", "keys", "10.96.0.20", "10.244.0.2");
        rig.Push();
        Assert.Equal(MeshRig.OutboundName("keys"), Provider(orders).RemoteJwks.HttpUri.Cluster);
    }

    [Fact]
    public void A_request_for_keys_takes_as_long_as_its_rule_says()
    {
        var (rig, orders) = Shop();
        rig.Config("""
            apiVersion: security.istio.io/v1
            kind: RequestAuthentication
            metadata: {name: bank, namespace: shop}
            spec: {jwtRules: [{issuer: bank, jwksUri: 'http://keys:80/all', timeout: 1500ms}, {issuer: other, jwksUri: 'http://keys:80/other'}]}
            """);
        rig.Push();
        var providers = Http(MeshRig.Listener(orders, "virtualInbound")!.FilterChains.First(chain => chain.FilterChainMatch.DestinationPort == 8080))
            .HttpFilters[0].TypedConfig.Unpack<JwtAuthentication>().Providers.Values;
        Assert.Equal([("bank", 1.5), ("other", 5)],
            providers.Select(provider => (provider.Issuer, provider.RemoteJwks.HttpUri.Timeout.ToTimeSpan().TotalSeconds)).OrderBy(item => item.Issuer));
    }

    [Fact]
    public void A_gateway_that_passes_mesh_TLS_through_obeys_only_policies_that_select_it()
    {
        var (rig, _) = Shop();
        rig.EastWest("c1", "172.18.201.1");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: cross, namespace: shop}
            spec: {selector: {app: eastwest}, servers: [{port: {number: 15443, name: tls, protocol: TLS}, hosts: ['*.local'], tls: {mode: AUTO_PASSTHROUGH}}]}
            ---
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: nothing, namespace: shop}
            spec: {}
            """);
        var gateway = rig.Router("c1", "eastwest");
        rig.Push();
        Assert.All(MeshRig.Listener(gateway, "0.0.0.0_15443")!.FilterChains, chain => Assert.Single(chain.Filters));
        rig.Config("""
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: partners, namespace: shop}
            spec: {selector: {matchLabels: {app: eastwest}}, rules: [{from: [{source: {ipBlocks: [172.18.0.0/16]}}]}]}
            """);
        rig.Push();
        Assert.All(MeshRig.Listener(gateway, "0.0.0.0_15443")!.FilterChains, chain => Assert.Equal("envoy.filters.network.rbac", chain.Filters[0].Name));
    }

    [Fact]
    public void TLS_of_the_mesh_and_other_TLS_have_the_limits_of_MeshConfig()
    {
        var (rig, orders) = Shop();
        rig.Settings("""
            meshMTLS: {minProtocolVersion: TLSV1_3, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]}
            tlsDefaults: {minProtocolVersion: TLSV1_3, cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256]}
            """);
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: keys, namespace: shop}
            spec: {host: keys, trafficPolicy: {tls: {mode: SIMPLE}}}
            """);
        rig.Push();
        var inbound = MeshRig.Listener(orders, "virtualInbound")!.FilterChains.First(chain => chain.FilterChainMatch.DestinationPort == 8080
            && chain.TransportSocket is not null)
            .TransportSocket.TypedConfig.Unpack<Isthmus.Wire.Envoy.DownstreamTlsContext>().CommonTlsContext.TlsParams;
        var outbound = MeshRig.Cluster(orders,
            MeshRig.OutboundName("keys"))!.TransportSocket.TypedConfig.Unpack<Isthmus.Wire.Envoy.UpstreamTlsContext>().CommonTlsContext.TlsParams;
        Assert.Equal(
            """{ "tlsMinimumProtocolVersion": "TLSv1_3", "tlsMaximumProtocolVersion": "TLSv1_3", "cipherSuites": [ "ECDHE-RSA-AES128-GCM-SHA256" ] }""",
            $"{inbound}");
        Assert.Equal(
            """{ "tlsMinimumProtocolVersion": "TLSv1_3", "tlsMaximumProtocolVersion": "TLSv1_3", "cipherSuites": [ "ECDHE-ECDSA-AES128-GCM-SHA256" ] }""",
            $"{outbound}");
    }

    [Fact]
    public void A_gateway_is_given_the_certificates_that_its_servers_name_and_no_other()
    {
        var (rig, orders) = Shop();
        rig.EastWest("c1", "172.18.201.1");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec: {selector: {app: eastwest}, servers: [{port: {number: 15443, name: https, protocol: HTTPS}, hosts: [shop.example], tls: {mode: MUTUAL, credentialName: front}}]}
            """);
        var gateway = rig.Router("c1", "eastwest");
        rig.Push();
        Assert.Empty(Credentials(gateway));
        var missing = Assert.Single(gateway.Problems);
        Assert.Equal(("IST0101", "Gateway shop/front", "spec.servers[0].tls.credentialName"), (missing.Code, missing.Object, missing.Path));
        Assert.StartsWith("Referenced credentialName not found: \"front\" (Secret shop/front", missing.Message, StringComparison.Ordinal);
        Assert.Empty(orders.Problems);
        Secret("c1", "front", ("tls.crt", "CERT"), ("tls.key", "KEY"));
        rig.Push();
        Assert.Contains("holds a certificate and a key that cannot be used together", Assert.Single(gateway.Problems).Message, StringComparison.Ordinal);
        var (certificate, key) = Pair("front");
        Secret("c1", "front", ("tls.crt", certificate), ("tls.key", key));
        rig.Push();
        Assert.Contains("\"front-cacert\"", Assert.Single(gateway.Problems).Message, StringComparison.Ordinal);
        Secret("c1", "front-cacert", ("cacert", "ROOTS"));
        rig.Push();
        Assert.Contains("Secret shop/front-cacert holds no certificate in its CA", Assert.Single(gateway.Problems).Message,
            StringComparison.Ordinal);
        Secret("c1", "front-cacert", ("cacert", Pair("roots").Certificate));
        Secret("c1", "other", ("tls.crt", "CERT"), ("tls.key", "KEY"));
        Secret("c2", "front", ("tls.crt", "FOREIGN"), ("tls.key", "KEY"));
        rig.Push();
        Assert.Empty(gateway.Problems);
        Assert.Equal(["kubernetes://front CN=front", "kubernetes://front-cacert CN=roots"], Credentials(gateway));
        Assert.Empty(Credentials(orders));
        (certificate, key) = Pair("newer");
        Secret("c1", "front", ("tls.crt", certificate), ("tls.key", key), ("ca.crt", Pair("own").Certificate));
        rig.Push();
        Assert.Equal(["kubernetes://front CN=newer", "kubernetes://front-cacert CN=own"], Credentials(gateway));
        // With these it calls another host; a sidecar that calls the host as well gets none.
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: keys, namespace: shop}
            spec: {host: keys, subsets: [{name: v1, trafficPolicy: {tls: {mode: MUTUAL, credentialName: other}}}]}
            """);
        rig.Push();
        Assert.Equal(["kubernetes://front CN=newer", "kubernetes://front-cacert CN=own", "kubernetes://other CERT"], Credentials(gateway));
        Assert.Empty(Credentials(orders));
        rig.Writer.RemoveConfig("c1", "DestinationRule", "shop", "keys");
        rig.Push();
        Assert.Equal(["kubernetes://front CN=newer", "kubernetes://front-cacert CN=own"], Credentials(gateway));

        void Secret(string cluster, string name, params (string Key, string Text)[] data) => rig.Writer.Put(cluster, new Secret
        {
            Metadata = new() { Name = name, Namespace = MeshRig.Namespace },
            Data = data.ToDictionary(item => item.Key, item => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(item.Text))),
        });
    }

    private static (string Certificate, string Key) Pair(string name) => TestCa.SelfSignedPair(name);

    /// <summary>The names of the secrets of a gateway, each with the subject of its certificate, or the text that is none.</summary>
    internal static IEnumerable<string> Credentials(ProxyFeed proxy) =>
        proxy.Snapshot!.Types[TypeUrls.Secret].All.OrderBy(resource => resource.Name, StringComparer.Ordinal)
        .Select(resource => Isthmus.Wire.Envoy.Secret.Parser.ParseFrom(resource.Body.Value))
        .Select(
            secret => $"{secret.Name} {Subject((secret.TlsCertificate?.CertificateChain ?? secret.ValidationContext.TrustedCa).InlineBytes.ToStringUtf8())}");

    private static string Subject(string pem)
    {
        if (!pem.StartsWith("-----", StringComparison.Ordinal)) return pem;
        using var certificate = System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPem(pem);
        return certificate.Subject;
    }

    private static (MeshRig Rig, ProxyFeed Orders) Shop()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c1", "keys", "10.96.0.20", "10.244.0.2");
        return (rig, rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1"));
    }

    private static JwtProvider Provider(ProxyFeed proxy) =>
        Http(MeshRig.Listener(proxy, "virtualInbound")!.FilterChains.First(chain => chain.FilterChainMatch.DestinationPort == 8080))
        .HttpFilters[0].TypedConfig.Unpack<JwtAuthentication>().Providers.Values.Single(provider => provider.Issuer == "bank");

    private static HttpConnectionManager Http(FilterChain chain) => chain.Filters[^1].TypedConfig.Unpack<HttpConnectionManager>();

    private static string Pretty(Google.Protobuf.IMessage message) =>
        System.Text.Json.Nodes.JsonNode.Parse(WireTypes.Json.Format(message))!.ToJsonString(new()
        {
            WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping
        });
}
