using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Proxy.Decisions;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Faults that operators make with listeners and routes of the Gateway API, at a Gateway that has a ListenerSet (tests/operator-faults.tsv).</summary>
public sealed class RouteTrialTests
{
    private const string Api = "apiVersion: gateway.networking.k8s.io/v1", All = "allowedRoutes: {namespaces: {from: All}}",
        Http = "{name: http, port: 80, protocol: HTTP, " + All + "}", Front = "name: front, namespace: edge",
        Hello = "hostnames: [hello.example.com]", Secure = "hostnames: [secure.example.com]";

    /// <summary>The route that was meant for a request is named, and what keeps it from the listener.</summary>
    [Theory]
    [InlineData("{name: http, port: 80, protocol: HTTP}", "{" + Front + "}", Hello, "Gateway edge/front in c1", "spec.listeners[0].allowedRoutes.namespaces",
        "takes routes of namespace edge only, and HTTPRoute shop/hello in c1, which has hello.example.com, is not there: the response is 404", "set from: All")]
    [InlineData(Http, "{name: front}", Hello, "HTTPRoute shop/hello in c1", "spec.parentRefs[0].namespace",
        "leads to namespace shop, that of the route, which has no Gateway front", "set spec.parentRefs[0].namespace to edge")]
    [InlineData(Http, "{" + Front + ", sectionName: web}", Hello, "HTTPRoute shop/hello in c1", "spec.parentRefs[0].sectionName",
        "is web, and no listener of Gateway edge/front in c1 has it: the call for hello.example.com arrives at listener http (port 80)",
        "write http, or remove")]
    [InlineData("{name: http, port: 80, protocol: HTTP, hostname: '*.example.org', " + All + "}", "{" + Front + "}", Hello, "Gateway edge/front in c1",
        "spec.listeners[0].hostname", "has *.example.org at port 80, but not hello.example.com, for which HTTPRoute shop/hello is",
        "add a listener with hostname")]
    [InlineData(Http, "{" + Front + "}", "hostnames: [hello.exmple.com]", "HTTPRoute shop/hello in c1", "spec.hostnames",
        "has hello.exmple.com, and not", "add")]
    [InlineData(Http, "{" + Front + "}", Hello, null, "", "", "")]
    public void A_route_that_is_not_attached_is_told_where_no_route_takes_a_request(string listener, string parent, string hosts, string? owner, string path,
        string says, string remedy)
    {
        var facts = Facts($"[{listener}, {{name: https, port: 443, protocol: HTTPS, hostname: hello.example.com, {All}}}]",
            Route("HTTPRoute", "hello", $"parentRefs: [{parent}], {hosts}"), "hello.example.com");
        AssertSays(Causes(facts).Unrouted("hello.example.com", 80), "ISM20", owner, path, says, remedy);
    }

    /// <summary>A listener closes connections that it cannot serve, or for which no route is: the policy for calls to the outside plays no part.</summary>
    [Theory]
    [InlineData("https", "sectionName: https", Secure, "ISM2085", "TLSRoute shop/secure in c1", "spec.parentRefs[0].sectionName",
        "is https: the call for secure.example.com arrives at listener tls (port 8443), to which the route is not attached, and the connection is closed",
        "write tls, or remove sectionName")]
    [InlineData("https", "sectionName: tls", "hostnames: [secret.example.com]", "ISM2085", "TLSRoute shop/secure in c1", "spec.hostnames",
        "has secret.example.com, and not secure.example.com", "add secure.example.com")]
    [InlineData("HTTPRoute", "sectionName: tls", Secure, "ISM2085", "HTTPRoute shop/secure in c1", "kind",
        "has routes for requests, and listener tls of Gateway edge/front in c1 has protocol TLS", "write a TLSRoute")]
    [InlineData("certs", "sectionName: https", "hostnames: [hello.example.com]", "ISM2060", "Gateway edge/front in c1",
        "spec.listeners[1].tls.certificateRefs[0]", "names Secret certs/hello, and no ReferenceGrant in namespace certs permits Gateways of namespace edge",
        "create a ReferenceGrant in namespace certs of c1")]
    public void A_connection_that_a_listener_closes_is_explained_by_it(string kind, string section, string hosts, string code, string owner, string path,
        string says, string remedy)
    {
        var (host, port) = kind == "certs" ? ("hello.example.com", 443) : ("secure.example.com", 8443);
        var facts = Facts($"[{Http}, {{name: https, port: 443, protocol: HTTPS, hostname: hello.example.com, {All}, tls: {{certificateRefs: [{{name: hello, "
            + $"namespace: certs}}]}}}}, {{name: tls, port: 8443, protocol: TLS, hostname: '*.example.com', {All}, tls: {{mode: Passthrough}}}}]",
            Route(kind is "HTTPRoute" ? kind : "TLSRoute", "secure", $"parentRefs: [{{{Front}, {section}}}], {hosts}"), $"https://{host}:{port}");
        var call = new TracedCall(facts, null, null, port, CallKinds.Tls, new(IPAddress.Any, port));
        AssertSays(Entries(facts).WithoutChain(call, hasTls: true), code, owner, path, says, remedy);
    }

