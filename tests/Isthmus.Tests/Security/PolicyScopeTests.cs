using System.Net;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.ApiServer.CustomResources;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;

namespace Isthmus.Tests.Security;

/// <summary>A policy never applies to more than it says: the filters that a proxy gets, judged by the proxy's own code.</summary>
public sealed class PolicyScopeTests
{
    private const string Cashier = "spiffe://cluster.local/ns/till/sa/cashier";
    private const string Cleaner = "spiffe://cluster.local/ns/shop/sa/cleaner";
    private const string Foreigner = "spiffe://partner.example/ns/till/sa/cashier";

    [Theory]
    [InlineData("serviceAccounts: [till/cashier]", Cashier, Foreigner)]
    [InlineData("serviceAccounts: [cleaner]", Cleaner)]
    [InlineData("serviceAccounts: [till/c.shier]")]
    [InlineData("notServiceAccounts: [till/cashier]", Cleaner)]
    [InlineData("notServiceAccounts: [cleaner], trustDomains: [partner.example]", Foreigner)]
    [InlineData("trustDomains: [cluster.local]", Cashier, Cleaner)]
    [InlineData("trustDomains: ['*.example']", Foreigner)]
    [InlineData("trustDomains: [partner]")]
    [InlineData("notTrustDomains: [partner.example]", Cashier, Cleaner)]
    public void Callers_are_told_apart_by_service_account_and_trust_domain(string source, params string[] allowed)
    {
        var (rig, orders) = Shop();
        rig.Config(Policy("ALLOW", $"rules: [{{from: [{{source: {{{source}}}}}]}}]"));
        rig.Push();
        Assert.Empty(rig.Mesh.Sources.Problems.Items);
        Assert.Equal(allowed, Allowed(orders, http: true));
        Assert.Equal(allowed, Allowed(orders, http: false));
    }

    /// <summary>Names become parts of patterns: what has a meaning there stands for itself.</summary>
    [Theory]
    [InlineData("namespaces: [t.ll]")]
    [InlineData("namespaces: ['till|shop']")]
    [InlineData("namespaces: ['.*']")]
    [InlineData("namespaces: ['*.ll']")]
    [InlineData("namespaces: ['ti(ll']")]
    [InlineData("namespaces: ['[a-z]+']")]
    [InlineData("namespaces: ['ti*']", Cashier, Foreigner)]
    [InlineData("principals: [cluster.local/ns/till/sa/c.shier]")]
    [InlineData("principals: ['cluster.local/ns/till/sa/(cashier)']")]
    [InlineData("principals: ['*/sa/c.shier']")]
    [InlineData("principals: ['cluster.local/ns/t.ll/*']")]
    [InlineData("principals: ['*/sa/cashier']", Cashier, Foreigner)]
    [InlineData("serviceAccounts: [c.eaner]")]
    [InlineData("trustDomains: [cluster+local]")]
    [InlineData("trustDomains: ['*.l.cal']")]
    public void Metacharacters_in_names_of_callers_stand_for_themselves(string source, params string[] allowed)
    {
        var (rig, orders) = Shop();
        rig.Config(Policy("ALLOW", $"rules: [{{from: [{{source: {{{source}}}}}]}}]"));
        rig.Push();
        Assert.Equal(allowed, Allowed(orders, http: true));
        Assert.Equal(allowed, Allowed(orders, http: false));
    }

    [Fact]
    public void A_condition_names_service_accounts_too()
    {
        var (rig, orders) = Shop();
        rig.Config(Policy("DENY", "rules: [{when: [{key: source.serviceAccount, values: [cleaner]}]}]"));
        rig.Push();
        Assert.Equal([Cashier, Foreigner], Allowed(orders, http: true));
    }

    [Theory]
    [InlineData("values: [cluster.local]", Foreigner)]
    [InlineData("values: ['*.example']", Cashier, Cleaner)]
    [InlineData("notValues: [cluster.local]", Cashier, Cleaner)]
    public void A_condition_names_trust_domains(string values, params string[] allowed)
    {
        var (rig, orders) = Shop();
        rig.Config(Policy("DENY", $"rules: [{{when: [{{key: source.trustDomain, {values}}}]}}]"));
        rig.Push();
        Assert.Empty(rig.Mesh.Sources.Problems.Items);
        Assert.Equal(allowed, Allowed(orders, http: true));
        Assert.Equal(allowed, Allowed(orders, http: false));
    }

