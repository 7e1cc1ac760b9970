using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Probing;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.WebConsole.Answers;
using Isthmus.WebConsole.Picture;
using Isthmus.WebConsole.Reading;
using Isthmus.WebConsole.Traffic;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>What the page draws, from what was read.</summary>
public sealed class PictureTests
{
    private static T Read<T>(string yaml) => ((JsonObject)YamlText.ParseAll(yaml, "test")[0]).Deserialize(KubeJson.Of<T>())!;

    private static Service Service(string name, string selector = "") =>
        Read<Service>($"{{metadata: {{name: {name}, namespace: shop}}, spec: {{selector: {{{selector}}}}}}}");

    private static Pod Pod(string name, string app, string ip, string container = "istio-proxy") => Read<Pod>(
        $"{{metadata: {{name: {name}-abc12-x, namespace: shop, labels: {{app: {app}, pod-template-hash: abc12}}, ownerReferences: [{{kind: ReplicaSet, name: "
            + $"{name}-abc12, controller: true}}]}}, spec: {{containers: [{{name: {container}}}]}}, status: {{phase: Running, podIP: {ip}}}}}");

    private static EndpointSlice Slice(string service, params bool[] ready) => Read<EndpointSlice>(
        $"{{metadata: {{name: {service}-1, namespace: shop, labels: {{kubernetes.io/service-name: {service}}}}}, endpoints: "
            + $"[{string.Join(", ", ready.Select((value, i) => $"{{addresses: [10.0.0.{i}], conditions: {{ready: {(value ? "true" : "false")}}}}}"))}]}}");

    private static ClusterState Cluster(int number, IReadOnlyList<Service> services, IReadOnlyList<EndpointSlice> slices, IReadOnlyList<Pod> pods) => new(
        new ClusterAccess { Server = new("https://127.0.0.1:1"), Name = $"context{number}" },
        new ClusterFacts($"context{number}", "", $"c{number}", true, new ValueMap<bool>([new("istiod-1", true), new("istiod-2", false)]), $"n{number}",
            Gateways: [new GatewayFacts("istio-system/gw", $"n{number}", [$"172.18.0.{number}"], 1, true)], Watched: [new($"c{3 - number}", "", "synced", "")]),
        services, slices, pods);

    private static readonly MeshState Mesh = new(default,
    [
        Cluster(1, [Service("buyer", "app: buyer"), Service("orders", "app: orders"), Service("stray", "app: none"), Service("half", "app: half")],
            [Slice("buyer", true), Slice("half", true, false)], [Pod("buyer-v1", "buyer", "10.1.0.1"), Pod("half", "half", "10.1.0.2", "app")]),
        Cluster(2, [Service("orders", "app: orders"), Service("sick", "app: sick")], [Slice("orders", true), Slice("sick", false)],
            [Pod("orders", "orders", "10.2.0.1"), Pod("twin", "twin", "10.1.0.2", "app")]),
    ]);

    private static readonly Topology Drawn = TopologyBuilder.Build(Mesh);

    private static CallRate Rate(string source, string cluster, string service, string to, bool bySource, double rate = 10, double errors = 0) =>
        new(new(new(source, source.Length > 0 ? "shop" : "", cluster), new(service, "shop", to), bySource, "http"), rate, errors, 1, 2,
            0) { IsMutualTls = bySource ? null : true, Identity = bySource ? "" : "spiffe://x" };

    [Fact]
    public void Clusters_have_their_network_control_planes_gateways_and_watches()
    {
        var cluster = Drawn.Clusters[0];
        Assert.Equal(("context1", "c1", "n1", 1), (cluster.Context, cluster.Name, cluster.Network, cluster.Proxies));
        Assert.Equal((1, 2, "c1"), (Assert.Single(cluster.ControlPlanes).Ready, cluster.ControlPlanes[0].All, cluster.ControlPlanes[0].Serves));
        Assert.Equal(("istio-system/gw", "172.18.0.1"), (Assert.Single(cluster.Gateways).Name, cluster.Gateways[0].Addresses[0]));
        Assert.Equal([new("context1", "context2", "synced", ""), new("context2", "context1", "synced", "")], Drawn.Watches);
    }

