using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Xunit;

namespace Isthmus.Tests.Tracing;

public sealed class TraceWalkTests
{
    private static string Deployment(int replicas) => $"spec: {{replicas: {replicas}, template: {{metadata: {{labels: {{app: orders";

    [Fact]
    public void A_call_in_order_goes_both_ways_to_the_application()
    {
        var trace = new TraceScenario().Walk();
        Assert.Empty(trace.Hops.Where(hop => hop.Status != HopStatus.Ok).Select(hop => $"{hop.Name}: {hop.Summary} {hop.Problem}"));
        Assert.Equal(["client", "name", "capture", "listener", "filter chain", "route", "cluster", "endpoints"],
            trace.Hops.Where(hop => hop.Way == 0).Select(hop => hop.Name));
        Assert.Equal(["TLS", "inbound", "application"], trace.Hops.Where(hop => hop.Way == 1).Select(hop => hop.Name));
        Assert.Equal(["gateway", "SNI", "gateway chain", "gateway endpoints", "TLS", "inbound", "application"],
            trace.Hops.Where(hop => hop.Way == 2).Select(hop => hop.Name));
        Assert.Equal([50, 50], trace.Ways.Select(way => way.Percent));
        Assert.Contains("✔ The call would get through", TraceText.Write(trace, details: true));
    }

    /// <summary>Istio's proxies have Envoy's admin interface only.</summary>
    [Fact]
    public void Proxies_that_are_not_Isthmus_are_followed_by_their_configuration_and_named()
    {
        var scenario = new TraceScenario();
        (scenario.Client, scenario.Callee) = (TraceScenario.Envoy(scenario.Client), TraceScenario.Envoy(scenario.Callee));
        var trace = scenario.Walk();
        Assert.True(trace.Succeeds);
        string? Proxy(string hop, int way) =>
            trace.Hops.First(one => one.Name == hop && one.Way == way).Facts.FirstOrDefault(fact => fact.Name == "proxy")?.Value;
        const string told = "envoy 1.28.3, not Isthmus: followed by its configuration only, no call is made or seen";
        Assert.Equal((told, told, null), (Proxy("client", 0), Proxy("inbound", 1), Proxy("inbound", 2)));
        Assert.DoesNotContain(new TraceScenario().Walk().Hops, hop => hop.Facts.Any(fact => fact.Name == "proxy"));
    }

    [Fact]
    public void What_may_be_of_a_cluster_that_cannot_be_asked_is_said_to_be()
    {
        var trace = new TraceScenario { TwoIsSilent = "no route to it" }.Walk();
        Assert.Contains(trace.Hops,
            hop => hop.Status == HopStatus.Unknown && hop.Summary.StartsWith("172.18.2.1:15443 may be a", StringComparison.Ordinal)
                && hop.Summary.EndsWith("of c2, which cannot be queried: no route to it", StringComparison.Ordinal));
    }

