using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Judgement;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Faults that operators make in settings of the mesh, or in one cluster of several (tests/operator-faults.tsv).</summary>
public sealed class MeshTrialTests
{
    private const string Fqdn = TraceScenario.Fqdn;

    [Fact]
    public void What_MeshConfig_exports_of_Services_that_say_nothing_is_the_cause()
    {
        var facts = Facts(Mesh("defaultServiceExportTo: [stock]"));
        var problem = Causes(facts).Visibility.Hidden(facts.Host(Fqdn)!, 80);
        Assert.Equal(("ISM2012", "ConfigMap istio-system/istio in c1", "data.mesh.defaultServiceExportTo"), (problem?.Code, problem?.Object, problem?.Path));
        Assert.StartsWith("kubectl --context=c1 -n shop annotate service orders networking.istio.io/exportTo='*'; or remove", problem!.Remedy,
            StringComparison.Ordinal);
        Assert.Null(Causes(Facts(Mesh("defaultServiceExportTo: ['.']"))).Visibility.Hidden(facts.Host(Fqdn)!, 80));
    }

    [Theory]
    [InlineData("", "ConfigMap istio-system/istio in c1", "data.mesh.defaultDestinationRuleExportTo")]
    [InlineData("exportTo: [bank], ", "DestinationRule shop/orders in c1", "spec.exportTo")]
    public void Who_keeps_a_DestinationRule_from_the_caller_is_told(string exportTo, string owner, string path)
    {
        var facts = Facts($"{Mesh("defaultDestinationRuleExportTo: [stock]")}\n---\n{{apiVersion: networking.istio.io/v1, kind: DestinationRule, "
            + $"metadata: {{name: orders, namespace: shop}}, spec: {{host: orders, {exportTo}subsets: [{{name: v1, labels: {{version: v1}}}}]}}}}");
        var problem = Causes(facts).Hosts.MissingCluster($"outbound|80|v1|{Fqdn}", "shop/orders");
        Assert.Equal(("ISM2032", owner, path), (problem.Code, problem.Object, problem.Path));
    }

    /// <summary>A route that leads to a headless Service has a cluster of its own with all endpoints, which is no subset.</summary>
    [Fact]
    public void A_headless_backend_that_the_Sidecar_of_the_caller_does_not_list_is_told()
    {
        var facts = Facts("""
            {apiVersion: v1, kind: Service, metadata: {name: ring, namespace: stock}, spec: {clusterIP: None, selector: {app: ring}, ports: [{name: http, port: 80}]}}
            ---
            {apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: default, namespace: shop}, spec: {egress: [{hosts: ['./*']}]}}
            """);
        var problem = Causes(facts).Hosts.MissingCluster("outbound|80|~|ring.stock.svc.cluster.local", "HTTPRoute shop/orders");
        Assert.Equal(("ISM2013", "Sidecar shop/default in c1", "spec.egress[*].hosts"), (problem.Code, problem.Object, problem.Path));
        Assert.Equal("-", Isthmus.Operate.Diagnose.ProxyTables.Split("outbound|80|~|ring.stock.svc.cluster.local").Subset);
    }