    [Theory]
    [InlineData("context1/shop/buyer", "ok")]
    [InlineData("context1/shop/half", "degraded")]
    [InlineData("context1/shop/orders", "empty")] // the other cluster has endpoints
    [InlineData("context1/shop/stray", "down")] // no cluster has any
    [InlineData("context2/shop/sick", "down")]
    public void The_health_of_a_service_is_that_of_its_endpoints(string id, string health) =>
        Assert.Equal(health, Drawn.Services.Single(service => service.Id == id).Health);

    [Fact]
    public void Only_Pods_with_a_proxy_count_as_part_of_the_mesh() =>
        Assert.Equal((1, 0),
            (Drawn.Services.Single(service => service.Name == "buyer").Sidecars, Drawn.Services.Single(service => service.Name == "half").Sidecars));

    [Theory]
    [InlineData("docker.io/istio/proxyv2:1.20.8", true)]
    [InlineData("registry.example.com:5000/proxyv2@sha256:00", true)]
    [InlineData("envoyproxy/envoy:v1.28", true)]
    [InlineData("isthmus.internal/isthmus:0.1.0", false)]
    [InlineData("registry.example.com/proxyv2/isthmus:1", false)]
    [InlineData("", false)]
    public void A_proxy_that_is_not_Isthmus_is_named_by_its_image(string image, bool isOther)
    {
        var pod = Read<Pod>(
            $"{{metadata: {{name: a, namespace: shop, labels: {{app: buyer}}}}, spec: {{containers: [{{name: app, image: proxyv2}}, {{name: istio-proxy, "
                + $"image: '{image}'}}]}}, status: {{phase: Running}}}}");
        Assert.Equal(isOther ? image : "", ClusterState.OtherProxy(pod));
        var drawn = TopologyBuilder.Build(new(default, [Cluster(1, [Service("buyer", "app: buyer")], [], [pod])]));
        Assert.Equal(isOther ? [image] : [], Assert.Single(drawn.Services).OtherProxies);
    }

    [Fact]
    public void The_first_picture_has_the_services_and_leaves_out_what_may_be_a_gateway()
    {
        var gateway = Read<Service>("{metadata: {name: gw2, namespace: istio-system}}");
        var part = Cluster(1, [Service("buyer", "app: buyer"), gateway], [Slice("buyer", true)],
            []) with { Facts = new ClusterFacts("context1", ""), IsPart = true };
        var drawn = TopologyBuilder.Build(new(default, [part]));
        Assert.True(drawn.IsPart);
        Assert.Equal("buyer", Assert.Single(drawn.Services).Name);
        Assert.False(Drawn.IsPart);
        Assert.Contains(TopologyBuilder.Build(new(default, [part with { IsPart = false }])).Services, service => service.Name == "gw2");
    }

    [Fact]
    public void A_service_has_the_problems_of_its_clusters_too()
    {
        static ProblemRow Row(string code, string cluster, string @object, string message, string by = "verify",
            Severity severity = Severity.Error) => ProblemRow.Of(by, cluster, new(code, @object, "", message, "", severity));
        ProblemRow[] rows =
        [
            Row("ISM1015", "context2", "cluster context2", "no Gateway exposes its services"),
            Row("ISM1021", "context1", "cluster context1", "does not watch context2"),
            Row("ISM1021", "context3", "cluster context3", "does not watch context4"),
            Row("ISM2047", "context2", "Pod shop/sick-1 in context2", "is not ready"), Row("ISM1015", "context2", "cluster context2", "stops shop/orders"),
            Row("ISM1031", "context2", "VirtualService shop/other", "refers to a Gateway that does not exist"),
            Row("IST0101", "context2", "Gateway shop/other", "selects nothing", "analyze"),
        ];
        Assert.Equal([rows[0], rows[1]], ServiceAnswer.Around(rows, ["context2", "c2"], "shop", "orders"));
    }

    [Theory]
    [InlineData("orders", "shop", "context1/shop/orders")]
    [InlineData("orders", "", "context1/shop/orders")] // Envoy has only the host of the request
    [InlineData("orders:8080", "", "context1/shop/orders")]
    [InlineData("orders.shop.svc.cluster.local:8080", "", "context1/shop/orders")]
    [InlineData("sick.shop", "", "context2/shop/sick")]
    [InlineData("api.example.com", "", "context1//api.example.com (outside)")]
    public void Calls_that_fail_in_the_proxy_of_the_caller_are_calls_of_the_service(string name, string ns, string to)
    {
        var rate = new CallRate(new(new("buyer-v1", "shop", "c1"), new(name, ns, ""), true, "http"), 7, 1, 1, 2, 0) { Flags = ["NC"] };
        var flow = Assert.Single(new FlowBuilder(Mesh, Drawn, (_, _) => null).Build([rate]).Flows);
        Assert.Equal(("context1/shop/buyer", to, 7, 1), (flow.From, flow.To, flow.Rate, flow.Errors));
        Assert.Equal(["NC"], flow.Flags);
    }

