using System.Net;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Faults that operators make by EnvoyFilters, in ports of ServiceEntries, and in the rights of gateways (tests/operator-faults.tsv).</summary>
public sealed class PatchTrialTests
{
    private const string Limit = "{applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND, listener: {filterChain: {filter: {name: "
        + "envoy.filters.network.http_connection_manager}}}}, patch: {operation: INSERT_BEFORE, value: {name: envoy.filters.http.local_ratelimit, "
        + "typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, stat_prefix: x, token_bucket: "
        + "{max_tokens: 1, fill_interval: 60s}, filter_enabled: {default_value: {numerator: 100}}, filter_enforced: {default_value: {numerator: 100}}}}}}",
        Idle = "{applyTo: NETWORK_FILTER, match: {context: SIDECAR_INBOUND, listener: {filterChain: {filter: {name: "
            + "envoy.filters.network.http_connection_manager}}}}, patch: {operation: MERGE, value: {typed_config: {'@type': type.googleapis.com/"
            + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stream_idle_timeout: 1s}}}}";

    [Theory]
    [InlineData("RL", "local_rate_limited", "workloadSelector: {labels: {app: orders}}, ", "EnvoyFilter shop/limits in c1", "spec.configPatches[1].patch.value")]
    [InlineData("SI", "stream_idle_timeout", "", "EnvoyFilter shop/limits in c1", "spec.configPatches[0].patch.value")]
    [InlineData("RL", "request_rate_limited", "", "Pod shop/orders-a in c1", "envoy.filters.http.ratelimit")]
    [InlineData("RL", "local_rate_limited", "workloadSelector: {labels: {app: buyer}}, ", "Pod shop/orders-a in c1", "envoy.filters.http.local_ratelimit")]
    public void The_EnvoyFilter_whose_filter_answered_is_named(string flags, string details, string selector, string owner, string path)
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", true, flags == "RL" ? 429 : 504, 3, "10.1.0.5:8080", "-", "", []),
            Sighted = [new(new("c1", "shop", "orders-a"), true, 3, null, flags == "RL" ? 429 : 504, flags, details, "", "", "", "", "")],
        };
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1alpha3, kind: EnvoyFilter, metadata: {name: limits, namespace: shop}, spec: "
            + $"{{{selector}configPatches: [{Idle}, {Limit}]}}}}";
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal((owner, path), (problem?.Object, problem?.Path));
        if (path.StartsWith("spec", StringComparison.Ordinal))
            Assert.StartsWith("is for Pod shop/orders-a in c1: its proxy", problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>A filter names the cluster of whom it asks.</summary>
    [Theory]
    [InlineData("outbound|8081||ratelimit.shop.svc.cluster.local", "; it is ratelimit.shop.svc.cluster.local:8081, and no Service or ServiceEntry has that name")]
    [InlineData("outbound|8081||orders.shop.svc.cluster.local", "; it is orders.shop.svc.cluster.local:8081, and Service shop/orders in c1 has no such port")]
    [InlineData("outbound|80||orders.shop.svc.cluster.local", "; it is orders.shop.svc.cluster.local:80")]
    [InlineData("limits", "; it is cluster limits")]
    public void The_rate_limit_service_that_does_not_answer_is_named(string cluster, string says)
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", true, 500, 3, "10.1.0.5:8080", "-", "", []),
            Sighted = [new(new("c1", "shop", "orders-a"), true, 3, null, 500, "RLSE", "rate_limiter_error", "", "", "", "", "")],
        };
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1alpha3, kind: EnvoyFilter, metadata: {name: limits, namespace: shop}, spec: {configPatches: "
            + "[{applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND, listener: {filterChain: {filter: {name: "
            + "envoy.filters.network.http_connection_manager}}}}, patch: {operation: INSERT_BEFORE, value: {name: envoy.filters.http.ratelimit, "
            + "typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit, domain: d, "
            + "failure_mode_deny: true, rate_limit_service: {grpc_service: {envoy_grpc: {cluster_name: "
            + $"'{cluster}'}}}}}}}}}}}}}}]}}}}";
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2094", "EnvoyFilter shop/limits in c1"), (problem?.Code, problem?.Object));
        Assert.EndsWith($"and failure_mode_deny is set{says}", problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>Of patches with the setting, one is to blame that changes the cluster of the call.</summary>
    [Theory]
    [InlineData("match: {context: SIDECAR_OUTBOUND}, patch: {operation: MERGE, value: {connect_timeout: 0.2s}}", true)]
    [InlineData("match: {cluster: {service: orders.shop.svc.cluster.local, portNumber: 80}}, patch: {operation: MERGE, value: {connectTimeout: 0.2s}}", true)]
    [InlineData("patch: {operation: ADD, value: {name: rate_limit_cluster, connect_timeout: 10s}}", false)]
    [InlineData("match: {context: GATEWAY}, patch: {operation: MERGE, value: {connect_timeout: 10s}}", false)]
    [InlineData("match: {cluster: {service: stock.shop.svc.cluster.local}}, patch: {operation: MERGE, value: {connect_timeout: 10s}}", false)]
    public void A_patch_of_another_cluster_is_not_to_blame_for_a_timeout(string patch, bool isBlamed)
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", false, 503, 3, "10.1.0.5:8080", "UF,URX", "upstream_reset_before_response_started{connection_timeout}; connection_timeout", []),
        };
        scenario.Client = scenario.Client.Replace("\"type\": \"EDS\", \"eds", "\"type\": \"EDS\", \"connect_timeout\": \"0.2s\", \"eds",
            StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1alpha3, kind: EnvoyFilter, metadata: {name: limits, namespace: istio-system}, spec: "
            + $"{{configPatches: [{{applyTo: CLUSTER, {patch}}}]}}}}";
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2114", isBlamed ? "EnvoyFilter istio-system/limits in c1" : "MeshConfig in c1"), (problem?.Code, problem?.Object));
    }

    [Theory]
    [InlineData("", "spec.ports[0].targetPort", "is not set, so that calls go to port 80")]
    [InlineData(", targetPort: 80", "spec.ports[0].targetPort", "is 80, and nothing listens there")]
    [InlineData(", targetPort: 9090", null, "")]
    public void A_port_of_a_ServiceEntry_that_leads_past_the_application_is_told(string target, string? path, string says)
    {
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: bill, namespace: shop}, spec: {hosts: "
            + "[bill.example.com], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP"
            + $"{target}}}], workloadSelector: {{labels: {{app: orders}}}}}}}}";
        var facts = scenario.Facts();
        var callee = new Callee(facts.Home, facts.Home.Pods.Single(pod => pod.Metadata.Name == "orders-a"), new(IPAddress.Parse("10.1.0.5"), 80));
        var problem = new TraceCauses(facts, new(facts)).Endpoints.NobodyListens(callee, facts.Host("bill.example.com"), 80, callee.Address,
            [new(IPAddress.Any, 8080), new(IPAddress.Any, 15006)]);
        Assert.Equal(path is null ? ("ISM2072", "Pod shop/orders-a in c1", "") : ("ISM2070", "ServiceEntry shop/bill in c1", path),
            (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        if (path is not null) Assert.Equal("set it to the port of the application, 8080", problem.Remedy);
    }

    /// <summary>The API server of the other cluster knows its address; in the caller's network, it leads nowhere.</summary>
    [Theory]
    [InlineData("10.1.0.77", "EndpointSlice shop/hand in c1")]
    [InlineData("10.1.0.78", null)]
    public void The_address_of_a_Pod_of_another_network_in_a_written_EndpointSlice_is_told(string address, string? owner)
    {
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: hand, namespace: shop, labels: "
            + $"{{kubernetes.io/service-name: orders}}}}, addressType: IPv4, ports: [{{name: http, port: 8080}}], endpoints: [{{addresses: ['{address}']}}]}}";
        scenario.Two += "\n---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: orders-x, namespace: shop, labels: "
            + "{kubernetes.io/service-name: orders}}, addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: [{addresses: ['10.1.0.77'], "
            + "targetRef: {kind: Pod, name: orders-b, uid: u}}]}";
        var facts = scenario.Facts();
        var problem = new TraceCauses(facts, new(facts)).Networks.WrittenElsewhere(facts.Host("orders.shop"), IPAddress.Parse(address));
        Assert.Equal(owner is null ? default : ("ISM2117", owner, "endpoints[0].addresses"),
            problem is null ? default : (problem.Code, problem.Object, problem.Path));
        if (owner is not null)
            Assert.Contains("has 10.1.0.77, the address of Pod shop/orders-b in c2, which is 10.1.0.77 in n2", problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>Ranges of networks may overlap, and the address be that of a virtual machine here: only a call tells.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_address_that_a_Pod_of_another_network_has_is_to_blame_once_a_call_has_failed(bool hasFailed)
    {
        var scenario = new TraceScenario();
        if (hasFailed) scenario.Call = new("GET /", false, 503, 3, "10.1.0.77:8080", "UF", "delayed_connect_error:_113", []);
        scenario.Client = scenario.ClientOfOne.Replace("10.1.0.5", "10.1.0.77", StringComparison.Ordinal)
            .Replace("\"tlsMode\": \"istio\"}}", "\"tlsMode\": \"disabled\"}}", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: hand, namespace: shop, labels: "
            + "{kubernetes.io/service-name: orders}}, addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: [{addresses: ['10.1.0.77']}]}";
        scenario.Two += "\n---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: orders-x, namespace: shop, labels: "
            + "{kubernetes.io/service-name: orders}}, addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: [{addresses: ['10.1.0.77'], "
            + "targetRef: {kind: Pod, name: orders-b, uid: u}}]}";
        var trace = scenario.Walk();
        Assert.Equal(hasFailed ? "EndpointSlice shop/hand in c1" : null, trace.Failure?.Problem?.Object);
        Assert.Contains(trace.Hops, hop => hop is { Name: "workload", Problem.Code: "ISM2117" });
    }

    [Theory]
    [InlineData("UF", "delayed_connect_error:_111", "refuses connections")]
    [InlineData("UF", "connection_timeout", "nothing answers there")]
    public void An_address_of_meshNetworks_that_no_gateway_has_is_named(string flags, string detail, string says)
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 503, 50, "172.18.2.77:15443", flags, detail, []) };
        scenario.Client = scenario.Client.Replace("172.18.2.1", "172.18.2.77", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: '{}', "
            + "meshNetworks: 'networks: {n2: {endpoints: [{fromRegistry: c2}], gateways: [{address: 172.18.2.77, port: 15443}]}}'}}";
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2155", "ConfigMap istio-system/istio in c1", "data[meshNetworks].networks.n2.gateways[0].address"),
            (problem?.Code, problem?.Object, problem?.Path));
        Assert.Contains("is 172.18.2.77, which no gateway of these clusters has", problem!.Message, StringComparison.Ordinal);
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.StartsWith("write 172.18.2.1 there, which Service istio-system/east in c2 has", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>The load balancer of a small cluster gives many Services the address of the Node.</summary>
    [Fact]
    public void A_Service_that_shares_the_address_of_a_configured_gateway_is_not_the_gateway()
    {
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: '{}', "
            + "meshNetworks: 'networks: {n9: {endpoints: [{fromRegistry: c9}], gateways: [{address: 172.18.9.1, port: 15443}]}}'}}\n---\n"
            + "{apiVersion: v1, kind: Service, metadata: {name: traefik, namespace: shop}, spec: {selector: {app: traefik}, ports: [{name: http, port: 80}]}, "
            + "status: {loadBalancer: {ingress: [{ip: 172.18.9.1}]}}}";
        var place = GatewayPlace.Find(scenario.Facts(), new(IPAddress.Parse("172.18.9.1"), 15443));
        Assert.Equal(("n9", null), (place?.Network, place?.Service?.Name));
    }

    [Theory]
    [InlineData("0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.", "Deployment shop/web in c1",
        "spec.template.spec.containers[0].ports[1].hostPort", "as Pod shop/web-1 has on node-a")]
    [InlineData("0/1 nodes are available: 1 Insufficient cpu.", "Pod shop/web-2 in c1", "status.conditions[PodScheduled]", "Insufficient cpu")]
    public void A_port_of_the_Node_that_another_Pod_has_is_told(string said, string owner, string path, string says)
    {
        const string Spec = "containers: [{name: web, ports: [{containerPort: 8080}, {containerPort: 9090, hostPort: 9090}]}]",
            Two = "containers: [{name: web, ports: [{containerPort: 8080, hostPort: 7070}, {containerPort: 9090, hostPort: 9090}]}]",
            Meta = "namespace: shop, labels: {pod-template-hash: abc}, ownerReferences: [{kind: ReplicaSet, name: web-abc, controller: true}]";
        var cluster = ClusterObjects.From("c1", Isthmus.Kubernetes.Yaml.YamlText.ParseAll($$"""
            {apiVersion: v1, kind: Pod, metadata: {name: web-1, {{Meta}} }, spec: {nodeName: node-a, {{Spec}} }, status: {phase: Running} }
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: web-2, {{Meta}} }, spec: { {{Two}} }, status: {phase: Pending, conditions: [{type: PodScheduled,
              status: "False", message: "{{said}}"}]} }
            """, "c1").OfType<System.Text.Json.Nodes.JsonObject>());
        var problem = UnreadyPods.Of(cluster, cluster.Pods.Single(pod => pod.Metadata.Name == "web-2"));
        Assert.Equal(("ISM2047", owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ordrs", false, "ServiceExport shop/ordrs in c1")]
    [InlineData("ordrs", true, "Service shop/orders in c1")]
    [InlineData("stock", false, "Service shop/orders in c1")]
    public void A_ServiceExport_with_a_mistyped_name_is_the_cause(string name, bool isElsewhere, string owner)
    {
        var scenario = new TraceScenario();
        if (isElsewhere) scenario.Two += "\n---\n{apiVersion: v1, kind: Service, metadata: {name: ordrs, namespace: shop}, spec: {ports: [{port: 80}]}}";
        scenario.One += $"\n---\n{{apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ServiceExport, metadata: {{name: {name}, namespace: shop}}}}";
        var facts = scenario.Facts();
        var problem = new TraceCauses(facts, new(facts)).Endpoints.NoEndpoints(null, 80, "", "outbound|80||orders.shop.svc.clusterset.local");
        Assert.Equal(("ISM2108", owner), (problem.Code, problem.Object));
    }

    /// <summary>What a load balancer gave, nobody corrects in the Service.</summary>
    [Theory]
    [InlineData("spec: {externalIPs: [172.18.2.1], ", "status: {}", true)]
    [InlineData("spec: {", "status: {loadBalancer: {ingress: [{ip: 172.18.2.1}]}}", false)]
    public void An_ejected_address_of_a_gateway_is_told_with_the_field_that_somebody_wrote(string spec, string status, bool isWritten)
    {
        var scenario = new TraceScenario();
        scenario.Two = scenario.Two.Replace("spec: {selector: {istio: eastwest}, ports: [{name: tls, port: 15443, targetPort: 15443}]}, status: {loadBalancer: "
            + "{ingress: [{ip: 172.18.2.1}]}}", $"{spec}selector: {{istio: eastwest}}, ports: [{{name: tls, port: 15443, targetPort: 15443}}]}}, {status}",
            StringComparison.Ordinal);
        scenario.Client = scenario.Client.Replace("\"clusters\": {\"cluster_statuses\": []}", "\"clusters\": {\"cluster_statuses\": [{\"name\": \"outbound|80||"
            + $"{TraceScenario.Fqdn}\", \"host_statuses\": [{{\"address\": {{\"socket_address\": {{\"address\": \"172.18.2.1\", \"port_value\": 15443}}}}, "
            + "\"health_status\": {\"failed_outlier_check\": true, \"eds_health_status\": \"HEALTHY\"}}]}]}", StringComparison.Ordinal);
        var problem = scenario.Walk().Hops.Single(hop => hop.Problem?.Code == "ISM2041").Problem!;
        Assert.Equal(isWritten, problem.Message.Contains("172.18.2.1:15443 (of spec.externalIPs of Service istio-system/east in c2)",
            StringComparison.Ordinal));
        Assert.Equal(isWritten, problem.Remedy.EndsWith("; correct spec.externalIPs of Service istio-system/east in c2, or remove the address there",
            StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("UC", "connection_termination", "AuthorizationPolicy istio-system/ew in c2")]
    [InlineData("-", "via_upstream", null)]
    public void A_policy_of_the_gateway_explains_that_it_is_ejected(string flag, string reason, string? owner)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.Two += "\n---\n{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: ew, namespace: istio-system}, "
            + "spec: {selector: {matchLabels: {istio: eastwest}}, rules: [{from: [{source: {namespaces: [shop]}}]}]}}";
        scenario.Client = scenario.Client.Replace("\"clusters\": {\"cluster_statuses\": []}", "\"clusters\": {\"cluster_statuses\": [{\"name\": \"outbound|80||"
            + $"{TraceScenario.Fqdn}\", \"host_statuses\": [{{\"address\": {{\"socket_address\": {{\"address\": \"172.18.2.1\", \"port_value\": 15443}}}}, "
            + "\"health_status\": {\"failed_outlier_check\": true, \"eds_health_status\": \"HEALTHY\"}}]}]}", StringComparison.Ordinal)
            .Replace("\"pod\": {\"listening\"", $"\"pod\": {{\"ejections\": [{{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\", \"address\": "
                + $"\"172.18.2.1:15443\", \"status\": {(flag == "-" ? 503 : 0)}, \"flag\": \"{flag}\", \"reason\": \"{reason}\"}}], \"listening\"",
                StringComparison.Ordinal);
        var hops = scenario.Walk().Hops;
        Assert.Equal(owner, hops.SingleOrDefault(hop => hop is { Name: "gateway policy" })?.Problem?.Object);
        Assert.Equal(owner is null, hops.Any(hop => hop is { Name: "endpoints", Problem.Code: "ISM2041" }));
    }

    [Theory]
    [InlineData("portLevelSettings: [{port: {number: 443}, connectionPool: {tcp: {maxConnections: 9}}}]", "ISM2122", "spec.trafficPolicy.portLevelSettings[0]")]
    [InlineData("portLevelSettings: [{port: {number: 444}, connectionPool: {tcp: {maxConnections: 9}}}]", null, null)]
    [InlineData("portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE}}]", null, null)]
    public void Settings_of_a_port_that_drop_the_TLS_of_the_rule_are_told(string settings, string? code, string? path)
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 503, 3, "203.0.113.9:443", "UC", "connection_termination", []) };
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: bill, namespace: shop}, spec: {hosts: "
            + "[bill.example.com], location: MESH_EXTERNAL, resolution: STATIC, ports: [{number: 443, name: http, protocol: HTTP}], endpoints: "
            + "[{address: 203.0.113.9}]}}\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: bill, namespace: shop}, spec: "
            + $"{{host: bill.example.com, trafficPolicy: {{tls: {{mode: SIMPLE}}, {settings}}}}}}}";
        var facts = scenario.Facts("bill.example.com:443");
        var call = new TracedCall(facts, null, facts.Host("bill.example.com"), 443, CallKinds.Http, new(IPAddress.None, 443));
        var found = new Isthmus.Explain.Tracing.Judgement.CallBlame(call, new CallTrace("", "", "", [], [], scenario.Call), scenario.Call!).Find();
        if (code is null) Assert.NotEqual("ISM2122", found.Code);
        else Assert.Equal((code, "DestinationRule shop/bill in c1", path), (found.Code, found.Object, found.Path));
    }

    /// <summary>A server may be slow at a port that is plain on purpose.</summary>
    [Fact]
    public void A_slow_answer_is_no_TLS_that_was_dropped()
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 0, 5000, "203.0.113.9:80", "-", "", []) { IsOutOfTime = true, IsConnected = true } };
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: bill, namespace: shop}, spec: {hosts: "
            + "[bill.example.com], location: MESH_EXTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: "
            + "[{address: 203.0.113.9}]}}\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: bill, namespace: shop}, spec: "
            + "{host: bill.example.com, trafficPolicy: {tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: "
            + "{maxConnections: 9}}}]}}}";
        var facts = scenario.Facts("bill.example.com:80");
        var call = new TracedCall(facts, null, facts.Host("bill.example.com"), 80, CallKinds.Http, new(IPAddress.None, 80));
        Assert.NotEqual("ISM2122", new Isthmus.Explain.Tracing.Judgement.CallBlame(call, new CallTrace("", "", "", [], [], scenario.Call), scenario.Call!)
            .Find().Code);
    }

    [Theory]
    [InlineData("kubernetes://door", false, "ServiceAccount edge/front in c1")]
    [InlineData("kubernetes://door", true, "Gateway edge/door in c1")]
    [InlineData("kubernetes-gateway://edge/door", false, "Gateway edge/door in c1")]
    public void A_gateway_whose_account_may_not_list_Secrets_has_no_certificate(string secret, bool mayList, string owner)
    {
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: front, namespace: edge, labels: {app: front}}, spec: {serviceAccountName: front, "
            + "containers: [{name: istio-proxy, args: [proxy, router]}]}, status: {phase: Running, podIP: 10.1.0.30}}\n---\n"
            + "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: door, namespace: edge}, spec: {selector: {app: front}, servers: [{port: "
            + "{number: 443, name: https, protocol: HTTPS}, hosts: [shop.example.com], tls: {mode: SIMPLE, credentialName: door}}]}}";
        var facts = scenario.Facts("https://shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        facts.Holders[new("c1", "Secret", "edge", "door")] = new("", ["tls.crt", "tls.key"]);
        facts.Holders[new("c1", "ServiceAccount", "edge", "front")] = TracedHolder.Of(mayList);
        var call = new TracedCall(facts, null, null, 443, CallKinds.Tls, new(IPAddress.Any, 443));
        var problem = new EntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).Unacceptable(call, secret, null)!;
        Assert.Equal(("ISM2060", owner), (problem.Code, problem.Object));
        if (owner.StartsWith("ServiceAccount", StringComparison.Ordinal))
            Assert.Equal("kubectl --context=c1 -n edge create role front-secrets --verb=get,list,watch --resource=secrets && kubectl --context=c1 -n edge create "
                + "rolebinding front-secrets --role=front-secrets --serviceaccount=edge:front", problem.Remedy);
    }
}
