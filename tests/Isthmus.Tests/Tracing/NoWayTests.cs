using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Why there is no way to a host: what somebody wrote, or what its Pods lack, and not what a proxy has not received
/// (tests/operator-faults.tsv).</summary>
public sealed class NoWayTests
{
    private const string Rule = "{host: orders, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}";

    private const string Here = "{name: orders-a, namespace: shop, labels: {app: orders, version: v1}}",
        There = "{name: orders-b, namespace: shop, labels: {app: orders, version: v1}}",
        Template = "{replicas: 1, template: {metadata: {labels: {app: orders, version: v1}}}}";

    [Fact]
    public void A_caller_without_a_sidecar_reaches_Pods_of_its_own_cluster_only()
    {
        var scenario = Elsewhere();
        scenario.One = Put(scenario.One, ", {name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c1}]}]", "]");
        var problem = Caused(scenario.Walk(), "ISM2028", "Pod shop/buyer in c1", "",
            "has no sidecar, so that its calls go to the address of Service shop/orders in c1, which leads to Pods of c1 only, and the ready Pods of "
                + $"{TraceScenario.Fqdn} are in c2");
        Assert.Equal("label namespace shop in c1 istio-injection=enabled (or the Pod sidecar.istio.io/inject=true) and restart the Pod; or run Pods in c1",
            problem.Remedy);
    }

    [Fact]
    public void A_call_that_is_not_captured_reaches_Pods_of_its_own_cluster_only()
    {
        var scenario = Elsewhere();
        scenario.One = Put(scenario.One, "-x, \"\"", "-x, \"10.0.0.0/8\"");
        var trace = scenario.Walk();
        Caused(trace, "ISM2020", "Pod shop/buyer in c1", "metadata.annotations[traffic.sidecar.istio.io/excludeOutboundIPRanges]", "bypass the proxy");
        var last = trace.Hops.Single(hop => hop.Name == "endpoints").Problem!;
        Assert.Equal(("ISM2028", "Service shop/orders in c1"), (last.Code, last.Object));
        Assert.Contains("which leads to Pods of c1 only", last.Message, StringComparison.Ordinal);
    }

