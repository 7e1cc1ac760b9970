using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Steps;
using Isthmus.Mesh.Certificates;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>What operators did wrong at the gateways by which calls come from outside (tests/operator-faults.tsv).</summary>
public sealed class EntryTrialTests
{
    private const string Files = "file-cert:/etc/door/tls.crt~/etc/door/tls.key", Mount = "[{name: door, mountPath: /etc/door}]";

    private const string Named = "serverCertificate: /etc/door/tls.crt, privateKey: /etc/door/tls.key, caCertificates: /etc/clients/ca.crt";

    /// <summary>A gateway has no certificate where the file is not, and the objects tell why.</summary>
    [Theory]
    [InlineData("[]", "[]", null, Files, "serverCertificate", "is /etc/door/tls.crt, which Pod edge/door in c1 does not have: no volume is mounted there",
        "write credentialName with a Secret of namespace edge instead of the files, or mount a volume with the file at /etc/door in container istio-proxy")]
    [InlineData("[]", "[]", null, "file-root:/etc/clients/ca.crt", "caCertificates", "is /etc/clients/ca.crt, which Pod edge/door in c1 does not have", "write")]
    [InlineData(Mount, "[{name: door, secret: {secretName: door-certs, optional: true}}]", "", Files, "serverCertificate",
        "is /etc/door/tls.crt, in volume door of Pod edge/door in c1, which is Secret edge/door-certs: it does not exist", "create it, with the key tls.crt")]
    [InlineData(Mount, "[{name: door, secret: {secretName: door-certs}}]", "tls.crt cert.key", Files, "privateKey",
        "is /etc/door/tls.key, in volume door of Pod edge/door in c1, which is Secret edge/door-certs: that has tls.crt, cert.key, and no tls.key",
        "write the path of a file that the volume has, or add the key tls.key to Secret edge/door-certs")]
    [InlineData(Mount, "[{name: door, secret: {secretName: door-certs, items: [{key: cert.key, path: tls.key}, {key: tls.crt, path: tls.crt}]}}]",
        "tls.crt cert.key", Files, "serverCertificate", "is /etc/door/tls.crt, which the proxy of Pod edge/door in c1 could not use with /etc/door/tls.key",
        "see what it says of the files: kubectl --context=c1 -n edge logs door -c istio-proxy")]
    public void A_certificate_in_files_that_the_gateway_lacks_is_told(string mounts, string volumes, string? keys, string asked, string field, string says,
        string remedy)
    {
        var causes = Entry($"[{{port: {{number: 443, name: https, protocol: HTTPS}}, hosts: ['*.example.com'], tls: {{mode: MUTUAL, {Named}}}}}]", "",
            "https://shop.example.com", out var call, mounts, volumes);
        if (keys is not null)
            call.Facts.Holders[new("c1", "Secret", "edge", "door-certs")] = keys.Length == 0 ? new("does not exist", []) : new("", keys.Split(' '));
        var problem = asked == Files ? causes.Unacceptable(call, asked, null) : causes.WithoutClientCa(call, asked);
        AssertSays(problem, "ISM2060", "Gateway edge/door in c1", $"spec.servers[0].tls.{field}", says, remedy);
    }

    /// <summary>A route is for calls that come by another Gateway, at another port, or from other labels than those of the gateway.</summary>
    [Theory]
    [InlineData("gateways: [other]", "gateways", "is edge/other, and the call enters by Gateway edge/door: no route of the host is left for this gateway, and",
        "add edge/door to gateways of the match, or add a route without match at the end")]
    [InlineData("gateways: [door], port: 8080", "port", "is 8080, and the call enters at port 80 of Gateway edge/door: no route", "write 80 there, or add")]
    [InlineData("sourceLabels: {app: web}", "sourceLabels", "is app=web, and the gateway, for which only what it has itself counts, has other labels",
        "correct the match")]
    [InlineData("gateways: [door]", null, "", "")]
    public void A_match_that_the_gateway_does_not_get_is_told(string match, string? field, string says, string remedy)
    {
        var causes = Entry(Plain, Route($"{{match: [{{{match}}}], {ToOrders}}}"), "shop.example.com", out var call);
        call = At(causes, call);
        var problem = new UnmatchedRequest(call, new(call.Facts), causes.Ingresses, causes.Routing(call)).Lost();
        AssertSays(problem, "ISM2024", field is null ? null : "VirtualService edge/shop in c1", $"spec.http[0].match[0].{field}", says, remedy);
    }

