using System.Net.Http;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Proxy.Trace;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Faults of connections: who ends them, where they lead, and who else takes them (tests/operator-faults.tsv).</summary>
public sealed class ConnectionTrialTests
{
    private const string Field = "spec.trafficPolicy.connectionPool.tcp.idleTimeout", Reset = "the connection was reset before there was an answer";

    private const string Rule = """

        ---
        {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: orders, namespace: shop}, spec: {host: orders, trafficPolicy: {connectionPool: {tcp: {idleTimeout: 1s}}}}}
        """;

    private const string Patch = """

        ---
        {apiVersion: networking.istio.io/v1alpha3, kind: EnvoyFilter, metadata: {name: limits, namespace: shop},
         spec: {configPatches: [{applyTo: NETWORK_FILTER,
            match: {context: SIDECAR_INBOUND, listener: {filterChain: {filter: {name: envoy.filters.network.tcp_proxy}}}},
            patch: {operation: MERGE, value: {name: envoy.filters.network.tcp_proxy,
              typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, idle_timeout: 1s}}}}]}}
        """;

    /// <summary>An ingress gateway of c2, which serves <c>orders</c> with TLS.</summary>
    private const string Entrance = """

        ---
        {apiVersion: v1, kind: Pod, metadata: {name: ing, namespace: istio-system, labels: {istio: ingress}},
         spec: {containers: [{name: istio-proxy, args: [proxy, router]}]},
         status: {phase: Running, podIP: 10.1.0.11, conditions: [{type: Ready, status: "True"}]}}
        ---
        {apiVersion: v1, kind: Service, metadata: {name: ingress, namespace: istio-system},
         spec: {clusterIP: 10.96.0.9, selector: {istio: ingress}, ports: [{name: https, port: 443, targetPort: 8443}]},
         status: {loadBalancer: {ingress: [{ip: 172.18.2.9}]}}}
        ---
        {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice,
         metadata: {name: ingress-1, namespace: istio-system, labels: {kubernetes.io/service-name: ingress}}, ports: [{name: https, port: 8443}],
         endpoints: [{addresses: [10.1.0.11], targetRef: {kind: Pod, name: ing}}]}
        ---
        {apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: partner, namespace: istio-system},
         spec: {selector: {istio: ingress}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [orders],
            tls: {mode: SIMPLE, credentialName: partner}}]}}
        """;

    private const string EntranceDump = """
        {"config_dump": {"configs": [{"@type": "x.ListenersConfigDump",
            "dynamic_listeners": [{"active_state": {"listener": {"name": "0.0.0.0_8443",
                "address": {"socket_address": {"address": "0.0.0.0", "port_value": 8443}}, "traffic_direction": "OUTBOUND",
                "listener_filters": [{"name": "envoy.filters.listener.tls_inspector"}],
          "filter_chains": [{"filter_chain_match": {"server_names": ["orders"]},
            "transport_socket": {"name": "envoy.transport_sockets.tls",
             "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
              "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "kubernetes://partner"}]}}},
           "filters": [{"name": "http",
             "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              "stat_prefix": "x", "route_config": {"name": "r",
               "virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}]},
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}}}]}]},
         "clusters": {}, "pod": {"listening": ["0.0.0.0:8443"]}}
        """;

    [Theory]
    [InlineData(Rule, "DestinationRule shop/orders in c1", Field)]
    [InlineData("", "Pod shop/buyer in c1", "idle_timeout")]
    public void A_connection_that_the_callers_proxy_ends_for_idleness_is_told(string objects, string owner, string path)
    {
        var scenario = Bytes();
        scenario.One += objects;
        var listener = JsonNode.Parse(scenario.Client)!;
        Chains(listener, 2, 1)[0] = Idle($"outbound|80||{TraceScenario.Fqdn}", "1s");
        scenario.Client = listener.ToJsonString();
        scenario.Call = new("GET / of orders", false, 0, 1591.2, "10.1.0.5:8080", "SI", Reset, []);
        AssertCause(scenario.Walk("http://orders/"), "ISM2166", owner, path,
            "is 1 s: the proxy of Pod shop/buyer in c1 ends connections that carry no bytes for so long, and this one ended 1.6 s after it began");
    }