    /// <summary>A server that speaks first at a port of HTTP.</summary>
    [Fact]
    public void Bytes_at_a_port_of_requests_do_not_get_to_another_cluster()
    {
        var scenario = Elsewhere();
        var page = JsonNode.Parse(scenario.Client)!;
        var listeners = page["config_dump"]!["configs"]![2]!["dynamic_listeners"]!.AsArray();
        // Its chain for HTTP looks at what the caller says first: bytes pass through, as without a listener for the port.
        listeners.RemoveAt(1);
        scenario.Client = page.ToJsonString();
        scenario.Call = new("connect to 10.96.0.5:80", true, 0, 501, "", "-", "", []) { Says = "closed" };
        var problem = Caused(scenario.Walk("tcp://orders:80"), "ISM2093", "Service shop/orders in c1", "spec.ports[http].name",
            "declares HTTP, and the call is a plain TCP connection, in which proxies find no request: the caller's proxy passes it on unchanged to 10.96.0.5");
        Assert.Contains("in all clusters", problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("shop", "{app: web}", "for callers with app=web, and Pod shop/buyer in c1 has app=buyer")]
    [InlineData("shop", "{tier: front}", "for callers with tier=front, and Pod shop/buyer in c1 has none of these labels")]
    [InlineData("istio-system", "{app: buyer}", "for callers of namespace istio-system, and the caller is in shop")]
    public void A_rule_that_leaves_the_caller_out_does_not_define_its_subset(string ns, string labels, string says)
    {
        var scenario = new TraceScenario();
        scenario.Client = Put(scenario.Client, $"\"route\": {{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\"}}",
            $"\"route\": {{\"cluster\": \"outbound|80|v1|{TraceScenario.Fqdn}\"}}");
        scenario.One += Object("DestinationRule", ns, "orders",
            $"{{host: {TraceScenario.Fqdn}, workloadSelector: {{matchLabels: {labels}}}, subsets: [{{name: v1, labels: {{version: v1}}}}]}}");
        Caused(scenario.Walk(), "ISM2032", $"DestinationRule {ns}/orders in c1", "spec.workloadSelector.matchLabels", says);
    }

    /// <summary>Gateways take no mesh TLS at the ports of their Services, and only that passes the gateway of a network.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_gateway_of_another_network_is_out_of_reach(bool isRouted)
    {
        var scenario = Elsewhere();
        scenario.Two = Put(scenario.Two, "{name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c2}]}",
            "{name: istio-proxy, args: [proxy, router], env: [{name: ISTIO_META_CLUSTER_ID, value: c2}]}");
        if (isRouted)
            scenario.One += Object("VirtualService", "shop", "orders",
                $"{{hosts: [ext.example.com], http: [{{route: [{{destination: {{host: {TraceScenario.Fqdn}}}}}]}}]}}");
        else scenario.Client = Put(scenario.Client, "namespaces/shop/virtual-service/orders", "");
        var problem = Caused(scenario.Walk(), "ISM2148", isRouted ? "VirtualService shop/orders in c1" : "Service shop/orders in c2",
            isRouted ? "spec.http[0].route[0].destination.host" : "", "leads to a gateway, whose only ready Pods are in c2 (n2)");
        Assert.Equal("install such a gateway in c1 as well, or let calls of c1 go another way", problem.Remedy);
    }

    [Theory]
    [InlineData("{replicas: 0, ", "", "ISM2048", "Deployment shop/orders in c2", "spec.replicas",
        "is 0, so Service shop/orders in c2 has no Pods with version=v2")]
    [InlineData("{replicas: 1, ",
        ", containerStatuses: [{name: web, ready: false, state: {waiting: {reason: Crashes}}, lastState: {terminated: {exitCode: 1}}}]",
        "ISM2047", "Pod shop/orders-b in c2", "status", "container web exits with code 1 again and again")]
    public void A_subset_whose_Pods_are_not_ready_has_the_right_labels(string replicas, string status, string code, string owner, string path, string says)
    {
        var scenario = OfSubset();
        scenario.Two = Put(scenario.Two, Template, $"{replicas}template: {{metadata: {{labels: {{app: orders, version: v2}}}}}}}}");
        scenario.Two = status.Length == 0 ? Put(scenario.Two, There, There.Replace("app: orders", "app: gone", StringComparison.Ordinal))
            : Put(scenario.Two, There, There.Replace("v1", "v2", StringComparison.Ordinal), "podIP: 10.1.0.5, conditions: [{type: Ready, status: \"True\"}]",
                $"podIP: 10.1.0.5{status}");
        Caused(scenario.Walk(), code, owner, path, says);
    }

    /// <summary>Endpoints have labels that their Pods lack: those of the cluster and the network.</summary>
    [Theory]
    [InlineData("topology.istio.io/cluster: east", "topology.istio.io/cluster=east matches no ready Pod", "they have topology.istio.io/cluster=c1 or topology.istio.io/cluster=c2")]
    [InlineData("topology.istio.io/network: east", "topology.istio.io/network=east matches no ready Pod", "they have topology.istio.io/network=n1 or ")]
    public void A_subset_of_a_cluster_that_does_not_exist_is_told(string labels, string says, string have)
    {
        var scenario = OfSubset();
        foreach (var text in (ReadOnlySpan<string>)["version: v2"])
            (scenario.One, scenario.Two) = (Put(scenario.One, text, labels), Put(scenario.Two, text, labels));
        Assert.Contains(have, Caused(scenario.Walk(), "ISM2034", "DestinationRule shop/orders in c1", "spec.subsets[1].labels", says).Message,
            StringComparison.Ordinal);
    }

    /// <summary>What it leaves out is meant to get no calls.</summary>
    [Fact]
    public void A_subset_of_one_cluster_loses_nothing_in_the_others()
    {
        var scenario = OfSubset();
        scenario.Client = Put(new TraceScenario().Client, $"outbound|80||{TraceScenario.Fqdn}", $"outbound|80|v2|{TraceScenario.Fqdn}");
        (scenario.One, scenario.Two) = (Put(scenario.One, "version: v2", "topology.istio.io/cluster: c1"), Put(scenario.Two, "version: v2",
            "topology.istio.io/cluster: c1"));
        Assert.DoesNotContain(scenario.Walk().Hops, hop => hop.Name == "capacity");
    }

    [Fact]
    public void A_subset_whose_Pods_the_Service_does_not_select_has_the_right_labels()
    {
        var scenario = OfSubset();
        scenario.Two = Put(scenario.Two, Template, Template.Replace("v1", "v2", StringComparison.Ordinal), There,
            There.Replace("v1", "v2", StringComparison.Ordinal), "selector: {app: orders}", "selector: {app: order-s}");
        Caused(scenario.Walk(), "ISM2049", "Service shop/orders in c2", "spec.selector",
            "app=order-s matches no Pod of namespace shop with version=v2; those of Deployment orders have app=orders");
    }

    /// <summary>A name without a namespace leads to the Service of the caller's own one, although another was meant.</summary>
    [Theory]
    [InlineData("True", "orders", "Service orders of namespace store has Pods", "call orders.store, if that one is meant")]
    [InlineData("False", "orders", "app=gone matches no Pod of namespace shop", "start the workload")]
    [InlineData("True", "orders.shop", "app=gone matches no Pod of namespace shop", "start the workload")]
    public void A_Service_of_the_same_name_that_has_Pods_is_named(string ready, string target, string says, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.ClientOfOne.Replace(
            "{\"endpoint\": {\"address\": {\"socket_address\": {\"address\": \"10.1.0.5\", \"port_value\": 8080}}}, "
            + "\"metadata\": {\"filter_metadata\": {\"istio\": {\"workload\": \"orders;shop;orders;v1;c1\"}, "
            + "\"envoy.transport_socket_match\": {\"tlsMode\": \"istio\"}}}}", "", StringComparison.Ordinal);
        (scenario.One, scenario.Two) = (Of(scenario.One), Of(scenario.Two));
        scenario.One += $$$$"""

            ---
            {apiVersion: v1, kind: Service, metadata: {name: orders, namespace: store}, spec: {clusterIP: 10.96.0.6, selector: {app: orders}, ports: [{name: http, port: 80}]}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: orders-x, namespace: store, labels: {app: orders}}, spec: {containers: [{name: web}]},
             status: {phase: Running, podIP: 10.1.0.8, conditions: [{type: Ready, status: "{{{{ready}}}}"}]}}
            """;
        var problem = scenario.Walk(target).Failure!.Problem!;
        Assert.Equal(("ISM2049", "Service shop/orders in c1"), (problem.Code, problem.Object));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);

        static string Of(string yaml) => string.Join("---",
            yaml.Replace("selector: {app: orders}", "selector: {app: gone}", StringComparison.Ordinal).Split("---")
                .Where(one => !one.Contains("kind: Deployment, metadata: {name: orders", StringComparison.Ordinal)));
    }