    [Fact]
    public void A_call_that_both_ends_count_is_one_arrow_with_what_each_end_knows()
    {
        var (flows,
            callers) = new FlowBuilder(Mesh, Drawn, (_, _) => ["172.18.0.1", "172.18.0.2"]).Build([Rate("buyer-v1", "c1", "orders", "c2", true, 10, 0.5),
                Rate("buyer-v1", "c1", "orders", "c2", false, 5)]);
        var flow = Assert.Single(flows);
        Assert.Equal(("context1/shop/buyer", "context2/shop/orders", 10, 0.5), (flow.From, flow.To, flow.Rate, flow.Errors));
        Assert.Equal(("mtls", "spiffe://x", "istio-system/gw in context2"), (flow.Security, flow.Identity, flow.Way));
        Assert.Empty(callers);
    }

    [Theory]
    [InlineData("172.18.0.2", "istio-system/gw in context2")]
    [InlineData("172.18.0.1", "unknown")] // the caller's own gateway does not lead there
    [InlineData("10.2.0.1", "direct")] // one of the Pods: networks have other labels, but the proxy sends calls there
    [InlineData("34.9.8.7", "a gateway at 34.9.8.7")] // the Service says only the name of its load balancer
    [InlineData("10.1.0.1", "unknown")] // a Pod of the caller's own cluster
    [InlineData("10.1.0.2", "unknown")] // the same, and one of the other cluster has the same address
    [InlineData(null, "unknown")] // the proxy was not asked yet
    public void The_way_of_a_call_is_where_the_proxy_of_its_caller_sends_it(string? endpoint, string way)
    {
        var builder = new FlowBuilder(Mesh, Drawn, (caller, service) =>
        {
            Assert.Equal((new Party("buyer-v1", "shop", "c1"), new Party("orders", "shop", "c2")), (caller, service));
            return endpoint is null ? null : [endpoint];
        });
        CallRate[] rates = [Rate("buyer-v1", "c1", "orders", "c2", true), Rate("buyer-v1", "c1", "orders", "c2", false)];
        Assert.Equal(way, Assert.Single(builder.Build(rates).Flows).Way);
        var (asked, place) = Assert.Single(builder.CallersAcross(rates));
        Assert.Equal((new Party("buyer-v1", "shop", "c1"), "context1/shop/buyer-v1-abc12-x"), (asked, place.Key));
        Assert.Empty(builder.CallersAcross([Rate("buyer-v1", "c1", "half", "c1", true)]));
    }

    [Fact]
    public void A_call_inside_a_network_is_direct_and_one_without_an_endpoint_leads_to_where_the_service_is()
    {
        var (flows,
            _) = new FlowBuilder(Mesh, Drawn, (_, _) => ["172.18.0.1", "172.18.0.2"]).Build([Rate("orders", "c2", "sick", "", true, 1, 1),
                Rate("buyer-v1", "c1", "half", "c1", true)]);
        Assert.Equal([("context1/shop/buyer", "context1/shop/half", "direct"), ("context2/shop/orders", "context2/shop/sick", "direct")],
            flows.Select(flow => (flow.From, flow.To, flow.Way)));
    }

    [Fact]
    public void Callers_without_a_Service_have_nodes_of_their_own()
    {
        var (flows,
            callers) = new FlowBuilder(Mesh, Drawn, (_, _) => ["172.18.0.1", "172.18.0.2"]).Build([Rate("job", "c1", "orders", "c2", true),
                Rate("", "", "orders", "c2", false) with { IsMutualTls = null }, Rate("", "", "InboundPassthroughCluster", "c2", false)]);
        Assert.Equal(2, flows.Count);
        Assert.Equal([("context1", "job", "workload"), ("context2", "outside", "outside")], callers.Select(node => (node.Cluster, node.Name, node.Kind)));
    }

