using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>
/// The remedy that a trace prints ends the fault. Each row makes a fault, reads the remedy, and does to the objects or to the application what it says.
/// Where objects are at fault, the trace must not blame them any more although proxies still have the old configuration; with a new one, the call gets
/// through. <see cref="LoopbackMesh.RemedyTests"/> does the same with traffic.
/// </summary>
public sealed class RemedyWalkTests
{
    /// <param name="Fault">The fault of <see cref="TraceWalkTests.Inject"/>.</param>
    /// <param name="Remedy">A part of the remedy.</param>
    /// <param name="Apply">Does what the remedy says.</param>
    /// <param name="Target">The target that the remedy says to call.</param>
    internal sealed record Row(string Code, string Fault, string Remedy, Action<TraceScenario> Apply, string Target = "")
    {
        /// <summary>Makes the fault, and says what is called; null: <see cref="TraceWalkTests.Inject"/> does.</summary>
        public Func<TraceScenario, string>? Make { get; init; }

        /// <summary>What proxies have afterwards; null: what they have where nothing is wrong.</summary>
        public Action<TraceScenario>? Proxies { get; init; }
    }

    private static TraceScenario Healthy { get; } = new();

    internal static IReadOnlyList<Row> All { get; } =
    [
        new("ISM2010", "name", "did you mean orders.shop", _ => { }, "orders.shop"),
        new("ISM2020", "excluded from capture", "remove it from the annotation", s => s.One = Put(s.One, "-x, 10.96.0.0/16", "-x, \"\"")),
        new("ISM2034", "empty subset", "fix the labels of the subset", s => s.One = Put(s.One, "labels: {version: v2}}]", "labels: {version: v1}}]")),
        new("ISM2049", "no endpoints, none selected", "fix the selector", s => (s.One, s.Two) =
            (Put(s.One, "selector: {app: order}", "selector: {app: orders}"), Put(s.Two, "selector: {app: order}", "selector: {app: orders}"))),
        new("ISM2048", "no endpoints, scaled down", "scale deployment orders --replicas=1", s => s.One = Put(s.One, "spec: {replicas: 0, template",
            "spec: {replicas: 1, template") + Pod),
        new("ISM1021", "not watched", "create-remote-secret --context=c2 --name=c2", s => s.Watched = null),
        new("ISM2100", "local to each cluster", "or take the host out of serviceSettings", s => s.One = Put(s.One, "clusterLocal: true", "clusterLocal: false")),
        new("ISM2100", "local to each cluster", "run the workload in c1 as well", s => s.One += Pod),
        new("ISM1020", "rejected token", "create-remote-secret", s => s.Watched = null),
        new("ISM1005", "gateway without address", "patch service east -p '{\"spec\":{\"type\":\"LoadBalancer\"}}', or set spec.externalIPs",
            s => s.Two = Put(s.Two, "ports: [{name: tls, port: 15443, targetPort: 15443}]}",
            "externalIPs: [172.18.2.1], ports: [{name: tls, port: 15443, targetPort: 15443}]}")),
        new("ISM1016", "gateway of another network", "label service east topology.istio.io/network=n2", s => s.Two = Put(s.Two,
            "labels: {topology.istio.io/network: n7}}, spec", "labels: {topology.istio.io/network: n2}}, spec")),
        new("ISM1016", "pod of another network", "remove the label", s => s.Two = Put(s.Two, "topology.istio.io/network: n22, ", "")),
        new("ISM1015", "gateway without listener", "set spec.servers[0].tls.mode of Gateway istio-system/cross in c2 to AUTO_PASSTHROUGH", s => s.Two = Put(s.Two, "PASSTHROUGH", "AUTO_PASSTHROUGH")),
        new("ISM2053", "Gateway of the API at another port", "add a listener with port 15443, protocol TLS, tls.mode Passthrough and the option",
            s => s.Two = Put(s.Two, "port: 15444, tls", "port: 15443, tls")),
        new("ISM2055", "Gateway of the API hides the host", "set it to *.local", s => s.Two = Put(s.Two, "'*.bank.svc.cluster.local'", "'*.local'")),
        new("ISM2055", "Gateway of the API hides the host", "or remove it", s => s.Two = Put(s.Two, "hostname: '*.bank.svc.cluster.local', ", "")),
        new("ISM1014", "Gateway of the API without the network's Service", "set it to n2",
            // The Service gets the labels of its Gateway's infrastructure.
            s => s.Two = Put(Put(s.Two, "infrastructure: {labels: {a: b}}", "infrastructure: {labels: {topology.istio.io/network: n2}}"),
                "labels: {a: b}}, spec", "labels: {topology.istio.io/network: n2}}, spec")),
        new("ISM2052", "gateway selects others", "fix the selector", s => s.Two = Put(s.Two, "selector: {istio: west}", "selector: {istio: eastwest}")),
        new("ISM2052", "gateway's Service selects others", "kubectl --context=c2 -n istio-system patch service east --type=json -p '[{\"op\":\"replace\","
            + "\"path\":\"/spec/selector\",\"value\":{\"istio\":\"eastwest\"}}]'",
            s => s.Two = Put(s.Two, "selector: {istio: in}", "selector: {istio: eastwest}")),
        new("ISM2055", "gateway hides the host", "add orders.shop.svc.cluster.local to them", s => s.Two = Put(s.Two, "\"*.bank.svc.cluster.local\"",
            "\"*.bank.svc.cluster.local\", orders.shop.svc.cluster.local")),
        new("ISM2055", "gateway hides the host", "or *.local", s => s.Two = Put(s.Two, "*.bank.svc.cluster.local", "*.local")),
        new("ISM2056", "plain across networks", "remove trafficPolicy.tls", s => s.One = Put(s.One, "trafficPolicy: {tls: {mode: DISABLE}}, ", "")),
        new("ISM2056", "plain across networks", "or set ISTIO_MUTUAL", s => s.One = Put(s.One, "mode: DISABLE", "mode: ISTIO_MUTUAL")),
        new("ISM2066", "mesh TLS off across networks", "set mtls.mode to PERMISSIVE or STRICT", s => s.Two = Put(s.Two, "mode: DISABLE", "mode: STRICT")),
        new("ISM2066", "mesh TLS off across networks", "PERMISSIVE", s => s.Two = Put(s.Two, "mode: DISABLE", "mode: PERMISSIVE")),
        new("ISM1010", "another root", "give all clusters a 'cacerts' Secret of one root, then restart", Renewed),
        new("ISM2061", "expired with its CA", "put a new CA of the same root into the Secret", Renewed),
        new("ISM2063", "another trust domain", "set the same meshConfig.trustDomain", Renewed),
        new("ISM2070", "nobody listens", "set targetPort to the port of the application, 9090", s =>
        {
            (s.One, s.Two) = (Put(s.One, "targetPort: 8080", "targetPort: 9090"), Put(s.Two, "targetPort: 8080", "targetPort: 9090"));
            (s.Client, s.Gateway, s.Callee, s.CalleeThere) = (Healthy.Client.Replace("\"port_value\": 8080", "\"port_value\": 9090", StringComparison.Ordinal),
                Healthy.Gateway.Replace("\"port_value\": 8080", "\"port_value\": 9090", StringComparison.Ordinal),
                Healthy.Callee.Replace("8080", "9090", StringComparison.Ordinal), Healthy.Callee.Replace("8080", "9090", StringComparison.Ordinal));
        }),
        new("ISM2072", "declared and closed", "let the application listen on port 8080", s => s.Callee = Put(s.Callee, "0.0.0.0:9090\"", "0.0.0.0:8080\"")),
        new("ISM2071", "loopback only", "make it listen on 0.0.0.0", s => s.Callee = Put(s.Callee, "127.0.0.1:8080\"", "0.0.0.0:8080\"")),
        new("ISM2012", "hidden by exportTo", "add shop to the annotation", s => s.One = Put(s.One, "exportTo: bank", "exportTo: 'bank, shop'")),
        new("ISM2012", "hidden by exportTo", "or remove it", s => s.One = Put(s.One, ", annotations: {networking.istio.io/exportTo: bank}", "")),
        new("ISM1003", "control plane scaled down", "scale deployment istiod --replicas=1", s => s.One = Put(s.One,
            "{replicas: 0, selector: {matchLabels: {app: istiod", "{replicas: 1, selector: {matchLabels: {app: istiod") + Istiod),
        new("ISM1018", "control plane of a remote elsewhere", "172.18.2.1", s => s.One = Put(s.One, "addresses: [172.18.2.9]", "addresses: [172.18.2.1]")),
        new("ISM2016", "only by its global name", "isthmus global export shop/orders --context=c2; then call orders.shop.global", s => s.One += GlobalEntry,
            "orders.shop.global"),
        new("ISM2017", "no entry for a global name", "isthmus global export shop/orders", s => s.One += GlobalEntry),
        .. RemedyFaults.Rows,
    ];

