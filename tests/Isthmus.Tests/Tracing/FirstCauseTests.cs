using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Faults whose first explanation was another one: each is made, and the object, the field and a remedy that ends it are expected
/// (tests/operator-faults.tsv).</summary>
public sealed class FirstCauseTests
{
    private const string Callee = "10.1.0.5:8080", Gateway = "172.18.2.1:15443";

    /// <summary>A worker has the label that the Service selects, and does not listen on its port.</summary>
    [Theory]
    [InlineData("version: v2", "kubectl --context=c1 -n shop patch service orders --type=merge -p '{\"spec\":{\"selector\":{\"version\":\"v1\"}}}'")]
    [InlineData("version: v1", "give the Pods of Pod orders-a a label that those of Deployment worker do not have, and add it to the selector")]
    public void A_Service_that_selects_Pods_of_another_workload_is_told_while_others_listen(string labels, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: worker-7d-x, namespace: shop, labels: {app: orders, pod-template-hash: 7d, "
            + $"{labels}}}, ownerReferences: [{{kind: ReplicaSet, name: worker-7d, controller: true}}]}}, spec: {{containers: [{{name: web}}, "
            + "{name: istio-proxy}]}, status: {phase: Running, podIP: 10.1.0.6, conditions: [{type: Ready, status: \"True\"}]}}";
        scenario.Client = scenario.Client.Replace(Endpoint(Gateway.Split(':')[0]), Endpoint("10.1.0.6"), StringComparison.Ordinal)
            .Replace("\"port_value\": 15443", "\"port_value\": 8080", StringComparison.Ordinal)
            .Replace(";;;;c1", "worker;shop;orders;v1;c1", StringComparison.Ordinal);
        // The worker's proxy answers as that of another Pod than orders-a.
        scenario.CalleeThere = scenario.CalleeThere.Replace("0.0.0.0:8080", "0.0.0.0:5000", StringComparison.Ordinal);
        AssertCause(scenario.Walk(), "ISM2116", "Service shop/orders in c1", "spec.selector",
            "also selects Pod worker-7d-x of Deployment worker, in which nothing listens on port 8080, as in Pod orders-a of Pod orders-a: its programs listen "
                + "on 5000", remedy);
    }

    /// <summary>A route that tries again at another endpoint hides that one does not answer: calls get through, and the cause is a warning.</summary>
    [Theory]
    [InlineData("{\"retry_on\": \"connect-failure\", \"num_retries\": 2}", true)]
    [InlineData("{\"retry_on\": \"connect-failure\", \"num_retries\": 0}", false)]
    [InlineData("", false)]
    public void What_retries_hide_is_a_warning(string retries, bool getsThrough)
    {
        var scenario = new TraceScenario { CalleeThere = TraceScenario.Stranger, Call = new("GET /", true, 200, 80, Callee, "-", "via_upstream", []) };
        if (retries.Length > 0)
            scenario.Client = scenario.Client.Replace("\"route\": {\"cluster\": \"outbound|80||" + TraceScenario.Fqdn + "\"}",
                "\"route\": {\"cluster\": \"outbound|80||" + TraceScenario.Fqdn + $"\", \"retry_policy\": {retries}}}", StringComparison.Ordinal);
        var trace = scenario.Walk();
        Assert.Equal(getsThrough, trace.Succeeds);
        var hop = Assert.Single(trace.Hops, hop => hop is { Name: "TLS", Way: 2, Problem.Code: "ISM1010" });
        Assert.Equal(getsThrough ? HopStatus.Warning : HopStatus.Failed, hop.Status);
        // Roots of different CAs may have one name.
        Assert.Equal(2, System.Text.RegularExpressions.Regex.Matches(hop.Problem!.Message, "SHA-256 ([0-9A-F]{16})").Select(one => one.Groups[1].Value)
            .Distinct().Count());
    }

    /// <summary>The application begins TLS, and a DestinationRule makes its proxy begin it again.</summary>
    [Theory]
    [InlineData("https", true)]
    [InlineData("http", false)]
    public void TLS_that_begins_twice_is_told(string scheme, bool isTwice)
    {
        var scenario = Originating("SIMPLE", "\"common_tls_context\": {}", Bare);
        if (isTwice) Passing(scenario);
        var trace = scenario.Walk($"{scheme}://orders:80");
        var hop = trace.Hops.First(one => one.Name == "TLS");
        Assert.Equal(isTwice ? HopStatus.Failed : HopStatus.Ok, hop.Status);
        if (!isTwice) return;
        AssertCause(trace, "ISM2089", "DestinationRule shop/orders in c1", "spec.trafficPolicy.tls.mode", "the server finds TLS within TLS",
            "remove trafficPolicy.tls; or, ");
    }

    /// <summary>MUTUAL has certificates of its own, and is not the mesh's.</summary>
    [Fact]
    public void Files_of_MUTUAL_that_the_proxy_does_not_have_are_told()
    {
        var scenario = Originating("MUTUAL, clientCertificate: /etc/certs/client.pem, privateKey: /etc/certs/key.pem",
            "\"common_tls_context\": {\"tls_certificate_sds_secret_configs\": [{\"name\": \"file-cert:/etc/certs/client.pem~/etc/certs/key.pem\"}]}", Bare);
        scenario.Call = new("GET /", false, 503, 3, Callee, "UF,URX",
            "TLS_error: Secret_is_not_supplied_by_SDS: file-cert:/etc/certs/client.pem~/etc/certs/key.pem", []);
        AssertCause(scenario.Walk(), "ISM2089", "DestinationRule shop/orders in c1", "spec.trafficPolicy.tls.clientCertificate",
            "names /etc/certs/client.pem and /etc/certs/key.pem, which the proxy of Pod shop/buyer in c1 cannot read", "mount the files");
    }

    /// <summary>Secrets are for gateways: a workloadSelector does not give a sidecar one.</summary>
    [Theory]
    [InlineData("SIMPLE", "for sidecars, write caCertificates with files instead")]
    [InlineData("MUTUAL", "for sidecars, write caCertificates, clientCertificate and privateKey with files instead")]
    public void A_Secret_that_no_sidecar_gets_is_told(string mode, string remedy)
    {
        var scenario = Originating($"{mode}, credentialName: bank", "\"common_tls_context\": {\"tls_certificate_sds_secret_configs\": [{\"name\": "
            + "\"kubernetes://bank\"}]}", Bare);
        scenario.Call = new("GET /", false, 503, 3, Callee, "UF,URX", "TLS_error: Secret_is_not_supplied_by_SDS: kubernetes://bank", []);
        AssertCause(scenario.Walk(), "ISM2089", "DestinationRule shop/orders in c1", "spec.trafficPolicy.tls.credentialName",
            "is bank, a Secret that only gateways in its namespace get: the sidecar of Pod shop/buyer in c1 has no certificates", remedy);
    }

    /// <summary>The name leads to Pods of clusters that export the Service only.</summary>
    [Fact]
    public void A_Service_that_the_cluster_of_its_Pods_does_not_export_is_told()
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("app: orders, version: v1}}, spec: {containers: [{name: web, ports",
            "app: gone}}, spec: {containers: [{name: web, ports", StringComparison.Ordinal);
        scenario.Client = scenario.Client.Replace(TraceScenario.Fqdn, "orders.shop.svc.clusterset.local", StringComparison.Ordinal)
            .Replace("\"host\": \"orders\"", "\"host\": \"orders.shop.svc.clusterset.local\"", StringComparison.Ordinal);
        var page = JsonNode.Parse(scenario.Client)!;
        page["config_dump"]!["configs"]![1]!["dynamic_endpoint_configs"]![0]!["endpoint_config"]!["endpoints"]!.AsArray().Clear();
        scenario.Client = page.ToJsonString();
        AssertCause(scenario.Walk("orders.shop.svc.clusterset.local"), "ISM2108", "Service shop/orders in c2", "",
            "is not exported by c2, where its ready Pods are, and orders.shop.svc.clusterset.local leads only to Pods of clusters that have a ServiceExport",
            "kubectl --context=c2 apply -f - <<< '{\"apiVersion\": \"multicluster.x-k8s.io/v1alpha1\", \"kind\": \"ServiceExport\"");
    }