    /// <summary>The callee's proxy follows the objects of its own cluster.</summary>
    [Theory]
    [InlineData(Rule, "1s", 2003, "ISM2166", "DestinationRule shop/orders in c2", Field)]
    [InlineData("", "1s", 2003, "ISM2166", "Pod shop/orders-b in c2", "idle_timeout")]
    [InlineData(Patch, "1s", 2003, "ISM2166", "EnvoyFilter shop/limits in c2", "spec.configPatches[0].patch.value")]
    // It was not the proxy.
    [InlineData(Rule, "1s", 300, "ISM2101", "n2 through gateway 172.18.2.1:15443", "")]
    [InlineData("", "3600s", 2003, "ISM2101", "n2 through gateway 172.18.2.1:15443", "")]
    public void A_connection_that_the_proxy_of_another_cluster_ends_for_idleness_is_told(string objects, string limit, double took, string code, string owner,
        string path)
    {
        var scenario = Bytes();
        scenario.Two += objects;
        var client = JsonNode.Parse(scenario.Client)!;
        Chains(client, 2, 1)[0] = Idle($"outbound|80||{TraceScenario.Fqdn}", null);
        scenario.Client = client.ToJsonString();
        var callee = JsonNode.Parse(scenario.CalleeThere)!;
        Chains(callee, 1, 0)[0]!["filters"] = Idle("inbound|8080||", limit)["filters"]!.DeepClone();
        if (objects == Rule)
            callee["config_dump"]!["configs"]![0]!["dynamic_active_clusters"]![0]!["cluster"]!["metadata"] = JsonNode.Parse(
                """{"filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1alpha3/namespaces/shop/destination-rule/orders"}}}""");
        scenario.CalleeThere = callee.ToJsonString();
        scenario.Call = new("GET / of orders", false, 0, took, "172.18.2.1:15443", "UC", Reset, []);
        AssertCause(scenario.Walk("http://orders/"), code, owner, path, code == "ISM2166" ? "is 1 s: the proxy of Pod shop/orders-b in c2" : "");
    }