    /// <summary>Codes of faults that only what proxies and applications do shows, so that nothing can blame objects.</summary>
    private static readonly string[] OfWhatIsThere = ["ISM2010", "ISM2016", "ISM2061", "ISM2063", "ISM1010", "ISM2071", "ISM2072",
        "ISM2107", "ISM2111", "ISM2113", "ISM2050"];

    public static TheoryData<string, string> Names() => [.. All.Select(row => (row.Fault, row.Remedy))];

    [Theory]
    [MemberData(nameof(Names))]
    public void The_printed_remedy_ends_the_fault(string fault, string remedy)
    {
        var row = All.Single(row => (row.Fault, row.Remedy) == (fault, remedy));
        var scenario = new TraceScenario();
        var target = row.Make?.Invoke(scenario) ?? TraceWalkTests.Inject(scenario, row.Fault);
        var trace = scenario.Walk(target);
        // Of a call that the application answers, only a warning says what is wrong.
        var problem = trace.Failure?.Problem ?? trace.Hops.FirstOrDefault(hop => hop.Problem?.Code == row.Code)?.Problem;
        Assert.True(row.Code == problem?.Code, TraceText.Write(trace, details: true));
        Assert.Contains(row.Remedy, problem!.Remedy, StringComparison.Ordinal);
        row.Apply(scenario);
        if (row.Target.Length > 0) target = row.Target;
        if (!OfWhatIsThere.Contains(row.Code)) AssertGone(row.Code, scenario, target);
        // Proxies get what follows, unless the row says what they have.
        (scenario.Call, scenario.Sighted) = (null, []);
        if (row.Code != "ISM2070") (scenario.Client, scenario.Gateway, scenario.Callee, scenario.CalleeThere) =
            (Healthy.Client, Healthy.Gateway, Healthy.Callee, Healthy.CalleeThere);
        row.Proxies?.Invoke(scenario);
        if (target != "orders.shop.global") Assert.True(scenario.Walk(target).Succeeds, TraceText.Write(scenario.Walk(target), details: true));
    }