    [Fact]
    public void Calls_of_what_has_ended_leave_the_picture_once_they_are_idle()
    {
        static Pod Job(string name, string phase) => Read<Pod>($"{{metadata: {{name: {name}-x, namespace: shop, ownerReferences: [{{kind: Job, name: {name}, "
            + $"controller: true}}]}}, spec: {{containers: [{{name: istio-proxy}}]}}, status: {{phase: {phase}}}}}");
        var cluster = Mesh.Clusters[0];
        MeshState mesh = new(default, [cluster with { Pods = [.. cluster.Pods, Job("tick-28000001", "Succeeded"), Job("tock-28000001", "Running")] }]);
        CallRate[] rates =
        [
            Rate("tick", "c1", "orders", "c1", true, 0), Rate("tock", "c1", "orders", "c1", true, 0), Rate("gone", "c1", "orders", "c1", true, 2),
            Rate("buyer-v1", "c1", "deleted", "c1", true, 0), Rate("buyer-v1", "c1", "api.example.com", "c1", true, 0),
        ];
        Assert.Equal(["buyer → shop/api.example.com (outside)", "gone (workload) → shop/orders", "tock (workload) → shop/orders"], Drawn(mesh));
        // Who may not read all Pods does not know which have ended.
        Assert.Contains("tick (workload) → shop/orders", Drawn(new(default, [mesh.Clusters[0] with { Withheld = ["pods"] }])));

        IEnumerable<string> Drawn(MeshState state) => new FlowBuilder(state, TopologyBuilder.Build(state), (_, _) => null).Build(rates).Flows
            .Select(flow => $"{flow.From.Split('/')[^1]} → {flow.To["context1/".Length..]}");
    }

    [Fact]
    public void Calls_with_a_certificate_of_the_mesh_and_no_workload_are_those_of_proxies_themselves()
    {
        var (flows, callers) = new FlowBuilder(Mesh, Drawn, (_, _) => null).Build([
            Rate("", "", "orders", "c2", false) with { IsMutualTls = true }, Rate("", "", "orders", "c2", false) with { IsMutualTls = null }]);
        Assert.Equal([("context2//outside (outside)", "unknown"), ("context2//proxies (proxies)", "mtls")],
            flows.Select(flow => (flow.From, flow.Security)));
        Assert.Equal(["outside", "proxies"], callers.Select(node => node.Kind));
    }

    [Fact]
    public void Findings_of_both_commands_are_one_list_with_errors_first()
    {
        Problem warning = new("IST0170", "Service shop/orders", "spec.ports", "differs", "", Severity.Warning),
            error = new("ISM1003", "cluster context1", "", "is not ready", "inspect it with 'kubectl describe pod'");
        var rows = ProblemRow.Join([new("context1", "ports", "", warning), new("context1", "fine", "", null), new("context1", "control plane", "", error)],
            [new Finding("context1", warning)]);
        Assert.Equal([("error", "verify", "kubectl describe pod"), ("warning", "verify", "")], rows.Select(row => (row.Severity, row.FoundBy, row.Command)));
        Problem crash = new("ISM2047", "Pod shop/web in context1", "status", "is not ready", ""),
            same = new("ISM1418", "Pod shop/web", "status.containerStatuses", "cannot run", "");
        Assert.Equal(["ISM1418"], ProblemRow.Join([new("context1", "workloads", "", crash)], [new Finding("context1", same)]).Select(row => row.Problem.Code));
        Assert.Equal(["ISM2047", "ISM1418"],
            ProblemRow.Join([new("context1", "workloads", "", crash)], [new Finding("context2", same)]).Select(row => row.Problem.Code));
        // Codes of their own for one field are one entry, unless verify takes it more seriously.
        Problem lost = new("ISM1031", "VirtualService shop/web in context1", "spec.gateways[0]", "names no Gateway", "", Severity.Warning),
            gone = new("IST0101", "VirtualService shop/web", "spec.gateways[0]", "not found", "");
        Assert.Equal(["IST0101"], ProblemRow.Join([new("context1", "gateways", "", lost)], [new Finding("context1", gone)]).Select(row => row.Problem.Code));
        Assert.Equal(2, ProblemRow.Join([new("context1", "gateways", "", lost with { Severity = Severity.Error })],
            [new Finding("context1", gone with { Severity = Severity.Warning })]).Count);
        // What both say under one code is one entry.
        Problem idle = new("ISM1006", "Deployment shop/gateway in context1", "", "spec.replicas is 0", "");
        Assert.Equal([("ISM1006", "verify")], ProblemRow.Join([new("context1", "gateway", "", idle)],
            [new Finding("context1", idle with { Object = "Deployment shop/gateway" })]).Select(row => (row.Problem.Code, row.FoundBy)));
        var missing = new Finding("context2", error, new("context2", (JsonObject)YamlText.ParseAll("{kind: Gateway, metadata: {name: g}}", "test")[0]));
        Assert.Equal("kubectl --context=context2 apply -f - <<'EOF'\nkind: Gateway\nmetadata:\n  name: g\nEOF",
            Assert.Single(ProblemRow.Join([], [missing])).Missing);
    }

