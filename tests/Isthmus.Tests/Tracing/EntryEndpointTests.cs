using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Endpoints of ServiceEntries: where they are, what they speak, and what a selector takes.</summary>
public sealed class EntryEndpointTests
{
    private const string Ended = "connection_termination";

    /// <summary>A server of TLS accepts the connection and ends it: packets do arrive, and no other network is in between.</summary>
    [Theory]
    [InlineData("10.1.0.5", "endpoints: [{address: 10.1.0.5}]", "cluster c1, network1")]
    [InlineData("203.0.113.9", "endpoints: [{address: 203.0.113.9}]", "203.0.113.9:8443, an endpoint of ServiceEntry shop/ext")]
    [InlineData("203.0.113.9", "endpoints: [{address: pay.example.net}]", "203.0.113.9:8443")]
    public void Plain_text_that_a_server_ends_is_told_with_the_port_that_declares_it(string address, string endpoints, string where)
    {
        var trace = External(address, endpoints, "raw").Walk("http://ext.example");
        var problem = trace.Failure!.Problem!;
        Assert.Equal(("ISM2074", "ServiceEntry shop/ext in c1", "spec.ports[http].protocol"), (problem.Code, problem.Object, problem.Path));
        Assert.Contains($"{address}:8443", problem.Message, StringComparison.Ordinal);
        Assert.Contains("accepts the connection and ends it without an answer, as a server of TLS does", problem.Message, StringComparison.Ordinal);
        Assert.Contains("DestinationRule for ext.example (trafficPolicy.tls.mode: SIMPLE)", problem.Remedy, StringComparison.Ordinal);
        Assert.Contains(where.Replace("cluster c1, network1", "c1", StringComparison.Ordinal), Assert.Single(trace.Ways).Title, StringComparison.Ordinal);
        Assert.DoesNotContain("another network", trace.Ways[0].Title, StringComparison.Ordinal);
    }