    /// <summary>The caller's proxy knows the gateway of the other network, and that knows no Pod.</summary>
    [Fact]
    public void A_subset_whose_Pods_are_not_ready_behind_a_gateway_has_the_right_labels()
    {
        var scenario = OfSubset();
        var sni = TraceScenario.Sni.Replace("_._", "_v2_._", StringComparison.Ordinal).Replace("80_v2", "80_.v2", StringComparison.Ordinal);
        scenario.Client = Put(new TraceScenario().Client, $"outbound|80||{TraceScenario.Fqdn}", $"outbound|80|v2|{TraceScenario.Fqdn}", TraceScenario.Sni, sni,
            "\"address\": \"10.1.0.5\", \"port_value\": 8080", "\"address\": \"172.18.2.1\", \"port_value\": 15443");
        scenario.Gateway = Put(scenario.Gateway, TraceScenario.Sni, sni, "\"lb_endpoints\": [", "\"ignored\": [");
        scenario.Two = Put(scenario.Two, Template, Template.Replace("v1", "v2", StringComparison.Ordinal).Replace("replicas: 1", "replicas: 0",
            StringComparison.Ordinal));
        scenario.Two += "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: orders-c, namespace: shop, labels: {app: orders, version: v1}}, spec: "
            + "{containers: [{name: web}]}, status: {phase: Running, podIP: 10.1.0.6, conditions: [{type: Ready, status: \"True\"}]}}";
        Caused(scenario.Walk(), "ISM2048", "Deployment shop/orders in c2", "spec.replicas", "has no Pods with version=v2");
    }