    [Fact]
    public void Problems_that_calls_meet_come_first_with_these_calls()
    {
        static ProblemRow Row(string @object, Severity severity) => ProblemRow.Of("analyze", "context1", new("ISM1", @object, "", "is wrong", "", severity));
        var rows = new[]
        {
            Row("Service shop/other", Severity.Error), Row("Pod shop/orders-1", Severity.Error), Row("Service shop/orders", Severity.Error),
            Row("Service shop/orders", Severity.Warning)
        };
        Flow[] flows =
        [
            new("context1/shop/buyer", "context2/shop/orders", "http", 10, 0.5, null, null, 0, "direct", "mtls"),
            new("context1/shop/buyer", "context1/shop/other", "http", 10, 0, null, null, 0, "direct", "mtls"),
        ];
        var ranked = FailingCalls.Rank(rows, Mesh, flows);
        Assert.Equal([("Service shop/orders", "error", 1), ("Service shop/other", "error", 0), ("Pod shop/orders-1", "error", 0),
            ("Service shop/orders", "warning", 1)],
            ranked.Select(row => (row.Problem.Object, row.Severity, row.Failing.Count)));
        Assert.Equal(new FailingCalls("context1/shop/buyer", "context2/shop/orders", 10, 0.5), ranked[0].Failing[0]);
    }

    [Fact]
    public void A_gateway_concerns_the_calls_that_enter_there_and_a_route_those_of_the_host_that_it_names()
    {
        var rows = new[]
        {
            ProblemRow.Of("verify", "context2", new("ISM1003", "Service istio-system/gw in context2", "", "has no ready endpoints", "")),
            ProblemRow.Of("analyze", "context1", new("IST0101", "VirtualService shop/route", "spec.http", "subset v9 of orders.shop does not exist", "")),
        };
        Flow[] flows =
        [
            new("context1/shop/buyer", "context2/shop/sick", "http", 4, 1, null, null, 0, "unknown", "mtls"),
            new("context2/shop/orders", "context2/shop/sick", "http", 4, 1, null, null, 0, "direct", "mtls"),
            new("context1/shop/buyer", "context1/shop/orders", "http", 1, 1, null, null, 0, "direct", "mtls"),
        ];
        Assert.Equal([("IST0101", "context1/shop/buyer → context1/shop/orders"), ("ISM1003", "context1/shop/buyer → context2/shop/sick")],
            FailingCalls.Rank(rows, Mesh, flows).Select(row => (row.Problem.Code, string.Join(", ", row.Failing.Select(call => $"{call.From} → {call.To}"))))
                .OrderByDescending(row => row.Code, StringComparer.Ordinal));
    }

