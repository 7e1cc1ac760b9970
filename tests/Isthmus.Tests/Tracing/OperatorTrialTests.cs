using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Yaml;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Faults that operators make, of which objects and what proxies have tell the cause (tests/operator-faults.tsv).</summary>
public sealed class OperatorTrialTests
{
    private const string Strict = """

        ---
        {apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: default, namespace: shop}, spec: {mtls: {mode: STRICT}}}
        """;

    [Theory]
    [InlineData("{name: web, securityContext: {runAsUser: 1337}}", "", "spec.containers[0].securityContext.runAsUser", "is 1337, the user of the proxy")]
    [InlineData("{name: web}", ", securityContext: {runAsUser: 1337}", "spec.securityContext.runAsUser", "is 1337, the user of the proxy")]
    public void An_application_that_runs_as_the_user_of_the_proxy_bypasses_it(string container, string pod, string path, string says)
    {
        var scenario = new TraceScenario { CalleeThere = TraceScenario.Stranger };
        scenario.One = scenario.One.Replace("spec: {containers: [{name: web}, {name: istio-proxy, env",
            $"spec: {{containers: [{container}, {{name: istio-proxy, env", StringComparison.Ordinal)
            .Replace("\"15090\"]}]}, status", $"\"15090\"]}}]{pod}}}, status", StringComparison.Ordinal) + Strict;
        AssertCause(scenario.Walk(), "ISM2020", "Pod shop/buyer in c1", path, says);
    }

