using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Why a gateway does not take a call from outside, where several objects have a part in it.</summary>
public sealed class EntryCausesTests
{
    private const string Gateway = "apiVersion: gateway.networking.k8s.io/v1, kind: Gateway", Pods =
        """
        {apiVersion: v1, kind: Pod, metadata: {name: front, namespace: edge, labels: {app: front, gateway.networking.k8s.io/gateway-name: front}},
         spec: {containers: [{name: istio-proxy}]}, status: {phase: Running}}
        ---
        {apiVersion: v1, kind: Service, metadata: {name: front, namespace: edge}, spec: {selector: {app: front}, ports: [{name: http, port: 80}, {name: https, port: 443}]}}
        """;

    /// <summary>A ListenerSet opens the port, and what it has is not known here.</summary>
    [Theory]
    [InlineData("listeners: [{name: https, port: 443, protocol: HTTPS}]", "", "{name: front, namespace: edge, sectionName: https}")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP}], allowedListeners: {namespaces: {from: All}}", "",
        "{kind: ListenerSet, group: gateway.networking.k8s.io, name: more, namespace: shop}")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP, hostname: other.example.com}]", ", status: {attachedListenerSets: 1}",
        "{name: front, namespace: edge}")]
    public void Nothing_is_said_of_listeners_that_are_not_known(string spec, string status, string parent) => Assert.Null(Unrouted($$$"""
        { {{{Gateway}}}, metadata: {name: front, namespace: edge}, spec: {gatewayClassName: istio, {{{spec}}} }{{{status}}} }
        ---
        {{{Route(parent)}}}
        """)?.ToString());

    [Fact]
    public void The_one_of_several_Gateways_at_a_Service_is_named_that_has_the_port()
    {
        const string at = "addresses: [{type: Hostname, value: front.edge.svc.cluster.local}]";
        var problem = Unrouted($$$"""
            { {{{Gateway}}}, metadata: {name: back, namespace: edge}, spec: {gatewayClassName: istio, {{{at}}}, listeners: [{name: https, port: 443, protocol: HTTPS}]} }
            ---
            { {{{Gateway}}}, metadata: {name: front, namespace: edge}, spec: {gatewayClassName: istio, {{{at}}}, listeners: [{name: http, port: 80, protocol: HTTP}]} }
            ---
            {{{Route("{name: front, namespace: edge}")}}}
            """);
        Assert.Equal(("ISM2085", "Gateway edge/front in c1", "spec.listeners[0].allowedRoutes.namespaces"), (problem?.Code, problem?.Object, problem?.Path));
    }

    [Theory]
    [InlineData("kubernetes://door-cacert", "no CA door-cacert ", "credentialName names, or into a Secret door-cacert beside it")]
    [InlineData("kubernetes-gateway://edge/clients-cacert", "no CA of Secret edge/clients ", "ca.crt of Secret edge/clients;")]
    [InlineData("configmap://edge/clients-cacert", "no CA of ConfigMap edge/clients ", "ca.crt of ConfigMap edge/clients;")]
    [InlineData("clustertrustbundle://clients-cacert", "no CA of ClusterTrustBundle clients ", "spec.trustBundle of ClusterTrustBundle clients;")]
    [InlineData("configmap://edge/a-cacert,clustertrustbundle://b-cacert", "no CA of ConfigMap edge/a, ClusterTrustBundle b ",
        "ca.crt of ConfigMap edge/a, and spec.trustBundle of ClusterTrustBundle b;")]
    [InlineData("ROOTCA", "", "")]
    public void A_CA_of_clients_that_is_missing_is_named_wherever_it_belongs(string root, string says, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.Two += """

            ---
            {apiVersion: v1, kind: Service, metadata: {name: front, namespace: istio-system}, spec: {type: NodePort, selector: {istio: eastwest}, ports: [{name: https, port: 443, targetPort: 15443}]}}
            """;
        var page = JsonNode.Parse(scenario.Gateway)!;
        var configs = page["config_dump"]!["configs"]!.AsArray();
        var chain = configs[2]!["dynamic_listeners"]![0]!["active_state"]!["listener"]!["filter_chains"]![0]!.AsObject();
        chain.Remove("filter_chain_match");
        chain["transport_socket"] = JsonNode.Parse($$$$$$"""
            {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", "require_client_certificate": true, "common_tls_context": {
             "tls_certificate_sds_secret_configs": [{"name": "default"}],
             "combined_validation_context": {"default_validation_context": {}, "validation_context_sds_secret_config": {"name": "{{{{{{root}}}}}}"}}}}}
            """);
        configs.Add(JsonNode.Parse(scenario.Client)!["config_dump"]!["configs"]!.AsArray().Last()!.DeepClone());
        scenario.Gateway = page.ToJsonString();
        var facts = scenario.Facts("https://10.96.0.5");
        var there = facts.Clusters[1];
        var walk = new AddressWalk(new(facts.Clusters, new("c2", "istio-system", "gw"), facts.Target, facts.Now)
        {
            Entry = new(there, there.Service("istio-system", "front")!),
        }, new Random(1));
        scenario.Complete(walk.Again());
        var tls = walk.Trace.Hops.First(hop => hop.Name == "TLS");
        Assert.StartsWith("https://10.96.0.5:443", walk.Trace.Target, StringComparison.Ordinal);
        Assert.Equal(says.Length > 0 ? "ISM2060" : null, tls.Problem?.Code);
        // Nobody knows what a client outside shows.
        var client = walk.Trace.Hops.SingleOrDefault(hop => hop is { Name: "client", Status: HopStatus.Unknown });
        Assert.Equal(says.Length == 0, client?.Summary.StartsWith("must show a certificate that ", StringComparison.Ordinal) == true);
        Assert.Contains(says, tls.Problem?.Message ?? "", StringComparison.Ordinal);
        Assert.Contains(remedy, tls.Problem?.Remedy ?? "", StringComparison.Ordinal);
    }

    /// <summary>TLS ends at a listener of the Gateway API: what is wrong with its certificate is said of that listener.</summary>
    [Theory]
    [InlineData("", "ISM2060", "has no certificate edge/door")]
    [InlineData("other.example.com", "ISM2102", "is for other.example.com, and not for shop.example.com")]
    [InlineData("shop.example.com", null, "")]
    [InlineData("shop.example.com", "ISM2061", "is not valid before ", 1)]
    public void A_certificate_of_a_listener_that_clients_refuse_is_named(string certificateFor, string? code, string says, int begins = -1)
    {
        var causes = Entry(Listeners, out var call);
        using var root = Issuer.SelfSigned(new("mesh", "Root"), Keys.Create(KeyKind.EcP256), TraceScenario.Now.AddYears(-1),
            TraceScenario.Now.AddYears(9));
        using var leaf = root.IssueIntermediate(new("mesh", "door"), Keys.Create(KeyKind.EcP256), new([], [certificateFor], []),
            TraceScenario.Now.AddDays(begins), TraceScenario.Now.AddDays(90));
        var problem = causes.Unacceptable(call, "kubernetes-gateway://edge/door", certificateFor.Length > 0 ? new(leaf.Certificate, []) : null);
        Assert.Equal(code, problem?.Code);
        if (problem is null) return;
        Assert.Equal(("Gateway edge/front in c1", "spec.listeners[1].tls.certificateRefs"), (problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1.3.6.1.5.5.7.3.2", "ISM2178")]
    [InlineData("1.3.6.1.5.5.7.3.1", null)]
    [InlineData("2.5.29.37.0", null)]
    [InlineData("", null)]
    [InlineData("", "ISM2161", 1024)]
    public void A_certificate_for_clients_alone_or_with_a_weak_key_is_named(string use, string? code, int bits = 2048)
    {
        var causes = Entry(Listeners, out var call);
        using var key = System.Security.Cryptography.RSA.Create(bits);
        var request = new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=shop.example.com", key,
            System.Security.Cryptography.HashAlgorithmName.SHA256, System.Security.Cryptography.RSASignaturePadding.Pkcs1);
        var names = new System.Security.Cryptography.X509Certificates.SubjectAlternativeNameBuilder();
        names.AddDnsName("shop.example.com");
        request.CertificateExtensions.Add(names.Build());
        if (use.Length > 0)
            request.CertificateExtensions.Add(new System.Security.Cryptography.X509Certificates.X509EnhancedKeyUsageExtension([new(use)], critical: false));
        using var certificate = request.CreateSelfSigned(TraceScenario.Now.AddDays(-1), TraceScenario.Now.AddDays(90));
        var problem = causes.Unacceptable(call, "kubernetes-gateway://edge/door", new(certificate, []));
        Assert.Equal(code, problem?.Code);
        if (code == "ISM2161")
            Assert.Equal("the certificate edge/door (CN=shop.example.com) has an RSA key of 1024 bits, which TLS libraries refuse (they take 2048 bits or more, "
                + "and EC keys of 224): handshakes fail", problem!.Message);
    }

    /// <summary>The name of an issuer does not tell whether it is a root: the Secret, or what else the gateway has, may.</summary>
    [Theory]
    [InlineData("alone", "clients must know its issuer, ")]
    [InlineData("with its issuer", "")]
    [InlineData("CA beside it", "ISM2151")]
    public void A_certificate_without_that_of_its_issuer_is_told(string kind, string expected)
    {
        var causes = Entry(Listeners, out var call);
        using var root = Issuer.SelfSigned(new("mesh", "Root"), Keys.Create(KeyKind.EcP256), TraceScenario.Now.AddYears(-1), TraceScenario.Now.AddYears(9));
        using var middle = root.IssueIntermediate(new("mesh", "Issuing"), Keys.Create(KeyKind.EcP256), SubjectNames.None, TraceScenario.Now.AddDays(-1),
            TraceScenario.Now.AddDays(90));
        using var leaf = middle.IssueIntermediate(new("mesh", "door"), Keys.Create(KeyKind.EcP256), SubjectNames.None, TraceScenario.Now.AddDays(-1),
            TraceScenario.Now.AddDays(90));
        call.Facts.Holders[new("c1", "Secret", "edge", "door")] = TracedHolder.Of(new Isthmus.Kubernetes.Objects.Secret
        {
            Data = kind != "CA beside it" ? [] : new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["ca.crt"] = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(CertificateText.Write(middle.Certificate))),
            },
        });
        var shown = new ShownCertificate(leaf.Certificate, kind == "with its issuer" ? [middle.Certificate] : []);
        var gap = causes.Unsent("kubernetes-gateway://edge/door", shown, TraceScenario.View(new TraceScenario().Client));
        Assert.Equal(expected.Length == 0, gap is null);
        Assert.Equal(expected == "ISM2151", gap?.IsCertain == true);
        if (gap is null) return;
        Assert.Equal("CN=Issuing, O=mesh", gap.Issuer);
        if (!gap.IsCertain) return;
        var problem = causes.Incomplete(call, shown, gap);
        Assert.Equal((expected, "Gateway edge/front in c1", "spec.listeners[1].tls.certificateRefs"), (problem.Code, problem.Object, problem.Path));
        Assert.Contains("(CN=Root, O=mesh issued its certificate)", problem.Message, StringComparison.Ordinal);
        Assert.Contains("which is in Secret edge/door (ca.crt)", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>What the Secret lacks is said with its keys, and what a listener may not refer to.</summary>
    [Theory]
    [InlineData("{name: door}", null, "which does not exist, so", "create secret tls door --cert=FILE --key=FILE (the")]
    [InlineData("{name: door}", "cert.pem key.pem", "which holds no certificate (tls.crt): it has cert.pem, key.pem, so", "--dry-run=client -o yaml | kubectl")]
    [InlineData("{name: door, namespace: vault}", "tls.crt tls.key", "no ReferenceGrant in namespace vault permits Gateways of namespace edge to refer to it",
        "create a ReferenceGrant in namespace vault of c1: from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: edge}], to: [{group: \"\", "
            + "kind: Secret, name: door}]")]
    public void A_Secret_that_a_listener_cannot_use_is_named_with_what_it_lacks(string reference, string? keys, string says, string remedy)
    {
        var listeners = $"[{{name: one, port: 443, protocol: HTTPS, hostname: '*.example.com', tls: {{certificateRefs: [{reference}]}}}}]";
        var causes = Entry(listeners, out var call);
        // What must be looked at is looked at, and the question asked again.
        call.Facts.Holders[new("c1", "Secret", "edge", "door")] = TracedHolder.Of(keys is null ? null : new Isthmus.Kubernetes.Objects.Secret
        {
            Data = keys.Split(' ').ToDictionary(key => key, _ => "AA==", StringComparer.Ordinal),
        });
        var problem = causes.WithoutChain(call, hasTls: true);
        Assert.Equal(("ISM2060", "Gateway edge/front in c1", "spec.listeners[0].tls.certificateRefs[0]"), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(443, "ISM2054", "", "has not received Gateway edge/front in c1")]
    [InlineData(8443, "ISM2053", "spec.listeners[*].port", "opens 80, 443, but the call arrives at 8443")]
    public void A_port_that_the_proxy_of_a_listener_does_not_open_is_explained(int port, string code, string field, string says)
    {
        var problem = Entry(Listeners, out _).WithoutListener(port, port);
        Assert.Equal((code, field), (problem.Code, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("shop.example.com", false, "ISM2054", "", "Pod edge/front in c1")]
    [InlineData("cart.example.org", true, "ISM2055", "spec.listeners[1].hostname", "Gateway edge/front in c1")]
    public void A_call_that_no_chain_of_a_listener_takes_is_explained(string host, bool hasTls, string code, string field, string @object)
    {
        var problem = Entry(Listeners, out var call, host).WithoutChain(call, hasTls);
        Assert.Equal((code, field, @object), (problem.Code, problem.Path, problem.Object));
    }

    [Theory]
    [InlineData("{mode: Passthrough}", "shop.example.com", false, "ISM2085", "no TLSRoute that names it has shop.example.com: the connection is closed")]
    [InlineData("{mode: Passthrough}", "cart.example.org", false, "ISM2055", "has *.example.com at port 443, but not cart.example.org")]
    [InlineData("{certificateRefs: [{name: door}]}", "shop.example.com", true, "ISM2054", "has not received the listener")]
    public void A_listener_that_has_the_host_and_no_chain_for_it_is_explained(string tls, string host, bool hasTls, string code, string says)
    {
        var protocol = tls.Contains("Passthrough", StringComparison.Ordinal) ? "TLS" : "HTTPS";
        var problem = Entry($"[{{name: one, port: 443, protocol: {protocol}, hostname: '*.example.com', tls: {tls}}}]", out var call, host)
            .WithoutChain(call, hasTls);
        Assert.Equal(code, problem.Code);
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    /// <summary>Where ListenerSets add listeners, what the Gateway itself lacks may be in one that is not accepted.</summary>
    [Fact]
    public void What_a_ListenerSet_may_have_is_not_said_to_be_missing_in_the_Gateway()
    {
        var causes = Entry(Listeners, out var call, "cart.example.org", ", status: {attachedListenerSets: 1}");
        Assert.All([causes.WithoutListener(8443, 8443), causes.WithoutChain(call, hasTls: true)], problem =>
        {
            Assert.Contains("no ListenerSet that has it is served", problem.Message, StringComparison.Ordinal);
            Assert.Contains("get listenersets", problem.Remedy, StringComparison.Ordinal);
        });
    }

    /// <summary>The Gateway that has the host of the call selects other Pods than those that are called.</summary>
    [Theory]
    [InlineData("istio: ingress", "ISM2052", "has shop.example.com, but selects istio=ingress: no Pod has that, and Pod edge/door in c1 has istio=ingressgateway")]
    [InlineData("istio: other", "ISM2052", "has shop.example.com, but selects istio=other: Pod edge/other serves it, and Pod edge/door in c1 has istio=ingressg")]
    [InlineData("istio: ingressgateway", "ISM2054", "its proxy has not received Gateway edge/shop in c1")]
    public void A_Gateway_that_selects_other_Pods_is_named(string selector, string code, string says)
    {
        var scenario = new TraceScenario();
        scenario.One += $$$"""

            ---
            {apiVersion: v1, kind: Pod, metadata: {name: door, namespace: edge, labels: {istio: ingressgateway}}, spec: {containers: [{name: istio-proxy}]}, status: {phase: Running}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: other, namespace: edge, labels: {istio: other}}, spec: {containers: [{name: istio-proxy}]}, status: {phase: Running}}
            ---
            {apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: shop, namespace: edge},
             spec: {selector: { {{{selector}}} }, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.example.com']}]}}
            """;
        var facts = scenario.Facts("shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "door"), facts.Target, facts.Now);
        var problem = new EntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).WithoutListener(80, 8080);
        Assert.Equal(code, problem.Code);
        Assert.StartsWith(says, problem.Message, StringComparison.Ordinal);
        if (code == "ISM2052") Assert.Equal(("Gateway edge/shop in c1", "spec.selector"), (problem.Object, problem.Path));
    }

    /// <summary>Protocol TLS is for connections, whether TLS ends at the gateway or not.</summary>
    [Theory]
    [InlineData("protocol: TLS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: door}",
        "ends TLS (mode SIMPLE), and passes connections on without looking inside",
        "write tcp routes, or give the server the protocol HTTPS")]
    [InlineData("protocol: TLS}, hosts: ['*'], tls: {mode: PASSTHROUGH}",
        "passes TLS on without looking inside (mode PASSTHROUGH), so the gateway opens no port", "write tls routes, with match.sniHosts")]
    [InlineData("protocol: TCP}, hosts: ['*']", "passes connections on without looking inside", "write tcp routes, or give the server the protocol HTTP")]
    [InlineData("protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: door}", "its proxy has not received", "")]
    public void Routes_for_requests_at_a_server_for_connections_are_told(string server, string says, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: door, namespace: edge, labels: {istio: door}}, spec: {containers: [{name: "
            + "istio-proxy}]}, status: {phase: Running}}\n---\n{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: door, namespace: edge}, "
            + $"spec: {{selector: {{istio: door}}, servers: [{{port: {{number: 443, name: one, {server}}}]}}}}\n---\n{{apiVersion: networking.istio.io/v1, kind: "
            + "VirtualService, metadata: {name: shop, namespace: edge}, spec: {hosts: [shop.example.com], gateways: [door], http: [{route: [{destination: {host: "
            + "orders.shop}}]}]}}";
        var facts = scenario.Facts("https://shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "door"), facts.Target, facts.Now);
        var problem = new EntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).WithoutListener(443, 8443);
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        if (remedy.Length > 0) Assert.Equal(("ISM2085", "VirtualService edge/shop in c1"), (problem.Code, problem.Object));
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A server passes TLS on by its server name, for which a route must be.</summary>
    [Theory]
    [InlineData("www.example.com", "ISM2085", "VirtualService edge/pass in c1", "add shop.example.com to sniHosts")]
    [InlineData("'*.example.com'", "ISM2084", "Gateway edge/pass in c1", "call http://")]
    public void A_server_name_for_which_no_route_is_is_told(string sni, string code, string owner, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: pass, namespace: edge}}, spec: "
            + "{selector: {app: front}, servers: [{port: {number: 443, name: tls, protocol: TLS}, hosts: ['*.example.com'], tls: {mode: PASSTHROUGH}}]}}\n---\n"
            + "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: pass, namespace: edge}, spec: {hosts: ['*.example.com'], gateways: "
            + $"[pass], tls: [{{match: [{{port: 443, sniHosts: [{sni}]}}], route: [{{destination: {{host: orders.shop}}}}]}}]}}}}";
        var facts = scenario.Facts("https://shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        var call = new TracedCall(facts, null, null, 443, CallKinds.Tls, new(System.Net.IPAddress.Any, 443));
        var problem = new EntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).WithoutChain(call, hasTls: false);
        Assert.Equal((code, owner), (problem.Code, problem.Object));
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
        if (code == "ISM2085") Assert.Equal("spec.tls[0].match[0].sniHosts", problem.Path);
    }

    /// <summary>A grant that was meant to permit it is for another namespace or kind, or in another namespace.</summary>
    [Theory]
    [InlineData("vault", "Gateway, namespace: edges", "ReferenceGrant vault/from-edges permits it to Gateways of namespace edges only, and this one is in edge",
        "write edge in spec.from[0].namespace of ReferenceGrant vault/from-edges in c1")]
    [InlineData("vault", "HTTPRoute, namespace: edge", "permits it to the kind HTTPRoute only, and this is of kind Gateway",
        "write Gateway in spec.from[0].kind of ReferenceGrant vault/from-edges in c1")]
    [InlineData("edge", "Gateway, namespace: edge", "ReferenceGrant edge/from-edges is in namespace edge, and counts for objects there only",
        "create ReferenceGrant from-edges in namespace vault in c1")]
    // What differs in more than one field was meant for something else.
    [InlineData("vault", "HTTPRoute, namespace: edges", "no ReferenceGrant in namespace vault permits Gateways of namespace edge to refer to it",
        "create a ReferenceGrant in namespace vault of c1: from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: edge}], to: [{group: \"\", "
            + "kind: Secret, name: door}]")]
    public void A_ReferenceGrant_that_misses_the_reference_is_named(string ns, string from, string says, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{{ {Gateway}, metadata: {{name: front, namespace: edge}}, spec: {{gatewayClassName: istio, listeners: "
            + "[{name: one, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: door, namespace: vault}]}}]} }\n---\n"
            + "{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {name: from-edges, namespace: " + ns
            + "}, spec: {from: [{group: gateway.networking.k8s.io, kind: " + from + "}], to: [{group: \"\", kind: Secret}]}}";
        var facts = scenario.Facts("https://shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        var call = new TracedCall(facts, null, null, 443, CallKinds.Tls, new(System.Net.IPAddress.Any, 443));
        var problem = new EntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).WithoutChain(call, hasTls: true);
        Assert.Equal("ISM2060", problem.Code);
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.Equal(remedy, problem.Remedy);
    }

    /// <summary>Clients follow a redirect to a server with TLS for their host.</summary>
    [Theory]
    [InlineData("", true)]
    [InlineData(", {port: {number: 443, name: https, protocol: HTTPS}, hosts: [other.example.com], tls: {mode: SIMPLE, credentialName: door}}", true)]
    [InlineData(", {port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*.example.com'], tls: {mode: SIMPLE, credentialName: door}}", false)]
    public void A_redirect_to_https_that_no_server_takes_is_told(string server, bool isTold)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: door, namespace: edge}}, spec: "
            + "{selector: {app: front}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com], tls: {httpsRedirect: true}}"
            + $"{server}]}}}}";
        var facts = scenario.Facts("shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        var problem = new EntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).RedirectsNowhere();
        Assert.Equal(isTold ? ("ISM2053", "Gateway edge/door in c1", "spec.servers[0].tls.httpsRedirect") : default,
            problem is null ? default : (problem.Code, problem.Object, problem.Path));
    }

    /// <summary>What the control plane has written says why a listener, or a ListenerSet, is not served.</summary>
    [Theory]
    [InlineData("{type: Conflicted, status: 'True', reason: HostnameConflict, message: m}", "Gateway edge/front in c1", "spec.listeners[1]",
        "listener https is not served (HostnameConflict: m)")]
    [InlineData("{type: Accepted, status: 'True', reason: Accepted, message: m}", "Pod edge/front in c1", "", "its proxy has not received")]
    public void A_listener_that_is_not_served_is_told_with_the_reason(string condition, string owner, string path, string says)
    {
        var causes = Entry(Listeners, out var call, status: $", status: {{listeners: [{{name: https, conditions: [{condition}]}}]}}");
        call.Facts.Holders[new("c1", "Secret", "edge", "door")] = new("", ["tls.crt", "tls.key"]);
        var problem = causes.WithoutListener(443, 443);
        Assert.Equal((owner, path), (problem.Object, problem.Path));
        Assert.StartsWith(says, problem.Message, StringComparison.Ordinal);
    }

    /// <summary>The Service has the ports of the listeners that are served, and is not the operator's to change.</summary>
    [Theory]
    [InlineData("", "Gateway edge/front in c1", "spec.listeners[*].port")]
    [InlineData("\n---\n{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: own, namespace: edge}, spec: {selector: {app: front}, servers: "
        + "[{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}}", "Service edge/front in c1", "spec.ports")]
    public void A_port_that_no_listener_has_is_not_that_of_the_Service(string more, string owner, string path)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{{ {Gateway}, metadata: {{name: front, namespace: edge}}, spec: {{gatewayClassName: istio, listeners: "
            + "[{name: http, port: 80, protocol: HTTP}]} }\n---\n{apiVersion: v1, kind: Service, metadata: {name: front, namespace: edge}, spec: {selector: {app: "
            + $"front}}, ports: [{{name: http, port: 80}}]}}}}{more}";
        var facts = scenario.Facts("shop.example.com:8080");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        var problem = new EntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts)))
            .WithoutPort(new(facts.Home, facts.Home.Service("edge", "front")!), 8080);
        Assert.Equal((owner, path), (problem.Object, problem.Path));
    }

    [Theory]
    [InlineData(", addresses: [{type: IPAddress, value: 9.9.9.9}]", "Gateway edge/front in c1", "spec.addresses")]
    [InlineData("", "Service edge/front in c1", "status.loadBalancer")]
    public void A_gateway_without_an_address_is_told_what_it_asks_for(string addresses, string owner, string path)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{{ {Gateway}, metadata: {{name: front, namespace: edge}}, spec: {{gatewayClassName: istio, listeners: "
            + $"{Listeners}{addresses}}} }}";
        var facts = scenario.Facts("shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        var problem = new EntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts)))
            .WithoutAddress(new(facts.Home, facts.Home.Service("edge", "front")!));
        Assert.Equal(("ISM1005", owner, path), (problem.Code, problem.Object, problem.Path));
    }

    /// <summary>Clients may come by the ports of Nodes that such a Service has, too.</summary>
    [Theory]
    [InlineData("", "", HopStatus.Warning, "install a load balancer, or set spec.externalIPs; its events")]
    [InlineData("allocateLoadBalancerNodePorts: false, ", "", HopStatus.Failed, "install a load balancer, or set spec.externalIPs or the type NodePort; its")]
    [InlineData("allocateLoadBalancerNodePorts: false, ", ", ports: [{containerPort: 15443, hostPort: 443}]", HopStatus.Warning, "install a load balancer")]
    public void A_gateway_that_awaits_its_address_is_reached_by_Nodes(string allocates, string ports, HopStatus status, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.Two = scenario.Two.Replace("{name: istio-proxy, env: [{name: ISTIO_META_NETWORK, value: n2}]}",
            $"{{name: istio-proxy, env: [{{name: ISTIO_META_NETWORK, value: n2}}]{ports}}}", StringComparison.Ordinal)
            + "\n---\n{apiVersion: v1, kind: Service, metadata: {name: front, namespace: istio-system}, spec: {type: LoadBalancer, "
            + $"{allocates}selector: {{istio: eastwest}}, ports: [{{name: https, port: 443, targetPort: 15443}}]}}}}";
        var facts = scenario.Facts("https://10.96.0.5");
        var walk = new AddressWalk(new(facts.Clusters, new("c2", "istio-system", "gw"), facts.Target, facts.Now)
        {
            Entry = new(facts.Clusters[1], facts.Clusters[1].Service("istio-system", "front")!),
        }, new Random(1));
        scenario.Complete(walk.Again());
        var hop = walk.Trace.Hops.First(one => one.Name == "gateway");
        Assert.Equal((status, "ISM1005", "Service istio-system/front in c2"), (hop.Status, hop.Problem?.Code, hop.Problem?.Object));
        Assert.StartsWith(remedy, hop.Problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A route of another protocol has no part in an HTTP call.</summary>
    [Theory]
    [InlineData("HTTPRoute", true)]
    [InlineData("TCPRoute", false)]
    public void A_route_that_misses_its_Gateway_is_of_the_kind_of_the_listener(string kind, bool isTold)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{{ {Gateway}, metadata: {{name: front, namespace: edge}}, spec: {{gatewayClassName: istio, listeners: "
            + $"{Listeners}}} }}\n---\n{{apiVersion: gateway.networking.k8s.io/{(isTold ? "v1" : "v1alpha2")}, kind: {kind}, metadata: {{name: stray, "
            + "namespace: shop}, spec: {parentRefs: [{name: front}], rules: [{backendRefs: [{name: orders, port: 80}]}]}}";
        var facts = scenario.Facts("shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        var problem = new ApiEntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).Unrouted("shop.example.com", 80);
        Assert.Equal(isTold, problem?.Object == $"{kind} shop/stray in c1");
    }

    /// <summary>The Gateway has the port itself, and what a ListenerSet adds to it does not matter.</summary>
    [Theory]
    [InlineData(8080, "NotAllowed", "ListenerSet shop/more in c1", "allow namespace shop in spec.allowedListeners")]
    [InlineData(8080, "ListenersNotValid", "ListenerSet shop/more in c1", "correct its listeners")]
    [InlineData(80, "NotAllowed", "Pod edge/front in c1", "isthmus proxy-status")]
    public void A_ListenerSet_is_to_blame_for_ports_that_its_Gateway_lacks(int port, string reason, string owner, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{{ {Gateway}, metadata: {{name: front, namespace: edge}}, spec: {{gatewayClassName: istio, listeners: "
            + "[{name: http, port: 80, protocol: HTTP}]} }\n---\n{apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: more, namespace: "
            + $"shop}}, spec: {{parentRef: {{name: front, namespace: edge}}, listeners: [{{name: alt, port: {port}, protocol: HTTP}}]}}, status: {{conditions: "
            + $"[{{type: Accepted, status: 'False', reason: {reason}, message: m}}]}}}}";
        var facts = scenario.Facts($"shop.example.com:{port}");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        var problem = new EntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).WithoutListener(port, port);
        Assert.Equal(owner, problem.Object);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_ListenerSet_that_its_Gateway_does_not_take_is_told()
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{{ {Gateway}, metadata: {{name: front, namespace: edge}}, spec: {{gatewayClassName: istio, listeners: "
            + "[{name: http, port: 80, protocol: HTTP}]} }\n---\n{apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: more, namespace: "
            + "shop}, spec: {parentRef: {name: front, namespace: edge}, listeners: [{name: alt, port: 8080, protocol: HTTP}]}, status: {conditions: "
            + "[{type: Accepted, status: 'False', reason: NotAllowed, message: m}]}}";
        var facts = scenario.Facts("shop.example.com:8080");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        var problem = new EntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).WithoutListener(8080, 8080);
        Assert.Equal(("ISM2053", "ListenerSet shop/more in c1", "spec.parentRef"), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith("allow namespace shop in spec.allowedListeners.namespaces of Gateway edge/front in c1", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Its Gateway is in the caller's cluster, and the route is not.</summary>
    [Theory]
    [InlineData("", "HTTPRoute shop/front in c2")]
    [InlineData("hostnames: [other.example.org], ", "Gateway edge/front in c1")]
    public void A_route_in_another_cluster_than_its_Gateway_is_told(string hosts, string owner)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{{ {Gateway}, metadata: {{name: front, namespace: edge}}, spec: {{gatewayClassName: istio, listeners: "
            + $"{Listeners}}} }}";
        scenario.Two += $"\n---\n{Route("{name: front, namespace: edge}").Replace("{parentRefs", $"{{{hosts}parentRefs", StringComparison.Ordinal)}";
        var facts = scenario.Facts("shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        var problem = new ApiEntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).Unrouted("shop.example.com", 80);
        Assert.Equal(("ISM2085", owner), (problem?.Code, problem?.Object));
    }

    [Theory]
    [InlineData("istioo", "", "spec.gatewayClassName", "is istioo, and there is no GatewayClass with this name")]
    [InlineData("theirs", "\n---\n{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: theirs}, spec: {controllerName: a.b/c}}",
        "spec.gatewayClassName", "is theirs, a class of a.b/c")]
    [InlineData("istio", "", "status", "has no Service")]
    public void A_Gateway_that_nobody_serves_is_told_with_its_class(string name, string more, string path, string says)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{{ {Gateway}, metadata: {{name: front, namespace: edge}}, spec: {{gatewayClassName: {name}, listeners: []}} }}{more}";
        var problem = ApiGatewayCauses.WithoutService("edge", "front", scenario.Facts().Home)!;
        Assert.Equal(("Gateway edge/front in c1", path), (problem.Object, problem.Path));
        Assert.StartsWith(says, problem.Message, StringComparison.Ordinal);
        Assert.Null(ApiGatewayCauses.WithoutService("edge", "back", scenario.Facts().Home));
    }

    private const string Listeners = "[{name: http, port: 80, protocol: HTTP}, {name: https, port: 443, protocol: HTTPS, hostname: '*.example.com', "
        + "tls: {certificateRefs: [{name: door}]}}]";

    private static EntryCauses Entry(string listeners, out TracedCall call, string host = "shop.example.com", string status = "")
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{{ {Gateway}, metadata: {{name: front, namespace: edge}}, "
            + $"spec: {{gatewayClassName: istio, listeners: {listeners}}}{status} }}";
        var facts = scenario.Facts(host);
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        call = new(facts, null, null, 443, CallKinds.Tls, new(System.Net.IPAddress.Any, 443));
        return new(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts)));
    }

    private static string Route(string parent) => "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: front, namespace: shop}, spec: "
        + $"{{parentRefs: [{parent}], rules: [{{backendRefs: [{{name: orders, port: 80}}]}}]}}}}";

    private static Core.Problems.Problem? Unrouted(string objects)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{objects}";
        var facts = scenario.Facts("shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        return new ApiEntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).Unrouted("shop.example.com", 80);
    }
}