    [Fact]
    public void A_Service_that_no_cluster_has_endpoints_of_is_an_error_while_something_calls_it()
    {
        Flow call = new("context1/shop/buyer", "context2/shop/sick", "http", 4, 1, null, null, 0, "direct", "mtls");
        var row = Assert.Single(DownServices.Add([], Mesh, Drawn, [call]));
        Assert.Equal(("error", "context2", "Service shop/sick"), (row.Severity, row.Cluster, row.Problem.Object));
        Assert.Equal("kubectl --context=context2 -n shop get deployments,pods", row.Command);
        // Nobody calls it, or all calls get through, or another error says what is wrong.
        Assert.Empty(DownServices.Add([], Mesh, Drawn, []));
        Assert.Empty(DownServices.Add([], Mesh, Drawn, [call with { To = "context2/shop/orders" }]));
        var known = ProblemRow.Of("verify", "context2",
            new("ISM2049", "Service shop/sick in context2", "spec.selector", "matches no Pod", "", Severity.Warning));
        var raised = Assert.Single(DownServices.Add([known], Mesh, Drawn, [call]));
        Assert.Equal(("error", Severity.Error, "ISM2049"), (raised.Severity, raised.Problem.Severity, raised.Problem.Code));
        var info = known with { Problem = known.Problem with { Code = "ISM1547", Severity = Severity.Info } };
        Assert.Equal(("ISM1547", Severity.Error), Assert.Single(DownServices.Add([info], Mesh, Drawn, [call])) is var told
            ? (told.Problem.Code, told.Problem.Severity) : default);
        // It fails for nobody, or the warning is about something else.
        Assert.Equal([known], DownServices.Add([known], Mesh, Drawn, []));
        var unrelated = known with { Problem = known.Problem with { Code = "IST0118" } };
        Assert.Equal([("IST0118", "warning"), ("ISM2040", "error")],
            DownServices.Add([unrelated], Mesh, Drawn, [call]).Select(found => (found.Problem.Code, found.Severity)));
        // A cluster that cannot be read may have endpoints of it.
        foreach (var cluster in (ClusterState[])[Mesh.Clusters[0] with { Facts = Mesh.Clusters[0].Facts with { Error = "no answer in time" } },
            Mesh.Clusters[0] with { Withheld = ["EndpointSlice: you may list none"] }])
        {
            Assert.Equal([known], DownServices.Add([known], Mesh with { Clusters = [cluster, .. Mesh.Clusters.Skip(1)] }, Drawn, [call]));
        }
        var other = known with { Problem = known.Problem with { Object = "Service shop/half in context1" } };
        Assert.Equal([other], DownServices.Add([other], Mesh, Drawn, []));
    }

    [Theory]
    [InlineData(61, true)]
    [InlineData(30, false)] // it may be starting
    public void A_Service_none_of_whose_Pods_is_ready_is_an_error_without_calls(int age, bool isError)
    {
        var now = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
        var pod = Pod("sick", "sick", "10.2.0.3");
        pod.Metadata.CreationTimestamp = now.AddSeconds(-age);
        var mesh = Mesh with { Time = now, Clusters = [Mesh.Clusters[0], Mesh.Clusters[1] with { Pods = [.. Mesh.Clusters[1].Pods, pod] }] };
        var rows = DownServices.Add([], mesh, TopologyBuilder.Build(mesh), []);
        Assert.Equal(isError ? ["Service shop/sick: no cluster has a ready endpoint, though there are Pods"] : [],
            rows.Select(row => $"{row.Problem.Object}: {row.Problem.Message}"));
        // What says why is that error.
        var why = ProblemRow.Of("verify", "context2", new("ISM2047", "Pod shop/sick-abc12-x in context2", "", "is not ready", "", Severity.Warning));
        Assert.Equal(isError ? Severity.Error : Severity.Warning,
            Assert.Single(DownServices.Add([why], mesh, TopologyBuilder.Build(mesh), [])).Problem.Severity);
    }

    [Fact]
    public void Only_what_calls_is_offered_as_a_caller()
    {
        static Pod Owned(string kind, string name, string args) => Read<Pod>($"{{metadata: {{name: {name}-x, namespace: shop, labels: {{app: web, "
            + $"pod-template-hash: abc12}}, ownerReferences: [{{kind: {kind}, name: {name}, controller: true}}]}}, spec: {{containers: [{{name: istio-proxy, "
            + $"args: [proxy, {args}]}}]}}, status: {{phase: Running}}}}");
        Assert.Equal(["deployment/web.shop", "db-x.shop"],
            new[] { Owned("ReplicaSet", "web-abc12", "sidecar"), Owned("StatefulSet", "db", "sidecar") }.Select(ClusterState.CallerOf));
        Assert.Equal("", CallerOf(Owned("ReplicaSet", "web-abc12", "router")));
        Assert.Equal("deployment/web.shop", CallerOf(Owned("ReplicaSet", "web-abc12", "sidecar")));

        static string CallerOf(Pod pod) =>
            Assert.Single(TopologyBuilder.Build(new(default, [Cluster(1, [Service("web", "app: web")], [], [pod])])).Services).Caller;
    }

