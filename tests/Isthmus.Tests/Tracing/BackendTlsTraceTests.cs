using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Judgement;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>TLS that a BackendTLSPolicy makes callers begin: the trace of a sidecar names the policy, and what is wrong with it.</summary>
public sealed class BackendTlsTraceTests
{
    private const string Callee = "10.1.0.5:8080", Refused = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:",
        Trusted = "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: ca}]";

    /// <summary>The server has begun TLS, and ends it for want of a certificate.</summary>
    [Theory]
    [InlineData("tlsv13_alert_certificate_required", "spec.trafficPolicy.tls.mode", "demands one of its clients", "set it to MUTUAL, with clientCertificate")]
    [InlineData("tlsv1_alert_unknown_ca", "spec.trafficPolicy.tls", "does not accept the certificate that it shows", "use MUTUAL with a certificate of a CA")]
    [InlineData("wrong_version_number", "spec.trafficPolicy.tls", "which fails: TLS_error:|wrong_version", "if the server speaks plain text")]
    public void What_a_server_wants_of_a_certificate_of_the_caller_is_told(string alert, string path, string says, string remedy)
    {
        var problem = new OriginatedTls(new TraceScenario().Facts(), "203.0.113.9:443", false)
            .Of("DestinationRule shop/ext", $"TLS_error:|{alert}:TLS_error_end");
        Assert.Equal(("ISM2089", "DestinationRule shop/ext in c1", path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("TLS_error:|wrong_version_number:TLS_error_end", Trusted, "spec.targetRefs",
        "makes the caller's proxy begin TLS with c1, n1: Pod shop/orders-a",
        "if the server speaks plain text at this port: kubectl --context=c1 -n shop delete backendtlspolicies.gateway.networking.k8s.io secure")]
    [InlineData(Refused + "verify_cert_failed:_SAN_matcher:TLS_error_end", Trusted, "spec.validation.hostname", "is orders.example.com, and the certificate",
        "set it to a name in the certificate")]
    [InlineData(Refused + "verify_cert_failed:_SAN_matcher:TLS_error_end", Trusted + ", subjectAltNames: [{type: Hostname, hostname: a.example.com}]",
        "spec.validation.subjectAltNames", "has a.example.com, and the certificate", "add a name")]
    [InlineData(Refused + "verify_cert_failed:_SAN_matcher:_it_has_[web.example.com]:TLS_error_end", Trusted, "spec.validation.hostname",
        "is orders.example.com, and the certificate of c1, n1: Pod shop/orders-a at 10.1.0.5:8080, which is for web.example.com, is not", "set it to web.example.com")]
    [InlineData(Refused + "self-signed certificate:TLS_error_end", Trusted, "spec.validation.caCertificateRefs",
        "trusts the CAs of ConfigMap shop/ca, and none of these issued", "put the CA that issued it there")]
    [InlineData(Refused + "self-signed certificate:TLS_error_end", "wellKnownCACertificates: System", "spec.validation.wellKnownCACertificates",
        "trusts the CAs of the caller's system", "name the CA of the server in caCertificateRefs")]
    public void A_server_that_does_not_do_what_the_policy_demands_is_told_with_the_field(string detail, string validation, string path, string says,
        string remedy)
    {
        var scenario = Scenario(validation, hasSidecar: false);
        scenario.Call = new("GET /", false, 503, 3, Callee, "UF,URX", $"upstream_reset_before_response_started; {detail}", []);
        AssertPolicy(scenario.Walk(), path, says, remedy);
    }

    /// <summary>The rule for a port comes before the one for all, and says nothing of other ports.</summary>
    [Theory]
    [InlineData("http", true)]
    [InlineData("other", false)]
    public void A_policy_for_another_port_is_not_to_blame(string section, bool isNamed)
    {
        var scenario = Scenario(Trusted, hasSidecar: false, section);
        scenario.Call = new("GET /", false, 503, 3, Callee, "UF", "TLS_error:|wrong_version_number:TLS_error_end", []);
        Assert.Equal(isNamed ? "BackendTLSPolicy shop/secure in c1" : "c1, n1: Pod shop/orders-a at 10.1.0.5:8080", scenario.Walk().Failure?.Problem?.Object);
    }

    /// <summary>Where a proxy of the mesh is, and takes only the mesh's TLS.</summary>
    [Fact]
    public void A_policy_for_workloads_that_accept_only_mesh_TLS_is_the_cause()
    {
        var scenario = Scenario(Trusted, hasSidecar: true);
        scenario.One += "\n---\n{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: strict, namespace: shop}, "
            + "spec: {mtls: {mode: STRICT}}}";
        AssertPolicy(scenario.Walk(), "spec.targetRefs", "PeerAuthentication shop/strict in c1 is STRICT", "kubectl --context=c1 -n shop delete backendtls");
    }

    /// <summary>A server that waits for a whole line does not answer the beginning of TLS.</summary>
    [Fact]
    public void A_server_that_says_nothing_to_TLS_is_told_with_the_policy()
    {
        var scenario = Scenario(Trusted, hasSidecar: false);
        scenario.Call = new("GET /", false, 0, 3000, "", "", "no answer within 3 s", []) { IsOutOfTime = true };
        AssertPolicy(WithoutOthers(scenario).Walk(), "spec.targetRefs", "which fails: no answer within 3 s", "if the server speaks plain text at this port");
    }

    /// <summary>Control planes make no endpoints for it, and say why in its status; otherwise, what it names is looked at.</summary>
    [Theory]
    [InlineData("ConfigMap shop/ca is no CA", "ca.crt", "callers make no connection: ConfigMap shop/ca is no CA", "put the CA that issued")]
    [InlineData("", null, "callers make no connection: ConfigMap shop/ca does not exist", "create it, with the CA that issued the certificate of the server: "
        + "kubectl --context=c1 -n shop create configmap ca --from-file=ca.crt=FILE")]
    [InlineData("", "ca.pem", "callers make no connection: ConfigMap shop/ca has no ca.crt: it has ca.pem", "put the CA that issued")]
    [InlineData("", "", "callers make no connection: ConfigMap shop/ca has no ca.crt: it is empty", "put the CA that issued")]
    // A control plane says both of both.
    [InlineData("ConfigMap shop/ca does not exist or holds no CA", null, "no connection: ConfigMap shop/ca does not exist", "create it")]
    [InlineData("ConfigMap shop/ca does not exist or holds no CA", "ca.pem", "no connection: ConfigMap shop/ca has no ca.crt: it has ca.pem", "put the CA")]
    public void A_policy_without_a_CA_that_can_be_used_leaves_callers_without_endpoints(string status, string? key, string says, string remedy)
    {
        var scenario = Scenario(Trusted, hasSidecar: false);
        if (status.Length > 0)
            scenario.One = scenario.One.Replace("kind: BackendTLSPolicy,", "kind: BackendTLSPolicy, status: {ancestors: [{conditions: [{type: Accepted, "
                + $"status: \"False\", reason: NoValidCACertificate, message: {status}}}]}}]}},", StringComparison.Ordinal);
        if (key is not null) scenario.Maps["shop/ca"] = new() { Data = key.Length > 0 ? new() { [key] = "x" } : [] };
        var page = JsonNode.Parse(scenario.Client)!;
        page["config_dump"]!["configs"]![1]!["dynamic_endpoint_configs"]![0]!["endpoint_config"]!["endpoints"] = new JsonArray();
        scenario.Client = page.ToJsonString();
        AssertPolicy(scenario.Walk(), "spec.validation.caCertificateRefs", says, remedy);
        if (key is null) Assert.DoesNotContain("holds no CA", scenario.Walk().Failure!.Problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>A gateway between networks knows only the mesh's names.</summary>
    [Fact]
    public void A_policy_for_workloads_behind_the_gateway_of_another_network_is_the_cause()
    {
        var scenario = Scenario(Trusted, hasSidecar: false);
        scenario.One = scenario.One.Replace("podIP: 10.1.0.5", "podIP: 10.1.0.6", StringComparison.Ordinal);
        var page = JsonNode.Parse(scenario.Client)!;
        var endpoints = page["config_dump"]!["configs"]![1]!["dynamic_endpoint_configs"]![0]!["endpoint_config"]!["endpoints"]![0]!["lb_endpoints"]!.AsArray();
        endpoints.RemoveAt(0);
        scenario.Client = page.ToJsonString();
        AssertPolicy(scenario.Walk(), "spec.targetRefs", "the gateway of c2 routes only by the server names of mesh TLS",
            "kubectl --context=c1 -n shop delete");
    }

    private static TraceScenario Scenario(string validation, bool hasSidecar, string section = "")
    {
        var scenario = new TraceScenario();
        var page = JsonNode.Parse(hasSidecar || section.Length > 0 ? scenario.ClientOfOne : scenario.Client)!;
        var cluster = page["config_dump"]!["configs"]![0]!["dynamic_active_clusters"]![1]!["cluster"]!.AsObject();
        cluster.Remove("transport_socket_matches");
        cluster["transport_socket"] = JsonNode.Parse("""
            {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
             "sni": "orders.example.com", "common_tls_context": {"combined_validation_context": {"default_validation_context": {}, "validation_context_sds_secret_config": {"name": "ROOTCA"}}}}}
            """);
        scenario.Client = page.ToJsonString();
        if (!hasSidecar)
            scenario.One = scenario.One.Replace("containerPort: 8080}]}, {name: istio-proxy}]", "containerPort: 8080}]}]", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: secure, namespace: shop}, spec: "
            + $"{{targetRefs: [{{group: \"\", kind: Service, name: orders{(section.Length > 0 ? $", sectionName: {section}" : "")}}}], validation: {{hostname: "
            + $"orders.example.com, {validation}}}}}}}";
        return scenario;
    }

    /// <summary>The caller has one endpoint only.</summary>
    private static TraceScenario WithoutOthers(TraceScenario scenario)
    {
        var page = JsonNode.Parse(scenario.Client)!;
        page["config_dump"]!["configs"]![1]!["dynamic_endpoint_configs"]![0]!["endpoint_config"]!["endpoints"]![0]!["lb_endpoints"]!.AsArray().RemoveAt(1);
        scenario.Client = page.ToJsonString();
        return scenario;
    }

    private static void AssertPolicy(CallTrace trace, string path, string says, string remedy)
    {
        var problem = trace.Failure?.Problem;
        Assert.Equal(("ISM2089", "BackendTLSPolicy shop/secure in c1", path), (problem?.Code, problem?.Object, problem?.Path));
        Assert.Contains(says, problem!.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }
}