    [Theory]
    [InlineData("targetRef: {group: '', kind: Service, name: orders}")]
    [InlineData("targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: front}]")]
    [InlineData("targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: front, namespace: other}]")]
    [InlineData("targetRef: {group: networking.istio.io, kind: Gateway, name: front}")]
    [InlineData("selector: {matchExpressions: [{key: app, operator: Exists}]}")]
    [InlineData("scope: {name: later}")]
    public void A_stored_policy_whose_target_is_unknown_applies_to_nothing_and_is_reported(string field)
    {
        var (rig, orders) = Shop();
        rig.Push();
        var before = MeshRig.Versions(orders);
        foreach (var action in (string[])["ALLOW", "DENY"])
        {
            rig.Config(Policy(action, $"rules: [{{from: [{{source: {{namespaces: [till]}}}}]}}]\n  {field}"));
            rig.Push();
            Assert.Equal(before, MeshRig.Versions(orders));
            Assert.Contains(rig.Mesh.Sources.Problems.Items.Values.SelectMany(item => item.Problems),
                problem => problem.Path.StartsWith("spec." + field[..field.IndexOf(':', StringComparison.Ordinal)], StringComparison.Ordinal));
        }
    }

    [Fact]
    public void A_selector_beside_the_spec_is_kept_and_refused_and_a_stored_one_applies_to_nothing()
    {
        var (rig, orders) = Shop();
        rig.Push();
        var before = MeshRig.Versions(orders);
        var policy = Policy("ALLOW", "rules: [{from: [{source: {namespaces: [till]}}]}]") + "\nselector: {matchLabels: {app: other}}\n";
        var stored = YamlText.Parse(policy, "test")!.AsObject();
        Pruning.Prune(stored,
            StructuralSchema.Read((JsonObject)IstioCrds.Of(MeshApi.AuthorizationPolicy)["spec"]!["versions"]![0]!["schema"]!["openAPIV3Schema"]!), null);
        Assert.Equal("selector", Assert.Single(IstioConfig.Read(stored, "c1").Problems).Path);
        rig.Writer.PutConfig("c1", stored);
        rig.Push();
        Assert.Equal(before, MeshRig.Versions(orders));
        Assert.Equal("selector", rig.Mesh.Sources.Problems.Items.Values.Single().Problems.Single().Path);
    }

    // Of a rule with a condition that nobody can read, ALLOW allows nothing, and DENY denies what the readable parts match.
    [Theory]
    [InlineData("from: [{source: {namespaces: [till], moods: [good]}}]", new[] { Cleaner })]
    [InlineData("from: [{source: {moods: [good]}}]", new string[0])]
    [InlineData("from: [{source: {namespaces: [till]}, mood: good}]", new[] { Cleaner })]
    [InlineData("from: [{source: {namespaces: [till]}}], when: [{key: caller.mood, values: [good]}]", new[] { Cleaner })]
    [InlineData("from: [{source: {namespaces: [till], ipBlocks: [nowhere]}}]", new[] { Cleaner })]
    [InlineData("from: [{source: {serviceAccounts: ['till/*']}}]", new string[0])]
    [InlineData("mood: good, from: [{source: {namespaces: [till]}}]", new[] { Cleaner })]
    public void A_stored_rule_that_cannot_be_read_whole_fails_closed(string rule, string[] notDenied)
    {
        var (rig, orders) = Shop();
        rig.Config(Policy("ALLOW", $"rules: [{{{rule}}}]"));
        rig.Push();
        Assert.Empty(Allowed(orders, http: true));
        Assert.NotEmpty(rig.Mesh.Sources.Problems.Items);
        rig.Config(Policy("ALLOW", $"rules: [{{{rule}}}, {{from: [{{source: {{namespaces: [shop]}}}}]}}]"));
        rig.Push();
        Assert.Equal([Cleaner], Allowed(orders, http: true));
        rig.Config(Policy("DENY", $"rules: [{{{rule}}}]"));
        rig.Push();
        Assert.Equal(notDenied, Allowed(orders, http: true));
    }

    [Fact]
    public void A_stored_PeerAuthentication_with_an_unreadable_mode_requires_mesh_TLS()
    {
        var (rig, orders) = Shop();
        rig.Config("""
            apiVersion: security.istio.io/v1
            kind: PeerAuthentication
            metadata: {name: modes, namespace: shop}
            spec: {mtls: {mode: PERMISSIVE, unless: {port: 1}}}
            """);
        rig.Push();
        Assert.Equal(["tls"],
            MeshRig.Listener(orders, "virtualInbound")!.FilterChains.Where(chain => chain.FilterChainMatch.DestinationPort == 8080)
                .Select(chain => chain.FilterChainMatch.TransportProtocol).Distinct());
        Assert.Equal("spec.mtls.unless", rig.Mesh.Sources.Problems.Items.Values.Single().Problems.Single().Path);
    }