    /// <summary>The Service of a Gateway is made from its listeners, and changing it helps nobody.</summary>
    [Theory]
    [InlineData("", "ListenerSet shop/more in c1", "spec.parentRef",
        "is not taken, so Gateway edge/front in c1 does not have its listener for hello.example.com",
        "allow namespace shop in spec.allowedListeners.namespaces of Gateway edge/front in c1")]
    [InlineData("allowedListeners: {namespaces: {from: All}}, ", "Gateway edge/front in c1", "spec.listeners[*].port",
        "opens 80, 8080, but the call arrives at 9090", "add a listener for port 9090")]
    [InlineData("addresses: [{type: Hostname, value: front.edge.svc.cluster.local}], ", "Service edge/front in c1", "spec.ports", "has no port 8080", "use one")]
    public void A_port_that_the_Service_of_a_Gateway_lacks_is_one_of_its_listeners(string more, string? owner, string path, string says, string remedy)
    {
        var port = more.StartsWith("allowed", StringComparison.Ordinal) ? 9090 : 8080;
        var facts = Facts($"[{Http}]", Route("HTTPRoute", "hello", "parentRefs: [{kind: ListenerSet, name: more}]"), $"hello.example.com:{port}", more);
        AssertSays(Entries(facts).WithoutPort(facts.Entry!, port), "ISM20", owner, path, says, remedy);
    }

    /// <summary>A walk comes to it where a chain of the gateway leads to nothing.</summary>
    [Fact]
    public void A_walk_blames_the_listener_for_a_connection_that_is_closed()
    {
        var scenario = new TraceScenario();
        scenario.Two += $$$"""

            ---
            {apiVersion: v1, kind: Service, metadata: {name: front, namespace: istio-system}, spec: {type: NodePort, selector: {istio: eastwest}, ports: [{name: https, port: 443, targetPort: 443}]}}
            ---
            { {{{Api}}}, kind: Gateway, metadata: {name: front, namespace: istio-system},
             spec: {gatewayClassName: istio, addresses: [{type: Hostname, value: front.istio-system.svc.cluster.local}],
              listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: hello, namespace: certs}]}}]}}
            """;
        scenario.Gateway = scenario.Gateway.Replace("15443", "443", StringComparison.Ordinal)
            .Replace($"\"cluster\": \"{TraceScenario.Sni}\"", "\"cluster\": \"BlackHoleCluster\"", StringComparison.Ordinal);
        var page = JsonNode.Parse(scenario.Gateway)!;
        var listener = page["config_dump"]!["configs"]![2]!["dynamic_listeners"]![0]!["active_state"]!["listener"]!;
        listener["filter_chains"]![0]!.AsObject().Remove("filter_chain_match");
        scenario.Gateway = page.ToJsonString();
        var facts = scenario.Facts("https://hello.example.com");
        var there = facts.Clusters[1];
        var walk = new AddressWalk(new(facts.Clusters, new("c2", "istio-system", "gw"), facts.Target, facts.Now)
        {
            Entry = new(there, there.Service("istio-system", "front")!),
        }, new Random(1));
        scenario.Complete(walk.Again());
        AssertSays(walk.Trace.Failure?.Problem, "ISM2060", "Gateway istio-system/front in c2", "spec.listeners[0].tls.certificateRefs[0]", "", "");
        Assert.Equal("filter chain", walk.Trace.Failure?.Name);
    }