    /// <summary>The injected fault, and the code, hop and object of the expected report.</summary>
    public static TheoryData<string, string, string, string> Faults => new()
    {
        { "name", "ISM2010", "name", "host ordrs" },
        { "port", "ISM2030", "cluster", "Service shop/orders in c1" },
        { "excluded from capture", "ISM2020", "capture", "Pod shop/buyer in c1" },
        { "route to nobody", "ISM2010", "cluster", "VirtualService shop/orders in c1" },
        { "unknown subset", "ISM2032", "cluster", "VirtualService shop/orders in c1" },
        { "empty subset", "ISM2034", "endpoints", "DestinationRule shop/orders in c1" },
        { "no endpoints, none selected", "ISM2049", "endpoints", "Service shop/orders in c1" },
        { "no endpoints, scaled down", "ISM2048", "endpoints", "Deployment shop/orders in c1" },
        { "no endpoints, scaled down here, not yet there", "ISM2048", "endpoints", "Deployment shop/orders in c2" },
        { "not watched", "ISM1021", "endpoints", "control plane of c1" },
        { "local to each cluster", "ISM2100", "endpoints", "ConfigMap istio-system/istio in c1" },
        { "rejected token", "ISM1020", "endpoints", "Secret istio-system/remote in c1" },
        { "rejected token of a file", "ISM1020", "endpoints", "File /kubeconfigs/c2.yaml in c1" },
        { "gateway without address", "ISM1005", "endpoints", "Service istio-system/east in c2" },
        { "gateway of another network", "ISM1016", "endpoints", "Service istio-system/east in c2" },
        { "pod of another network", "ISM1016", "endpoints", "Pod shop/orders-b in c2" },
        { "gateway without listener", "ISM1015", "gateway listener", "Gateway istio-system/cross in c2" },
        { "Gateway of the API without passing listener", "ISM1015", "gateway listener", "Gateway istio-system/east in c2" },
        { "Gateway of the API at another port", "ISM2053", "gateway listener", "Gateway istio-system/east in c2" },
        { "Gateway of the API hides the host", "ISM2055", "gateway chain", "Gateway istio-system/east in c2" },
        { "Gateway of the API without the network's Service", "ISM1014", "endpoints", "Gateway istio-system/east in c2" },
        { "Gateway of the API that is not known", "ISM1015", "gateway listener", "Gateway istio-system/east in c2" },
        { "gateway selects others", "ISM2052", "gateway listener", "Gateway istio-system/cross in c2" },
        { "gateway's Service selects others", "ISM2052", "gateway listener", "Service istio-system/east in c2" },
        { "gateway hides the host", "ISM2055", "gateway chain", "Gateway istio-system/cross in c2" },
        { "plain to the gateway", "ISM2056", "TLS", "DestinationRule shop/orders in c1" },
        { "plain to strict", "ISM2057", "TLS", "DestinationRule shop/orders in c1" },
        { "another root", "ISM1010", "TLS", "CA of c2" },
        { "another root, and taken out for it", "ISM1010", "TLS", "Pod shop/orders-a in c1" },
        { "called without the gateway, and taken out for it", "ISM1016", "network", "Service istio-system/east in c2" },
        { "taken out for nobody knows what", "ISM2040", "endpoints", "cluster outbound|80||orders.shop.svc.cluster.local" },
        { "expired", "ISM2061", "TLS", "Pod shop/orders-a in c1" },
        { "expired with its CA", "ISM2061", "TLS", "CA of c1" },
        { "another account", "ISM2062", "TLS", "Pod shop/orders-a in c1" },
        { "another trust domain", "ISM2063", "TLS", "ConfigMap istio-system/istio in c1" },
        { "nobody listens", "ISM2070", "application", "Service shop/orders in c1" },
        { "declared and closed", "ISM2072", "application", "Pod shop/orders-a in c1" },
        { "loopback only", "ISM2071", "application", "Pod shop/orders-a in c1" },
        { "hidden by exportTo", "ISM2012", "cluster", "Service shop/orders in c1" },
        { "plain across networks", "ISM2056", "endpoints", "DestinationRule shop/orders in c1" },
        { "mesh TLS off across networks", "ISM2066", "endpoints", "PeerAuthentication shop/opened in c2" },
        { "control plane scaled down", "ISM1003", "endpoints", "Deployment istio-system/istiod in c1" },
        { "control plane of a remote not exposed", "ISM1019", "endpoints", "Service istio-system/east in c2" },
        { "control plane of a remote behind a Gateway that lacks its port", "ISM1019", "endpoints", "Gateway istio-system/east in c2" },
        { "control plane of a remote behind a Gateway without a route", "ISM1019", "endpoints", "Gateway istio-system/east in c2" },
        { "mesh TLS off behind a gateway", "ISM2066", "gateway endpoints", "PeerAuthentication shop/opened in c2" },
        { "control plane removed", "ISM1003", "endpoints", "cluster c1" },
        { "control plane of a remote elsewhere", "ISM1018", "endpoints", "Service istio-system/istiod in c1" },
        { "gone while the control plane was away", "ISM1003", "workload", "Deployment istio-system/istiod in c1" },
        { "only by its global name", "ISM2016", "endpoints", "Service shop/orders in c2" },
        { "no entry for a global name", "ISM2017", "name", "host orders.shop.global" },
        { "application says no", "ISM2073", "call", "Pod shop/orders-a in c1" },
        { "denied", "ISM2064", "inbound", "AuthorizationPolicy shop/barred in c1" },
        { "denied, and the connection closed", "ISM2064", "inbound", "AuthorizationPolicy shop/barred in c1" },
    };