    [Fact]
    public void No_token_is_valid_by_a_stored_rule_that_cannot_be_read_whole()
    {
        var (rig, orders) = Shop();
        rig.Config("""
            apiVersion: security.istio.io/v1
            kind: RequestAuthentication
            metadata: {name: bank, namespace: shop}
            spec: {jwtRules: [{issuer: bank, jwks: '{"keys":[{"kty":"oct","k":"AAAA"}]}', claimsOfWords: [scope]}]}
            """);
        rig.Push();
        var provider = Http(orders).HttpFilters[0].TypedConfig.Unpack<JwtAuthentication>().Providers.Values.Single();
        Assert.Equal(("bank", TokenChecks.NoKeys), (provider.Issuer, provider.LocalJwks.InlineString));
    }

    [Fact]
    public void API_servers_keep_the_unknown_fields_of_policies_for_admission_to_refuse()
    {
        foreach (var kind in (KindDescriptor[])[MeshApi.AuthorizationPolicy, MeshApi.PeerAuthentication, MeshApi.RequestAuthentication])
        {
            var schema = StructuralSchema.Read((JsonObject)IstioCrds.Of(kind)["spec"]!["versions"]![0]!["schema"]!["openAPIV3Schema"]!);
            foreach (var spec in (string[])[
                """{"new": 1}""", """{"selector": {"new": 1}}""",
                """{"rules": [{"new": 1, "from": [{"new": 1, "source": {"new": 1}}], "to": [{"new": 1, "operation": {"new": 1}}], "when": [{"new": 1}]}]}""",
                """{"mtls": {"new": 1}, "portLevelMtls": {"80": {"new": 1}}}""", """{"jwtRules": [{"new": 1, "fromHeaders": [{"new": 1}]}]}""",
                """{"targetRefs": [{"new": 1}], "provider": {"new": 1}}"""])
            {
                var item = (JsonObject)JsonNode.Parse(
                    $$"""{"apiVersion": "{{kind.Group}}/v1", "kind": "{{kind.Kind}}", "metadata": {"name": "x", "namespace": "shop"}, "spec": {{spec}}}""")!;
                Pruning.Prune(item, schema, null);
                Assert.Equal(spec.Replace(" ", "", StringComparison.Ordinal), item["spec"]!.ToJsonString());
                Assert.False(IstioConfig.Read(item, "c1").IsValid);
            }
        }
    }

    private static (MeshRig Rig, ProxyFeed Orders) Shop()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        return (rig, rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1"));
    }

    private static string Policy(string action, string spec) => $"""
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {"{"}name: {action.ToLowerInvariant()}, namespace: shop{"}"}
        spec:
          action: {action}
          {spec}
        """;

    private static HttpConnectionManager Http(ProxyFeed proxy) =>
        MeshRig.Listener(proxy,
            "virtualInbound")!.FilterChains.First(
                chain => chain.FilterChainMatch.DestinationPort == 8080).Filters[^1].TypedConfig.Unpack<HttpConnectionManager>();

    /// <summary>The callers whose requests, or connections, pass all filters.</summary>
    private static IEnumerable<string> Allowed(ProxyFeed proxy, bool http)
    {
        var chains = MeshRig.Listener(proxy, "virtualInbound")!.FilterChains;
        var rules = http
            ? Http(proxy).HttpFilters.Where(filter => filter.Name == "envoy.filters.http.rbac")
                .Select(filter => filter.TypedConfig.Unpack<Isthmus.Wire.Envoy.HttpFilters.RBAC>().Rules)
            : chains.First(chain => chain.Filters.Any(filter => filter.Name == "envoy.filters.network.tcp_proxy")
                && chain.FilterChainMatch.DestinationPort is null)
                .Filters.Where(filter => filter.Name == "envoy.filters.network.rbac")
                .Select(filter => filter.TypedConfig.Unpack<Isthmus.Wire.Envoy.NetworkFilters.RBAC>().Rules);
        var filters = rules.Where(made => made is not null).Select(RbacPolicy.From).ToList();
        return new[] { Cashier, Cleaner, Foreigner }.Where(caller => filters.All(filter => filter!.Decide(new(
            null, "http", new TlsPeer([caller], [], "", "cafe", "", "", ""), new(IPAddress.Loopback, 1), IPAddress.Loopback, new(IPAddress.Loopback, 8080),
            "")).IsAllowed));
    }
}