    private static void AssertGone(string code, TraceScenario scenario, string target)
    {
        var trace = scenario.Walk(target);
        Assert.True(trace.Hops.All(hop => hop.Problem?.Code != code), TraceText.Write(trace, details: true));
    }

    private static void Renewed(TraceScenario scenario) =>
        (scenario.Client, scenario.Callee, scenario.CalleeThere) = (Healthy.Client, Healthy.Callee, Healthy.CalleeThere);

    internal static string Put(string text, string old, string now)
    {
        Assert.Contains(old, text, StringComparison.Ordinal);
        return text.Replace(old, now, StringComparison.Ordinal);
    }

    internal const string Pod = "\n---\n" + """
        {apiVersion: v1, kind: Pod, metadata: {name: orders-a, namespace: shop, labels: {app: orders, version: v1}},
         spec: {containers: [{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy}]},
         status: {phase: Running, podIP: 10.1.0.5, conditions: [{type: Ready, status: "True"}]}}
        """;

    private const string Istiod = "\n---\n" + """
        {apiVersion: v1, kind: Pod, metadata: {name: istiod-x, namespace: istio-system, labels: {app: istiod}}, spec: {containers: [{name: discovery}]},
         status: {phase: Running, podIP: 10.1.0.7, conditions: [{type: Ready, status: "True"}]}}
        """;

    private const string GlobalEntry = "\n---\n" + """
        {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: orders-global, namespace: shop},
         spec: {hosts: [orders.shop.global], location: MESH_INTERNAL, resolution: STATIC, addresses: [240.0.0.9],
          ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 172.18.2.1, ports: {http: 15443}}]}}
        """;
}