    /// <summary>A route for connections has no rule that answers in its place: proxies have a cluster that does not exist.</summary>
    [Theory]
    [InlineData("name: ledger, namespace: infra, port: 80", "", "names Service infra/ledger, and no ReferenceGrant in namespace infra permits TCPRoutes of",
        "create a ReferenceGrant in namespace infra of c2: from: [{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: istio-system}]")]
    [InlineData("name: nothing, port: 80", ".name", "names Service istio-system/nothing, which does not exist, so that connections are closed", "create what")]
    [InlineData("name: front, port: 81", ".port", "names port 81 of Service istio-system/front in c2, which has 443 (tcp), so that connections", "write 443")]
    public void A_walk_names_the_backend_of_a_route_for_connections(string backend, string field, string says, string remedy)
    {
        var scenario = new TraceScenario();
        var route = Route("TCPRoute", "echo", "parentRefs: [{name: front}]", backend)
            .Replace("namespace: shop}", "namespace: istio-system}", StringComparison.Ordinal);
        scenario.Two += $$$"""

            ---
            {apiVersion: v1, kind: Service, metadata: {name: front, namespace: istio-system}, spec: {type: NodePort, selector: {istio: eastwest}, ports: [{name: tcp, port: 443, targetPort: 443}]}}
            ---
            {apiVersion: v1, kind: Service, metadata: {name: ledger, namespace: infra}, spec: {selector: {app: ledger}, ports: [{name: http, port: 80}]}}
            ---
            {{{route}}}
            """;
        var page = JsonNode.Parse(scenario.Gateway.Replace("15443", "443", StringComparison.Ordinal)
            .Replace($"\"cluster\": \"{TraceScenario.Sni}\"", "\"cluster\": \"UnknownService\"", StringComparison.Ordinal))!;
        var chain = page["config_dump"]!["configs"]![2]!["dynamic_listeners"]![0]!["active_state"]!["listener"]!["filter_chains"]![0]!.AsObject();
        chain.Remove("filter_chain_match");
        chain["metadata"] = JsonNode.Parse("""
            {"filter_metadata": {"istio": {"config": "/apis/gateway.networking.k8s.io/v1/namespaces/istio-system/TCPRoute/echo"}}}
            """);
        scenario.Gateway = page.ToJsonString();
        var facts = scenario.Facts("tcp://10.96.0.5:443");
        var there = facts.Clusters[1];
        var walk = new AddressWalk(new(facts.Clusters, new("c2", "istio-system", "gw"), facts.Target, facts.Now)
        {
            Entry = new(there, there.Service("istio-system", "front")!),
        }, new Random(1));
        scenario.Complete(walk.Again());
        AssertSays(walk.Trace.Failure?.Problem, "ISM2031", "TCPRoute istio-system/echo in c2", $"spec.rules[0].backendRefs[0]{field}", says, remedy);
    }

    /// <summary>The field of the backend that is wrong is named, with what is right.</summary>
    [Theory]
    [InlineData("group: net.gke.io, kind: ServiceImport, name: orders, port: 80", "group", "is \"net.gke.io\"", "write group: multicluster.x-k8s.io")]
    [InlineData("group: core, name: orders, port: 80", "group", "is \"core\"", "write group: \"\"")]
    [InlineData("group: multicluster.x-k8s.io, kind: ServiceImport, name: orders, port: 8080", "port", "names port 8080",
        "write 80: 8080 is the port of its Pods")]
    [InlineData("group: multicluster.x-k8s.io, kind: ServiceImport, name: ledger, port: 80", "kind", "is ServiceImport, and no cluster exports Service shop/ledger",
        "create a ServiceExport shop/ledger in each cluster whose Pods are meant")]
    [InlineData("name: ordrs, port: 80", "name", "names Service shop/ordrs", "create what is missing")]
    [InlineData("name: orders", "port", "names no port of Service shop/orders", "write the number")]
    public void A_backend_that_a_route_cannot_use_is_told_with_its_field(string backend, string field, string says, string remedy)
    {
        var facts = Facts($"[{Http}]", Route("HTTPRoute", "hello", $"parentRefs: [{{{Front}}}]", backend), "hello.example.com");
        AssertSays(new CallerConfig(facts).Failing("HTTPRoute shop/hello", "shop.hello.0"), "ISM2025", "HTTPRoute shop/hello in c1",
            $"spec.rules[0].backendRefs[0].{field}", says, remedy);
    }