    [Theory]
    [InlineData("VirtualService", "spec: {hosts: [orders.shop.svc.cluster.local], exportTo: ['.'], http: [{rewrite: {uri: /}, route: [{destination: {host: orders.shop}}]}]}",
        "VirtualService bank/orders in c1", "spec.exportTo")]
    [InlineData("VirtualService", "spec: {hosts: [orders.shop.svc.cluster.local], http: [{rewrite: {uri: /}, route: [{destination: {host: orders.shop}}]}]}",
        "ConfigMap istio-system/istio in c1", "data.mesh.defaultVirtualServiceExportTo")]
    [InlineData("VirtualService", "spec: {hosts: [orders.shop.svc.cluster.local], exportTo: [shop], http: [{rewrite: {uri: /}, route: [{destination: {host: orders.shop}}]}]}",
        null, null)]
    [InlineData("HTTPRoute", "spec: {parentRefs: [{group: '', kind: Service, name: orders, namespace: shop}], rules: [{filters: [{type: URLRewrite, urlRewrite: "
        + "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]}]}", "HTTPRoute bank/orders in c1", "metadata.namespace")]
    [InlineData("HTTPRoute", "spec: {parentRefs: [{group: '', kind: Service, name: orders, namespace: shop}], rules: [{matches: [{path: {value: /api}}], filters: "
        + "[{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]}]}", null, null)]
    [InlineData("HTTPRoute", "spec: {parentRefs: [{group: '', kind: Service, name: orders, namespace: shop}], rules: [{filters: [{type: RequestHeaderModifier, "
        + "requestHeaderModifier: {set: [{name: a, value: b}]}}]}]}", null, null)]
    public void A_route_for_other_callers_is_told_where_the_application_does_not_know_the_path(string kind, string spec, string? owner, string? path)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 404, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.Client = Put(scenario.Client, "/virtual-service/orders", "");
        scenario.One += $"\n---\n{Mesh("defaultVirtualServiceExportTo: [stock]")}\n---\n{{apiVersion: "
            + $"{(kind == "HTTPRoute" ? "gateway.networking.k8s.io/v1" : "networking.istio.io/v1")}, kind: {kind}, metadata: {{name: orders, namespace: bank}}, {spec}}}";
        var trace = scenario.Walk();
        Assert.Null(trace.Failure);
        var problem = trace.Hops.Single(hop => hop.Name == "route" && hop.Way == 0).Problem;
        Assert.Equal((owner is null ? null : RoutesOfOthers.Code, owner, path), (problem?.Code, problem?.Object, problem?.Path));
    }

    [Fact]
    public void Pods_of_a_cluster_without_the_Service_are_a_part_that_gets_no_calls()
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.Client = scenario.ClientOfOne;
        scenario.Two = Put(scenario.Two, "kind: Service, metadata: {name: orders,", "kind: Service, metadata: {name: others,")
            .Replace("selector: {app: orders}", "selector: {app: others}", StringComparison.Ordinal);
        var warning = Assert.Single(scenario.Walk().Hops, hop => hop.Name == "capacity").Problem!;
        Assert.Equal(("ISM2121", "Deployment shop/orders in c2"), (warning.Code, warning.Object));
        Assert.EndsWith("kubectl --context=c2 apply -f - <<< '{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"orders\",\"namespace\":\"shop\"},"
            + "\"spec\":{\"selector\":{\"app\":\"orders\"},\"ports\":[{\"port\":80,\"name\":\"http\",\"targetPort\":8080}]}}'", warning.Remedy,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c2}]}", "{name: web}", "")]
    [InlineData("", "", "\n---\n{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: bill, namespace: shop}, spec: {hosts: "
        + "[bill.example.com], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], workloadSelector: "
        + "{labels: {app: orders}}}}")]
    public void Pods_outside_of_the_mesh_or_of_a_ServiceEntry_need_no_Service(string containers, string now, string more)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.Client = scenario.ClientOfOne;
        scenario.Two = Put(scenario.Two, "kind: Service, metadata: {name: orders,", "kind: Service, metadata: {name: others,")
            .Replace("selector: {app: orders}", "selector: {app: others}", StringComparison.Ordinal) + more;
        if (containers.Length > 0) scenario.Two = Put(scenario.Two, containers, now);
        Assert.DoesNotContain(scenario.Walk().Hops, hop => hop.Problem?.Code == "ISM2121");
    }

    [Fact]
    public void A_label_that_denies_mesh_TLS_keeps_Pods_from_callers_of_another_network()
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.Client = scenario.ClientOfOne;
        scenario.Two = Put(scenario.Two, "namespace: shop, labels: {app: orders, version: v1}}, spec: {containers",
            "namespace: shop, labels: {app: orders, version: v1, security.istio.io/tlsMode: disabled}}, spec: {containers");
        var warning = Assert.Single(scenario.Walk().Hops, hop => hop.Name == "capacity").Problem!;
        Assert.Equal(("ISM2051", "Pod shop/orders-b in c2", "metadata.labels[security.istio.io/tlsMode]"), (warning.Code, warning.Object, warning.Path));
    }

    [Fact]
    public void A_port_that_includeInboundPorts_leaves_out_is_to_be_added()
    {
        var scenario = new TraceScenario();
        scenario.Two = Put(scenario.Two, "{name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c2}]}]",
            "{name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c2}]}], initContainers: [{name: istio-init, args: [istio-iptables, -p, '15001', -b, '9090']}]");
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal(("ISM2050", "metadata.annotations[traffic.sidecar.istio.io/includeInboundPorts]"), (problem.Code, problem.Path));
        Assert.StartsWith("add 8080 to the annotation", problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void The_protocol_of_appProtocol_is_changed_there()
    {
        var scenario = new TraceScenario();
        scenario.One = Put(scenario.One, "{name: http, port: 80, targetPort: 8080}", "{name: http, appProtocol: tcp, port: 80, targetPort: 8080}");
        var facts = scenario.Facts();
        var port = DeclaredPort.Of(new(facts, null, facts.Host(Fqdn), 80, CallKinds.Http, new(System.Net.IPAddress.None, 80)))!;
        Assert.Equal(("spec.ports[http].appProtocol", "set appProtocol: http"), (port.Field, port.Declare("http")));
    }

    [Fact]
    public void A_subset_with_other_labels_at_the_cluster_behind_the_gateway_is_told_with_both()
    {
        var scenario = new TraceScenario();
        scenario.One += Rule("v1");
        scenario.Two += Rule("v3");
        var facts = scenario.Facts();
        var problem = Causes(facts).Endpoints.NoEndpointsIn(facts.Clusters[1], facts.Host(Fqdn), 80, "canary");
        Assert.Equal(("ISM2034", "DestinationRule shop/orders in c2", "spec.subsets[0].labels", "set them to version=v1"),
            (problem.Code, problem.Object, problem.Path, problem.Remedy));
        Assert.Contains("are version=v3, which no ready Pod of Service shop/orders in c2 has; in c1", problem.Message, StringComparison.Ordinal);

        static string Rule(string version) => "\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: orders, namespace: shop}, "
            + $"spec: {{host: orders, subsets: [{{name: canary, labels: {{version: {version}}}}}]}}}}";
    }

    [Theory]
    [InlineData("network: n2, ", "ISM2051", "spec.endpoints[0].network")]
    [InlineData("network: n1, ", "ISM2042", "spec.endpoints")]
    public void An_endpoint_of_a_ServiceEntry_in_another_network_is_beyond_a_gateway(string network, string code, string path)
    {
        var facts = Facts("{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: bill, namespace: shop}, spec: {hosts: [bill.example.com], "
            + $"location: MESH_EXTERNAL, resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{{{network}address: 10.9.9.9}}]}}}}");
        var problem = Causes(facts).Endpoints.NoEndpoints(facts.Host("bill.example.com"), 80, "", "outbound|80||bill.example.com");
        Assert.Equal((code, "ServiceEntry shop/bill in c1", path), (problem.Code, problem.Object, problem.Path));
    }

    [Fact]
    public void Hosts_for_which_a_gateway_opens_no_port_are_the_cause()
    {
        var scenario = new TraceScenario();
        scenario.Two = Put(scenario.Two, "hosts: [\"*.local\"]", "hosts: [\"*.prod.svc.cluster.local\"]");
        var facts = scenario.Facts();
        var problem = Causes(facts).Gateways.GatewayWithoutListener(facts.Clusters[1],
            facts.Clusters[1].Pods.Single(pod => pod.Metadata.Name == "gw"), 15443);
        Assert.Equal(("ISM2055", "Gateway istio-system/cross in c2", "spec.servers[*].hosts"), (problem.Code, problem.Object, problem.Path));
    }

    [Fact]
    public void Hosts_of_ServiceEntries_are_not_why_a_gateway_opens_no_port()
    {
        var scenario = new TraceScenario();
        scenario.Two = Put(scenario.Two, "hosts: [\"*.local\"]", "hosts: [\"*.global\"]");
        var facts = scenario.Facts();
        var problem = Causes(facts).Gateways.GatewayWithoutListener(facts.Clusters[1],
            facts.Clusters[1].Pods.Single(pod => pod.Metadata.Name == "gw"), 15443);
        Assert.Equal("ISM2054", problem.Code);
    }

    [Theory]
    [InlineData("{name: tls, port: 15443, targetPort: 15443}", "{name: https, port: 443}", "spec.ports", "has no port 15443")]
    [InlineData("labels: {topology.istio.io/network: n2}", "labels: {topology.istio.io/network: n2, networking.istio.io/gatewayPort: '15444'}",
        "metadata.labels[networking.istio.io/gatewayPort]", "is 15444, and the Service has no such port")]
    public void A_port_that_the_Service_of_a_gateway_lacks_is_the_cause(string old, string now, string path, string says)
    {
        var scenario = new TraceScenario();
        scenario.Two = Put(scenario.Two, old, now);
        if (now.Contains("15444", StringComparison.Ordinal)) scenario.Client = Put(scenario.Client, "\"port_value\": 15443", "\"port_value\": 15444");
        var failure = scenario.Walk().Failure!;
        Assert.Equal(("gateway", "ISM1007", "Service istio-system/east in c2", path),
            (failure.Name, failure.Problem!.Code, failure.Problem.Object, failure.Problem.Path));
        Assert.Contains(says, failure.Problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("c2", "Secret istio-system/istio-remote-secret-c2 in c1", "metadata.labels[istio/multiCluster]")]
    [InlineData("c3", "control plane of c1", "Secret istio-system/istio-remote-secret-c2")]
    public void A_remote_secret_without_its_label_is_named(string of, string owner, string path)
    {
        var scenario = new TraceScenario { Watched = [], Unlabelled = [new($"istio-system/istio-remote-secret-{of}", of, "")] };
        scenario.Client = scenario.ClientOfOne;
        var warning = Assert.Single(scenario.Walk().Hops, hop => hop.Name == "capacity").Problem!;
        Assert.Equal(("ISM1021", owner, path), (warning.Code, warning.Object, warning.Path));
        if (of == "c2")
            Assert.Equal("kubectl --context=c1 -n istio-system label secret istio-remote-secret-c2 istio/multiCluster=true --overwrite", warning.Remedy);
    }

    /// <summary>As after an installation with the file of another cluster: the remote secret is there, and its entry is ignored.</summary>
    [Fact]
    public void Two_clusters_with_one_name_are_the_cause()
    {
        var scenario = new TraceScenario { Watched = [] };
        scenario.Client = scenario.ClientOfOne;
        scenario.Two = scenario.Two.Replace("name: CLUSTER_ID, value: c2", "name: CLUSTER_ID, value: c1", StringComparison.Ordinal);
        var warning = Assert.Single(scenario.Walk().Hops, hop => hop.Name == "capacity").Problem!;
        Assert.Equal(("ISM1024", "cluster c2"), (warning.Code, warning.Object));
        Assert.Contains("proxies there still call it c2", warning.Message, StringComparison.Ordinal);
        Assert.Contains("--set values.global.multiCluster.clusterName=c2: isthmus install --context=c2 -f FILE", warning.Remedy, StringComparison.Ordinal);

        scenario = new TraceScenario
        {
            Call = new("GET /", false, 503, 50, "10.1.0.99:8080", "UF", "immediate_connect_error:_Network_is_unreachable", []), Two = scenario.Two,
        };
        scenario.Client = scenario.Client.Replace("10.1.0.5", "10.1.0.99", StringComparison.Ordinal);
        Assert.Equal(("ISM1024", "cluster c2"), (scenario.Walk().Failure?.Problem?.Code, scenario.Walk().Failure?.Problem?.Object));
    }

    [Theory]
    [InlineData("c2", "Secret default/istio-remote-secret-c2 in c1", "metadata.namespace")]
    [InlineData("c3", "control plane of c1", "Secret istio-system/istio-remote-secret-c2")]
    public void A_remote_secret_in_another_namespace_is_named(string of, string owner, string path)
    {
        var scenario = new TraceScenario { Watched = [], Misplaced = [new("default", $"istio-remote-secret-{of}", of)] };
        scenario.Client = scenario.ClientOfOne;
        var warning = Assert.Single(scenario.Walk().Hops, hop => hop.Name == "capacity").Problem!;
        Assert.Equal(("ISM1021", owner, path), (warning.Code, warning.Object, warning.Path));
        if (of == "c2")
            Assert.Equal("create the Secret in namespace istio-system, for example with isthmus create-remote-secret, and delete it in default",
                warning.Remedy);
    }

    [Theory]
    [InlineData("n1", "Pod shop/buyer in c1")]
    [InlineData("n1,n2", "Service shop/orders in c2")]
    public void A_proxy_that_is_told_to_see_one_network_does_not_lack_the_others(string view, string owner)
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.ClientOfOne;
        scenario.One = Put(scenario.One, "{name: ISTIO_META_CLUSTER_ID, value: c1}]}",
            $"{{name: ISTIO_META_CLUSTER_ID, value: c1}}, {{name: ISTIO_META_REQUESTED_NETWORK_VIEW, value: '{view}'}}]}}");
        var warning = Assert.Single(scenario.Walk().Hops, hop => hop.Name == "capacity").Problem!;
        Assert.Equal(("ISM2083", owner), (warning.Code, warning.Object));
    }

    [Fact]
    public void An_address_that_two_Services_share_is_that_of_the_gateway_with_the_port()
    {
        var scenario = new TraceScenario();
        scenario.Two = Put(scenario.Two, "{apiVersion: v1, kind: Service, metadata: {name: east,", "{apiVersion: v1, kind: Service, metadata: {name: console, "
            + "namespace: istio-system, labels: {topology.istio.io/network: n2}}, spec: {selector: {app: console}, ports: [{port: 443}]}, status: "
            + "{loadBalancer: {ingress: [{ip: 172.18.2.1}]}}}\n---\n{apiVersion: v1, kind: Service, metadata: {name: east,");
        Assert.Null(scenario.Walk().Failure);
    }

    [Fact]
    public void What_explains_an_ejection_takes_its_place()
    {
        var scenario = new TraceScenario();
        scenario.Client = Put(scenario.Client, "\"clusters\": {\"cluster_statuses\": []}", "\"clusters\": {\"cluster_statuses\": [{\"name\": \"outbound|80||"
            + $"{Fqdn}\", \"host_statuses\": [{{\"address\": {{\"socket_address\": {{\"address\": \"172.18.2.1\", \"port_value\": 15443}}}}, "
            + "\"health_status\": {\"failed_outlier_check\": true, \"eds_health_status\": \"HEALTHY\"}}]}]}");
        Assert.Contains(scenario.Walk().Hops, hop => hop is { Name: "endpoints", Problem.Code: "ISM2041" });
        // Nothing says whether connections fail, or answers do.
        Assert.DoesNotContain(scenario.Walk().Hops, hop => hop.IsUnreached);
        scenario.Client = Put(scenario.Client, "\"health_status\": {\"failed_outlier", "\"stats\": [{\"name\": \"cx_connect_fail\", \"value\": \"3\"}], "
            + "\"health_status\": {\"failed_outlier");
        var unreached = scenario.Walk();
        Assert.DoesNotContain(unreached.Hops, hop => hop is { Way: 2, Status: HopStatus.Ok });
        Assert.Contains(unreached.Hops, hop => hop is { Way: 2, Name: "gateway", IsUnreached: true });
        Assert.Contains(unreached.Hops, hop => hop is { Way: 1, Status: HopStatus.Ok });
        Assert.Contains("✔ The call would get through; it was not made. 1 warning", TraceText.Write(unreached, details: false), StringComparison.Ordinal);
        // A call that was not connected there has passed nothing behind it, either.
        scenario.Call = new("GET /", false, 503, 3, "172.18.2.1:15443", "UF", "remote_connection_failure", []);
        Assert.DoesNotContain(scenario.Walk().Hops, hop => hop is { Way: 2, Status: HopStatus.Ok });
        scenario.Call = null;
        scenario.Gateway = Put(scenario.Gateway, $"[\"{TraceScenario.Sni}\"]", "[\"outbound_.80_._.x.bank.svc.cluster.local\"]");
        scenario.Two = Put(scenario.Two, "hosts: [\"*.local\"]", "hosts: [\"*.bank.svc.cluster.local\"]");
        var hops = scenario.Walk().Hops;
        Assert.Contains(hops, hop => hop is { Name: "endpoints", Problem: null } && hop.Summary.Contains("ejected 172.18.2.1:15443", StringComparison.Ordinal));
        Assert.Contains(hops, hop => hop is { Name: "gateway chain", Status: HopStatus.Warning, Problem.Code: "ISM2055" });
    }

    private static string Mesh(string settings) =>
        $"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: istio, namespace: istio-system}}, data: {{mesh: \"{settings}\"}}}}";

    private static TraceFacts Facts(string objects)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{objects}";
        return scenario.Facts();
    }

    private static TraceCauses Causes(TraceFacts facts) => new(facts, new(facts));

    private static string Put(string text, string old, string now)
    {
        Assert.Contains(old, text, StringComparison.Ordinal);
        return text.Replace(old, now, StringComparison.Ordinal);
    }
}
