using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;
using Isthmus.Reports;
using Isthmus.WebConsole.Answers;
using Isthmus.WebConsole.Reading;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>Which objects decide what happens to calls of a service.</summary>
public sealed class EffectiveRulesTests
{
    private static readonly RuleSubject Orders = new("shop", "orders", [new() { ["app"] = "orders" }], MeshConfig.Default);

    private static IReadOnlyList<RuleRow> Rows(string cluster, params string[] objects) => Rows(Orders, cluster, objects);

    private static IReadOnlyList<RuleRow> Rows(RuleSubject subject, string cluster, params string[] objects) =>
        EffectiveRules.Of(cluster, objects.Select(text => (JsonObject)YamlText.ParseAll(text, "test")[0]), subject);

    private static string Object(string kind, string spec, string name = "one", string ns = "shop", string? version = null) => $$"""
        {apiVersion: {{version ?? MeshApi.All.First(known => known.Kind == kind).ApiVersion}}, kind: {{kind}},
         metadata: {name: {{name}}, namespace: {{ns}}, uid: u}, spec: {{spec}}, status: {} }
        """;

    /// <summary>A VirtualService that routes all calls of a host to one.</summary>
    private static string Route(string host, string to, string more = "", string name = "one", string ns = "shop") =>
        Object("VirtualService", $"{{hosts: [{host}], http: [{{route: [{{destination: {{host: {to}}}}}]}}]{more}}}", name, ns);

    private static string Effect(params string[] objects) => string.Join('\n', Rows("c1", objects).Select(row => row.Effect));

    [Theory]
    [InlineData("VirtualService", "{hosts: [orders], http: [{route: [{destination: {host: web}}]}]}", "shop", "routes calls of the service")]
    [InlineData("VirtualService",
        "{hosts: [orders.shop.svc.cluster.local], gateways: [edge, mesh], http: [{route: [{destination: {host: web}}]}]}", "other",
        "routes calls of the service, through edge")]
    [InlineData("VirtualService", "{hosts: [orders], gateways: [far/edge], http: [{route: [{destination: {host: web}}]}]}", "shop",
        "routes calls of the service, through far/edge")]
    [InlineData("VirtualService", "{hosts: [orders], http: [{route: [{destination: {host: web}}]}]}", "other", "")]
    [InlineData("VirtualService", "{hosts: [api.example.com], http: [{route: [{destination: {host: orders.shop.svc.cluster.local}}]}]}", "edge",
        "routes calls of api.example.com to it")]
    [InlineData("VirtualService",
        "{hosts: [orders], http: [{fault: {delay: {fixedDelay: 3s, percentage: {value: 100}}}, route: [{destination: {host: orders}}]}]}", "shop",
        "routes calls of the service; delays 100 % of them by 3 s")]
    [InlineData("DestinationRule", "{host: '*.shop.svc.cluster.local', trafficPolicy: {connectionPool: {}, tls: {mode: DISABLE}}}", "shop",
        "sets connectionPool, tls DISABLE")]
    [InlineData("DestinationRule",
        "{host: orders.shop.svc.cluster.local, trafficPolicy: {loadBalancer: {simple: RANDOM}, tls: {mode: ISTIO_MUTUAL}}, subsets: [{name: a}, {name: b}]}",
        "shop", "sets loadBalancer, tls ISTIO_MUTUAL, subsets a, b")]
    [InlineData("DestinationRule", "{host: orders}", "shop", "sets nothing")]
    [InlineData("DestinationRule", "{host: buyer}", "shop", "")]
    [InlineData("PeerAuthentication", "{mtls: {mode: STRICT}}", "istio-system", "mutual TLS STRICT, for the mesh")]
    [InlineData("PeerAuthentication", "{mtls: {mode: STRICT}}", "other", "")]
    [InlineData("PeerAuthentication", "{selector: {matchLabels: {app: orders}}, mtls: {mode: STRICT}}", "istio-system", "")]
    [InlineData("PeerAuthentication", "{selector: {matchLabels: {app: orders}}}", "shop", "mutual TLS as inherited, for some Pods")]
    [InlineData("RequestAuthentication", "{jwtRules: [{issuer: 'https://a.example'}, {issuer: 'https://b.example'}]}", "shop",
        "tokens of https://a.example, https://b.example, for the namespace")]
    [InlineData("AuthorizationPolicy", "{selector: {matchLabels: {app: orders}}, action: DENY, rules: [{}]}", "shop", "DENY, 1 rules, for some Pods")]
    [InlineData("AuthorizationPolicy", "{selector: {matchLabels: {app: buyer}}}", "shop", "")]
    [InlineData("HTTPRoute", "{parentRefs: [{name: front}], hostnames: [a.example], rules: [{backendRefs: [{name: orders, port: 80}]}]}", "shop",
        "routes calls of a.example to it, through shop/front")]
    [InlineData("GRPCRoute", "{parentRefs: [{kind: Service, group: '', name: orders, namespace: shop}], rules: []}", "buyers",
        "routes calls of the service, from namespace buyers")]
    [InlineData("HTTPRoute", "{parentRefs: [{kind: Service, group: '', name: orders}], rules: []}", "shop", "routes calls of the service")]
    [InlineData("TCPRoute", "{parentRefs: [{name: front}], rules: [{backendRefs: [{name: orders, port: 80}]}]}", "other", "")]
    [InlineData("UDPRoute", "{parentRefs: [{name: front}], rules: [{backendRefs: [{name: orders, port: 53}]}]}", "shop",
        "routes calls of every host to it, through shop/front")]
    public void An_object_has_its_effect_in_words(string kind, string spec, string ns, string effect) =>
        Assert.Equal(effect, Rows("c1", Object(kind, spec, ns: ns)).SingleOrDefault()?.Effect ?? "");

