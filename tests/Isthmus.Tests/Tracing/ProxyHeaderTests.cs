using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Headers of the PROXY protocol that one end writes, or waits for, and the other end does not know (tests/operator-faults.tsv).</summary>
public sealed class ProxyHeaderTests
{
    private const string Code = "ISM2153", Filter = """
        {"name": "envoy.filters.listener.proxy_protocol", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"}}
        """;

    [Theory]
    [InlineData("trafficPolicy: {proxyProtocol: {version: V1}}", "spec.trafficPolicy.proxyProtocol")]
    [InlineData("subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {proxyProtocol: {version: V1}}}]", "spec.subsets[0].trafficPolicy.proxyProtocol")]
    public void A_header_that_the_sidecar_does_not_read_is_told_with_the_DestinationRule(string policy, string field)
    {
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: orders, namespace: shop}, spec: {host: orders, "
            + $"{policy}}}}}";
        var page = JsonNode.Parse(scenario.ClientOfOne)!;
        var cluster = page["config_dump"]!["configs"]![0]!["dynamic_active_clusters"]![1]!["cluster"]!;
        cluster["metadata"] = JsonNode.Parse("""{"filter_metadata": {"istio": {"config": "/apis/x/v1/namespaces/shop/destination-rule/orders"}}}""");
        foreach (var match in cluster["transport_socket_matches"]!.AsArray())
        {
            match!["transport_socket"] = new JsonObject
            {
                ["name"] = "envoy.transport_sockets.upstream_proxy_protocol",
                ["typed_config"] = new JsonObject
                {
                    ["@type"] = "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
                    ["config"] = new JsonObject { ["version"] = "V1" }, ["transport_socket"] = match["transport_socket"]!.DeepClone(),
                },
            };
        }
        scenario.Client = page.ToJsonString();
        var hop = scenario.Walk().Failure!;
        Assert.Equal(("connection", Code, "DestinationRule shop/orders in c1", field), (hop.Name, hop.Problem!.Code, hop.Problem.Object, hop.Problem.Path));
        Assert.Contains("which the proxy of Pod shop/orders-a in c1 does not read", hop.Problem.Message, StringComparison.Ordinal);
        // One that does is as it should be.
        scenario.Callee = scenario.Callee.Replace("\"listener_filters\": [", $"\"listener_filters\": [{Filter}, ", StringComparison.Ordinal);
        Assert.DoesNotContain(scenario.Walk().Hops, one => one.Problem?.Code == Code);
    }

    [Theory]
    [InlineData("annotations: {proxy.istio.io/config: '{\"gatewayTopology\": {\"proxyProtocol\": {}}}'}, ", "Pod istio-system/gw in c2",
        "metadata.annotations[proxy.istio.io/config].gatewayTopology.proxyProtocol")]
    [InlineData("", "ConfigMap istio-system/istio in c2", "data.mesh.defaultConfig.gatewayTopology.proxyProtocol")]
    public void A_gateway_between_networks_that_waits_for_a_header_is_told(string annotations, string owner, string field)
    {
        var scenario = Waiting(annotations);
        var hop = scenario.Walk().Hops.First(one => one.Problem?.Code == Code);
        Assert.Equal(("connection", HopStatus.Failed, owner, field), (hop.Name, hop.Status, hop.Problem!.Object, hop.Problem.Path));
        Assert.Contains("and proxies of the mesh write none", hop.Problem.Message, StringComparison.Ordinal);
    }

    /// <summary>A caller without a proxy may write the header itself.</summary>
    [Fact]
    public void A_header_that_only_an_application_could_write_is_no_failure()
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace(", {name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c1}]}]", "]", StringComparison.Ordinal) + """

            ---
            {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: orders-1, namespace: shop, labels: {kubernetes.io/service-name: orders}},
             ports: [{name: http, port: 8080}], endpoints: [{addresses: [10.1.0.5], targetRef: {kind: Pod, name: orders-a}}]}
            """;
        scenario.Callee = scenario.Callee.Replace("\"listener_filters\": [", $"\"listener_filters\": [{Filter}, ", StringComparison.Ordinal);
        var hop = Assert.Single(scenario.Walk("orders.shop").Hops, one => one.Name == "connection");
        Assert.Equal((HopStatus.Warning, Code), (hop.Status, hop.Problem?.Code));
    }

    /// <summary>Whether clients outside write the header, only a load balancer knows, unless the Service asks one for it.</summary>
    [Theory]
    [InlineData("", true)]
    [InlineData("annotations: {service.beta.kubernetes.io/aws-load-balancer-proxy-protocol: '*'}, ", false)]
    [InlineData("annotations: {load-balancer.hetzner.cloud/uses-proxyprotocol: 'true'}, ", false)]
    [InlineData("annotations: {load-balancer.hetzner.cloud/uses-proxyprotocol: 'false'}, ", true)]
    public void A_gateway_whose_clients_outside_may_write_no_header_is_told(string annotations, bool isTold)
    {
        var scenario = Waiting("");
        scenario.Two += $"\n---\n{{apiVersion: v1, kind: Service, metadata: {{{annotations}name: front, namespace: istio-system}}, spec: {{type: NodePort, "
            + "selector: {istio: eastwest}, ports: [{name: https, port: 443, targetPort: 15443}]}}";
        var facts = scenario.Facts("https://10.96.0.5");
        var walk = new AddressWalk(new(facts.Clusters, new("c2", "istio-system", "gw"), facts.Target, facts.Now)
        {
            Entry = new(facts.Clusters[1], facts.Clusters[1].Service("istio-system", "front")!),
        }, new Random(1));
        scenario.Complete(walk.Again());
        var hop = walk.Trace.Hops.FirstOrDefault(one => one.Name == "connection");
        Assert.Equal(isTold ? (HopStatus.Warning, Code) : default, hop is null ? default : (hop.Status, hop.Problem!.Code));
        if (isTold)
            Assert.Contains("nothing in Service istio-system/front in c2 asks a load balancer to write one", hop!.Problem!.Message, StringComparison.Ordinal);
    }

    private static TraceScenario Waiting(string annotations)
    {
        var scenario = new TraceScenario();
        scenario.Gateway = scenario.Gateway.Replace("\"listener_filters\": [", $"\"listener_filters\": [{Filter}, ", StringComparison.Ordinal);
        scenario.Two = scenario.Two.Replace("{name: gw, ", $"{{name: gw, {annotations}", StringComparison.Ordinal);
        if (annotations.Length == 0)
            scenario.Two += "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: \"defaultConfig: "
                + "{gatewayTopology: {proxyProtocol: {}}}\"}}";
        return scenario;
    }
}