    /// <summary>A headless Service has no address of its own that leads anywhere.</summary>
    [Fact]
    public void Nothing_is_said_of_the_proxy_of_a_caller_without_one()
    {
        var scenario = Elsewhere();
        scenario.One = Put(scenario.One, ", {name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c1}]}]", "]", "clusterIP: 10.96.0.5",
            "clusterIP: \"None\"");
        Caused(scenario.Walk(), "ISM2028", "Pod shop/buyer in c1", "", "has no sidecar");
    }

    [Fact]
    public void A_subset_with_labels_of_no_Pods_has_the_wrong_ones() => Caused(OfSubset().Walk(), "ISM2034", "DestinationRule shop/orders in c1",
        "spec.subsets[1].labels", "version=v2 matches no ready Pod");

    /// <summary>A DestinationRule that was applied in one of the clusters.</summary>
    [Fact]
    public void A_subset_that_only_the_other_cluster_defines_is_told()
    {
        var scenario = OfSubset();
        scenario.One = Put(scenario.One, Object("DestinationRule", "shop", "orders", Rule), "");
        scenario.Client = Put(scenario.Client, $"\"name\": \"outbound|80|v2|{TraceScenario.Fqdn}\"", "\"name\": \"outbound|80|v1|other\"");
        var problem = Caused(scenario.Walk(), "ISM2032", "DestinationRule shop/orders in c2", "spec.subsets",
            "applies to callers of c2 only: c1 has no DestinationRule of the host");
        Assert.Equal("apply it in c1 as well", problem.Remedy);
    }

    [Fact]
    public void A_subset_is_local_to_each_cluster_as_its_host_is()
    {
        var scenario = OfSubset();
        scenario.Two = Put(scenario.Two, There, There.Replace("v1", "v2", StringComparison.Ordinal));
        scenario.One += "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: "
            + "\"serviceSettings: [{settings: {clusterLocal: true}, hosts: ['*.shop.svc.cluster.local']}]\"}}";
        Caused(scenario.Walk(), "ISM2100", "ConfigMap istio-system/istio in c1", "data.mesh.serviceSettings[*].settings.clusterLocal",
            "its only ready Pods are in c2");
    }

    [Fact]
    public void A_subset_is_kept_on_the_Node_as_its_Service_is()
    {
        var scenario = OfSubset();
        scenario.Two = Put(scenario.Two, There, There.Replace("v1", "v2", StringComparison.Ordinal));
        scenario.One = Put(scenario.One, "clusterIP: 10.96.0.5, selector", "clusterIP: 10.96.0.5, internalTrafficPolicy: Local, selector");
        Caused(scenario.Walk(), "ISM2099", "Service shop/orders in c1", "spec.internalTrafficPolicy", "no ready Pod of the Service with version=v2 runs on");
    }