    [Fact]
    public void A_Gateway_with_a_route_is_not_what_keeps_proxies_from_a_control_plane()
    {
        var scenario = new TraceScenario();
        var trace = scenario.Walk(Inject(scenario, "control plane of a remote behind a Gateway with a route"));
        Assert.NotEqual("ISM1019", trace.Failure!.Problem!.Code);
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public void The_first_cause_is_named(string fault, string code, string hop, string @object)
    {
        var scenario = new TraceScenario();
        var trace = scenario.Walk(Inject(scenario, fault));
        var failure = Assert.IsType<Hop>(trace.Failure);
        Assert.Equal((code, hop, @object), (failure.Problem?.Code, failure.Name, failure.Problem?.Object.Split(": ")[0]));
        Assert.NotEmpty(failure.Problem!.Remedy);
        Assert.Contains($"({code})", TraceText.Write(trace, details: false));
    }

    internal static string Inject(TraceScenario s, string fault)
    {
        const string cluster = "outbound|80||" + TraceScenario.Fqdn;
        const string rule =
            "{apiVersion: networking.istio.io/v1beta1, kind: DestinationRule, metadata: {name: orders, namespace: shop}, spec: {host: orders, subsets: [{name: "
                + "v2, labels: {version: v2}}]}}";
        var noEndpoints = s.Client.Replace("\"lb_endpoints\": [", "\"ignored\": [", StringComparison.Ordinal);
        var disabled = s.Client.Replace("\"tlsMode\": \"istio\"}, \"transport_socket\"", "\"tlsMode\": \"never\"}, \"transport_socket\"",
            StringComparison.Ordinal)
            .Replace("\"type\": \"EDS\"",
                "\"type\": \"EDS\", \"metadata\": {\"filter_metadata\": {\"istio\": {\"config\": \"/apis/x/v1/namespaces/shop/destination-rule/orders\"}}}",
                StringComparison.Ordinal);
        switch (fault)
        {
            case "name":
                s.Client = s.Client.Replace("\"host\": \"orders\"", "\"host\": \"ordrs\"", StringComparison.Ordinal)
                    .Replace("[\"10.96.0.5\"], \"by\": \"sidecar\"", "[], \"by\": \"\"", StringComparison.Ordinal);
                return "ordrs";
            case "port": return "orders:81";
            case "excluded from capture":
                s.One = s.One.Replace("-x, \"\"", "-x, 10.96.0.0/16", StringComparison.Ordinal) + "\n---\n" + Slice;
                break;
            case "route to nobody": s.Client = s.Client.Replace($"\"route\": {{\"cluster\": \"{cluster}\"}}",
                "\"route\": {\"cluster\": \"outbound|80||bills.shop.svc.cluster.local\"}", StringComparison.Ordinal); break;
            case "unknown subset": s.Client = s.Client.Replace($"\"route\": {{\"cluster\": \"{cluster}\"}}",
                $"\"route\": {{\"cluster\": \"outbound|80|v3|{TraceScenario.Fqdn}\"}}", StringComparison.Ordinal); break;
            case "empty subset":
                s.Client = noEndpoints.Replace(cluster, $"outbound|80|v2|{TraceScenario.Fqdn}", StringComparison.Ordinal);
                s.One += "\n---\n" + rule;
                break;
            case "no endpoints, none selected":
                s.Client = noEndpoints;
                (s.One, s.Two) = (s.One.Replace("selector: {app: orders}", "selector: {app: order}", StringComparison.Ordinal),
                    s.Two.Replace("selector: {app: orders}", "selector: {app: order}", StringComparison.Ordinal));
                break;
            case "no endpoints, scaled down":
                s.Client = noEndpoints;
                (s.One, s.Two) = (Without(s.One.Replace(Deployment(1), Deployment(0), StringComparison.Ordinal), "orders-a"),
                    Without(s.Two, "orders-b").Replace("selector: {app: orders}", "selector: {app: none}", StringComparison.Ordinal));
                break;
            // A Deployment without replicas often only gives the Service its name: that of the other cluster should have a Pod.
            case "no endpoints, scaled down here, not yet there":
                (s.Client, s.One, s.Two) = (noEndpoints, Without(s.One.Replace(Deployment(1), Deployment(0), StringComparison.Ordinal), "orders-a"),
                    Without(s.Two, "orders-b"));
                break;
            case "not watched": (s.Client, s.One, s.Watched) = (noEndpoints, Without(s.One, "orders-a"), []); break;
            case "local to each cluster":
                (s.Client, s.One) = (noEndpoints, Without(s.One, "orders-a") + """

                    ---
                    apiVersion: v1
                    kind: ConfigMap
                    metadata: {name: istio, namespace: istio-system}
                    data: {mesh: "serviceSettings: [{settings: {clusterLocal: true}, hosts: [orders.shop.svc.cluster.local]}]"}
                    """);
                break;
            case "rejected token": (s.Client, s.One, s.Watched) = (noEndpoints, Without(s.One, "orders-a"),
                [new("c2", "istio-system/remote", "timeout", "rejects the token")]); break;
            case "rejected token of a file": (s.Client, s.One, s.Watched) = (noEndpoints, Without(s.One, "orders-a"),
                [new("c2", "/kubeconfigs/c2.yaml", "timeout", "rejects the token")]); break;
            case "gateway without address": (s.Client, s.One, s.Two) = (noEndpoints, Without(s.One, "orders-a"),
                s.Two.Replace("{loadBalancer: {ingress: [{ip: 172.18.2.1}]}}", "{}", StringComparison.Ordinal)); break;
            case "gateway of another network": (s.Client, s.One, s.Two) = (noEndpoints, Without(s.One, "orders-a"),
                s.Two.Replace("labels: {topology.istio.io/network: n2}}, spec", "labels: {topology.istio.io/network: n7}}, spec",
                    StringComparison.Ordinal)); break;
            case "pod of another network": (s.Client, s.One, s.Two) = (noEndpoints, Without(s.One, "orders-a"),
                s.Two.Replace("name: orders-b, namespace: shop, labels: {app: orders,",
                    "name: orders-b, namespace: shop, labels: {topology.istio.io/network: n22, app: orders,", StringComparison.Ordinal)); break;
            case "gateway without listener": (s.Two, s.Gateway) = (s.Two.Replace("AUTO_PASSTHROUGH", "PASSTHROUGH", StringComparison.Ordinal),
                s.Gateway.Replace("\"port_value\": 15443}}, \"listener_filters\"", "\"port_value\": 15444}}, \"listener_filters\"",
                    StringComparison.Ordinal)); break;
            case "Gateway of the API without passing listener": ServeApi("", "port: 15443, tls: {mode: Terminate}"); break;
            case "Gateway of the API at another port":
                ServeApi("", "port: 15444, tls: {mode: Passthrough, options: {gateway.istio.io/listener-protocol: auto-passthrough}}");
                break;
            case "Gateway of the API that is not known": ServeApi("", ""); break;
            case "Gateway of the API hides the host":
                ServeApi("", "port: 15443, hostname: '*.bank.svc.cluster.local', tls: {mode: Passthrough}");
                s.Gateway = s.Gateway.Replace("\"port_value\": 15444", "\"port_value\": 15443", StringComparison.Ordinal)
                    .Replace($"[\"{TraceScenario.Sni}\"]", "[\"outbound_.80_._.x.bank.svc.cluster.local\"]", StringComparison.Ordinal);
                break;
            case "Gateway of the API without the network's Service":
                (s.Client, s.One) = (noEndpoints, Without(s.One, "orders-a"));
                s.Two = s.Two.Replace("labels: {topology.istio.io/network: n2}}, spec", "labels: {a: b}}, spec", StringComparison.Ordinal);
                ServeApi("infrastructure: {labels: {a: b}}, ", "port: 15443, tls: {mode: Passthrough}");
                break;
            case "gateway selects others": (s.Two,
                s.Gateway) = (s.Two.Replace("selector: {istio: eastwest}, servers", "selector: {istio: west}, servers", StringComparison.Ordinal),
                s.Gateway.Replace("\"port_value\": 15443}}, \"listener_filters\"", "\"port_value\": 15444}}, \"listener_filters\"",
                    StringComparison.Ordinal)); break;
            case "gateway's Service selects others":
                s.Two = s.Two.Replace("{name: gw, namespace: istio-system, labels: {istio: eastwest}}",
                        "{name: gw, namespace: istio-system, labels: {istio: in}}", StringComparison.Ordinal)
                    .Replace("selector: {istio: eastwest}, ports", "selector: {istio: in}, ports", StringComparison.Ordinal)
                    + "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: east-1, namespace: istio-system, labels: {istio: eastwest}}, spec: {containers: "
                    + "[{name: istio-proxy}]}, status: {phase: Running, podIP: 10.1.0.8, conditions: [{type: Ready, status: 'True'}]}}";
                s.Gateway = s.Gateway.Replace("\"port_value\": 15443}}, \"listener_filters\"", "\"port_value\": 15444}}, \"listener_filters\"",
                    StringComparison.Ordinal);
                break;
            case "gateway hides the host": (s.Two, s.Gateway) = (s.Two.Replace("*.local", "*.bank.svc.cluster.local", StringComparison.Ordinal),
                s.Gateway.Replace($"[\"{TraceScenario.Sni}\"]", "[\"outbound_.80_._.x.bank.svc.cluster.local\"]", StringComparison.Ordinal)); break;
            case "plain to the gateway": s.Client = disabled.Replace("\"address\": \"10.1.0.5\"", "\"address\": \"10.1.0.77\"",
                StringComparison.Ordinal); break;
            case "plain to strict":
                s.Client = disabled;
                s.One += "\n---\n{apiVersion: security.istio.io/v1beta1, kind: PeerAuthentication, metadata: {name: locked, namespace: shop}, spec: {mtls: "
                    + "{mode: STRICT}}}";
                break;
            case "another root": s.CalleeThere = TraceScenario.Stranger; break;
            case "another root, and taken out for it" or "called without the gateway, and taken out for it" or "taken out for nobody knows what":
                string Ejected(string address, int port) =>
                    $"{{\"address\": {{\"socket_address\": {{\"address\": \"{address}\", \"port_value\": {port}}}}}, \"health_status\": "
                        + $"{{\"failed_outlier_check\": true}}}}";
                s.Client = s.Client.Replace("\"cluster_statuses\": []",
                    $"\"cluster_statuses\": [{{\"name\": \"{cluster}\", \"host_statuses\": [{Ejected("10.1.0.5", 8080)}, {Ejected("172.18.2.1", 15443)}]}}]",
                    StringComparison.Ordinal);
                if (fault.StartsWith("called", StringComparison.Ordinal))
                    (s.Client, s.Two) = (s.ClientOfOne.Replace("orders;shop;orders;v1;c1", "orders;shop;orders;v1;c2", StringComparison.Ordinal),
                        s.Two.Replace("labels: {topology.istio.io/network: n2}}, spec", "labels: {topology.istio.io/network: n7}}, spec",
                            StringComparison.Ordinal));
                if (fault.StartsWith("another", StringComparison.Ordinal)) (s.Callee, s.CalleeThere) = (TraceScenario.Stranger, TraceScenario.Stranger);
                break;
            case "expired": s.Callee = s.ExpiredCallee; break;
            case "expired with its CA": s.Callee = s.CalleeOfEndedCa; break;
            case "another account": s.Client = s.Client.Replace("\"exact\": \"spiffe://cluster.local/ns/shop/sa/orders\"",
                "\"exact\": \"spiffe://cluster.local/ns/shop/sa/bank\"", StringComparison.Ordinal); break;
            case "another trust domain":
                s.Callee = s.ForeignCallee;
                s.Client = s.Client.Replace("\"exact\": \"spiffe://cluster.local/ns/shop/sa/orders\"", "\"prefix\": \"spiffe://cluster.local/\"",
                    StringComparison.Ordinal);
                break;
            case "nobody listens":
                s.Callee = s.Callee.Replace("0.0.0.0:8080\"", "0.0.0.0:9090\"", StringComparison.Ordinal);
                s.One = s.One.Replace("containerPort: 8080", "containerPort: 9090", StringComparison.Ordinal);
                break;
            case "declared and closed": s.Callee = s.Callee.Replace("0.0.0.0:8080\"", "0.0.0.0:9090\"", StringComparison.Ordinal); break;
            case "loopback only": s.Callee = s.Callee.Replace("0.0.0.0:8080\"", "127.0.0.1:8080\"", StringComparison.Ordinal); break;
            case "hidden by exportTo":
                s.Client = s.Client.Replace("\"domains\": [\"orders\", \"orders.shop\", \"" + TraceScenario.Fqdn + "\"]", "\"domains\": [\"elsewhere\"]",
                    StringComparison.Ordinal)
                    .Replace($"\"name\": \"{cluster}\"", "\"name\": \"gone\"", StringComparison.Ordinal);
                s.One = s.One.Replace("kind: Service, metadata: {name: orders, namespace: shop}",
                    "kind: Service, metadata: {name: orders, namespace: shop, annotations: {networking.istio.io/exportTo: bank}}", StringComparison.Ordinal)
                    + "\n---\n" + Slice;
                break;
            case "plain across networks":
                (s.Client, s.One) = (noEndpoints,
                    Without(s.One, "orders-a") + "\n---\n"
                        + rule.Replace("subsets:", "trafficPolicy: {tls: {mode: DISABLE}}, subsets:", StringComparison.Ordinal));
                break;
            case "mesh TLS off across networks":
                (s.Client, s.One) = (noEndpoints, Without(s.One, "orders-a"));
                s.Two += "\n---\n{apiVersion: security.istio.io/v1beta1, kind: PeerAuthentication, metadata: {name: opened, namespace: shop}, spec: {mtls: "
                    + "{mode: DISABLE}}}";
                break;
            case "mesh TLS off behind a gateway":
                (s.One, s.Gateway) = (Without(s.One, "orders-a"), s.Gateway.Replace("\"lb_endpoints\": [", "\"ignored\": [", StringComparison.Ordinal));
                s.Two += "\n---\n{apiVersion: security.istio.io/v1beta1, kind: PeerAuthentication, metadata: {name: opened, namespace: shop}, spec: {mtls: "
                    + "{mode: DISABLE}}}";
                break;
            case "only by its global name":
                (s.Client, s.One, s.Two) = (noEndpoints, Without(s.One, "orders-a") + "\n---\n" + Zone, s.Two + "\n---\n" + Zone);
                break;
            case "no entry for a global name":
                s.Client = s.Client.Replace("\"host\": \"orders\"", "\"host\": \"orders.shop.global\"", StringComparison.Ordinal)
                    .Replace("[\"10.96.0.5\"], \"by\": \"sidecar\"", "[], \"by\": \"\"", StringComparison.Ordinal);
                return "orders.shop.global";
            case "control plane scaled down":
                (s.Client, s.One) = (noEndpoints,
                    Without(s.One.Replace("{replicas: 1, selector: {matchLabels: {app: istiod", "{replicas: 0, selector: {matchLabels: {app: istiod",
                        StringComparison.Ordinal),
                        "istiod-x"));
                break;
            case "control plane removed":
                s.Client = noEndpoints;
                s.One = Without(s.One, "istiod-x")
                    .Replace("labels: {app: istiod}}, spec: {replicas", "labels: {app: none}}, spec: {replicas", StringComparison.Ordinal)
                    + "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: istio-system}, data: {}}";
                break;
            case "control plane of a remote not exposed" or "control plane of a remote elsewhere"
                or "control plane of a remote behind a Gateway that lacks its port" or "control plane of a remote behind a Gateway without a route"
                or "control plane of a remote behind a Gateway with a route":
                // c1 becomes a remote of c2. The gateway of c2 has the control plane's port, but no Gateway object opens
                // it.
                var address = fault.EndsWith("elsewhere", StringComparison.Ordinal) ? "172.18.2.9" : "172.18.2.1";
                if (fault.EndsWith("port", StringComparison.Ordinal)) ServeApi("", "port: 15443, tls: {mode: Passthrough}");
                if (fault.EndsWith("route", StringComparison.Ordinal))
                    ServeApi("", "port: 15012, tls: {mode: Passthrough}", fault.EndsWith("with a route", StringComparison.Ordinal) ? 1 : 0);
                s.Client = noEndpoints;
                s.One = Without(s.One, "istiod-x")
                    .Replace("labels: {app: istiod}}, spec: {replicas", "labels: {app: none}}, spec: {replicas", StringComparison.Ordinal)
                    + "\n---\n{apiVersion: v1, kind: Service, metadata: {name: istiod, namespace: istio-system}, spec: {ports: [{port: 15012}]}}"
                    + $"\n---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: istiod-x, namespace: istio-system, labels: "
                    + $"{{kubernetes.io/service-name: istiod}}}}, endpoints: [{{addresses: [{address}]}}]}}";
                s.Two = s.Two.Replace("ports: [{name: tls, port: 15443, targetPort: 15443}]",
                    "ports: [{name: tls, port: 15443, targetPort: 15443}, {name: xds, port: 15012}]", StringComparison.Ordinal);
                break;
            case "gone while the control plane was away":
                s.One = Without(Without(s.One.Replace("{replicas: 1, selector: {matchLabels: {app: istiod",
                    "{replicas: 0, selector: {matchLabels: {app: istiod", StringComparison.Ordinal),
                    "istiod-x"),
                    "orders-a");
                s.Call = new("GET /", false, 0, 3, "10.1.0.5:8080", "UF", "no answer", []);
                break;
            case "denied" or "denied, and the connection closed":
                s.Callee = s.Callee.Replace("\"http_filters\": [",
                    "\"http_filters\": [{\"name\": \"envoy.filters.http.rbac\", \"typed_config\": {\"@type\": "
                        + "\"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC\", \"rules\": {\"action\": \"DENY\", \"policies\": "
                        + "{\"ns[shop]-policy[barred]-rule[0]\": {\"permissions\": [{\"any\": true}], \"principals\": [{\"any\": true}]}}}}}, ",
                    StringComparison.Ordinal);
                s.Call = fault == "denied" ? new("GET /", true, 403, 3, "10.1.0.5:8080", "-", "via_upstream", [])
                    : new("connect to orders:80", true, 0, 3, "10.1.0.5:8080", "-", "", []) { Says = "closed" };
                break;
            case "application says no":
                s.Call = new("GET /", true, 503, 3, "10.1.0.5:8080", "-", "", []);
                s.Sighted = [new(new("c1", "shop", "orders-a"), true, 2, 1, 503, "-", "", "", "10.1.0.5:8080", "", "", "")];
                break;
        }
        return "orders";

        // The gateway of c2 is a Gateway of the Gateway API; it opens another port.
        void ServeApi(string spec, string listener, int routes = 0)
        {
            s.Two = s.Two.Replace("AUTO_PASSTHROUGH", "PASSTHROUGH", StringComparison.Ordinal)
                .Replace("name: gw, namespace: istio-system, labels: {istio: eastwest}",
                    "name: gw, namespace: istio-system, labels: {istio: eastwest, gateway.networking.k8s.io/gateway-name: east}", StringComparison.Ordinal);
            s.Gateway = s.Gateway.Replace("\"port_value\": 15443}}, \"listener_filters\"",
                "\"port_value\": 15444}}, \"listener_filters\"", StringComparison.Ordinal);
            if (listener.Length == 0) return;
            s.Two += "\n---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: east, namespace: istio-system, "
                + "labels: {topology.istio.io/network: n2}}, spec: {gatewayClassName: istio-east-west, "
                + $"{spec}listeners: [{{name: cross, protocol: TLS, {listener}}}]}}, status: {{listeners: [{{name: cross, attachedRoutes: {routes}}}]}}}}";
        }
    }

    internal const string Zone =
        "{apiVersion: networking.istio.io/v1beta1, kind: Gateway, metadata: {name: zone, namespace: istio-system}, spec: {selector: {istio: ingressgateway}, "
            + "servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: [\"*.global\"]}]}}";

    private const string Slice =
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: orders-x, namespace: shop, labels: {kubernetes.io/service-name: orders}}, "
            + "endpoints: [{addresses: [10.1.0.5], conditions: {ready: true}}], ports: [{name: http, port: 8080}]}";