    /// <summary>A route of the consumer's namespace is for callers there, and its backends are in the namespace of the producer.</summary>
    [Theory]
    [InlineData("name: orders, port: 80", "namespace", "is not written, so the reference names Service infra/orders, which does not exist",
        "write namespace: shop, where Service orders is")]
    [InlineData("name: nothing, port: 80", "name", "names Service infra/nothing, which does not exist", "create what is missing")]
    [InlineData("name: orders, namespace: infra, port: 80", "name", "names Service infra/orders, which does not exist", "create what is missing")]
    public void A_backend_of_a_consumer_route_without_its_namespace_is_told(string backend, string field, string says, string remedy)
    {
        var route = Route("HTTPRoute", "hello", "parentRefs: [{group: '', kind: Service, name: orders, namespace: shop}]", backend)
            .Replace("namespace: shop}, spec", "namespace: infra}, spec", StringComparison.Ordinal);
        Assert.Contains("namespace: infra}, spec", route, StringComparison.Ordinal);
        AssertSays(new CallerConfig(Facts($"[{Http}]", route, "orders.shop")).Failing("HTTPRoute infra/hello", "infra.hello.0"), "ISM2025",
            "HTTPRoute infra/hello in c1", $"spec.rules[0].backendRefs[0].{field}", says, remedy);
    }