    [Fact]
    public void A_request_that_the_callers_proxy_gives_up_is_told()
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 504, 2000, "10.1.0.5:8080", "SI", "stream_idle_timeout", []) };
        AssertCause(scenario.Walk(), "ISM2088", "Pod shop/buyer in c1", "stream_idle_timeout", "its proxy gave up after 2 s");
    }

    [Fact]
    public void What_a_call_meets_is_told_in_words_of_its_own()
    {
        Assert.Equal(Reset, CallEnd.Told(new IOException("Unable to read data", new SocketException((int)SocketError.ConnectionReset))));
        Assert.Equal("the connection was closed without an answer", CallEnd.Told(new IOException("Received an unexpected EOF")));
        Assert.Equal("the answer is not TLS", CallEnd.Told(new AuthenticationException("Cannot determine the frame size")));
        Assert.Equal("the TLS handshake failed: tlsv1 unrecognized name", CallEnd.Told(new AuthenticationException("Authentication failed",
            new InvalidOperationException("error:0A000458:SSL routines::tlsv1 unrecognized name"))));
        Assert.Equal("the connection was closed without an answer", CallEnd.Told(new HttpRequestException(HttpRequestError.ResponseEnded)));
    }

    [Fact]
    public void A_gateway_that_asks_for_other_networks_only_is_named()
    {
        var scenario = new TraceScenario();
        scenario.Two = scenario.Two.Replace("{name: ISTIO_META_NETWORK, value: n2}",
                "{name: ISTIO_META_NETWORK, value: n2}, {name: ISTIO_META_REQUESTED_NETWORK_VIEW, value: n1}", StringComparison.Ordinal)
            .Replace("labels: {istio: eastwest}}, spec: {containers", "labels: {istio: eastwest, pod-template-hash: x1}, ownerReferences: [{kind: "
                + "ReplicaSet, name: east-x1, controller: true}]}, spec: {containers", StringComparison.Ordinal);
        var gateway = JsonNode.Parse(scenario.Gateway)!;
        gateway["config_dump"]!["configs"]![1]!["dynamic_endpoint_configs"]![0]!["endpoint_config"]!["endpoints"] = new JsonArray();
        scenario.Gateway = gateway.ToJsonString();
        var trace = scenario.Walk();
        AssertCause(trace, "ISM2167", "Deployment istio-system/east in c2",
            "spec.template.spec.containers[istio-proxy].env[ISTIO_META_REQUESTED_NETWORK_VIEW]", "is n1, and the gateway is in n2");
        Assert.Equal("kubectl --context=c2 -n istio-system set env deployment/east ISTIO_META_REQUESTED_NETWORK_VIEW=n2", trace.Failure!.Problem!.Remedy);
    }

    /// <summary>An entry names the load balancer of a gateway of another cluster, as if that were outside.</summary>
    [Theory]
    [InlineData("old.example", "ISM2149")]
    [InlineData("orders", "")]
    // Without a name of its own, the setting takes that of the request.
    [InlineData("", "")]
    public void A_server_name_that_no_server_of_a_gateway_of_the_mesh_has_is_told(string sni, string code)
    {
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: orders, namespace: shop}, spec: {host: orders, "
            + $"trafficPolicy: {{tls: {{mode: SIMPLE, sni: {sni}}}}}}}}}";
        scenario.Two += Entrance;
        scenario.CalleeThere = EntranceDump;
        var client = JsonNode.Parse(scenario.ClientOfOne.Replace("\"address\": \"10.1.0.5\", \"port_value\": 8080",
            "\"address\": \"172.18.2.9\", \"port_value\": 443", StringComparison.Ordinal)
            .Replace("orders;shop;orders;v1;c1", ";;;;c1", StringComparison.Ordinal))!;
        var cluster = client["config_dump"]!["configs"]![0]!["dynamic_active_clusters"]![1]!["cluster"]!.AsObject();
        cluster.Remove("transport_socket_matches");
        cluster["transport_socket"] = JsonNode.Parse($$$"""
            {"name": "envoy.transport_sockets.tls",
             "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "common_tls_context": {},
              "sni": "{{{sni}}}"}}
            """);
        cluster["metadata"] = JsonNode.Parse(
            """{"filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1alpha3/namespaces/shop/destination-rule/orders"}}}""");
        if (sni.Length == 0)
            cluster["typed_extension_protocol_options"] = JsonNode.Parse("""
                {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                  "upstream_http_protocol_options": {"auto_sni": true}, "explicit_http_config": {"http_protocol_options": {}}}}
                """);
        scenario.Client = client.ToJsonString();
        scenario.Call = code.Length == 0 ? null : new("GET /", false, 503, 40, "172.18.2.9:443", "UF,URX", "connection_reset", []);
        var trace = scenario.Walk();
        Assert.Contains("Service istio-system/ingress in c2 at 172.18.2.9:443", trace.Ways[0].Title, StringComparison.Ordinal);
        if (code.Length == 0) Assert.DoesNotContain(trace.Hops, hop => hop.Problem?.Code == "ISM2149");
        else
            AssertCause(trace, code, "DestinationRule shop/orders in c1", "spec.trafficPolicy.tls.sni",
                "begins TLS for old.example at the gateway Service istio-system/ingress in c2, whose servers with TLS at port 443 are for orders");
    }

    /// <summary>The address itself is called, which is of a Service and not outside.</summary>
    [Theory]
    [InlineData("443", true)]
    [InlineData("444", false)]
    public void A_call_to_the_load_balancer_of_a_gateway_is_followed(string port, bool isFollowed)
    {
        var scenario = new TraceScenario
        {
            CalleeThere = EntranceDump, Call = new("GET /", false, 503, 40, $"172.18.2.9:{port}", "UC", "connection_reset", []),
        };
        scenario.Two += Entrance;
        var trace = scenario.Walk($"https://172.18.2.9:{port}/");
        Assert.Equal(isFollowed, trace.Hops.Any(hop => hop.Name == "service"
            && hop.Summary == "Service istio-system/ingress in c2 at 172.18.2.9:443 → 1 Pod"));
        Assert.Equal(isFollowed ? "ISM2055" : "ISM2076", trace.Failure!.Problem!.Code);
        Assert.Equal(!isFollowed, trace.Hops.Any(hop => hop.Name == "outside"
            && hop.Summary == "172.18.2.9:444 is an address outside of the clusters, of Service istio-system/ingress in c2, which has no port 444"));
    }

    /// <summary>Nothing behind the load balancer begins the mutual TLS that the Pods demand.</summary>
    [Theory]
    [InlineData("STRICT", false)]
    [InlineData("PERMISSIVE", true)]
    [InlineData("STRICT", true)]
    public void A_call_to_the_load_balancer_of_Pods_that_take_mesh_TLS_only_is_told(string mode, bool answered)
    {
        const string Address = "172.18.2.8:80";
        var scenario = new TraceScenario
        {
            Call = answered ? new("GET /", true, 200, 3, Address, "-", "via_upstream", [])
                : new("GET /", false, 503, 3, Address, "UC", "connection_termination", []),
        };
        scenario.Two += $$"""

            ---
            {apiVersion: v1, kind: Service, metadata: {name: lb, namespace: shop},
             spec: {type: LoadBalancer, clusterIP: 10.96.0.19, selector: {app: orders}, ports: [{name: http, port: 80, targetPort: 8080}]},
             status: {loadBalancer: {ingress: [{ip: 172.18.2.8}]} } }
            ---
            {apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: all, namespace: shop}, spec: {mtls: {mode: {{mode}} } } }
            """;
        var trace = scenario.Walk($"http://{Address}/");
        Assert.Equal(answered, trace.Succeeds);
        if (answered) return;
        AssertCause(trace, "ISM2059", "PeerAuthentication shop/all in c2", "spec.mtls.mode", "is STRICT for the Pods of Service shop/lb in c2");
        Assert.StartsWith("call it by its name, lb.shop:80", trace.Failure!.Problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A Pod of c2 that takes calls by load balancer and Node, and its Node.</summary>
    private const string Exposed = """

        ---
        {apiVersion: v1, kind: Service, metadata: {name: lb, namespace: shop},
         spec: {type: LoadBalancer, clusterIP: 10.96.0.19, selector: {app: orders}, ports: [{name: http, port: 80, targetPort: 8080, nodePort: 31080}]},
         status: {loadBalancer: {ingress: [{ip: 172.18.2.8}]}}}
        ---
        {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: lb-1, namespace: shop, labels: {kubernetes.io/service-name: lb}},
         ports: [{name: http, port: 8080}], endpoints: [{addresses: [10.1.0.5], targetRef: {kind: Pod, name: orders-b}}]}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: other, namespace: istio-system}, spec: {containers: [{name: web}]}, status: {phase: Running, podIP: 10.1.0.12, hostIP: 172.18.0.3}}
        """;

    private const string Strict = """

        ---
        {apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: all, namespace: shop}, spec: {mtls: {mode: STRICT}}}
        """;

    /// <summary>The sidecar of c2's Pod takes plain text, and mesh TLS.</summary>
    private static string Permissive(string callee) => callee.Replace(
        "\"filter_chain_match\": {\"destination_port\": 8080, \"transport_protocol\": \"tls\", \"application_protocols\": [\"istio\"]}, \"transport_socket\"",
        "\"filter_chain_match\": {\"destination_port\": 8080}, \"unused\"", StringComparison.Ordinal);

    [Theory]
    [InlineData("172.18.0.3:31080", "nodePort 31080 of a Node of c2")]
    [InlineData("172.18.2.8:80", "its load balancer")]
    public void A_call_to_a_Service_from_outside_is_followed_to_its_Pods(string address, string by)
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 0, 3, address, "", "the connection was closed without an answer", []) };
        scenario.Two += Exposed + Strict;
        var trace = scenario.Walk($"http://{address}/");
        AssertCause(trace, "ISM2059", "PeerAuthentication shop/all in c2", "spec.mtls.mode", "is STRICT for the Pods of Service shop/lb in c2");
        Assert.Contains($"that is the address of {by}", trace.Failure!.Problem!.Message, StringComparison.Ordinal);
        Assert.StartsWith("call it by its name, lb.shop:80", trace.Failure!.Problem!.Remedy, StringComparison.Ordinal);

        var open = new TraceScenario { Call = new("GET /", true, 200, 3, address, "-", "via_upstream", []) };
        open.Two += Exposed;
        open.CalleeThere = Permissive(open.CalleeThere);
        trace = open.Walk($"http://{address}/");
        Assert.True(trace.Succeeds);
        Assert.Contains(trace.Hops, hop => hop.Name == "service" && hop.Summary == $"Service shop/lb in c2 at {address} → 1 Pod");
        Assert.DoesNotContain(trace.Hops, hop => hop.Problem is not null || hop.Name == "outside");
    }

    /// <summary>Whoever comes by an address from outside shows no identity.</summary>
    [Fact]
    public void A_policy_by_principals_behind_a_load_balancer_is_named()
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 403, 3, "172.18.2.8:80", "-", "via_upstream", []) };
        scenario.Two += Exposed + """

            ---
            {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: callers, namespace: shop},
             spec: {rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/buyer]}}]}]}}
            """;
        scenario.CalleeThere = Permissive(scenario.CalleeThere).Replace("\"http_filters\": [", "\"http_filters\": [" + AuthorizerTraceTests.Rbac,
            StringComparison.Ordinal);
        var trace = scenario.Walk("http://172.18.2.8/");
        AssertCause(trace, "ISM2064", "AuthorizationPolicy shop/callers in c2", "spec.rules[0].from[0].source.principals",
            "allows cluster.local/ns/shop/sa/buyer only, and this call has none, since it comes in plain text by way of 172.18.2.8");
        Assert.StartsWith("call it by its name, lb.shop:80", trace.Failure!.Problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>An entry names an address of a Service of the mesh as if it were of a stranger.</summary>
    [Theory]
    [InlineData("172.18.2.8", 80)]
    [InlineData("172.18.0.3", 31080)]
    public void An_entry_that_leads_to_Pods_that_take_mesh_TLS_only_is_told(string address, int port)
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 503, 3, $"{address}:{port}", "UC,URX", "connection_termination", []) };
        scenario.Two += Exposed + Strict;
        var client = JsonNode.Parse(scenario.ClientOfOne.Replace("\"address\": \"10.1.0.5\", \"port_value\": 8080",
            $"\"address\": \"{address}\", \"port_value\": {port}", StringComparison.Ordinal)
            .Replace("orders;shop;orders;v1;c1", ";;;;c1", StringComparison.Ordinal))!;
        client["config_dump"]!["configs"]![0]!["dynamic_active_clusters"]![1]!["cluster"]!.AsObject().Remove("transport_socket_matches");
        scenario.Client = client.ToJsonString();
        var trace = scenario.Walk();
        AssertCause(trace, "ISM2059", "PeerAuthentication shop/all in c2", "spec.mtls.mode", "is STRICT for the Pods of Service shop/lb in c2");
    }

    [Theory]
    [InlineData("10.1.0.77:80", "is in the range of Pods of c1 (10.1.0.0/24, Node worker), and no Pod has 10.1.0.77 now")]
    [InlineData("10.96.0.6:80", "is in the range of Services of c1, and no Service there has 10.96.0.6 now")]
    [InlineData("10.99.0.6:80", "")]
    public void An_address_that_a_Pod_or_Service_had_is_told(string address, string says)
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", false, 503, 1, address, "UF", "connect error: 101", []),
            Place = new(address[3] == '1' ? "10.1.0.0/24, Node worker" : "", false),
        };
        scenario.One += "\n---\n{apiVersion: v1, kind: Service, metadata: {name: kubernetes, namespace: default}, spec: {clusterIP: 10.96.0.1, ports: "
            + "[{port: 443}]}}";
        var trace = scenario.Walk(address);
        if (says.Length == 0) Assert.NotEqual("ISM2168", trace.Failure!.Problem!.Code);
        else AssertCause(trace, "ISM2168", $"address {address}", "", says);
        scenario.Call = new("GET /", true, 200, 1, address, "-", "", []);
        Assert.All(scenario.Walk(address).Hops, hop => Assert.Null(hop.Problem));
    }

    [Theory]
    [InlineData("{name: http_proxy, value: 'http://me:secret@proxy.corp.example:3128'}, {name: no_proxy, value: 'localhost,127.0.0.1'}", "orders",
        "is http://…@proxy.corp.example:3128, and no_proxy (localhost,127.0.0.1) does not have orders")]
    [InlineData("{name: HTTP_PROXY, value: 'http://proxy:3128'}", "orders", "is http://proxy:3128, and there is no no_proxy")]
    [InlineData("{name: http_proxy, value: 'http://proxy:3128'}, {name: no_proxy, value: '.svc,orders'}", "orders", "")]
    [InlineData("{name: http_proxy, value: 'http://proxy:3128'}, {name: no_proxy, value: 'shop, .local'}", "orders.shop", "")]
    [InlineData("{name: http_proxy, value: 'http://proxy:3128'}, {name: no_proxy, valueFrom: {configMapKeyRef: {name: a, key: b}}}", "orders", "")]
    [InlineData("{name: https_proxy, value: 'http://proxy:3128'}", "orders", "")]
    public void A_forward_proxy_of_the_callers_programs_is_told(string variables, string target, string says)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 1, "10.1.0.5:8080", "-", "", []) };
        scenario.One = scenario.One.Replace("spec: {containers: [{name: web}, {name: istio-proxy, env:",
            $"spec: {{containers: [{{name: web, env: [{variables}]}}, {{name: istio-proxy, env:", StringComparison.Ordinal);
        var trace = scenario.Walk(target);
        Assert.True(trace.Succeeds);
        var problem = trace.Hops.FirstOrDefault(hop => hop.Name == "http_proxy")?.Problem;
        Assert.Equal(says.Length > 0 ? "ISM2169" : "", problem?.Code ?? "");
        Assert.Contains(says, problem?.Message ?? "", StringComparison.Ordinal);
        // It explains no failure of the call that the trace makes itself.
        scenario.Call = new("GET /", false, 503, 1, "10.1.0.5:8080", "UF", "connect error: 110", []);
        Assert.NotEqual("ISM2169", scenario.Walk(target).Failure!.Problem!.Code);
        Assert.DoesNotContain("http_proxy", scenario.Walk(target).Failure!.Problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>An older Service decides what the proxies of the Pods know of the port.</summary>
    [Theory]
    [InlineData("tcp-metrics", true)]
    [InlineData("http-metrics", false)]
    public void A_Service_that_declares_another_protocol_for_the_port_of_a_policy_is_named(string name, bool isNamed)
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.ClientOfOne;
        scenario.One += $$"""

            ---
            {apiVersion: v1, kind: Service, metadata: {name: a-metrics, namespace: shop},
             spec: {clusterIP: 10.96.0.20, selector: {app: orders}, ports: [{name: {{name}}, port: 9090, targetPort: 8080}]} }
            ---
            {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: gets, namespace: shop}, spec: {rules: [{to: [{operation: {methods: [GET]} }]}]} }
            """;
        var callee = JsonNode.Parse(scenario.Callee)!;
        Chains(callee, 1, 0)[0]!["filters"] = JsonNode.Parse("""
            [{"name": "envoy.filters.network.rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC", "stat_prefix": "x", "rules": {}}},
             {"name": "tcp", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "x", "cluster": "inbound|8080||"}}]
            """);
        scenario.Callee = callee.ToJsonString();
        var trace = scenario.Walk();
        AssertCause(trace, "ISM2064", "AuthorizationPolicy shop/gets in c1", "spec.rules[0].to[0].operation.methods", isNamed
            ? "because Service shop/a-metrics in c1 (port 9090, TCP) declares another protocol for it than Service shop/orders in c1 (port 80, HTTP)"
            : "because it declares TCP");
        Assert.Equal(isNamed, trace.Failure!.Problem!.Remedy.Contains("name the port of Service shop/a-metrics in c1 http-", StringComparison.Ordinal));
    }

    /// <summary>The port declares TCP.</summary>
    private static TraceScenario Bytes()
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("{name: http, port: 80", "{name: tcp-orders, port: 80", StringComparison.Ordinal);
        scenario.Two = scenario.Two.Replace("{name: http, port: 80", "{name: tcp-orders, port: 80", StringComparison.Ordinal);
        return scenario;
    }

    private static JsonArray Chains(JsonNode dump, int configs, int listener) => dump["config_dump"]!["configs"]![configs]!["dynamic_listeners"]![listener]!
        ["active_state"]!["listener"]!["filter_chains"]!.AsArray();

    private static JsonNode Idle(string cluster, string? limit) => JsonNode.Parse($$$"""
        {"filters": [{"name": "tcp", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "x",
         {{{(limit is null ? "" : $"\"idle_timeout\": \"{limit}\",")}}} "cluster": "{{{cluster}}}"}}]}
        """)!;

    private static void AssertCause(CallTrace trace, string code, string owner, string path, string says)
    {
        var problem = trace.Failure!.Problem!;
        Assert.Equal((code, owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }
}
