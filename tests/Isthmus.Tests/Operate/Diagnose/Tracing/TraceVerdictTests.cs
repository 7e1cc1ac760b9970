using Isthmus.Operate.Diagnose.Tracing;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Tracing;

/// <summary>The verdict on a call that fails uses what was found: it does not send people to their firewalls when the cause was
/// seen.</summary>
public sealed class TraceVerdictTests
{
    private const string Callee = "10.1.0.5:8080";

    /// <summary>The fault, and the code and object of the expected report.</summary>
    public static TheoryData<string, string, string, string> Faults => new()
    {
        { "half of the requests aborted", "ISM2026", "VirtualService shop/orders in c1", "50 %" },
        { "slow application", "ISM2077", "Pod shop/orders-a in c1", "limit of the trace, not of the mesh" },
        { "slow, and nobody saw it", "ISM2077", "c1, n1: Pod shop/orders-a at 10.1.0.5:8080", "limit of the trace" },
        { "out of time, and nothing seen", "ISM2077", "c1, n1: Pod shop/orders-a at 10.1.0.5:8080", "either the application needs longer, or packets do not arrive" },
        { "limits of the connection pool", "ISM2079", "DestinationRule shop/orders in c1", "limits refuse the call" },
        { "HTTP on a port named grpc", "ISM2074", "Service shop/orders in c1", "probably speaks HTTP/1.1" },
        { "long headers", "ISM2091", "Pod shop/orders-a in c1", "60 KiB of headers" },
        { "nothing accepts on a port named grpc", "ISM2074", "Pod shop/orders-a in c1", "could not hand the call" },
        { "ServiceEntry of the same host", "ISM2018", "ServiceEntry bank/mine in c1", "10.99.0.9" },
        { "DNS without Pods", "ISM2048", "Deployment kube-system/coredns in c1", "it is the DNS of c1" },
        { "a warning before a failure that nobody explains", "ISM2076", "cluster outbound|80||orders.shop.svc.cluster.local", "this may be why" },
        { "nothing to be seen", "ISM2076", "n2 through gateway 172.18.2.1:15443", "no proxy on the path saw the call" },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void The_verdict_names_what_was_found(string fault, string code, string @object, string message)
    {
        var scenario = new TraceScenario();
        var problem = scenario.Walk(Inject(scenario, fault)).Failure?.Problem;
        Assert.Equal((code, @object), (problem?.Code, problem?.Object));
        Assert.Contains(message, problem!.Message, StringComparison.Ordinal);
        if (code != "ISM2076") Assert.DoesNotContain("firewall", problem.Remedy, StringComparison.Ordinal);
    }

    private static string Inject(TraceScenario s, string fault)
    {
        Sighting Seen(string flags, string failure = "", string details = "") => new(new("c1", "shop", "orders-a"), true, 2, null, 503, flags, details, failure, Callee, "", "", "");
        switch (fault)
        {
            case "half of the requests aborted":
                s.Client = s.Client.Replace("\"http_filters\": [", "\"http_filters\": [{\"name\": \"envoy.filters.http.fault\", \"typed_config\": {\"@type\": \"type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault\", \"abort\": {\"http_status\": 503, \"percentage\": {\"numerator\": 50}}}}, ", StringComparison.Ordinal);
                s.Call = new("GET /", false, 503, 1, "", "FI", "fault_filter_abort", []);
                break;
            case "slow application":
                s.Call = new("GET /", false, 0, 5000, Callee, "DC", "no answer within 5 s", []) { IsOutOfTime = true };
                s.Sighted = [Seen("DC")];
                break;
            case "slow, and nobody saw it": s.Call = new("GET /", false, 0, 5000, Callee, "DC", "no answer within 5 s", []) { IsOutOfTime = true }; break;
            case "out of time, and nothing seen":
                s.Client = s.ClientOfOne;
                s.Watched = [];
                s.Call = new("GET /", false, 0, 5000, "", "", "no answer within 5 s", []) { IsOutOfTime = true };
                break;
            case "limits of the connection pool":
                s.Client = s.Client.Replace("\"type\": \"EDS\"", "\"type\": \"EDS\", \"metadata\": {\"filter_metadata\": {\"istio\": {\"config\": \"/apis/x/v1/namespaces/shop/destination-rule/orders\"}}}", StringComparison.Ordinal);
                s.Call = new("GET /", false, 503, 1, "", "UO", "upstream_reset_before_response_started{overflow}", []);
                break;
            case "long headers":
                s.Call = new("GET /", false, 502, 1, Callee, "UPE", "http1.headers_too_large", []);
                s.Sighted = [Seen("UPE", details: "upstream_reset_before_response_started{http1.headers_too_large}")];
                break;
            case "HTTP on a port named grpc" or "nothing accepts on a port named grpc":
                (s.One, s.Two) = (s.One.Replace("{name: http, port: 80", "{name: grpc-web2, port: 80", StringComparison.Ordinal), s.Two.Replace("{name: http, port: 80", "{name: grpc-web2, port: 80", StringComparison.Ordinal));
                s.Call = new("GET /", false, 503, 1, Callee, "-", "via_upstream", []);
                s.Sighted = [fault.StartsWith("HTTP", StringComparison.Ordinal) ? Seen("UC") : Seen("UF", "Connection refused")];
                break;
            case "ServiceEntry of the same host":
                s.One += "\n---\n{apiVersion: networking.istio.io/v1beta1, kind: ServiceEntry, metadata: {name: mine, namespace: bank}, spec: {hosts: [orders.shop.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 10.99.0.9}]}}";
                s.Client = s.ClientOfOne.Replace("\"address\": \"10.1.0.5\"", "\"address\": \"10.99.0.9\"", StringComparison.Ordinal).Replace("orders;shop;orders;v1;c1", ";;;;c1", StringComparison.Ordinal);
                s.Call = new("GET /", false, 503, 3, "10.99.0.9:8080", "UF", "delayed connect error: 111", []);
                break;
            case "DNS without Pods":
                s.Client = s.Client.Replace("\"host\": \"orders\"", "\"host\": \"example.com\"", StringComparison.Ordinal).Replace("[\"10.96.0.5\"], \"by\": \"sidecar\"", "[], \"by\": \"\"", StringComparison.Ordinal);
                s.One += "\n---\n{apiVersion: v1, kind: Service, metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns}}, spec: {clusterIP: 10.96.0.10, selector: {k8s-app: kube-dns}, ports: [{name: dns, port: 53, protocol: UDP}]}}"
                    + "\n---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: coredns, namespace: kube-system}, spec: {replicas: 0, template: {metadata: {labels: {k8s-app: kube-dns}}}}}";
                return "example.com";
            case "a warning before a failure that nobody explains":
                s.Client = s.Client.Replace("\"cluster_statuses\": []", "\"cluster_statuses\": [{\"name\": \"outbound|80||" + TraceScenario.Fqdn + "\", \"host_statuses\": [{\"address\": {\"socket_address\": {\"address\": \"172.18.2.1\", \"port_value\": 15443}}, \"health_status\": {\"failed_outlier_check\": true}}]}]", StringComparison.Ordinal);
                s.Call = new("GET /", false, 503, 3, Callee, "UF", "delayed connect error: 113", []);
                break;
            case "nothing to be seen": s.Call = new("GET /", false, 503, 3, "172.18.2.1:15443", "UF", "delayed connect error: 113", []); break;
        }
        return "orders";
    }
}