    private static string Without(string yaml, string pod) =>
        string.Join("\n---\n",
            yaml.Split("---").Where(document => !document.Contains($"kind: Pod, metadata: {{name: {pod}", StringComparison.Ordinal))
                .Select(document => document.Trim()));

    [Fact]
    public void A_call_that_got_through_proves_what_configuration_seemed_to_forbid()
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.Callee = scenario.Callee.Replace("0.0.0.0:8080\"", "0.0.0.0:9090\"", StringComparison.Ordinal);
        var trace = scenario.Walk();
        Assert.True(trace.Succeeds);
        Assert.Contains(trace.Hops, hop => hop is { Name: "application", Status: HopStatus.Warning });
    }

    [Fact]
    public void A_control_plane_that_serves_another_cluster_is_that_clusters()
    {
        const string webhook =
            "\n---\n{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: injector, labels: {app: sidecar-injector}}, webhooks: [{clientConfig: "
                + "{service: {name: istiod, namespace: PLACE, path: /inject/cluster/c1/net/n1}}}]}";
        var deployment = (
            string ns, string id) =>
            $"{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: istiod, namespace: {ns}, labels: {{app: istiod}}}}, spec: {{template: {{spec: "
                + $"{{containers: [{{name: discovery, env: [{{name: CLUSTER_ID, value: {id}}}]}}]}}}}}}}}";
        ClusterObjects Read(string context, string yaml) =>
            ClusterObjects.From(context, Kubernetes.Yaml.YamlText.ParseAll(yaml, context).OfType<System.Text.Json.Nodes.JsonObject>());
        var host = Read("host",
            deployment("istio-system", "c0") + "\n---\n" + deployment("external-istiod", "c1")
                + webhook.Replace("PLACE", "istio-system", StringComparison.Ordinal).Replace("/cluster/c1/net/n1", "", StringComparison.Ordinal));
        var hosted = Read("hosted", webhook[5..].Replace("PLACE", "external-istiod", StringComparison.Ordinal));
        var facts = new TraceFacts([hosted, host], new("hosted", "shop", "buyer"), TraceTarget.Parse("orders"), TraceScenario.Now);
        Assert.Equal(("c1", "external-istiod", "c0"), (hosted.Id, hosted.SystemNamespace, host.Id));
        Assert.Equal([new ControlPlanePlace(hosted, host, "external-istiod")], facts.ControlPlanesOf(hosted));
        Assert.Equal([new ControlPlanePlace(host, host, "istio-system")], facts.ControlPlanesOf(host));
    }

    [Fact]
    public void Without_endpoints_but_with_pods_the_proxy_has_not_been_told()
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace("\"lb_endpoints\": [", "\"ignored\": [", StringComparison.Ordinal);
        Assert.Equal("ISM2014", scenario.Walk().Failure?.Problem?.Code);
    }

    [Fact]
    public void A_name_that_only_another_clusters_DNS_has_needs_a_Service_here_too()
    {
        var scenario = new TraceScenario();
        scenario.One = string.Join("\n---\n",
            scenario.One.Split("---").Where(document => !document.Contains("kind: Service, metadata: {name: orders", StringComparison.Ordinal))
                .Select(document => document.Trim()));
        scenario.Client = scenario.Client.Replace("\"dns_capture\": true", "\"dns_capture\": false", StringComparison.Ordinal)
            .Replace("[\"10.96.0.5\"], \"by\": \"sidecar\"", "[], \"by\": \"\"", StringComparison.Ordinal);
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2011", "Service shop/orders"), (problem?.Code, problem?.Object));
        Assert.StartsWith("create the Service in c1 as well (without Pods), or set ISTIO_META_DNS_CAPTURE", problem!.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_call_that_hangs_is_told_from_one_that_configuration_forbids()
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 0, 5000, "", "", "no answer within 5 s", []) };
        scenario.Client = System.Text.RegularExpressions.Regex.Replace(scenario.Client,
            """\{"endpoint": \{"address": \{"socket_address": \{"address": "10\.1\.0\.5".*?\}\s*,\s*(?=\{"endpoint")""", "",
            System.Text.RegularExpressions.RegexOptions.Singleline);
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2076", "n2 through gateway 172.18.2.1:15443"), (problem?.Code, problem?.Object));
        Assert.Contains("no proxy on the path saw the call", problem!.Message);
    }

    [Theory]
    [InlineData("orders", "orders", 0)]
    [InlineData("orders", "ordres", 2)]
    [InlineData("orders", "order", 1)]
    [InlineData("", "abc", 3)]
    public void Names_are_as_far_apart_as_letters_must_change(string a, string b, int distance) => Assert.Equal(distance, Spelling.Distance(a, b));
}