    [Fact]
    public void A_Pod_of_which_nothing_is_captured_bypasses_its_proxy()
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("ISTIO_META_CLUSTER_ID, value: c1}]}], initContainers",
            "ISTIO_META_CLUSTER_ID, value: c1}, {name: ISTIO_META_INTERCEPTION_MODE, value: NONE}]}], oldContainers", StringComparison.Ordinal) + Strict;
        AssertCause(scenario.Walk(), "ISM2020", "Pod shop/buyer in c1", "metadata.annotations[sidecar.istio.io/interceptionMode]", "is NONE");
    }

    [Theory]
    [InlineData("-i, '*', -x, 10.96.0.0/16", "remove it from the annotation traffic.sidecar.istio.io/excludeOutboundIPRanges")]
    [InlineData("-i, 10.244.0.0/16", "add 10.96.0.5 or its range to the annotation traffic.sidecar.istio.io/includeOutboundIPRanges")]
    public void How_to_have_a_call_captured_depends_on_the_annotation(string flags, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("-i, \"*\", -x, \"\"", flags, StringComparison.Ordinal) + Strict;
        Assert.StartsWith(remedy, scenario.Walk().Failure!.Problem!.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("istio-system/web", "orders", "/", "rewrite: {uri: /}", "ISM2112")]
    [InlineData("istio-system/web, mesh", "orders", "/", "rewrite: {uri: /}", null)]
    [InlineData("istio-system/web", "'*'", "/", "rewrite: {uri: /}", null)]
    [InlineData("istio-system/web", "orders", "/api", "rewrite: {uri: /}", null)]
    [InlineData("istio-system/web", "orders", "/", "timeout: 3s", null)]
    public void A_rule_for_gateways_only_is_told_where_the_application_does_not_know_the_path(string gateways, string host, string prefix, string change,
        string? code)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 404, 3, "10.1.0.5:8080", "-", "", []) };
        // No rule of another object applies to the call.
        scenario.Client = scenario.Client.Replace("/virtual-service/orders", "", StringComparison.Ordinal);
        scenario.One += $$"""

            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: orders, namespace: shop}
            spec: {hosts: [{{host}}], gateways: [{{gateways}}], http: [{match: [{uri: {prefix: {{prefix}} } }], {{change}}, route: [{destination: {host: orders} }]}]}
            """;
        var trace = scenario.Walk();
        Assert.Null(trace.Failure);
        Assert.Equal(code, trace.Hops.Single(hop => hop.Name == "route" && hop.Way == 0).Problem?.Code);
    }

    /// <summary>Of the matches of a route that takes none of the requests, the nearest is told, and what keeps it from the request.</summary>
    [Theory]
    [InlineData("uri: {exact: \"/?sort=date\"}", "uri.exact", "path /?sort=date, and this one has /", "write / there, because the query is not a part")]
    [InlineData("method: {exact: get}", "method.exact", "method get, and this one has GET", "write GET there: upper and lower case differ")]
    [InlineData("headers: {user-agent: {regex: isthmus}}", "headers[user-agent].regex", "that isthmus matches from beginning to end", "write isthmus.* there")]
    [InlineData("headers: {x-user: {exact: ann}}", "headers[x-user].exact", "header x-user ann, and this one has none", "send header x-user")]
    [InlineData("withoutHeaders: {user-agent: {prefix: isthmus}}", "withoutHeaders[user-agent]", "requests without header user-agent", "do not send header")]
    [InlineData("queryParams: {page: {exact: \"1\"}}", "queryParams[page].exact", "query parameter page 1, and this one has none", "send query parameter page")]
    [InlineData("uri: {prefix: /cart}", "uri.prefix", "path beginning with /cart, and this one has /", "add a route that matches it, or one without match")]
    public void The_nearest_match_of_a_request_that_no_route_takes_is_told(string match, string field, string says, string remedy)
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 404, 1, "", "NR", "route_not_found", []) };
        scenario.Client = scenario.Client.Replace("\"match\": {\"prefix\": \"/\"}, \"route\": {\"cluster\": \"outbound|80||",
            "\"match\": {\"prefix\": \"/other\"}, \"route\": {\"cluster\": \"outbound|80||", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: [orders], "
            + "http: [{match: [{uri: {prefix: /far}, method: {exact: PUT}}], route: [{destination: {host: orders}}]}, "
            + $"{{match: [{{{match}}}], route: [{{destination: {{host: orders}}}}]}}]}}}}";
        AssertCause(scenario.Walk(), "ISM2024", "VirtualService shop/orders in c1", $"spec.http[1].match[0].{field}", says);
        Assert.StartsWith(remedy, scenario.Walk().Failure!.Problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A request that a VirtualService leaves to another is a matter of that one.</summary>
    [Theory]
    [InlineData("uri: {prefix: /orders}", "uri: {prefix: /status}", "shop/part", "spec.http[0].match[0].uri",
        "is prefix /status, which is not within spec.http[0].match of VirtualService shop/orders (prefix /orders), which leaves requests to this delegate: no "
            + "route is left", "leave out this match, or write prefix /orders there, or a longer path")]
    [InlineData("uri: {regex: /or.*}", "uri: {prefix: /orders}, method: {exact: GET}", "shop/part", "spec.http[0].match[0].uri",
        "is prefix /orders, which is not within", "leave out uri there")]
    [InlineData("method: {exact: GET}", "method: {exact: PUT}", "shop/part", "spec.http[0].match[0].method", "is exact PUT, which is not within",
        "leave out this match, or write exact GET there")]
    [InlineData("uri: {prefix: /orders}", "uri: {prefix: /orders/one}", "shop/part", "spec.http[0].match[0].uri.prefix",
        "none of its routes matches GET /orders/List, which VirtualService shop/orders leaves to it: the response is 404. The nearest is for requests with "
            + "path beginning with /orders/one", "")]
    [InlineData("uri: {prefix: /reviews}", "uri: {prefix: /reviews/one}", "shop/orders", "spec.http[0].match[0].uri.prefix",
        "none of its routes matches GET /orders/List: the response is 404", "add a route that matches it")]
    public void A_delegate_that_does_not_take_what_is_left_to_it_is_to_blame(string outer, string inner, string owner, string field, string says, string remedy)
    {
        var scenario = new TraceScenario { Call = new("GET /orders/List", false, 404, 1, "", "NR", "route_not_found", []) };
        scenario.Client = scenario.Client.Replace("\"match\": {\"prefix\": \"/\"}, \"route\": {\"cluster\": \"outbound|80||",
            "\"match\": {\"prefix\": \"/other\"}, \"route\": {\"cluster\": \"outbound|80||", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: [orders], "
            + $"http: [{{match: [{{{outer}}}], delegate: {{name: part}}}}]}}}}\n---\n"
            + "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: part, namespace: shop}, spec: {"
            + $"http: [{{match: [{{{inner}}}], route: [{{destination: {{host: orders}}}}]}}]}}}}";
        var trace = scenario.Walk(target: "orders/orders/List");
        AssertCause(trace, "ISM2024", $"VirtualService {owner} in c1", field, says);
        Assert.StartsWith(remedy, trace.Failure!.Problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Of matches that all lack nothing but the path, the one with the nearest path is told.</summary>
    [Theory]
    [InlineData("prefix", "/oders", "path beginning with /oders, and this one has /orders/List", "write /orders there, or call /oders")]
    [InlineData("exact", "/orders/list/", "path /orders/list/, and this one has /orders/List", "")]
    [InlineData("regex", "/orders", "path that /orders matches from beginning to end", "write /orders.* there")]
    public void The_nearest_path_is_told(string kind, string path, string says, string remedy)
    {
        var scenario = new TraceScenario { Call = new("GET /orders/List", false, 404, 1, "", "NR", "route_not_found", []) };
        scenario.Client = scenario.Client.Replace("\"match\": {\"prefix\": \"/\"}, \"route\": {\"cluster\": \"outbound|80||",
            "\"match\": {\"prefix\": \"/other\"}, \"route\": {\"cluster\": \"outbound|80||", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: [orders], "
            + "http: [{match: [{uri: {prefix: /reviews}}, {uri: {prefix: /a}}], route: [{destination: {host: orders}}]}, "
            + $"{{match: [{{uri: {{{kind}: {path}}}}}], route: [{{destination: {{host: orders}}}}]}}]}}}}";
        var trace = scenario.Walk(target: "orders/orders/List");
        AssertCause(trace, "ISM2024", "VirtualService shop/orders in c1", $"spec.http[1].match[0].uri.{kind}", says);
        Assert.StartsWith(remedy, trace.Failure!.Problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Prefixes of the Gateway API are whole elements of a path.</summary>
    [Theory]
    [InlineData("HTTPRoute", "path: {type: PathPrefix, value: /ord}", "path.value", "the elements /ord at the beginning of the path", "write /orders there")]
    [InlineData("HTTPRoute", "path: {type: Exact, value: /ORDERS/List}", "path.value", "path /ORDERS/List, and this one has /orders/List", "write /orders/List there")]
    [InlineData("GRPCRoute", "method: {service: order, method: List}", "method.service", "calls of /order/List, and this one is of /orders/List", "write orders there")]
    [InlineData("GRPCRoute", "method: {service: orders, method: Get}", "method.method", "calls of /orders/Get, and this one is of /orders/List", "write List there")]
    public void The_nearest_match_of_a_route_of_the_Gateway_API_is_told(string kind, string match, string field, string says, string remedy)
    {
        var scenario = new TraceScenario { Call = new("GET /orders/List", false, 404, 1, "", "NR", "route_not_found", []) };
        scenario.Client = scenario.Client.Replace("\"match\": {\"prefix\": \"/\"}, \"route\": {\"cluster\": \"outbound|80||",
            "\"match\": {\"prefix\": \"/other\"}, \"route\": {\"cluster\": \"outbound|80||", StringComparison.Ordinal)
            .Replace("/apis/networking.istio.io/v1alpha3/namespaces/shop/virtual-service/orders",
                $"/apis/gateway.networking.k8s.io/v1/namespaces/shop/{kind}/orders", StringComparison.Ordinal);
        scenario.One += $"\n---\n{{apiVersion: gateway.networking.k8s.io/v1, kind: {kind}, metadata: {{name: orders, namespace: "
            + $"shop}}, spec: {{parentRefs: [{{group: \"\", "
            + $"kind: Service, name: orders}}], rules: [{{matches: [{{{match}}}], backendRefs: [{{name: orders, port: 80}}]}}]}}}}";
        var trace = scenario.Walk(target: "orders/orders/List");
        AssertCause(trace, "ISM2024", $"{kind} shop/orders in c1", $"spec.rules[0].matches[0].{field}", says);
        Assert.StartsWith(remedy, trace.Failure!.Problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Gateways between networks choose by the names that the mesh gives, not by an <c>sni</c> that a rule sets.</summary>
    [Theory]
    [InlineData("ISTIO_MUTUAL, sni: orders.example.com", "spec.trafficPolicy.tls.sni", "remove sni")]
    [InlineData("SIMPLE, sni: orders.example.com", "spec.trafficPolicy.tls", "remove trafficPolicy.tls")]
    public void A_server_name_that_a_gateway_does_not_know_is_told(string tls, string path, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: orders, namespace: shop}, "
            + $"spec: {{host: orders, trafficPolicy: {{tls: {{mode: {tls}}}}}}}}}";
        var facts = scenario.Facts();
        var two = facts.Clusters[1];
        var problem = new TraceCauses(facts, new(facts)).Gateways.GatewayWithoutChain(two, two.Pods[0], "orders.example.com", "shop/orders");
        Assert.Equal(("ISM2089", "DestinationRule shop/orders in c1", path), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_policy_of_the_gateway_between_networks_may_deny_the_call()
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 503, 3, "172.18.2.1:15443", "UC", "connection_termination", []) };
        scenario.Two += "\n---\n{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: ew, namespace: istio-system}, "
            + "spec: {selector: {matchLabels: {istio: eastwest}}, rules: [{from: [{source: {namespaces: [shop]}}]}]}}";
        AssertCause(scenario.Walk(), "ISM2064", "AuthorizationPolicy istio-system/ew in c2", "spec.selector",
            "knows neither their callers nor their requests");
    }

    [Fact]
    public void An_entry_of_a_network_without_a_gateway_is_called_directly()
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 0, 5000, "10.1.0.5:8080", "", "", []) { IsOutOfTime = true } };
        scenario.Client = scenario.ClientOfOne.Replace("\"tlsMode\": \"istio\"}, \"transport_socket\"",
            "\"tlsMode\": \"never\"}, \"transport_socket\"", StringComparison.Ordinal);
        scenario.One = scenario.One.Replace("podIP: 10.1.0.5", "podIP: 10.1.0.6", StringComparison.Ordinal) + "\n---\n{apiVersion: networking.istio.io/v1, "
            + "kind: WorkloadEntry, metadata: {name: far, namespace: shop}, spec: {address: 10.1.0.5, network: n9, labels: {app: orders}}}";
        AssertCause(scenario.Walk(), "ISM1016", "WorkloadEntry shop/far in c1", "spec.network", "is n9, but no cluster and no gateway is in that network");
    }

    /// <summary>The container has the port that the Service leads to, and its program listens on another one.</summary>
    [Fact]
    public void A_program_that_listens_elsewhere_than_its_container_says_is_told_where()
    {
        var scenario = new TraceScenario();
        scenario.Callee = scenario.Callee.Replace("0.0.0.0:8080\"", "0.0.0.0:9090\"", StringComparison.Ordinal);
        Assert.Equal("let the application listen on port 8080, or set targetPort and containerPort to 9090", scenario.Walk().Failure!.Problem!.Remedy);
    }

    [Theory]
    [InlineData("hostNetwork: true", "", true, "spec.hostNetwork", "remove hostNetwork")]
    [InlineData("", "sidecar.istio.io/inject: \"false\"", true, "metadata.labels[sidecar.istio.io/inject]", "remove the label")]
    [InlineData("", "", true, "", "restart the Pod: its namespace is injected")]
    [InlineData("", "", false, "", "label namespace shop in c1 istio-injection=enabled")]
    public void What_gives_a_Pod_a_sidecar_depends_on_why_it_has_none(string spec, string label, bool injected, string field, string remedy)
    {
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll($$$"""
            {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: { {{{(injected ? "istio-injection: enabled" : "")}}} } } }
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: { {{{label}}} }}, spec: {containers: [{name: web}]{{{(spec.Length > 0 ? $", {spec}" : "")}}} }}
            """, "c1").OfType<JsonObject>());
        var found = Sidecarless.Of(cluster, cluster.Pods[0]);
        Assert.Equal(field, found.Field);
        Assert.StartsWith(remedy, found.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A hostPort stays when somebody removes hostNetwork.</summary>
    [Theory]
    [InlineData("hostNetwork: true, ", "containerPort: 80", "remove hostNetwork from the Pod's template")]
    [InlineData("hostNetwork: true, ", "hostPort: 80", "remove hostNetwork and hostPort of its ports from the Pod's template")]
    [InlineData("", "hostPort: 80", "remove hostPort of the ports, too, from the Pod's template, which has no hostNetwork any more")]
    [InlineData("", "containerPort: 80", "wait until the next Pod takes its place")]
    public void What_brings_a_Pod_out_of_the_network_of_its_Node_depends_on_its_template(string spec, string port, string remedy)
    {
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll($$$"""
            {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio-injection: enabled} } }
            ---
            {apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {template: {spec: { {{{spec}}}containers: [{name: web, ports: [{ {{{port}}} }]}]} } } }
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: web-abc12-x, namespace: shop, labels: {pod-template-hash: abc12}, ownerReferences: [{kind: ReplicaSet,
              name: web-abc12, controller: true}]}, spec: {hostNetwork: true, containers: [{name: web, ports: [{containerPort: 80, hostPort: 80}]}]} }
            """, "c1").OfType<JsonObject>());
        Assert.StartsWith(remedy, Sidecarless.Of(cluster, cluster.Pods[0]).Remedy, StringComparison.Ordinal);
    }

    /// <summary>A restart gives no sidecar while the namespace asks for a revision that nobody serves.</summary>
    [Theory]
    [InlineData("istio.io/rev: canary", "set istio.io/rev of namespace shop in c1 to default, the only revision that a control plane there "
        + "serves (it is canary, which no control plane there serves)")]
    [InlineData("istio.io/rev: default", "restart the Pod")]
    [InlineData("istio.io/rev: canary, istio-injection: enabled", "restart the Pod")]
    public void A_revision_that_no_control_plane_serves_comes_before_a_restart(string labels, string remedy)
    {
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll($$$"""
            {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: { {{{labels}}} } } }
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}, spec: {containers: [{name: web}]}}
            ---
            apiVersion: admissionregistration.k8s.io/v1
            kind: MutatingWebhookConfiguration
            metadata: {name: injector}
            webhooks:
            - name: rev.namespace.sidecar-injector.istio.io
              namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [default]}]}
            - name: namespace.sidecar-injector.istio.io
              namespaceSelector: {matchExpressions: [{key: istio-injection, operator: In, values: [enabled]}]}
            """, "c1").OfType<JsonObject>());
        Assert.StartsWith(remedy, Sidecarless.Of(cluster, cluster.Pods[0]).Remedy, StringComparison.Ordinal);
    }

    /// <summary>Its short name means another namespace, and in a name with one dot, no namespace is seen.</summary>
    [Theory]
    [InlineData("istio-system", "orders", "DestinationRule istio-system/orders in c1", "spec.host")]
    [InlineData("shop", "orders.shop", "DestinationRule shop/orders in c1", "spec.host")]
    [InlineData("shop", "late.shop.svc.cluster.local", "VirtualService shop/orders in c1", "spec.http[*].route[*].destination.subset")]
    public void A_rule_with_the_subset_for_a_name_that_no_host_has_is_named(string ns, string host, string owner, string path)
    {
        var facts = Facts($"{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: orders, namespace: {ns}}}, "
            + $"spec: {{host: {host}, subsets: [{{name: v2, labels: {{version: v2}}}}]}}}}", "orders");
        var problem = new TraceCauses(facts, new(facts)).Hosts.MissingCluster($"outbound|80|v2|{TraceScenario.Fqdn}", "shop/orders");
        Assert.Equal(("ISM2032", owner, path), (problem.Code, problem.Object, problem.Path));
        if (path == "spec.host") Assert.Equal($"write {TraceScenario.Fqdn} there", problem.Remedy);
    }

    [Fact]
    public void A_virtual_host_that_demands_https_redirects_whatever_its_route_says()
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace("\"domains\": [\"orders\"", "\"require_tls\": \"ALL\", \"domains\": [\"orders\"", StringComparison.Ordinal);
        var trace = scenario.Walk();
        Assert.Contains("responds with a redirect to https, 301", trace.Hops.Single(hop => hop.Name == "route").Summary, StringComparison.Ordinal);
        Assert.DoesNotContain(trace.Hops, hop => hop.Name == "cluster");
    }

    [Theory]
    [InlineData("loadBalancer: {localityLbSetting: {distribute: [{from: eu/*, to: {asia/*: 100}}]}}", "eu/west/a", true)]
    [InlineData("loadBalancer: {localityLbSetting: {distribute: [{from: eu/*, to: {asia/*: 100}}]}}", "us/west/a", false)]
    [InlineData("loadBalancer: {localityLbSetting: {distribute: [{from: '*', to: {asia/*: 100}}]}}", "", false)]
    [InlineData("loadBalancer: {localityLbSetting: {distribute: [{from: eu/*, to: {asia/*: 100}}]}}", null, true)]
    [InlineData("loadBalancer: {localityLbSetting: {distribute: [{from: eu/*, to: {asia/*: 100}}, {from: us/*, to: {us/*: 100}}]}}", null, false)]
    [InlineData("loadBalancer: {simple: RANDOM}", null, false)]
    public void Calls_that_go_to_localities_without_Pods_are_told(string policy, string? caller, bool isNamed)
    {
        var scenario = new TraceScenario { Locality = caller is null ? null : Isthmus.Mesh.Model.Locality.Parse(caller) };
        scenario.One += $"\n---\n{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: orders, namespace: shop}}, "
            + $"spec: {{host: orders, trafficPolicy: {{{policy}}}}}}}";
        var page = JsonNode.Parse(scenario.Client)!;
        page["config_dump"]!["configs"]![1]!["dynamic_endpoint_configs"]![0]!["endpoint_config"]!["endpoints"] = new JsonArray();
        scenario.Client = page.ToJsonString();
        if (isNamed)
            AssertCause(scenario.Walk(), "ISM2107", "DestinationRule shop/orders in c1", "spec.trafficPolicy.loadBalancer.localityLbSetting.distribute",
                "from eu/* to asia/* only");
        else AssertCause(scenario.Walk(), "ISM2014", "Pod shop/buyer in c1", "", "has not received");
    }

    [Fact]
    public void The_label_of_a_network_on_a_Service_of_workloads_is_the_cause()
    {
        var scenario = new TraceScenario();
        scenario.Gateway = scenario.Gateway.Replace("15443", "15444", StringComparison.Ordinal);
        scenario.Two = scenario.Two.Replace("{containers: [{name: istio-proxy, env: [{name: ISTIO_META_NETWORK",
            "{containers: [{name: web}, {name: istio-proxy, args: [proxy, sidecar], env: [{name: ISTIO_META_NETWORK", StringComparison.Ordinal);
        AssertCause(scenario.Walk(), "ISM1041", "Service istio-system/east in c2", "metadata.labels[topology.istio.io/network]", "workloads, not gateways");
    }

    /// <summary>A part of the calls goes to an application with the label of the gateway; the trace follows the gateway.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_application_with_the_label_of_a_gateway_is_told(bool gotThrough)
    {
        var scenario = new TraceScenario
        {
            Call = gotThrough ? new("GET /", true, 200, 3, "172.18.2.1:15443", "-", "", [])
                : new("GET /", false, 503, 3, "172.18.2.1:15443", "UF", "reset", []),
        };
        scenario.Two = scenario.Two.Replace("{containers: [{name: istio-proxy, env: [{name: ISTIO_META_NETWORK",
            "{containers: [{name: istio-proxy, args: [proxy, router], env: [{name: ISTIO_META_NETWORK", StringComparison.Ordinal) + """

            ---
            {apiVersion: v1, kind: Pod, metadata: {name: app, namespace: istio-system, labels: {istio: eastwest}}, spec: {containers: [{name: web}]},
             status: {phase: Running, podIP: 10.1.0.8, conditions: [{type: Ready, status: "True"}]}}
            """;
        var trace = scenario.Walk();
        var hop = Assert.Single(trace.Hops, hop => hop.Problem?.Code == "ISM1556");
        Assert.Equal(("Pod istio-system/app in c2", "metadata.labels[istio]"), (hop.Problem!.Object, hop.Problem.Path));
        Assert.Equal((gotThrough, gotThrough ? HopStatus.Warning : HopStatus.Failed), (trace.Succeeds, hop.Status));
    }

    [Fact]
    public void A_port_of_the_proxy_is_none_for_an_application()
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("targetPort: 8080", "targetPort: 15090", StringComparison.Ordinal);
        scenario.Client = scenario.Client.Replace("\"port_value\": 8080", "\"port_value\": 15090", StringComparison.Ordinal);
        AssertCause(scenario.Walk(), "ISM2111", "Pod shop/orders-a in c1", "spec.containers[*].ports", "port 15090 belongs to the proxy");
    }

    /// <summary>Probes and metrics are asked of the proxy, and a gateway has no application. A call that is served needs no cause.</summary>
    [Theory]
    [InlineData(15021, 15021, "", 0)]
    [InlineData(15090, 15090, "", 0)]
    [InlineData(80, 15021, "args: [proxy, router]", 0)]
    [InlineData(80, 15090, "", 200)]
    public void A_port_of_the_proxy_that_is_meant_is_no_fault(int port, int target, string args, int status)
    {
        var scenario = new TraceScenario();
        if (status > 0) scenario.Call = new("GET /", true, status, 3, $"10.1.0.5:{target}", "-", "via_upstream", []);
        scenario.One = scenario.One.Replace("port: 80, targetPort: 8080", $"port: {port}, targetPort: {target}", StringComparison.Ordinal)
            .Replace("{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy", $"{{name: istio-proxy, {args}", StringComparison.Ordinal);
        scenario.Two = scenario.Two.Replace("port: 80, targetPort: 8080", $"port: {port}, targetPort: {target}", StringComparison.Ordinal);
        scenario.Client = scenario.ClientOfOne.Replace("\"port_value\": 8080", $"\"port_value\": {target}", StringComparison.Ordinal)
            .Replace("\"port_value\": 80}", $"\"port_value\": {port}}}", StringComparison.Ordinal)
            .Replace("\"tlsMode\": \"istio\"}}", "\"tlsMode\": \"disabled\"}}", StringComparison.Ordinal)
            .Replace($"\"{TraceScenario.Fqdn}\"]", $"\"{TraceScenario.Fqdn}\", \"orders:{port}\"]", StringComparison.Ordinal);
        scenario.Callee = scenario.Callee.Replace("0.0.0.0:8080", $"0.0.0.0:{target}", StringComparison.Ordinal);
        var trace = scenario.Walk($"http://orders:{port}");
        Assert.True(trace.Succeeds, TraceText.Write(trace, details: true));
        Assert.DoesNotContain(trace.Hops, hop => hop.Problem?.Code == "ISM2111");
    }

    [Theory]
    [InlineData("spec: {location: MESH_EXTERNAL", "ServiceEntry shop/store in c1", "spec.location")]
    [InlineData("spec: {location: MESH_INTERNAL", "Pod shop/buyer in c1", "")]
    public void A_host_outside_that_leads_to_a_workload_of_the_mesh_is_told(string spec, string owner, string path)
    {
        var facts = Facts($$$"""
            {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: store, namespace: shop}, {{{spec}}}, hosts: [store.example.com],
             resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}}
            """, "store.example.com");
        var cluster = facts.Home;
        var pod = cluster.Pods.First(one => one.Metadata.Name == "orders-a");
        var problem = new TlsCauses(facts, new(facts), new CallerConfig(facts)).PlainToStrict(PodRef.Of(cluster, pod), cluster, pod, 8080, "", false);
        Assert.Equal(("ISM2059", owner, path), (problem.Code, problem.Object, problem.Path));
    }

    [Fact]
    public void A_proxy_that_asks_for_a_control_plane_that_is_not_there_is_told()
    {
        var facts = Facts("""
            {apiVersion: v1, kind: Service, metadata: {name: late, namespace: shop}, spec: {selector: {app: late}, ports: [{name: http, port: 80}]}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: late, namespace: shop, labels: {app: late}},
             spec: {containers: [{name: web}, {name: istio-proxy,
                env: [{name: PROXY_CONFIG, value: '{"discoveryAddress": "istiod.istio-systen.svc:15012"}'}]}]},
             status: {phase: Running, containerStatuses: [{name: web, ready: true}, {name: istio-proxy, ready: false, state: {running: {}}}]}}
            """, "late");
        var causes = new TraceCauses(facts, new TraceNeeds(facts));
        var problem = causes.Availability.Empty(new(facts.Home, facts.Home.Service("shop", "late")!), 80);
        Assert.Equal(("ISM2003", "Pod shop/late in c1", "metadata.annotations[proxy.istio.io/config]"), (problem.Code, problem.Object, problem.Path));
        Assert.Contains("no Service istio-systen/istiod is there", problem.Message, StringComparison.Ordinal);
    }

    /// <summary>Its Deployment is left.</summary>
    [Fact]
    public void A_control_plane_whose_Service_is_gone_is_told()
    {
        var facts = Facts("""
            {apiVersion: v1, kind: Pod, metadata: {name: late, namespace: shop, labels: {app: late}},
             spec: {containers: [{name: web}, {name: istio-proxy,
                env: [{name: PROXY_CONFIG, value: '{"discoveryAddress": "istiod.istio-system.svc:15012"}'}]}]},
             status: {phase: Running, containerStatuses: [{name: web, ready: true}, {name: istio-proxy, ready: false, state: {running: {}}}]}}
            """, "late");
        var problem = UnreadyPods.Of(facts.Home, facts.Home.Pods.Single(pod => pod.Metadata.Name == "late"));
        Assert.Equal(("ISM2003", "Service istio-system/istiod in c1"), (problem.Code, problem.Object));
        Assert.StartsWith("create it again", problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void Passing_calls_on_to_the_address_of_a_Service_reaches_only_its_own_cluster()
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("labels: {app: orders, version: v1}}, spec: {containers", "labels: {app: gone}}, spec: {containers",
            StringComparison.Ordinal);
        var facts = scenario.Facts();
        var causes = new TraceCauses(facts, new TraceNeeds(facts));
        var problem = causes.Endpoints.Elsewhere(facts.Host("orders", "shop"), 80, "shop/orders in c1");
        Assert.Equal(("ISM2110", "DestinationRule shop/orders in c1"), (problem?.Code, problem?.Object));
        Assert.Null(causes.Endpoints.Elsewhere(facts.Host("orders", "shop"), 80, ""));
        var near = new TraceScenario().Facts();
        Assert.Null(new TraceCauses(near, new TraceNeeds(near)).Endpoints.Elsewhere(near.Host("orders", "shop"), 80, "shop/orders in c1"));
    }

    [Theory]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP}]", "parentRefs: [{name: front, namespace: edge}]", "HTTPRoute", "ISM2085",
        "Gateway edge/front in c1", "spec.listeners[0].allowedRoutes.namespaces")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP, hostname: other.example.com}]", "parentRefs: [{name: front, namespace: edge}]", "HTTPRoute",
        "ISM2055", "Gateway edge/front in c1", "spec.listeners[0].hostname")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]", "parentRefs: [{name: back, namespace: edge}]",
        "HTTPRoute", "ISM2085", "HTTPRoute shop/front in c1", "spec.parentRefs")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]",
        "parentRefs: [{name: front, namespace: edge, sectionName: https}]", "HTTPRoute", "ISM2085", "HTTPRoute shop/front in c1",
        "spec.parentRefs[0].sectionName")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]",
        "parentRefs: [{name: front, namespace: edge, port: 81}]", "HTTPRoute", "ISM2085", "HTTPRoute shop/front in c1", "spec.parentRefs[0].port")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP}]", "parentRefs: [{name: front}]", "HTTPRoute", "ISM2085", "HTTPRoute shop/front in c1",
        "spec.parentRefs[0].namespace")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP}]", "parentRefs: [{name: frnt, namespace: edge}]", "HTTPRoute", "ISM2085",
        "HTTPRoute shop/front in c1", "spec.parentRefs[0].name")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}, kinds: [{kind: GRPCRoute}]}}]",
        "parentRefs: [{name: front, namespace: edge}]", "HTTPRoute", "ISM2085", "Gateway edge/front in c1", "spec.listeners[0].allowedRoutes.kinds")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP}]", "hostnames: [shop.exmple.com], parentRefs: [{name: front, namespace: edge}]", "HTTPRoute",
        "ISM2085", "HTTPRoute shop/front in c1", "spec.hostnames")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]", "parentRefs: [{name: front, namespace: edge}]",
        "TCPRoute", "ISM2085", "TCPRoute shop/front in c1", "kind")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]", "parentRefs: [{name: front, namespace: edge}]",
        "HTTPRoute", "", "", "")]
    public void Why_a_Gateway_of_the_Gateway_API_does_not_route_a_call_is_told(string listeners, string parents, string kind, string code, string owner,
        string path)
    {
        var hosts = kind == "HTTPRoute" && !parents.StartsWith("hostnames", StringComparison.Ordinal) ? "hostnames: [shop.example.com], " : "";
        var facts = Facts($$$"""
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: edge}, spec: {gatewayClassName: istio, {{{listeners}}} }}
            ---
            {apiVersion: gateway.networking.k8s.io/v1{{{(kind == "TCPRoute" ? "alpha2" : "")}}}, kind: {{{kind}}}, metadata: {name: front, namespace: shop},
             spec: { {{{parents}}}, {{{hosts}}}rules: [{backendRefs: [{name: orders, port: 80}]}]}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: front, namespace: edge, labels: {gateway.networking.k8s.io/gateway-name: front}},
             spec: {containers: [{name: istio-proxy}]}, status: {phase: Running}}
            """, "shop.example.com", new("c1", "edge", "front"));
        var problem = new ApiEntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).Unrouted("shop.example.com", 80);
        Assert.Equal((code, owner, path), (problem?.Code ?? "", problem?.Object ?? "", problem?.Path ?? ""));
    }

    private static TraceFacts Facts(string objects, string target, PodRef? client = null)
    {
        var scenario = new TraceScenario();
        scenario.One += $"{Strict}\n---\n{objects}";
        var facts = scenario.Facts(target);
        return client is not { } other ? facts : new(facts.Clusters, other, facts.Target, facts.Now);
    }

    private static void AssertCause(CallTrace trace, string code, string owner, string path, string says)
    {
        var problem = trace.Failure?.Problem;
        Assert.NotNull(problem);
        Assert.Equal((code, owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }
}