    /// <summary>Neither the API server nor the gateway answers.</summary>
    [Theory]
    [InlineData("UF,URX", "ISM1001", "cluster c2")]
    [InlineData("UC", "ISM2076", "n2 through gateway 172.18.2.1:15443")]
    public void A_cluster_that_is_lost_is_told(string flags, string code, string owner)
    {
        var scenario = new TraceScenario
        {
            TwoIsSilent = "no route to it", Call = new("GET /", false, 503, 3, Gateway, flags, "connection_timeout", []),
        };
        var page = JsonNode.Parse(scenario.Client)!;
        page["config_dump"]!["configs"]![1]!["dynamic_endpoint_configs"]![0]!["endpoint_config"]!["endpoints"]![0]!["lb_endpoints"]!.AsArray().RemoveAt(0);
        scenario.Client = page.ToJsonString();
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(code, problem?.Code);
        if (code != "ISM1001") return;
        Assert.Equal(owner, problem!.Object);
        Assert.Contains("its API server does not answer (no route to it), and neither does", problem.Message, StringComparison.Ordinal);
    }

    /// <summary>One run shows what each try may take.</summary>
    [Theory]
    [InlineData("1.5s", "ISM2088", "gives each try 1.5 s, and")]
    [InlineData("4s", "ISM2077", "that is the limit of the trace")]
    public void Tries_that_end_before_the_application_answers_are_told_by_a_trace_that_gives_up(string each, string code, string says)
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", false, 0, 5000, Callee, "DC", "no answer within 5 s", []) { IsOutOfTime = true, IsConnected = true },
            Sighted = [new(new("c1", "shop", "orders-a"), true, 1498, null, 0, "DC", "", "", Callee, "", "", "")],
        };
        scenario.Client = scenario.Client.Replace("\"route\": {\"cluster\": \"outbound|80||" + TraceScenario.Fqdn + "\"}",
            "\"route\": {\"cluster\": \"outbound|80||" + TraceScenario.Fqdn + "\", \"timeout\": \"30s\", \"retry_policy\": {\"retry_on\": \"5xx\", "
                + $"\"per_try_timeout\": \"{each}\", \"num_retries\": 3}}}}", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: [orders], "
            + $"http: [{{timeout: 30s, retries: {{attempts: 3, perTryTimeout: {each}}}, route: [{{destination: {{host: orders}}}}]}}]}}}}";
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(code, problem?.Code);
        Assert.Contains(says, problem!.Message, StringComparison.Ordinal);
        if (code == "ISM2088") Assert.Equal(("VirtualService shop/orders in c1", "spec.http[0].retries.perTryTimeout"), (problem.Object, problem.Path));
    }

    /// <summary>Names of routes may have spaces.</summary>
    [Theory]
    [InlineData("slow ones", "spec.http[0].timeout")]
    [InlineData("slow others", "spec.http[1].timeout")]
    public void A_route_is_found_by_its_whole_name(string name, string path)
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 504, 2000, Callee, "UT", "response_timeout", []) };
        scenario.Client = scenario.Client.Replace("\"route\": {\"cluster\": \"outbound|80||" + TraceScenario.Fqdn + "\"}, \"name\": \"default\"",
            "\"route\": {\"cluster\": \"outbound|80||" + TraceScenario.Fqdn + $"\", \"timeout\": \"2s\"}}, \"name\": \"{name}\"", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: [orders], "
            + "http: [{name: slow ones, match: [{uri: {prefix: /a}}], timeout: 2s, route: [{destination: {host: orders}}]}, "
            + "{name: slow others, timeout: 2s, route: [{destination: {host: orders}}]}]}}";
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2088", "VirtualService shop/orders in c1", path), (problem?.Code, problem?.Object, problem?.Path));
    }

    /// <summary>The request names a host that nobody knows, and the application is STRICT.</summary>
    [Fact]
    public void An_unknown_host_of_a_request_is_told_where_plain_text_is_refused()
    {
        var scenario = new TraceScenario
        {
            Sent = SentRequest.Plain with { Headers = [new("host", "api.shop.internal")] },
            Call = new("GET /", false, 503, 3, Callee, "UC", "upstream_reset", []),
        };
        scenario.One += "\n---\n{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: strict, namespace: shop}, "
            + "spec: {mtls: {mode: STRICT}}}\n---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: orders-1, namespace: shop, labels: "
            + "{kubernetes.io/service-name: orders}}, addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: [{addresses: [10.1.0.5]}]}";
        AssertCause(scenario.Walk(), "ISM2059", "host api.shop.internal", "", "no route of the caller's proxy has it", "send the host that is called, orders;");
    }

    /// <summary>An endpoint is a Service that has another port than the entry.</summary>
    [Fact]
    public void An_endpoint_that_leads_to_a_port_which_its_Service_lacks_is_told_with_the_entry()
    {
        const string host = "partner.example.com";
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: v1, kind: Service, metadata: {name: store, namespace: shop}, spec: {clusterIP: 10.96.0.9, "
            + "selector: {app: orders}, ports: [{name: http, port: 8000, targetPort: 8080}]}}\n---\n{apiVersion: networking.istio.io/v1, kind: ServiceEntry, "
            + $"metadata: {{name: partner, namespace: shop}}, spec: {{hosts: [{host}], resolution: DNS, ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: "
            + "[{address: store.shop.svc.cluster.local}]}}";
        scenario.Client = scenario.ClientOfOne.Replace(TraceScenario.Fqdn, host, StringComparison.Ordinal).Replace("\"host\": \"orders\"",
            $"\"host\": \"{host}\"", StringComparison.Ordinal).Replace(Endpoint("10.1.0.5"), Endpoint("10.96.0.9"), StringComparison.Ordinal)
            .Replace("\"port_value\": 8080", "\"port_value\": 80", StringComparison.Ordinal);
        AssertCause(scenario.Walk(host), "ISM2030", "ServiceEntry shop/partner in c1", "spec.endpoints[0].ports",
            "leads port 80 to port 80 of Service shop/store in c1, which has no port 80: it has 8000 (http)", "add ports: {http: 8000} to the endpoint");
    }

    /// <summary>The port is named https, and the application speaks plain HTTP.</summary>
    [Theory]
    [InlineData("orders", "ISM2078", "so the trace began TLS, and what listens there had said nothing to it after 5 s", "if it does, name the port http or")]
    [InlineData("https://orders:80", "ISM2077", "that is the limit of the trace", "give it more time")]
    public void TLS_that_the_name_of_a_port_asks_for_is_told_where_nobody_answers_it(string target, string code, string says, string remedy)
    {
        var scenario = Passing(new TraceScenario());
        scenario.Client = scenario.ClientOfOne;
        scenario.Call = new("GET /", false, 0, 5000, Callee, "DC", "no answer within 5 s", []) { IsOutOfTime = true, IsConnected = true };
        var problem = scenario.Walk(target).Failure?.Problem;
        Assert.Equal(code, problem?.Code);
        Assert.Contains(says, problem!.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
        if (code == "ISM2078") Assert.Equal(("Service shop/orders in c1", "spec.ports[https].name"), (problem.Object, problem.Path));
    }

    /// <summary>Proxies know no requests on a port named https, whatever is spoken there.</summary>
    [Fact]
    public void A_VirtualService_for_requests_of_a_port_named_https_is_told()
    {
        var scenario = Passing(new TraceScenario { Call = new("GET /", true, 200, 3, Callee, "-", "via_upstream", []) });
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: [orders], "
            + "http: [{route: [{destination: {host: orders, subset: v2}}]}]}}";
        AssertWarning(scenario.Walk("http://orders:80"), true, "ISM2095", "VirtualService shop/orders in c1", "spec.http",
            "has no effect: spec.ports[https].name of Service shop/orders in c1 declares HTTPS", "if the application speaks HTTP, name the port http or");
    }

    /// <summary>Proxies know requests on a port named http, and follow no route for connections there.</summary>
    [Theory]
    [InlineData("tcp: [{route: [{destination: {host: orders}}]}]", "spec.tcp[0]")]
    [InlineData("tcp: [{match: [{port: 80}], route: [{destination: {host: orders}}]}]", "spec.tcp[0]")]
    [InlineData("tls: [{match: [{sniHosts: [orders]}], route: [{destination: {host: orders}}]}]", "spec.tls[0]")]
    [InlineData("tcp: [{match: [{port: 81}], route: [{destination: {host: orders}}]}]", "")]
    public void A_VirtualService_for_connections_of_a_port_named_http_is_told(string routes, string field)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, Callee, "-", "via_upstream", []) };
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: bytes, namespace: shop}, spec: {hosts: [orders], "
            + $"{routes}}}}}";
        var trace = scenario.Walk("http://orders:80");
        if (field.Length == 0) Assert.DoesNotContain(trace.Hops, hop => hop.Problem?.Code == "ISM2156");
        else AssertWarning(trace, true, "ISM2156", "VirtualService shop/bytes in c1", field, "has no effect for orders.shop.svc.cluster.local: port 80 (HTTP) "
            + "declares HTTP", "write an http route");
    }

    /// <summary>A control plane that starts with it never becomes ready.</summary>
    [Theory]
    [InlineData(-1, true)]
    [InlineData(1, false)]
    public void A_CA_that_has_ended_keeps_a_control_plane_from_being_ready(int hours, bool isTold)
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace("\"lb_endpoints\": [", "\"ignored\": [", StringComparison.Ordinal);
        scenario.One = scenario.One.Replace("podIP: 10.1.0.7, conditions: [{type: Ready, status: \"True\"}]", "podIP: 10.1.0.7", StringComparison.Ordinal);
        var data = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(TraceScenario.EndingCa(TraceScenario.Now.AddHours(hours))));
        scenario.Held["istio-system/cacerts"] = new()
        {
            Metadata = new() { Name = "cacerts", Namespace = "istio-system" }, Data = new() { ["ca-cert.pem"] = data },
        };
        var problem = scenario.Walk().Failure!.Problem!;
        if (isTold) AssertProblem(problem, "ISM1003", "Secret istio-system/cacerts in c1", "data[ca-cert.pem]", "has a certificate that ended at 2026-05-31",
            "put a new CA of the same root into the Secret");
        else Assert.NotEqual("data[ca-cert.pem]", problem.Path);
    }

    /// <summary>The mesh takes Services of one name for one host, whatever they select.</summary>
    [Theory]
    [InlineData("app: bank", "bank", true)]
    [InlineData("app: bank", "shop", false)]
    [InlineData("app: orders, version: v1", "bank", false)]
    public void Two_applications_of_one_name_are_told(string selector, string image, bool isTold)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, Callee, "-", "via_upstream", []) };
        scenario.One = scenario.One.Replace("containers: [{name: web, ports", "containers: [{name: web, image: shop, ports", StringComparison.Ordinal);
        scenario.Two = scenario.Two.Replace("containers: [{name: web, ports", $"containers: [{{name: web, image: {image}, ports", StringComparison.Ordinal)
            .Replace("selector: {app: orders}", $"selector: {{{selector}}}", StringComparison.Ordinal)
            .Replace("labels: {app: orders, version: v1}}, spec: {containers: [{name: web, image",
                $"labels: {{{selector}}}}}, spec: {{containers: [{{name: web, image", StringComparison.Ordinal);
        AssertWarning(scenario.Walk(), isTold, "ISM2157", "Service shop/orders in c2", "spec.selector",
            "is app=bank, and in c1, the Service of this name selects app=orders: two applications (image bank here, shop there)", "give one of them another name");
    }

    /// <summary>Another network has the address.</summary>
    [Theory]
    [InlineData("10.1.9.9", true)]
    [InlineData("10.1.9.8", false)]
    public void The_address_of_a_Pod_of_another_network_is_told(string address, bool isTold)
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 503, 3, $"{address}:8080", "UF", "delayed connect error: 101", []) };
        scenario.Two += "\n---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: orders-1, namespace: shop, labels: "
            + "{kubernetes.io/service-name: orders}}, addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: [{addresses: [10.1.9.9], targetRef: "
            + "{kind: Pod, name: orders-c, namespace: shop}}]}";
        var trace = scenario.Walk($"{address}:8080");
        Assert.Equal(isTold, trace.Failure?.Problem?.Code == "ISM2117");
        if (isTold)
            AssertCause(trace, "ISM2117", "Pod shop/orders-c in c2", "status.podIP", "is 10.1.9.9 in n2, and the caller is in n1", "call orders.shop:80");
    }

    /// <summary>A route of the Gateway API takes the requests.</summary>
    [Theory]
    [InlineData("HTTPRoute", true)]
    [InlineData("", false)]
    public void A_VirtualService_whose_host_a_route_of_the_Gateway_API_has_is_told(string kind, bool isTold)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, Callee, "-", "via_upstream", []) };
        if (kind.Length > 0)
            scenario.Client = scenario.Client.Replace("/apis/networking.istio.io/v1alpha3/namespaces/shop/virtual-service/orders",
                "/apis/gateway.networking.k8s.io/v1/namespaces/shop/HTTPRoute/orders", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: slow, namespace: shop}, spec: {hosts: [orders], "
            + "http: [{timeout: 5s, route: [{destination: {host: orders}}]}]}}";
        AssertWarning(scenario.Walk(), isTold, "ISM2118", "VirtualService shop/slow in c1", "spec.hosts", "requests of that host are subject to HTTPRoute",
            "write what it does into HTTPRoute shop/orders, and delete it");
    }

    /// <summary>The route names the port of the container.</summary>
    [Theory]
    [InlineData(8080, 404, true)]
    [InlineData(80, 404, false)]
    [InlineData(8080, 200, false)]
    public void A_route_of_the_Gateway_API_for_a_port_that_its_Service_lacks_is_told(int port, int status, bool isTold)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, status, 3, Callee, "-", "via_upstream", []) };
        scenario.Client = scenario.Client.Replace("/virtual-service/orders", "", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: orders, namespace: shop}, spec: {parentRefs: "
            + $"[{{group: \"\", kind: Service, name: orders, port: {port}}}], rules: [{{backendRefs: [{{name: orders, port: 80}}]}}]}}}}";
        AssertWarning(scenario.Walk(), isTold, "ISM2119", "HTTPRoute shop/orders in c1", "spec.parentRefs[0].port",
            "is 8080, and Service shop/orders in c1 has 80 (http)", "write 80 there");
    }

    /// <summary>A parent without a namespace is a Service of the route's own.</summary>
    [Theory]
    [InlineData("", true)]
    [InlineData(", namespace: shop", false)]
    public void A_route_of_the_Gateway_API_for_a_Service_of_its_own_namespace_that_is_not_there_is_told(string ns, bool isTold)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 404, 3, Callee, "-", "via_upstream", []) };
        scenario.Client = scenario.Client.Replace("/virtual-service/orders", "", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: orders, namespace: bank}, spec: {parentRefs: "
            + $"[{{group: \"\", kind: Service, name: orders{ns}}}], rules: [{{backendRefs: [{{name: orders, namespace: shop, port: 80}}]}}]}}}}";
        AssertWarning(scenario.Walk(), isTold, "ISM2119", "HTTPRoute bank/orders in c1", "spec.parentRefs[0].namespace",
            "leads to Service bank/orders, which does not exist", "create the route in namespace shop");
    }
    /// <summary>The rule that takes endpoints out is told, and for how long.</summary>
    [Fact]
    public void What_takes_endpoints_out_is_told_with_its_time()
    {
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "taken out for nobody knows what");
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: orders, namespace: shop}, spec: {host: orders, "
            + "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2, baseEjectionTime: 10m, maxEjectionPercent: 100}}}}";
        Assert.Contains("; outlierDetection of DestinationRule shop/orders takes each out for 600 s or longer, after 2 errors in a row, up to 100 % of them",
            scenario.Walk().Failure!.Problem!.Message, StringComparison.Ordinal);
    }

    private static string Endpoint(string address) => $"\"address\": \"{address}\"";

    /// <summary>The port is named https, and the caller's proxy copies what is spoken there.</summary>
    private static TraceScenario Passing(TraceScenario scenario)
    {
        scenario.One = scenario.One.Replace("{name: http, port: 80", "{name: https, port: 80", StringComparison.Ordinal);
        var page = JsonNode.Parse(scenario.Client)!;
        var listeners = page["config_dump"]!["configs"]![2]!["dynamic_listeners"]!;
        listeners[1]!["active_state"]!["listener"]!["filter_chains"] = JsonNode.Parse(listeners[0]!["active_state"]!["listener"]!["filter_chains"]!
            .ToJsonString().Replace("PassthroughCluster", $"outbound|80||{TraceScenario.Fqdn}", StringComparison.Ordinal));
        scenario.Client = page.ToJsonString();
        return scenario;
    }

    /// <summary>The caller's proxy begins TLS of its own by DestinationRule shop/orders.</summary>
    private static TraceScenario Originating(string mode, string context, Func<string, string> change)
    {
        var scenario = new TraceScenario();
        scenario.One = change(scenario.One) + "\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: orders, namespace: shop}, "
            + $"spec: {{host: orders, trafficPolicy: {{tls: {{mode: {mode}}}}}}}}}";
        var page = JsonNode.Parse(scenario.ClientOfOne)!;
        var cluster = page["config_dump"]!["configs"]![0]!["dynamic_active_clusters"]![1]!["cluster"]!.AsObject();
        cluster.Remove("transport_socket_matches");
        cluster["transport_socket"] = JsonNode.Parse("{\"name\": \"tls\", \"typed_config\": {\"@type\": "
            + $"\"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\", {context}}}}}");
        cluster["metadata"] = JsonNode.Parse("""{"filter_metadata": {"istio": {"config": "/apis/x/v1/namespaces/shop/destination-rule/orders"}}}""");
        scenario.Client = page.ToJsonString();
        return scenario;
    }

    /// <summary>The callee has no sidecar.</summary>
    private static string Bare(string objects) => objects.Replace("{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy}",
        "{name: web, ports: [{containerPort: 8080}]}", StringComparison.Ordinal);

    private static void AssertCause(CallTrace trace, string code, string owner, string path, string says, string remedy) =>
        AssertProblem(trace.Failure?.Problem, code, owner, path, says, remedy);

    private static void AssertWarning(CallTrace trace, bool isTold, string code, string owner, string path, string says, string remedy)
    {
        Assert.True(trace.Succeeds);
        var hop = trace.Hops.FirstOrDefault(hop => hop.Problem?.Code == code);
        Assert.Equal(isTold, hop is not null);
        if (hop is null) return;
        Assert.Equal(HopStatus.Warning, hop.Status);
        AssertProblem(hop.Problem, code, owner, path, says, remedy);
    }

    private static void AssertProblem(Problem? problem, string code, string owner, string path, string says, string remedy)
    {
        Assert.Equal((code, owner, path), (problem?.Code, problem?.Object, problem?.Path));
        Assert.Contains(says, problem!.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }
}
