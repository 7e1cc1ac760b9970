using System.Text.Json.Nodes;

namespace Isthmus.Tests.Tracing;

/// <summary>Rows of <see cref="RemedyWalkTests"/> that make their faults themselves.</summary>
internal static class RemedyFaults
{
    private const string Rule = "\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: orders, namespace: shop}, spec: ";

    private const string Distributed = Rule
        + "{host: orders, trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: eu/*, to: {asia/*: 100}}]}}}}}";

    private const string MovedPath = "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: "
        + "{hosts: [orders], http: [{rewrite: {uri: /api}, route: [{destination: {host: orders}}]}]}}";

    private const string Selecting = """

        ---
        {apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: "discoverySelectors: [{matchLabels: {mesh: joined}}]"}}
        """;

    private const string Namespace = "\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {mesh: joined}}}";

    internal static IReadOnlyList<RemedyWalkTests.Row> Rows { get; } =
    [
        new("ISM2043", "no Service behind the gateway", "create it in c2 as well", s => s.Two += $"\n---\n{Document(new TraceScenario().Two, Orders)}")
        {
            Make = s =>
            {
                s.Two = Without(s.Two, Orders);
                s.Gateway = Put(s.Gateway, $"[\"{TraceScenario.Sni}\"]", "[\"outbound_.80_._.x.bank.svc.cluster.local\"]");
                return "orders";
            },
        },
        new("ISM2104", "a Pod is called by the wrong Service", "call orders-a.orders.shop", _ => { }, "orders-a.orders.shop")
        {
            Make = s => OfPod(s, "orders", "orders-a.db.shop"), Proxies = KnowingThePod,
        },
        new("ISM2104", "a Pod without a name of its own", "create the StatefulSet again with orders", s => s.One = Put(s.One, "subdomain: \"db\"",
            "subdomain: \"orders\"")) { Make = s => OfPod(s, "db", "orders-a.orders.shop"), Proxies = KnowingThePod },
        new("ISM2105", "a namespace that no selector matches", "kubectl --context=c1 label namespace shop mesh=joined --overwrite",
            s => (s.One, s.Two) = (s.One + Namespace, s.Two + Namespace)) { Make = Undiscovered },
        new("ISM2105", "a namespace that no selector matches", "or add a selector", s => s.One = Put(s.One, "[{matchLabels: {mesh: joined}}]",
            "[{matchLabels: {mesh: joined}}, {matchExpressions: [{key: mesh, operator: DoesNotExist}]}]")) { Make = Undiscovered },
        new("ISM2106", "the cluster is called otherwise", "create the Pod again", s => s.One = Put(s.One, "ISTIO_META_CLUSTER_ID, value: Kubernetes",
            "ISTIO_META_CLUSTER_ID, value: c1")) { Make = Misnamed },
        new("ISM2106", "the cluster is called otherwise", "or install with values.global.multiCluster.clusterName=Kubernetes", s => s.One = Put(s.One,
            "{name: CLUSTER_ID, value: c1}", "{name: CLUSTER_ID, value: Kubernetes}")) { Make = Misnamed },
        new("ISM2107", "all calls go where no Pod is", "name localities in which its Pods run", s => s.One = Put(s.One, "asia/*: 100", "eu/*: 100"))
            { Make = OfDistribution },
        new("ISM2107", "all calls go where no Pod is", "or remove distribute", s => s.One = Put(s.One, Distributed, "")) { Make = OfDistribution },
        new("ISM2111", "a Service leads to a port of the proxy", "let the application listen on another port, and set targetPort of the Service to it",
            s => s.One = Put(s.One, "targetPort: 15090", "targetPort: 8080"))
        {
            Make = s =>
            {
                s.One = Put(s.One, "targetPort: 8080", "targetPort: 15090");
                s.Client = Put(s.Client, "\"port_value\": 8080", "\"port_value\": 15090");
                return "orders";
            },
        },
        new("ISM2112", "a VirtualService for gateways only", "add mesh to the list", s => s.One = Put(s.One, "[istio-system/web]", "[istio-system/web, mesh]"))
        {
            Make = s =>
            {
                s.Call = new("GET /", true, 404, 3, "10.1.0.5:8080", "-", "", []);
                s.Client = Put(s.Client, "/virtual-service/orders", "");
                s.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: [orders], "
                    + "gateways: [istio-system/web], http: [{rewrite: {uri: /api}, route: [{destination: {host: orders}}]}]}}";
                return "orders";
            },
        },
        new("ISM2120", "a VirtualService for callers of its namespace", "add shop to it", s => s.One = Put(s.One, "exportTo: ['.']", "exportTo: ['.', shop]"))
        {
            Make = s =>
            {
                s.Call = new("GET /", true, 404, 3, "10.1.0.5:8080", "-", "", []);
                s.Client = Put(s.Client, "/virtual-service/orders", "");
                s.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: bank}, spec: {hosts: "
                    + "[orders.shop.svc.cluster.local], exportTo: ['.'], http: [{rewrite: {uri: /api}, route: [{destination: {host: orders.shop}}]}]}}";
                return "orders";
            },
        },
        new("ISM2120", "a VirtualService in the other cluster only", "apply it in c1 as well", s => s.One += MovedPath)
        {
            Make = s =>
            {
                s.Call = new("GET /", true, 404, 3, "10.1.0.5:8080", "-", "", []);
                s.Client = Put(s.Client, "/virtual-service/orders", "");
                s.Two += MovedPath;
                return "orders";
            },
        },
        new("ISM2121", "a Service that one of two clusters lacks", "create the Service in c2 as well", s => s.Two = Put(s.Two, "name: others", "name: orders")
            .Replace("selector: {app: others}", "selector: {app: orders}", StringComparison.Ordinal))
        {
            Make = s =>
            {
                s.Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []);
                s.Two = Put(s.Two, "kind: Service, metadata: {name: orders,", "kind: Service, metadata: {name: others,")
                    .Replace("selector: {app: orders}", "selector: {app: others}", StringComparison.Ordinal);
                return "orders";
            },
        },
        new("ISM2113", "a redirect to itself", "or put a route with a destination for that address before it", _ => { })
        {
            Make = s =>
            {
                s.Client = Put(s.Client, $"\"route\": {{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\"}}", "\"redirect\": {\"path_redirect\": \"/home\"}");
                return "orders/home";
            },
        },
    ];

    internal const string Orders = "kind: Service, metadata: {name: orders";

    internal const string Here = RemedyWalkTests.Pod + "\n---\n"
        + "{apiVersion: v1, kind: Service, metadata: {name: orders, namespace: shop}, spec: {clusterIP: 10.96.0.5, selector: {app: orders}, "
        + "ports: [{name: http, port: 80, targetPort: 8080}]}}";

    private static string OfPod(TraceScenario s, string subdomain, string host)
    {
        s.One = Put(Put(s.One, "metadata: {name: orders-a, namespace: shop, labels: {app: orders, version: v1}}, spec: {",
            "metadata: {name: orders-a, namespace: shop, labels: {app: orders, version: v1}, ownerReferences: "
                + $"[{{kind: StatefulSet, name: orders, controller: true}}]}}, spec: {{subdomain: \"{subdomain}\", "),
            "clusterIP: 10.96.0.5", "clusterIP: None");
        s.Two = Put(s.Two, "clusterIP: 10.96.0.5", "clusterIP: None");
        s.Client = Put(Put(s.Client, "\"host\": \"orders\"", $"\"host\": \"{host}\""), "\"addresses\": [\"10.96.0.5\"]", "\"addresses\": []");
        return host;
    }

    private static void KnowingThePod(TraceScenario s) => s.Client = Put(Put(Put(s.Client, "\"host\": \"orders\"", "\"host\": \"orders-a.orders.shop\""),
        "\"addresses\": [\"10.96.0.5\"]", "\"addresses\": [\"10.1.0.5\"]"), "\"domains\": [\"orders\",", "\"domains\": [\"orders-a.orders.shop\",");

    private static string Undiscovered(TraceScenario s)
    {
        s.One += Selecting;
        s.Client = Put(Put(s.Client, $"\"domains\": [\"orders\", \"orders.shop\", \"{TraceScenario.Fqdn}\"]", "\"domains\": [\"elsewhere\"]"),
            $"\"name\": \"outbound|80||{TraceScenario.Fqdn}\"", "\"name\": \"gone\"");
        return "orders";
    }

    private static string Misnamed(TraceScenario s)
    {
        s.One = Put(s.One, "ISTIO_META_CLUSTER_ID, value: c1", "ISTIO_META_CLUSTER_ID, value: Kubernetes");
        return WithoutEndpoints(s);
    }

    private static string OfDistribution(TraceScenario s)
    {
        s.One += Distributed;
        return WithoutEndpoints(s);
    }

    private static string WithoutEndpoints(TraceScenario s)
    {
        var page = JsonNode.Parse(s.Client)!;
        page["config_dump"]!["configs"]![1]!["dynamic_endpoint_configs"]![0]!["endpoint_config"]!["endpoints"] = new JsonArray();
        s.Client = page.ToJsonString();
        return "orders";
    }

    private static string Put(string text, string old, string now) => RemedyWalkTests.Put(text, old, now);

    internal static string Without(string yaml, string document) =>
        string.Join("\n---\n", yaml.Split("---").Where(one => !one.Contains(document, StringComparison.Ordinal)).Select(one => one.Trim()));

    private static string Document(string yaml, string document) => yaml.Split("---").First(one => one.Contains(document, StringComparison.Ordinal)).Trim();
}