    [Fact]
    public void Conflicts_are_marked()
    {
        var rows = EffectiveRules.Mark(
        [
            .. Rows("c1", Route("orders", "orders"),
                Object("VirtualService",
                    "{hosts: [orders.shop], http: [{fault: {abort: {httpStatus: 500, percentage: {value: 10}}}, route: [{destination: {host: orders}}]}]}",
                    "two"),
                Object("PeerAuthentication", "{mtls: {mode: STRICT}}", "all", "istio-system"), Object("PeerAuthentication", "{mtls: {mode: DISABLE}}", "own"),
                Object("DestinationRule", "{host: orders}")),
            .. Rows("c2", Object("DestinationRule", "{host: orders, trafficPolicy: {tls: {mode: DISABLE}}}")),
        ]);
        string Of(string cluster, string kind, string name) => rows.Single(row => row.Cluster == cluster && row.Kind == kind && row.Name == name).Conflict;
        Assert.Equal("VirtualService shop/two is for the same host: only one of the two has an effect", Of("c1", "VirtualService", "one"));
        Assert.Equal(("PeerAuthentication shop/own overrides it", ""), (Of("c1", "PeerAuthentication", "all"), Of("c1", "PeerAuthentication", "own")));
        Assert.Equal("c2 has another version of it", Of("c1", "DestinationRule", "one"));
        Assert.All(rows, row => Assert.DoesNotContain("uid", row.Yaml, StringComparison.Ordinal));
    }