    /// <summary>A proxy that begins TLS sends no plain text, and a server that refuses connections is not reached.</summary>
    [Theory]
    [InlineData("UC", Ended, true, "ISM2076", "see the log of what listens there")]
    [InlineData("UF", "connection_timeout", false, "ISM2076", "firewalls")]
    public void Other_ends_of_connections_are_not_those_of_plain_text(string flags, string detail, bool isTls, string code, string remedy)
    {
        var scenario = External("203.0.113.9", "endpoints: [{address: 203.0.113.9}]", isTls ? "tls" : "raw", flags, detail);
        var problem = scenario.Walk("http://ext.example").Failure!.Problem!;
        Assert.Equal(code, problem.Code);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Requests to port 80 are meant to leave as TLS by port 443.</summary>
    [Theory]
    [InlineData(", targetPort: 8443", "if the server speaks plain text at this port, remove trafficPolicy.tls")]
    [InlineData("", "if the server speaks TLS at another port, as HTTPS does at 443, set spec.ports[0].targetPort of ServiceEntry shop/ext to that one")]
    public void TLS_that_goes_to_the_port_of_plain_text_is_told_with_the_port_of_TLS(string target, string remedy)
    {
        var scenario = External("203.0.113.9", "endpoints: [{address: 203.0.113.9}]", "tls", "UF,URX", "TLS_error:|wrong_version_number:TLS_error_end");
        scenario.One = scenario.One.Replace(", targetPort: 8443", target, StringComparison.Ordinal);
        scenario.Client = scenario.Client.Replace("\"type\": \"EDS\"", "\"type\": \"EDS\", \"metadata\": {\"filter_metadata\": {\"istio\": {\"config\": "
            + "\"/apis/networking.istio.io/v1/namespaces/shop/destination-rule/ext\"}}}", StringComparison.Ordinal);
        var problem = scenario.Walk("http://ext.example").Failure!.Problem!;
        Assert.Equal(("ISM2089", "DestinationRule shop/ext in c1", "spec.trafficPolicy.tls"), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A gateway has the hosts of its own control plane, and passes on what its Gateway lists.</summary>
    [Theory]
    [InlineData("*.local", false, "ISM2055", "Gateway istio-system/cross in c2",
        "add legacy.internal to them, and apply ServiceEntry shop/legacy of c1 in c2 as well: its gateway needs both")]
    [InlineData("*.local", true, "ISM2055", "Gateway istio-system/cross in c2", "add legacy.internal to them")]
    [InlineData("legacy.internal", false, "ISM2043", "ServiceEntry shop/legacy of c1", "apply it in c2 as well")]
    [InlineData("legacy.internal", true, "ISM2054", "Pod istio-system/gw in c2", "isthmus proxy-status --context=c2")]
    public void An_entry_that_the_cluster_of_the_gateway_lacks_is_named(string listed, bool isThere, string code, string owner, string remedy)
    {
        const string host = "legacy.internal";
        var scenario = new TraceScenario();
        var entry = "\n---\n{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: legacy, namespace: shop}, spec: "
            + $"{{hosts: [{host}], location: MESH_INTERNAL, resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], "
            + "workloadSelector: {labels: {app: orders}}}}";
        scenario.Client = scenario.Client.Replace(TraceScenario.Fqdn, host, StringComparison.Ordinal)
            .Replace("\"host\": \"orders\"", $"\"host\": \"{host}\"", StringComparison.Ordinal);
        scenario.One += entry;
        scenario.Two = scenario.Two.Replace("*.local", listed, StringComparison.Ordinal) + (isThere ? entry : "");
        var problem = Assert.Single(scenario.Walk(host).Hops, hop => hop.Name == "gateway chain").Problem!;
        Assert.Equal((code, owner, remedy), (problem.Code, problem.Object, problem.Remedy));
    }

    [Fact]
    public void An_endpoint_that_its_entry_puts_into_another_network_is_behind_a_gateway()
    {
        var trace = External("203.0.113.9", "endpoints: [{address: far.example.net, network: n9}]", "raw").Walk("http://ext.example");
        Assert.Contains("another network through gateway 203.0.113.9:8443", Assert.Single(trace.Ways).Title, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("WorkloadEntry", "store", "", "WorkloadEntry store/legacy has these labels, but is in namespace store",
        "move WorkloadEntry store/legacy to namespace shop")]
    [InlineData("WorkloadEntry", "store", "app: other", "", "start the workload, or fix the selector")]
    [InlineData("WorkloadEntry", "taken", "", "", "start the workload, or fix the selector")]
    [InlineData("Pod", "store", "", "Pod store/legacy has these labels, but is in namespace store", "if it is meant, move the ServiceEntry to namespace store")]
    public void What_a_selector_takes_but_for_its_namespace_is_named(string kind, string ns, string labels, string says, string remedy)
    {
        var scenario = new TraceScenario();
        if (labels.Length == 0) labels = "app: legacy";
        scenario.One += $$"""

            ---
            {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: legacy, namespace: shop},
             spec: {hosts: [legacy.example], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}],
              workloadSelector: {labels: {app: legacy} } } }
            ---
            {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: own, namespace: taken},
             spec: {hosts: [own.example], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}],
              workloadSelector: {labels: {app: legacy} } } }
            ---
            """ + (kind == "Pod"
                ? $"\n{{apiVersion: v1, kind: Pod, metadata: {{name: legacy, namespace: {ns}, labels: {{{labels}}}}}, "
                    + "spec: {containers: [{name: web}]}}"
                : $"\n{{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {{name: legacy, namespace: {ns}}}, "
                    + $"spec: {{address: 10.9.9.9, labels: {{{labels}}}}}}}");
        var facts = scenario.Facts("legacy.example");
        var problem = new TraceCauses(facts, new(facts)).Endpoints.NoEndpoints(facts.Host("legacy.example"), 80, "", "outbound|80||legacy.example");
        Assert.Equal(("ISM2042", "ServiceEntry shop/legacy in c1", "spec.workloadSelector.labels"), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.Equal(says.Length > 0, problem.Message.Contains("a ServiceEntry selects in its own namespace only", StringComparison.Ordinal));
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Nothing of Isthmus writes the condition, so the remedy says how to do without it.</summary>
    [Theory]
    [InlineData("ServiceEntry", "", "192.0.2.1 gets no calls, nor does the other one that is selected")]
    [InlineData("Service", "", "192.0.2.1 gets no calls, nor does the other one that is selected")]
    [InlineData("ServiceEntry", "[{type: Healthy, status: 'True'}]", null)]
    public void Machines_whose_health_checks_do_not_pass_are_named(string kind, string second, string? says)
    {
        const string machine = "apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: NAME, namespace: shop, "
            + "annotations: {proxy.istio.io/health-checks-enabled: 'true'}}, spec: {address: ADDRESS, labels: {app: machine}}, "
            + "status: {conditions: CONDITIONS}";
        static string Machine(string name, string address, string conditions) => $"\n---\n{{{machine.Replace("NAME", name, StringComparison.Ordinal)
            .Replace("ADDRESS", address, StringComparison.Ordinal).Replace("CONDITIONS", conditions, StringComparison.Ordinal)}}}";
        var scenario = new TraceScenario();
        scenario.One += Machine("a", "192.0.2.1", "[{type: Healthy, status: 'False'}]") + Machine("b", "192.0.2.2", second.Length == 0 ? "[]" : second)
            + (kind == "Service"
                ? "\n---\n{apiVersion: v1, kind: Service, metadata: {name: legacy, namespace: shop}, spec: {clusterIP: 10.96.9.9, selector: {app: machine}, "
                    + "ports: [{port: 80, name: http}]}}"
                : "\n---\n{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: legacy, namespace: shop}, spec: {hosts: [legacy.example], "
                    + "location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], "
                    + "workloadSelector: {labels: {app: machine}}}}");
        var name = kind == "Service" ? "legacy.shop" : "legacy.example";
        var facts = scenario.Facts(name);
        var problem = new TraceCauses(facts, new(facts)).Endpoints.NoEndpoints(facts.Host(name), 80, "", $"outbound|80||{name}");
        Assert.Equal(says is not null, problem.Code == "ISM2181");
        if (says is null) return;
        Assert.Equal(("WorkloadEntry shop/a in c1", "status.conditions[Healthy]"), (problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.EndsWith(
            "kubectl --context=c1 -n shop annotate workloadentry a proxy.istio.io/health-checks-enabled-", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>The caller's proxy knows a host of a ServiceEntry with one endpoint, of which no workload is known.</summary>
    private static TraceScenario External(string address, string endpoints, string socket, string flags = "UC,URX", string detail = Ended)
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", false, 503, 30, $"{address}:8443", flags, $"upstream_reset_before_response_started{{{detail}}}", []),
        };
        var client = scenario.ClientOfOne.Replace("orders;shop;orders;v1;c1", ";;;;c1", StringComparison.Ordinal)
            .Replace("\"address\": \"10.1.0.5\", \"port_value\": 8080", $"\"address\": \"{address}\", \"port_value\": 8443", StringComparison.Ordinal)
            .Replace(TraceScenario.Fqdn, "ext.example", StringComparison.Ordinal)
            .Replace("\"host\": \"orders\"", "\"host\": \"ext.example\"", StringComparison.Ordinal)
            .Replace("\"tlsMode\": \"istio\"}}}}", "\"tlsMode\": \"disabled\"}}}}", StringComparison.Ordinal);
        scenario.Client = socket != "tls" ? client
            : client.Replace("\"match\": {}, \"transport_socket\": {\"name\": \"envoy.transport_sockets.raw_buffer\"}", "\"match\": {}, \"transport_socket\": "
                + "{\"name\": \"envoy.transport_sockets.tls\", \"typed_config\": {\"@type\": "
                + "\"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\", \"sni\": \"ext.example\", \"common_tls_context\": {}}}",
                StringComparison.Ordinal);
        // The Pod at the address has no sidecar.
        scenario.One = scenario.One.Replace("{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy}", "{name: web}", StringComparison.Ordinal) + $$"""

            ---
            {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: ext, namespace: shop},
             spec: {hosts: [ext.example], location: MESH_EXTERNAL, resolution: {{(endpoints.Contains("net", StringComparison.Ordinal) ? "DNS" : "STATIC")}},
              ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8443}], {{endpoints}} } }
            """;
        return scenario;
    }
}