    [Theory]
    [InlineData(false, "ISM2014", "has not received the configuration of")]
    [InlineData(true, "ISM2147", "knows no way to orders.shop.svc.cluster.local, and no object was found that says why; it has all that its control plane has")]
    [InlineData(null, "ISM2147", "no object was found that says why")]
    public void Only_a_control_plane_knows_whether_a_proxy_lacks_something(bool? follows, string code, string says)
    {
        var scenario = new TraceScenario { Follows = follows };
        scenario.Client = Put(scenario.Client, "\"lb_endpoints\": [", "\"ignored\": [");
        Caused(scenario.Walk(), code, "Pod shop/buyer in c1", "", says);
    }

    /// <summary>The revision that injected the Pod was uninstalled.</summary>
    [Theory]
    [InlineData("canary", "", "ISM2160")]
    [InlineData("default", "", "ISM2014")]
    [InlineData("canary", "istiod", "ISM2014")]
    public void A_proxy_of_a_revision_that_is_gone_is_told(string runs, string service, string code)
    {
        var scenario = new TraceScenario { Follows = false };
        scenario.Client = Put(scenario.Client, "\"lb_endpoints\": [", "\"ignored\": [");
        scenario.One = Put(scenario.One, "metadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}",
            $"metadata: {{name: istiod-{runs}, namespace: istio-system, labels: {{app: istiod, istio.io/rev: {runs}}}}}");
        if (service.Length > 0)
            scenario.One += $"\n---\n{{apiVersion: v1, kind: Service, metadata: {{name: {service}, namespace: istio-system}}, "
                + "spec: {selector: {app: istiod}}}";
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal((code, "Pod shop/buyer in c1"), (problem.Code, problem.Object));
        if (code != "ISM2160") return;
        Assert.StartsWith("its proxy was injected by the control plane of revision default and asks for its configuration at istiod.istio-system.svc:15012: c1 "
            + "has no Service istio-system/istiod any more", problem.Message, StringComparison.Ordinal);
        Assert.EndsWith("canary runs there now", problem.Message, StringComparison.Ordinal);
    }

    /// <summary>The ready Pods are in c2, and the caller's proxy has none of them.</summary>
    private static TraceScenario Elsewhere()
    {
        var scenario = new TraceScenario();
        scenario.One = Put(scenario.One, Here, Here.Replace("app: orders", "app: gone", StringComparison.Ordinal));
        scenario.Client = Put(scenario.Client, "\"lb_endpoints\": [", "\"ignored\": [");
        return scenario;
    }

    /// <summary>Calls go to v2, of which the caller's proxy knows no Pod.</summary>
    private static TraceScenario OfSubset()
    {
        var scenario = new TraceScenario();
        scenario.Client = Put(scenario.Client, $"outbound|80||{TraceScenario.Fqdn}", $"outbound|80|v2|{TraceScenario.Fqdn}", "\"lb_endpoints\": [",
            "\"ignored\": [");
        scenario.One += Object("DestinationRule", "shop", "orders", Rule);
        scenario.Two += Object("DestinationRule", "shop", "orders", Rule);
        return scenario;
    }

    private static string Object(string kind, string ns, string name, string spec) =>
        $"\n---\n{{apiVersion: networking.istio.io/v1, kind: {kind}, metadata: {{name: {name}, namespace: {ns}}}, spec: {spec}}}";

    private static Problem Caused(CallTrace trace, string code, string owner, string path, string says)
    {
        var problem = trace.Failure?.Problem;
        Assert.NotNull(problem);
        Assert.Equal((code, owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        return problem;
    }

    private static string Put(string text, params ReadOnlySpan<string> changes)
    {
        for (var i = 0; i < changes.Length; i += 2)
        {
            Assert.Contains(changes[i], text, StringComparison.Ordinal);
            text = text.Replace(changes[i], changes[i + 1], StringComparison.Ordinal);
        }
        return text;
    }
}