    /// <summary>An object with a target is for Gateways alone. One for a Service is an error, which its page must not hide.</summary>
    [Theory]
    [InlineData("AuthorizationPolicy", "action: DENY, rules: [{}]", "DENY, 1 rules, for some Pods")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: 'https://a.example'}]", "tokens of https://a.example, for some Pods")]
    public void An_object_with_a_target_is_for_that_target_only(string kind, string spec, string effect)
    {
        const string front = "{group: gateway.networking.k8s.io, kind: Gateway, name: front}";
        string[] objects = [Object(kind, $"{{targetRefs: [{front}], {spec}}}"), Object(kind, $"{{targetRef: {front}, {spec}}}", "two"),
            Object(kind, $"{{targetRefs: [{front}], {spec}}}", ns: "istio-system")];
        Assert.Empty(Rows("c1", objects));
        var gateway = Orders with { Name = "front-istio", Pods = [new() { [WorkloadSelector.GatewayLabel] = "front" }] };
        Assert.Equal([("one", effect, ""), ("two", effect, "")], Rows(gateway, "c1", objects).Select(row => (row.Name, row.Effect, row.Conflict)));
        string[] ofServices = [Object(kind, $"{{targetRefs: [{{group: '', kind: Service, name: orders}}], {spec}}}"),
            Object(kind, $"{{targetRefs: [{{group: '', kind: Service, name: buyer}}], {spec}}}", "two")];
        var refused = Assert.Single(Rows("c1", ofServices));
        Assert.Equal(("one", effect), (refused.Name, refused.Effect));
        Assert.StartsWith("has errors, so it is not in force; its last good version stays, if it had one: spec.targetRefs[0]", refused.Conflict,
            StringComparison.Ordinal);
    }

    [Fact]
    public void The_root_namespace_is_that_of_MeshConfig()
    {
        var cluster = new ClusterState(new() { Server = new("https://c1.example"), Name = "c1" },
            new ClusterFacts("c1", "") { SystemNamespace = "mesh", Mesh = MeshConfig.Default with { RootNamespace = "settings" } }, [], [], []);
        string Of(string ns, ClusterState state) => string.Concat(Rows(RuleSubject.Of(state, "shop", "orders", Orders.Pods), "c1",
            Object("PeerAuthentication", "{mtls: {mode: STRICT}}", ns: ns), Object("AuthorizationPolicy", "{}", ns: ns)).Select(row => $"{row.Effect}; "));
        const string ofMesh = "mutual TLS STRICT, for the mesh; ALLOW, 0 rules, for the mesh; ";
        Assert.Equal((ofMesh, ""), (Of("settings", cluster), Of("mesh", cluster)));
        var unread = cluster with { Facts = cluster.Facts with { Mesh = null } };
        Assert.Equal(("", ofMesh), (Of("settings", unread), Of("mesh", unread)));
    }

    [Theory]
    [InlineData("VirtualService", "shop", "[.]", "routes calls of the service, from namespace shop")]
    [InlineData("VirtualService", "other", "[., buyers, buyers]", "routes calls of the service, from namespaces other, buyers")]
    [InlineData("VirtualService", "shop", "['*']", "routes calls of the service")]
    [InlineData("VirtualService", "shop", "['~']", "")]
    [InlineData("VirtualService", "shop", "[]", "routes calls of the service, from namespace routes")]
    [InlineData("DestinationRule", "shop", "[., buyers]", "sets nothing, for calls from namespaces shop, buyers")]
    [InlineData("DestinationRule", "shop", "['*']", "sets nothing")]
    [InlineData("DestinationRule", "shop", "['~']", "")]
    [InlineData("DestinationRule", "shop", "[]", "sets nothing, for calls from namespace settings")]
    [InlineData("DestinationRule", "istio-system", "['*']", "sets nothing")]
    [InlineData("DestinationRule", "other", "['*']", "sets nothing, for calls from namespace other")]
    [InlineData("DestinationRule", "other", "[buyers]", "")]
    public void An_object_is_for_the_callers_to_whom_it_is_exported(string kind, string ns, string exportTo, string effect)
    {
        var settings = MeshConfig.Default with { DefaultVirtualServiceExportTo = ["routes"], DefaultDestinationRuleExportTo = ["settings"] };
        const string host = "orders.shop.svc.cluster.local";
        var text = kind == "VirtualService" ? Route(host, host, $", exportTo: {exportTo}", ns: ns)
            : Object(kind, $"{{host: {host}, exportTo: {exportTo}}}", ns: ns);
        Assert.Equal(effect, Rows(Orders with { Settings = settings }, "c1", text).SingleOrDefault()?.Effect ?? "");
    }

    [Theory]
    [InlineData("[.]", "[buyers]", false)]
    [InlineData("[., buyers]", "[buyers]", true)]
    [InlineData("[.]", "['*']", true)]
    public void Two_routes_compete_for_the_callers_that_get_both(string one, string other, bool competes) =>
        Assert.Equal(competes, EffectiveRules.Mark(Rows("c1", Route("orders", "orders", $", exportTo: {one}"),
            Route("orders", "orders", $", exportTo: {other}", "two"))).All(row => row.Conflict.Contains("only one of the two", StringComparison.Ordinal)));

    [Fact]
    public void A_VirtualService_routes_what_it_leaves_to_delegates()
    {
        string Root(string host, string more = "") => Object("VirtualService",
            $"{{hosts: [{host}], gateways: [front], http: [{{match: [{{uri: {{prefix: /a}}}}], delegate: {{name: part, namespace: shop}}}}]{more}}}",
            "root", "edge");
        var part = Object("VirtualService", "{http: [{route: [{destination: {host: orders}}]}]}", "part");
        Assert.Equal("routes calls of api.example.com to it, through front\n"
            + "routes calls of api.example.com to it, through front, as a delegate of VirtualService edge/root", Effect(Root("api.example.com"), part));
        Assert.Equal("routes calls of api.example.com to it, through front, from namespace edge\n"
            + "routes calls of api.example.com to it, through front, from namespace edge, as a delegate of VirtualService edge/root",
            Effect(Root("api.example.com", ", exportTo: [.]"), part));
        // A delegate does not compete with its root for the host.
        var rows = EffectiveRules.Mark(Rows("c1", Root("orders.shop.svc.cluster.local"), part));
        Assert.Equal([("routes calls of the service, through front", ""),
            ("routes calls of the service, through front, as a delegate of VirtualService edge/root", "")], rows.Select(row => (row.Effect, row.Conflict)));
        Assert.Equal("", Effect(part));
        var toWeb = Object("VirtualService", "{http: [{route: [{destination: {host: web}}]}]}", "part");
        Assert.Equal("", Effect(Root("api.example.com"), toWeb));
        const string tls = ", tls: [{match: [{sniHosts: [api.example.com]}], route: [{destination: {host: orders.shop.svc.cluster.local}}]}]";
        Assert.Equal("routes calls of api.example.com to it, through front", Effect(Root("api.example.com", tls), toWeb));
    }

    /// <summary>Such an object is shown all the same: its author wonders why it does nothing.</summary>
    [Fact]
    public void What_the_owner_of_the_host_does_not_allow_has_no_effect()
    {
        var owned = Orders with { Settings = MeshConfig.Default with { HostsAreOwned = true } };
        string[] objects = [Route("orders.shop.svc.cluster.local", "web.shop.svc.cluster.local", ns: "other", name: "theirs"), Route("orders", "web"),
            Object("DestinationRule", "{host: orders.shop.svc.cluster.local}", ns: "other"), Object("DestinationRule", "{host: orders}", "own"),
            Object("DestinationRule", "{host: orders.shop.svc.cluster.local}", "root", "istio-system")];
        string[] Conflicts(RuleSubject subject) => [.. EffectiveRules.Mark(Rows(subject, "c1", objects)).Select(row => row.Conflict)];
        const string refusal = "has no effect: namespace shop does not let other configure the host (hostOwnership is NAMESPACE)";
        Assert.Equal([refusal, "", refusal, "", ""], Conflicts(owned));
        var granted = Conflicts(owned with { Grants = ["other"] });
        Assert.DoesNotContain(refusal, granted);
        Assert.Contains("is for the same host", granted[0], StringComparison.Ordinal);
        Assert.Equal(granted, Conflicts(Orders));
    }

    [Theory]
    [InlineData("shop", "", "sets nothing, for calls from some Pods of namespace shop")]
    [InlineData("istio-system", "", "sets nothing, for calls from some Pods of namespace istio-system")]
    [InlineData("other", ", exportTo: [other]", "sets nothing, for calls from some Pods of namespace other")]
    [InlineData("other", ", exportTo: [shop]", "")]
    public void A_DestinationRule_that_selects_callers_is_for_those_of_its_namespace(string ns, string more, string effect) =>
        Assert.Equal(effect, Effect(Object("DestinationRule",
            $"{{host: orders.shop.svc.cluster.local, workloadSelector: {{matchLabels: {{app: buyer}}}}{more}}}", ns: ns)));

    [Fact]
    public void Copies_of_calls_are_told_from_calls()
    {
        string Copying(string to) => Object("VirtualService",
            $"{{hosts: [web], http: [{{route: [{{destination: {{host: {to}}}}}], mirror: {{host: orders}}}}]}}");
        Assert.Equal("sends copies of calls of web.shop.svc.cluster.local to it", Effect(Copying("web")));
        Assert.Equal("routes calls of web.shop.svc.cluster.local to it", Effect(Copying("orders")));
        Assert.Equal("sends copies of calls of web.shop.svc.cluster.local to it", Effect(Object("VirtualService",
            "{hosts: [web], http: [{route: [{destination: {host: web}}], mirrors: [{destination: {host: orders}, percentage: {value: 1}}]}]}")));
        Assert.Equal("sends copies of calls of every host to it, through shop/front", Effect(Object("HTTPRoute",
            "{parentRefs: [{name: front}], rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: orders, port: 80}}}]}]}")));
    }

    /// <summary>It is told from those in force, and contradicts none of them.</summary>
    [Fact]
    public void An_object_with_errors_is_not_in_force()
    {
        const string lost = "has errors, so it is not in force; its last good version stays, if it had one: ";
        var rows = EffectiveRules.Mark(Rows("c1", Route("orders", "orders", name: "good"), Object("VirtualService", "{hosts: [orders], http: []}"),
            Object("DestinationRule", "{host: orders, exportTo: ['*', shop]}"),
            Object("PeerAuthentication", "{mtls: {mode: STRICT}}", "good"),
            Object("PeerAuthentication", "{selector: {matchLabels: {app: orders}}, mtls: {mode: DISABLE}, portLevelMtls: {http: {mode: STRICT}}}"),
            Object("AuthorizationPolicy", "{provider: {name: authorizer}, rules: [{}]}"),
            Object("AuthorizationPolicy", "{action: DENY, rules: [{from: []}]}", "closed")));
        Assert.Equal([("VirtualService good", "routes calls of the service", ""),
            ("VirtualService one", "routes calls of the service", $"{lost}spec: http, tcp or tls must be provided in virtual service"),
            ("DestinationRule one", "sets nothing",
                $"{lost}spec.exportTo: cannot have both public (*) and non-public exportTo values for a resource"),
            ("PeerAuthentication good", "mutual TLS STRICT, for the namespace", ""),
            ("PeerAuthentication one", "mutual TLS DISABLE, for some Pods",
                $"{lost}spec.portLevelMtls: port \"http\" must be a number in the range 1..65535"),
            ("AuthorizationPolicy one", "ALLOW, 1 rules, for the namespace", $"{lost}spec.provider: only the action CUSTOM has a provider"),
            ("AuthorizationPolicy closed", "DENY, 1 rules, for the namespace", "has errors, but is in force: spec.rules[0].from: \"from\" cannot be empty")],
            rows.Select(row => ($"{row.Kind} {row.Name}", row.Effect, row.Conflict)));
    }

    /// <summary>Its delegates have no calls, either.</summary>
    [Fact]
    public void An_object_that_cannot_be_read_is_shown_in_its_namespace()
    {
        var broken = Object("VirtualService", "{hosts: 5, http: [{delegate: {name: part}}]}");
        var row = Assert.Single(Rows("c1", broken, Object("VirtualService", "{http: [{route: [{destination: {host: orders}}]}]}", "part")));
        Assert.Equal("cannot be read", row.Effect);
        Assert.StartsWith("has errors, so it is not in force", row.Conflict, StringComparison.Ordinal);
        Assert.Empty(Rows(Orders with { Namespace = "other" }, "c1", broken));
    }

    /// <summary>Whatever the words for the scopes are.</summary>
    [Fact]
    public void A_narrower_policy_overrides_a_wider_one_if_it_sets_a_mode()
    {
        var rows = Rows("c1", Object("PeerAuthentication", "{mtls: {mode: STRICT}}", "all", "istio-system"),
            Object("PeerAuthentication", "{mtls: {mode: DISABLE}}", "own"),
            Object("PeerAuthentication", "{selector: {matchLabels: {app: orders}}, mtls: {mode: UNSET}}", "pods"));
        foreach (var shown in (IReadOnlyList<RuleRow>[])[rows, [.. rows.Select((row, index) => row with { Effect = $"{index}" })]])
            Assert.Equal(["PeerAuthentication shop/own overrides it", "", ""], EffectiveRules.Mark(shown).Select(row => row.Conflict));
    }

    /// <summary>Other groups have kinds with the same names.</summary>
    [Fact]
    public void A_kind_of_another_group_is_another_kind()
    {
        Assert.Empty(Rows("c1",
            Object("VirtualService", "{hosts: [orders], http: [{route: [{destination: {host: orders}}]}]}", version: "appmesh.k8s.aws/v1beta2"),
            Object("AuthorizationPolicy", "{}", version: "policy.linkerd.io/v1alpha1"),
            Object("HTTPRoute", "{parentRefs: [{group: '', kind: Service, name: orders}], rules: []}", version: "policy.linkerd.io/v1beta3"),
            Object("HTTPRoute", "{parentRefs: [{group: serving.knative.dev, kind: Service, name: orders}], rules: []}"),
            Object("HTTPRoute", "{parentRefs: [{name: front}], rules: [{backendRefs: [{group: serving.knative.dev, kind: Service, name: orders}]}]}")));
    }

    [Theory]
    [InlineData("c2", "10.0.0.1", "healthy, live")]
    [InlineData("c3", "10.0.0.2", "unhealthy, memory, 90s old")]
    [InlineData("c1", "10.0.0.3", "healthy, live")]
    [InlineData("c2", "10.9.9.9", "")]
    public void What_a_control_plane_knows_of_an_endpoint_has_an_age(string cluster, string address, string known)
    {
        var shards = StrictJson.Parse(
            """
            {"Kubernetes/c1": [{"Address": "10.0.0.3", "Health": "Healthy"}], "Kubernetes/c2": [{"Address": "10.0.0.1", "Health": "Healthy"}],
             "Kubernetes/c3": [{"Address": "10.0.0.2", "Health": "Unhealthy"}]}
            """,
            ControlPlaneReports.Default.ShardsOfHost);
        var clusters = StrictJson.Parse("""[{"id": "c2", "source": "live"}, {"id": "c3", "source": "memory", "confirmed": "2026-06-01T00:00:00Z"}]""",
            ControlPlaneReports.Default.Watched);
        Assert.Equal(known, new EndpointKnowledge("c1", shards, clusters, new(2026, 6, 1, 0, 1, 30, TimeSpan.Zero)).Of(cluster, address));
    }

    /// <summary>An istiod's page has the namespace of the Service, several addresses of an endpoint, and health as a number; its clusters have no
    /// age.</summary>
    [Theory]
    [InlineData("10.0.0.3", "healthy, live")]
    [InlineData("fd00::3", "healthy, live")]
    [InlineData("10.0.0.4", "unhealthy, live")]
    [InlineData("10.0.0.5", "unknown, live")]
    [InlineData("10.9.9.9", "")]
    public void What_an_istiod_knows_of_an_endpoint_is_read(string address, string known)
    {
        var page = JsonNode.Parse(
            """
            {"web.shop.svc.cluster.local": {"other": {"Shards": {}, "ServiceAccounts": {}}, "shop": {"Shards": {"Kubernetes/c1": [
              {"Addresses": ["10.0.0.3", "fd00::3"], "HealthStatus": 1, "Locality": {"Label": "r/z/", "ClusterID": "c1"}, "Labels": null},
              {"Addresses": ["10.0.0.4"], "HealthStatus": 2}, {"Addresses": ["10.0.0.5"]}]}, "ServiceAccounts": {}}}}
            """)!;
        var shards = EndpointKnowledge.ShardsOf(page, "web.shop.svc.cluster.local", "shop");
        Assert.Equal(known, new EndpointKnowledge("c1", shards, [], new(2026, 6, 1, 0, 1, 30, TimeSpan.Zero)).Of("c1", address));
        Assert.Empty(EndpointKnowledge.ShardsOf(page, "other.shop.svc.cluster.local", "shop"));
        Assert.Empty(EndpointKnowledge.ShardsOf(page, "web.shop.svc.cluster.local", "third"));
    }
}