    [Theory]
    [InlineData("Namespace", "", "isthmus-probe-1a2b", true)]
    [InlineData("Service", "isthmus-probe-1a2b", "echo", true)]
    [InlineData("Endpoints", "", "echo.isthmus-probe-1a2b.svc.cluster.local", true)]
    [InlineData("Endpoints", "", "echo.shop.svc.cluster.local", false)]
    [InlineData("Service", "shop", "isthmus-probe-1a2b", false)]
    public void The_history_leaves_out_what_a_probe_makes(string kind, string ns, string name, bool isLeftOut) =>
        Assert.Equal(isLeftOut, MeshProbe.HasMade(new("c1", kind, ns, name, "created")));

    [Fact]
    public void A_problem_says_since_when_it_is_there()
    {
        static ProblemRow Row(string by, string @object) => ProblemRow.Of(by, "context1", new("ISM1", @object, "", "is wrong", ""));
        var (ages, start) = (new ProblemAges(), new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
        Assert.Equal([(start, true)], Mark(start, ["verify"], Row("verify", "a")));
        // The first analysis comes later, and what it finds may be as old.
        Assert.Equal([(start, true), (start.AddSeconds(9), true)], Mark(start.AddSeconds(9), ["verify", "analyze"], Row("verify", "a"), Row("analyze", "b")));
        Assert.Equal([(start.AddSeconds(9), true), (start.AddSeconds(60), false)],
            Mark(start.AddSeconds(60), ["verify", "analyze"], Row("analyze", "b"), Row("verify", "c")));
        // It went away in between.
        Assert.Equal([(start.AddSeconds(90), false)], Mark(start.AddSeconds(90), ["verify", "analyze"], Row("verify", "a")));

        IEnumerable<(DateTimeOffset, bool)> Mark(DateTimeOffset now, string[] looked, params ProblemRow[] rows) =>
            ages.Mark(rows, looked, now).Select(row => (row.Since!.Value, row.IsOlder));
    }

    [Theory]
    [InlineData("isthmus install --context=c1", "isthmus install --context=c1")]
    [InlineData("isthmus create-remote-secret --name=c2 | kubectl apply -f -", "isthmus create-remote-secret --name=c2 | kubectl apply -f -")]
    [InlineData("run 'isthmus install'", "isthmus install")]
    [InlineData("kubectl --context=c1 label namespace shop istio-injection=enabled; then restart the workloads",
        "kubectl --context=c1 label namespace shop istio-injection=enabled")]
    [InlineData("compare it with the labels: kubectl --context=c1 get pods --show-labels", "kubectl --context=c1 get pods --show-labels")]
    [InlineData("kubectl --context=c1 label namespace shop istio-injection=enabled, then restart the workloads",
        "kubectl --context=c1 label namespace shop istio-injection=enabled")]
    [InlineData("kubectl --context=c1 label namespace shop istio-injection=enabled; or =disabled, if that is intended",
        "kubectl --context=c1 label namespace shop istio-injection=enabled")]
    [InlineData("isthmus verify --contexts a,b, without --probe, shows what the mesh itself lacks", "isthmus verify --contexts a,b")]
    [InlineData("isthmus authz check web.shop --context=c1 lists its policies; they decide", "isthmus authz check web.shop --context=c1")]
    [InlineData("kubectl patch x --type=merge -p '{\"spec\": {\"a\": 1, \"b\": 2}}'; then wait",
        "kubectl patch x --type=merge -p '{\"spec\": {\"a\": 1, \"b\": 2}}'")]
    [InlineData("kubectl --context=c1 apply -n NAMESPACE -f samples/x.yaml (y.yaml for one that is elsewhere)", "")]
    [InlineData("in place of ADDRESS: isthmus create-remote-secret --server=https://ADDRESS:6443 | kubectl apply -f - --context=c1", "")]
    [InlineData("isthmus ca rotate --dir DIRECTORY --wait, with the directory of that root", "")]
    [InlineData("see why with 'kubectl get KIND NAME -o yaml'", "")]
    [InlineData("start the cluster, or fix its entry in the kubeconfig", "")]
    [InlineData("give all clusters a 'cacerts' Secret of one root", "")]
    public void The_command_of_a_remedy_can_be_typed(string remedy, string command) => Assert.Equal(command, TypedCommand.In(remedy));
}
