using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Network;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Controllers;

public class EndpointPlanTests
{
    private const string Service = """
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: shop, uid: s1, labels: {team: blue}}
        spec:
          selector: {app: web}
          clusterIPs: [10.96.1.1]
          ports:
          - {name: http, port: 80, targetPort: web, appProtocol: http}
          - {name: raw, port: 81, targetPort: 8081}
        ---

        """;

    private const string Node = """
        apiVersion: v1
        kind: Node
        metadata: {name: n1, labels: {topology.kubernetes.io/zone: z1}}
        ---

        """;

    [Fact]
    public void Pods_with_different_port_numbers_go_into_different_slices() =>
        Golden.Verify(PlanText.Print(For(Service + Node + Pod("a", 1, true, 8080) + Pod("b", 2, false, 8090))), "two_ports");

    [Fact]
    public void A_pod_on_its_way_out_serves_but_is_not_ready()
    {
        var leaving = Pod("a", 1, true, 8080).Replace("uid: a", "uid: a, deletionTimestamp: 2030-01-01T12:00:00Z");
        var text = PlanText.Print(For(Service + Node + leaving));
        Assert.Contains("ready: false\n    serving: true\n    terminating: true", text, StringComparison.Ordinal);
        Assert.Contains("subsets: null", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_headless_service_tells_host_names()
    {
        var headless = Service.Replace("clusterIPs: [10.96.1.1]", "clusterIP: None\n  clusterIPs: [None]");
        var pod = Pod("a", 1, true, 8080).Replace("nodeName: n1", "nodeName: n1\n  hostname: first\n  subdomain: web");
        var text = PlanText.Print(For(headless + Node + pod));
        Assert.Contains("hostname: first", text, StringComparison.Ordinal);
        Assert.Contains("service.kubernetes.io/headless: ''", text.Replace("\"\"", "''", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public void What_holds_already_is_not_written_again()
    {
        var first = For(Service + Node + Pod("a", 1, true, 8080));
        var slice = System.Text.Json.JsonSerializer.Deserialize(first.Writes.Single(write => write.Kind == Kinds.EndpointSlice).Body!,
            KubeJson.Of<EndpointSlice>())!;
        var endpoints = System.Text.Json.JsonSerializer.Deserialize(first.Writes.Single(write => write.Kind == Kinds.Endpoints).Body!,
            KubeJson.Of<Endpoints>())!;
        Assert.Empty(For(Service + Node + Pod("a", 1, true, 8080), [slice], endpoints).Writes);
    }

    [Fact]
    public void Without_selector_nothing_is_touched() =>
        Assert.Empty(For(Service.Replace("selector: {app: web}", "externalTrafficPolicy: Cluster") + Pod("a", 1, true, 8080)).Writes);

    [Fact]
    public void More_pods_than_fit_go_into_several_slices()
    {
        var plan = For(Service + Node + string.Concat(Enumerable.Range(1, 230).Select(i => Pod($"p{i:000}", i, true, 8080))));
        var sizes = plan.Writes.Where(write => write.Kind == Kinds.EndpointSlice).Select(write => write.Body!["endpoints"]!.AsArray().Count);
        Assert.Equal([100, 100, 30], sizes);
        Assert.Equal(3, plan.Writes.Where(write => write.Kind == Kinds.EndpointSlice).Select(write => write.Name).Distinct().Count());
    }

    [Fact]
    public void Hand_written_endpoints_are_mirrored()
    {
        var endpoints = PlanText.Read<Endpoints>("""
            kind: Endpoints
            metadata: {name: db, namespace: shop, uid: e1}
            subsets:
            - addresses: [{ip: 192.0.2.1}]
              notReadyAddresses: [{ip: 192.0.2.2}]
              ports: [{name: sql, port: 5432}]
            """, "Endpoints").Single();
        Golden.Verify(PlanText.Print(MirrorPlan.For(endpoints, new Service(), [])), "mirror");
    }

    private static Plan For(string yaml, IEnumerable<EndpointSlice>? slices = null, Endpoints? endpoints = null)
    {
        var nodes = PlanText.Read<Node>(yaml, "Node").ToDictionary(node => node.Metadata.Name);
        return EndpointPlan.For(PlanText.Read<Service>(yaml, "Service").Single(), PlanText.Pods(yaml), nodes.GetValueOrDefault, slices ?? [], endpoints);
    }

    private static string Pod(string name, int address, bool ready, int port) => $$$"""
        apiVersion: v1
        kind: Pod
        metadata: {name: {{{name}}}, namespace: shop, uid: {{{name}}}, labels: {app: web}}
        spec:
          nodeName: n1
          containers: [{name: c, ports: [{name: web, containerPort: {{{port}}}}]}]
        status: {phase: Running, podIP: 10.244.0.{{{address}}}, podIPs: [{ip: 10.244.0.{{{address}}}}], conditions: [{type: Ready, status: "{{{(ready ? "True" : "False")}}}"}]}
        ---

        """;
}