    /// <summary>The control plane leaves objects of the Gateway API alone.</summary>
    [Theory]
    [InlineData("PILOT_ENABLE_GATEWAY_API", "'false'", "ISM2159")]
    [InlineData("PILOT_ENABLE_GATEWAY_API", "'true'", "ISM2054")]
    public void A_control_plane_that_is_told_to_leave_the_Gateway_API_alone_is_named(string variable, string value, string code)
    {
        var causes = Entry("[]", "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: edge}, spec: {gatewayClassName: "
            + "istio, listeners: [{name: http, port: 80, protocol: HTTP}]}}", "shop.example.com", out _, variables: $", {{name: {variable}, value: {value}}}");
        var problem = causes.WithoutListener(80, 80);
        Assert.Equal((code, code == "ISM2159" ? "Deployment istio-system/istiod in c1" : "Pod edge/door in c1"), (problem.Code, problem.Object));
        if (code != "ISM2159") return;
        Assert.Equal($"spec.template.spec.containers[*].env[{variable}]", problem.Path);
        Assert.StartsWith($"kubectl --context=c1 -n istio-system set env deployment/istiod {variable}-", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>The scheme is that of the connection to the gateway: a load balancer may have ended TLS.</summary>
    [Theory]
    [InlineData(false, "requests with scheme https, and this one comes to the proxy by http, also where a load balancer before it has ended TLS")]
    [InlineData(true, null)]
    public void A_match_for_https_where_the_gateway_sees_http_is_told(bool isDecrypted, string? says)
    {
        var causes = Entry(Plain, Route($"{{match: [{{scheme: {{exact: https}}}}], {ToOrders}}}"), "shop.example.com/hello", out var call);
        var nearest = new NearestRoute(new(call.Facts), At(causes, call) with { IsDecrypted = isDecrypted }).Among(["edge/shop"]);
        Assert.Equal(says is null ? default : ("spec.http[0].match[0].scheme.exact", says, "remove scheme from the match"),
            nearest is null ? default : (nearest.Field, nearest.Why, nearest.Remedy));
    }

    /// <summary>Clients that call an address send no server name.</summary>
    [Theory]
    [InlineData("{mode: SIMPLE, credentialName: door}", "shop.example.com", true, "ISM2055",
        "has shop.example.com, and a call of the address 192.0.2.7 has no server name",
        "call https://shop.example.com, and resolve it to the address where DNS does not: curl --resolve shop.example.com:443:192.0.2.7")]
    [InlineData("{mode: PASSTHROUGH}", "'*.example.com'", false, "ISM2055", "has *.example.com, and a call of the address 192.0.2.7 has no server name (SNI)",
        "call a name that it has, and")]
    public void TLS_to_an_address_that_no_server_takes_is_told(string tls, string host, bool ends, string code, string says, string remedy)
    {
        var causes = Entry($"[{{port: {{number: 443, name: https, protocol: HTTPS}}, hosts: [{host}], tls: {tls}}}]", "", "https://192.0.2.7", out var call);
        AssertSays(causes.WithoutChain(call, ends), code, "Gateway edge/door in c1", "spec.servers[*].hosts", says, remedy);
    }

    /// <summary>Nothing tells connections of HTTP and of TCP apart at one port: the older Gateway has them all.</summary>
    [Theory]
    [InlineData("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "Gateway edge/raw in c1",
        "is 80 for TCP, and Gateway edge/web, which is older, has it for HTTP")]
    [InlineData("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "Gateway edge/web in c1",
        "is 80 for HTTP, and Gateway edge/raw, which is older, has it for TCP")]
    public void A_server_whose_port_an_older_Gateway_has_for_another_protocol_is_told(string web, string raw, string owner, string says)
    {
        var causes = Entry("[]", Made("web", web, "HTTP", "web.example.com") + "\n---\n" + Made("raw", raw, "TCP", "'*'") + "\n---\n" + Route("")
            .Replace("[door, other]", "[raw]", StringComparison.Ordinal).Replace("http: []", $"tcp: [{{{ToOrders}}}]", StringComparison.Ordinal),
            owner.Contains("raw", StringComparison.Ordinal) ? "shop.example.com" : "web.example.com", out var call);
        var problem = owner.Contains("raw", StringComparison.Ordinal) ? causes.Unrouted(call) : causes.Displaced(call);
        AssertSays(problem, "ISM2053", owner, "spec.servers[0].port", says, "use another port for one of the two, and open it in the Service of the gateway");

        static string Made(string name, string created, string protocol, string host) => "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: "
            + $"{{name: {name}, namespace: edge, creationTimestamp: '{created}'}}, spec: {{selector: {{istio: door}}, servers: [{{port: {{number: 80, name: x, "
            + $"protocol: {protocol}}}, hosts: [{host}]}}]}}}}";
    }

    /// <summary>What keeps an address from the Service of a gateway.</summary>
    [Theory]
    [InlineData("annotations: {networking.istio.io/service-type: ClusterIP}, ", "type: ClusterIP", "Gateway edge/front in c1",
        "metadata.annotations[networking.istio.io/service-type]", "is ClusterIP, so that Service edge/front in c1, which is made for it, has no address",
        "remove the annotation, or write")]
    [InlineData("", "type: ClusterIP", "Service edge/front in c1", "spec.type", "is ClusterIP, so that the Service has no address outside", "write type")]
    [InlineData("", "type: LoadBalancer, loadBalancerClass: a.b/c", "Service edge/front in c1", "spec.loadBalancerClass",
        "is a.b/c: only the load balancer of that class gives the Service an address, and none has, so clients outside reach it at ports of Nodes only",
        "install the load balancer of class a.b/c; or create the Service again without the field")]
    [InlineData("", "type: LoadBalancer", "Service edge/front in c1", "status.loadBalancer", "has no address: no load balancer", "install a load balancer, or")]
    public void What_keeps_an_address_from_a_gateway_is_told(string annotations, string spec, string owner, string path, string says, string remedy)
    {
        var causes = Entry("[]", "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {" + annotations + "name: front, namespace: edge}, spec: "
            + "{gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}}\n---\n{apiVersion: v1, kind: Service, metadata: {name: front, "
            + $"namespace: edge}}, spec: {{{spec}, selector: {{istio: door}}, ports: [{{name: http, port: 80}}]}}}}", "shop.example.com", out var call);
        var entry = new ServiceInCluster(call.Facts.Home, call.Facts.Home.Service("edge", "front")!);
        var problem = spec.Contains("LoadBalancer", StringComparison.Ordinal) ? causes.WithoutAddress(entry) : causes.Inside(entry);
        AssertSays(problem, "ISM1005", owner, path, says, remedy);
    }

    /// <summary>Of several routes, the one whose match has all but the Gateway is the nearest.</summary>
    [Fact]
    public void A_match_for_another_Gateway_is_the_nearest()
    {
        var causes = Entry(Plain, Route($"{{match: [{{uri: {{exact: /cart}}}}], {ToOrders}}}, {{match: [{{uri: {{prefix: /hello}}, gateways: [other]}}], "
            + $"{ToOrders}}}"), "shop.example.com/hello", out var call);
        var nearest = new NearestRoute(new(call.Facts), At(causes, call)).Among(["edge/shop"]);
        Assert.Equal(("spec.http[1].match[0].gateways", "gateways edge/other, and the call enters by Gateway edge/door",
            "add edge/door to gateways of the match"), (nearest?.Field, nearest?.Why, nearest?.Remedy));
    }

    /// <summary>The Gateway names the suites, or MeshConfig does for all.</summary>
    [Theory]
    [InlineData(KeyKind.Rsa2048, "cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256], maxProtocolVersion: TLSV1_2", "Gateway edge/door in c1",
        "spec.servers[0].tls.cipherSuites")]
    [InlineData(KeyKind.EcP256, "cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256]", null, "")]
    [InlineData(KeyKind.Rsa2048, "minProtocolVersion: TLSV1_2", "ConfigMap istio-system/istio in c1", "data.mesh.tlsDefaults.cipherSuites")]
    public void Suites_that_are_for_other_keys_than_that_of_the_certificate_are_told(KeyKind kind, string tls, string? owner, string path)
    {
        using var issuer = Issuer.SelfSigned(new("edge", "door"), Keys.Create(kind), TraceScenario.Now.AddDays(-1), TraceScenario.Now.AddDays(9));
        var gap = SuiteGap.Find(issuer.Certificate, ["ECDHE-ECDSA-AES128-GCM-SHA256"], allows13: false);
        var causes = Entry("[{port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*.example.com'], "
            + $"tls: {{mode: SIMPLE, credentialName: door, {tls}}}}}]",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: \"tlsDefaults: {cipherSuites: "
                + "[ECDHE-ECDSA-AES128-GCM-SHA256]}\"}}", "https://shop.example.com", out var call);
        Assert.Equal(owner is null, gap is null);
        if (gap is null) return;
        AssertSays(causes.Unsuited(call, gap), "ISM2154", owner, path, "has ECDHE-ECDSA-AES128-GCM-SHA256, which need a key of ECDSA, and that of the "
            + "certificate is of RSA: the gateway and its clients agree on no suite", "add ECDHE-RSA-AES128-GCM-SHA");
    }

    /// <summary>Two kinds have the name Gateway, and routes of the Gateway API attach to one of them.</summary>
    [Theory]
    [InlineData("shop.example.com", "{}", true)]
    [InlineData("other.example.com", "{}", false)]
    [InlineData("shop.example.com", "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: edge}, "
        + "spec: {gatewayClassName: other, listeners: [{name: http, port: 80, protocol: HTTP}]}}", false)]
    public void A_route_of_the_Gateway_API_that_names_a_Gateway_of_Istio_is_told(string hostname, string beside, bool isTold)
    {
        var causes = Entry(Plain, "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: shop, namespace: edge}, spec: {parentRefs: "
            + $"[{{name: door}}], hostnames: [{hostname}], rules: [{{backendRefs: [{{name: orders, namespace: shop, port: 80}}]}}]}}}}\n---\n{beside}",
            "shop.example.com", out var call);
        var problem = causes.Unrouted(call);
        AssertSays(problem, "ISM2085", isTold ? "HTTPRoute edge/shop in c1" : "Gateway edge/door in c1", isTold ? "spec.parentRefs[0].name" : "",
            isTold ? "names door, and Gateway edge/door, which accepts the call, is one of Istio (networking.istio.io)"
                : "no VirtualService with this Gateway routes shop.example.com", "create a VirtualService with host shop.example.com and gateway edge/door");
    }

    /// <summary>A server sees requests, and the VirtualService has none for them.</summary>
    [Theory]
    [InlineData("{number: 443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: door}", "tls: [{match: [{sniHosts: [shop.example.com]}], ",
        "spec.tls", "has routes for TLS only, and server 0 of Gateway edge/door in c1 ends TLS (mode SIMPLE), and sees requests, so requests have no route",
        "write http routes, or let the server pass TLS on (tls.mode: PASSTHROUGH)")]
    [InlineData("{number: 443, name: http, protocol: HTTP}", "tcp: [{", "spec.tcp",
        "has routes for connections only, and server 0 of Gateway edge/door in c1 has protocol HTTP, and sees requests, so requests have no route",
        "write http routes, or give the server the protocol TCP")]
    [InlineData("{number: 443, name: http, protocol: HTTP}", "http: [{", "", "", "")]
    public void Routes_for_connections_at_a_server_for_requests_are_told(string server, string routes, string path, string says, string remedy)
    {
        var causes = Entry($"[{{port: {server}, hosts: ['*.example.com']}}]", Route("").Replace("http: []", $"{routes}{ToOrders}}}]", StringComparison.Ordinal),
            "https://shop.example.com", out var call);
        AssertSays(causes.Unrouted(call), "ISM2085", path.Length == 0 ? null : "VirtualService edge/shop in c1", path, says, remedy);
    }

    /// <summary>The call comes to the gateway of one cluster, and what serves its host was applied in the other one.</summary>
    [Theory]
    [InlineData(Plain, "", "VirtualService edge/shop in c2", "routes shop.example.com for Gateway edge/door, and the gateway in c1 serves the objects of c1, "
        + "which has no VirtualService", "apply its manifest with --context=c1; or call the gateway of c2")]
    [InlineData("[{port: {number: 80, name: http, protocol: HTTP}, hosts: [other.example.com]}]", Plain, "Gateway edge/door in c2",
        "has shop.example.com, and the gateway in c1 serves the objects of c1, which has no Gateway for this host",
        "apply its manifest with --context=c1, and that of VirtualService edge/shop as well; or call the gateway of c2")]
    public void What_serves_the_host_in_another_cluster_only_is_named(string here, string there, string owner, string says, string remedy)
    {
        var causes = Entry(here, "", "shop.example.com", out var call, there: $"{(there.Length > 0 ? Gateway(there) : "{}")}\n---\n"
            + Route($"{{{ToOrders}}}"));
        AssertSays(causes.Unrouted(call), "ISM2152", owner, "", says, remedy);
    }

    [Fact]
    public void A_gateway_whose_Gateway_is_in_another_cluster_only_is_told()
    {
        var causes = Entry("[]", "", "shop.example.com", out _, there: Gateway(Plain));
        AssertSays(causes.WithoutListener(80, 8080), "ISM2152", "Gateway edge/door in c2", "", "has shop.example.com, and the gateway in c1 serves", "apply");
    }

    private const string Plain = "[{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.example.com']}]",
        ToOrders = "route: [{destination: {host: orders.shop.svc.cluster.local}}]";

    private static string Route(string http) => "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: shop, namespace: edge}, spec: "
        + $"{{hosts: [shop.example.com], gateways: [door, other], http: [{http}]}}}}";

    /// <summary>The call as the gateway lets it in.</summary>
    private static TracedCall At(EntryCauses causes, TracedCall call) =>
        call with { Admitted = new(call.Request(), call.Request(), null, false) { Doors = causes.Doors(call) } };

    private static void AssertSays(Problem? problem, string code, string? owner, string path, string says, string remedy)
    {
        Assert.Equal(owner is null ? default : (code, owner, path), problem is null ? default : (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(says, problem?.Message ?? "", StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem?.Remedy ?? "", StringComparison.Ordinal);
    }

    private static string Gateway(string servers) => "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: door, namespace: edge}, "
        + $"spec: {{selector: {{istio: door}}, servers: {servers}}}}}";

    /// <summary>A Gateway edge/door at Pod edge/door, and a call that comes there.</summary>
    private static EntryCauses Entry(string servers, string objects, string target, out TracedCall call, string mounts = "[]", string volumes = "[]",
        string there = "{}", string variables = "")
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("value: c1}]}]}}}}", $"value: c1}}{variables}]}}]}}}}}}}}", StringComparison.Ordinal);
        scenario.Two += $"\n---\n{there}";
        scenario.One += $$"""

            ---
            {apiVersion: v1, kind: Pod, metadata: {name: door, namespace: edge, labels: {istio: door, gateway.networking.k8s.io/gateway-name: front} },
             spec: {containers: [{name: istio-proxy, volumeMounts: {{mounts}} }], volumes: {{volumes}} }, status: {phase: Running} }
            ---
            {apiVersion: v1, kind: Service, metadata: {name: door, namespace: edge}, spec: {selector: {istio: door}, ports: [{name: http, port: 80}, {name: https, port: 443}]} }
            ---
            {{(servers == "[]" ? "{}" : Gateway(servers))}}
            ---
            {{(objects.Length > 0 ? objects : "{}")}}
            """;
        var facts = scenario.Facts(target);
        facts = new(facts.Clusters, new("c1", "edge", "door"), facts.Target, facts.Now) { Entry = new(facts.Home, facts.Home.Service("edge", "door")!) };
        var (port, kind) = facts.Target.Scheme == "https" ? (443, CallKinds.Tls) : (80, CallKinds.Http);
        call = new(facts, null, null, port, kind, new(IPAddress.Any, port));
        return new(facts, new(facts), new(facts, new(facts), new(facts)));
    }
}