    /// <summary>A parent without a group is not a Service.</summary>
    [Theory]
    [InlineData("kind: Service, name: orders", "is gateway.networking.k8s.io, as for all parents without a group, which has no kind Service")]
    [InlineData("group: core, kind: Service, name: orders", "is core, which has no kind Service")]
    [InlineData("group: '', kind: Service, name: orders", "")]
    [InlineData("name: orders", "")]
    public void A_route_whose_parent_has_no_group_of_Services_is_told_to_callers_of_the_Service(string parent, string says)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "via_upstream", []) };
        scenario.One += $"\n---\n{Route("HTTPRoute", "hello", $"parentRefs: [{{{parent}}}]")}";
        var trace = scenario.Walk();
        Assert.Null(trace.Failure);
        AssertSays(trace.Hops.Select(hop => hop.Problem).FirstOrDefault(problem => problem?.Code == "ISM2123"), "ISM2123",
            says.Length > 0 ? "HTTPRoute shop/hello in c1" : null, "spec.parentRefs[0].group", says, "write group: \"\"");
    }

    /// <summary>A host with a dot is taken as it is written, and one without means the VirtualService's own namespace.</summary>
    [Theory]
    [InlineData("orders.shop", "routes to orders.shop, which is not a host of the mesh: a name with a dot is taken as it is written",
        "write orders.shop.svc.cluster.local")]
    [InlineData("orders.infra.svc.cluster.local", "routes to orders.infra.svc.cluster.local, and no Service", "write orders.shop.svc.cluster.local, if")]
    public void A_destination_that_is_not_a_full_name_is_told_with_the_full_name(string host, string says, string remedy)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 503, 3, "", "NC", "cluster_not_found", []) };
        scenario.Client = scenario.Client.Replace($"\"route\": {{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\"}}",
            $"\"route\": {{\"cluster\": \"outbound|80||{host}\"}}", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: [orders], "
            + $"http: [{{route: [{{destination: {{host: {host}}}}}]}}]}}}}";
        AssertSays(scenario.Walk().Failure?.Problem, "ISM2010", "VirtualService shop/orders in c1", "spec.http[0].route[0].destination.host", says, remedy);
    }

    private static void AssertSays(Problem? problem, string code, string? owner, string path, string says, string remedy)
    {
        Assert.Equal(owner is null ? default : (owner, path), problem is null ? default : (problem.Object, problem.Path));
        if (problem is null) return;
        Assert.StartsWith(code, problem.Code, StringComparison.Ordinal);
        Assert.StartsWith(says, problem.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    private static ApiEntryCauses Causes(TraceFacts facts) => new(facts, new(facts), new(facts, new(facts), new(facts)));

    private static EntryCauses Entries(TraceFacts facts) => new(facts, new(facts), new(facts, new(facts), new(facts)));

    /// <summary>A gateway that passes TLS on sends it to where the route leads.</summary>
    [Theory]
    [InlineData("TLSRoute", "http", "TLSRoute shop/secure in c1", "spec.rules[0].backendRefs[0].port", "(protocol HTTPS), with an HTTPRoute")]
    [InlineData("TLSRoute", "https", null, "", "")]
    [InlineData("TLSRoute", "tls", null, "", "")]
    [InlineData("VirtualService", "http", "VirtualService shop/secure in c1",
        "spec.tls[0].route[0].destination.port.number", "(tls.mode: SIMPLE), with an http")]
    [InlineData("VirtualService", "tcp", null, "", "")]
    public void TLS_that_is_passed_on_to_a_port_of_requests_is_a_failure(string kind, string name, string? owner, string path, string remedy)
    {
        var route = kind == "TLSRoute" ? Route(kind, "secure", $"parentRefs: [{{{Front}, sectionName: tls}}], {Secure}")
            : "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: secure, namespace: shop}, spec: {hosts: [secure.example.com], "
                + "gateways: [edge/front], tls: [{match: [{sniHosts: [secure.example.com]}], route: [{destination: {host: orders.shop.svc.cluster.local, "
                + "port: {number: 80}}}]}]}}";
        var read = Facts($"[{{name: tls, port: 8443, protocol: TLS, hostname: '*.example.com', {All}, tls: {{mode: Passthrough}}}}]", route,
            "https://secure.example.com:8443");
        foreach (var service in read.Clusters.SelectMany(cluster => cluster.Services).Where(service => service.Metadata.Name == "orders"))
            service.Spec.Ports[0].Name = name;
        TargetView[] to = [new($"outbound|80||{TraceScenario.Fqdn}", 1)];
        var found = new TraceCauses(read, new(read)).PassedTls.ToRequests(to);
        Assert.Equal((owner, owner is null ? null : path), (found?.Problem.Object, found?.Problem.Path));
        if (found is not var (problem, isCertain)) return;
        Assert.True(isCertain);
        Assert.Equal("ISM2093", problem.Code);
        Assert.StartsWith("is 80 of Service shop/orders in c1, which declares HTTP, and the gateway passes TLS on without ending it: what takes",
            problem.Message, StringComparison.Ordinal);
        Assert.EndsWith($"{remedy}{(kind == "TLSRoute" ? "" : " route")}", problem.Remedy, StringComparison.Ordinal);
        // Others may take TLS there.
        Assert.False(new TraceCauses(read, new(read)).PassedTls.ToRequests([.. to, new("outbound|443||else.shop.svc.cluster.local", 1)])!.Value.IsCertain);
    }

    private static string Route(string kind, string name, string spec, string backend = "name: orders, port: 80") =>
        $"{{apiVersion: gateway.networking.k8s.io/v1, kind: {kind}, metadata: {{name: {name}, namespace: shop}}, spec: {{{spec}, rules: [{{backendRefs: "
            + $"[{{{backend}}}]}}]}}}}";

    /// <param name="more">Of the Gateway.</param>
    private static TraceFacts Facts(string listeners, string route, string target, string more = "allowedListeners: {namespaces: {from: All}}, ")
    {
        var scenario = new TraceScenario();
        scenario.One += $$$"""

            ---
            {apiVersion: v1, kind: Pod, metadata: {name: front, namespace: edge, labels: {app: front, gateway.networking.k8s.io/gateway-name: front}},
             spec: {containers: [{name: istio-proxy}]}, status: {phase: Running} }
            ---
            {apiVersion: v1, kind: Service, metadata: {name: front, namespace: edge}, spec: {selector: {app: front}, ports: [{name: http, port: 80}]}}
            ---
            { {{{Api}}}, kind: Gateway, metadata: {name: front, namespace: edge}, spec: {gatewayClassName: istio, {{{more}}}listeners: {{{listeners}}} }, status: {attachedListenerSets: 1}}
            ---
            { {{{Api}}}, kind: ListenerSet, metadata: {name: more, namespace: shop}, spec: {parentRef: { {{{Front}}} }, listeners: [{name: alt, port: 8080, protocol: HTTP}]}}
            ---
            {apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ServiceExport, metadata: {name: orders, namespace: shop} }
            ---
            {apiVersion: v1, kind: Service, metadata: {name: ledger, namespace: shop}, spec: {selector: {app: ledger}, ports: [{name: http, port: 80}]}}
            ---
            {{{Route("HTTPRoute", "more", "parentRefs: [{group: gateway.networking.k8s.io, kind: ListenerSet, name: more}]")}}}
            ---
            {{{route}}}
            """;
        var facts = scenario.Facts(target);
        return new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now)
        {
            Entry = new(facts.Clusters[0], facts.Clusters[0].Service("edge", "front")!),
        };
    }
}
