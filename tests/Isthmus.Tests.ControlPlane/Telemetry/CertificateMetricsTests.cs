using System.Text;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Debug;
using Isthmus.Core.Problems;
using Isthmus.Graph.Derive;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Certificates;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Tests.ControlPlane.GatewayApi;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Telemetry;

/// <summary>When the certificates that gateways name end, and what is wrong with them, as metrics.</summary>
public sealed class CertificateMetricsTests
{
    private const string Starts = "isthmus_certificate_start_timestamp_seconds", Ends = "isthmus_certificate_expiration_timestamp_seconds",
        Problem = "isthmus_certificate_problem";

    private static readonly long Hundred = DateTimeOffset.UnixEpoch.AddYears(100).ToUnixTimeSeconds();

    private readonly MeshRig _rig = new("c1");

    public CertificateMetricsTests() => _rig.GatewayPod("c1", "eastwest");

    [Fact]
    public void A_certificate_that_a_gateway_serves_has_both_ends_of_its_life()
    {
        Gateway("front", "shop.example");
        Put("front", Pair("shop.example"));
        _rig.Push();
        Assert.Equal(
            [
                $$"""{{Ends}}{cluster="c1",kind="gateway",object="Secret shop/front"} {{Hundred}}""",
                $$"""{{Starts}}{cluster="c1",kind="gateway",object="Secret shop/front"} 0""",
            ], Lines());
        // Nobody serves it any more.
        _rig.Writer.RemoveConfig("c1", "Gateway", "shop", "front");
        _rig.Push();
        Assert.Empty(Lines());
    }

    [Fact]
    public void Secrets_are_those_of_the_namespaces_with_Pods_of_the_gateway()
    {
        Gateway("front", "shop.example");
        foreach (var ns in (string[])["shop", "edge", "other"]) Put("front", ns, Pair("shop.example"));
        _rig.GatewayPod("c1", "eastwest", ns: "edge");
        _rig.GatewayPod("c1", "another", ns: "other");
        _rig.Push();
        Assert.Equal(["Secret edge/front", "Secret shop/front"], Lines().Where(line => line.StartsWith(Ends, StringComparison.Ordinal))
            .Select(line => line.Split('"')[5]));
    }

    [Theory]
    [InlineData("shop.example", "")]
    [InlineData("*.example", "")]
    [InlineData("old.example", "other_hosts")]
    [InlineData("*.shop.example", "other_hosts")]
    public void A_certificate_for_other_hosts_is_a_problem(string name, string reason)
    {
        Gateway("front", "./shop.example");
        Put("front", Pair("any", name));
        _rig.Push();
        Assert.Equal(reason.Length == 0 ? [] : [$$"""{{Problem}}{cluster="c1",object="Secret shop/front",reason="{{reason}}",gateway="Gateway shop/front"} 1"""],
            Lines().Where(IsProblem));
        Assert.Equal(2, Lines().Count(line => !IsProblem(line)));
    }

    [Theory]
    [InlineData("of another")]
    [InlineData("missing")]
    [InlineData("encrypted")]
    public void A_key_that_does_not_fit_is_a_problem(string state)
    {
        var (certificate, key) = TestCa.SelfSignedPair("shop.example");
        Gateway("front", "shop.example");
        Put("front", ("tls.crt", certificate), ("tls.key", state switch
        {
            "missing" => "", "of another" => TestCa.SelfSignedPair("other").Key, _ => key.Replace("PRIVATE", "ENCRYPTED PRIVATE", StringComparison.Ordinal),
        }));
        _rig.Push();
        string[] problem = [$$"""{{Problem}}{cluster="c1",object="Secret shop/front",reason="unusable_key",gateway="Gateway shop/front"} 1"""];
        Assert.Equal(problem, Lines().Where(IsProblem));
        Put("front", ("tls.crt", certificate), ("tls.key", key));
        _rig.Push();
        Assert.DoesNotContain(Lines(), IsProblem);
        Put("front", ("ca.crt", certificate));
        _rig.Push();
        Assert.Equal(problem, Lines());
    }

    [Fact]
    public void The_CA_of_clients_is_one_too_wherever_it_is()
    {
        Gateway("front", "shop.example", "MUTUAL");
        Put("front", Pair("shop.example"));
        Put("front-cacert", ("ca.crt", TestCa.SelfSignedPair("clients").Certificate));
        _rig.Push();
        Assert.Contains($$"""{{Ends}}{cluster="c1",kind="CA of clients",object="Secret shop/front-cacert"} {{Hundred}}""", Lines());
        Put("front-cacert", ("ca.crt", "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----"));
        _rig.Push();
        Assert.Equal([$$"""{{Problem}}{cluster="c1",object="Secret shop/front-cacert",reason="unusable_ca",gateway="Gateway shop/front"} 1"""],
            Lines().Where(IsProblem));
    }

    /// <summary>Their clients are refused when the first of them ends: the others last longer.</summary>
    [Fact]
    public void Of_several_in_one_object_the_first_to_be_renewed_counts()
    {
        using var ca = new TestCa("clients");
        var (soon, late) = (DateTimeOffset.UnixEpoch.AddYears(80), DateTimeOffset.UnixEpoch.AddYears(90));
        Gateway("front", "shop.example", "MUTUAL");
        using var one = ca.Until(late, "late");
        using var other = ca.Until(soon, "soon");
        Put("front", [.. Pair("shop.example"), ("ca.crt", $"{one.ExportCertificatePem()}\n{other.ExportCertificatePem()}")]);
        _rig.Push();
        Assert.Equal([$"{soon.ToUnixTimeSeconds()}"],
            Lines().Where(line => line.StartsWith(Ends, StringComparison.Ordinal) && line.Contains("CA of clients", StringComparison.Ordinal))
                .Select(line => line.Split(' ')[^1]));
    }

    [Fact]
    public void Listeners_of_the_Gateway_API_have_them_from_any_namespace()
    {
        var rig = new GatewayApiRig("""
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: shop}, spec: {gatewayClassName: istio, listeners: [
              {name: one, port: 443, protocol: HTTPS, hostname: a.com, tls: {certificateRefs: [{name: own}]} },
              {name: two, port: 443, protocol: HTTPS, hostname: b.com, tls: {certificateRefs: [{name: own}, {name: cert, namespace: vault}]} }]} }
            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: grant, namespace: vault},
             spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: shop}], to: [{group: '', kind: Secret}]} }
            """).Certificate("shop", "own", "other.com").Certificate("vault", "cert", "b.com");
        var lines = Lines(rig.Mesh.Mesh);
        Assert.Equal(["Secret shop/own", "Secret vault/cert"], lines.Where(line => line.StartsWith(Ends, StringComparison.Ordinal))
            .Select(line => line.Split('"')[5]));
        // Of the two certificates of the other listener, clients get the one that fits.
        Assert.Equal([$$"""{{Problem}}{cluster="c1",object="Secret shop/own",reason="other_hosts",gateway="Gateway.gateway.networking.k8s.io shop/door"} 1"""],
            lines.Where(IsProblem));
    }

    [Theory]
    [InlineData("", "shop")]
    [InlineData("workloadSelector: {matchLabels: {app: web} },", "web")]
    public void What_rules_call_others_with_is_that_of_gateways_or_of_the_Pods_of_the_rule(string selector, string ns)
    {
        _rig.Config($$"""
            {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: out, namespace: web},
             spec: {host: pay.example, {{selector}} trafficPolicy: {tls: {mode: MUTUAL, credentialName: client} } } }
            """);
        Gateway("front", "shop.example");
        var (certificate, _) = TestCa.SelfSignedPair("client");
        foreach (var place in (string[])["shop", "web", "other"])
        {
            Put("client", place, [("tls.crt", certificate), ("tls.key", TestCa.SelfSignedPair("other").Key)]);
            Put("client-cacert", place, [("ca.crt", certificate)]);
        }
        _rig.GatewayPod("c1", "web", ns: "web");
        _rig.Push();
        Assert.Equal(
            [
                $$"""{{Ends}}{cluster="c1",kind="CA of servers",object="Secret {{ns}}/client-cacert"} {{Hundred}}""",
                $$"""{{Ends}}{cluster="c1",kind="client",object="Secret {{ns}}/client"} {{Hundred}}""",
                $$"""{{Problem}}{cluster="c1",object="Secret {{ns}}/client",reason="unusable_key"} 1""",
            ], Lines().Where(line => !line.StartsWith(Starts, StringComparison.Ordinal)));
    }

    [Fact]
    public void What_backends_are_called_with_and_checked_by_are_told()
    {
        var (certificate, _) = TestCa.SelfSignedPair("backends");
        var rig = new GatewayApiRig($$"""
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: shop}, spec: {gatewayClassName: istio,
             listeners: [{name: one, port: 80, protocol: HTTP}], tls: {backend: {clientCertificateRef: {name: own} } } } }
            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: sealed, namespace: shop}, spec: {
             targetRefs: [{group: '', kind: Service, name: sealed}], validation: {hostname: sealed.example, caCertificateRefs: [
              {group: '', kind: ConfigMap, name: good}, {group: '', kind: ConfigMap, name: broken}]} } }
            """).Certificate("shop", "own", "door").Apply($$"""
            {apiVersion: v1, kind: ConfigMap, metadata: {name: good, namespace: shop}, data: {ca.crt: {{JsonValue.Create(certificate).ToJsonString()}} } }
            ---
            {apiVersion: v1, kind: ConfigMap, metadata: {name: broken, namespace: shop}, data: {ca.crt: no PEM} }
            """);
        Assert.Equal(
            [
                $$"""{{Ends}}{cluster="c1",kind="CA of servers",object="ConfigMap shop/good"} {{Hundred}}""",
                $$"""{{Ends}}{cluster="c1",kind="client",object="Secret shop/own"} {{Hundred}}""",
                $$"""{{Problem}}{cluster="c1",object="ConfigMap shop/broken",reason="unusable_ca"} 1""",
            ], Lines(rig.Mesh.Mesh).Where(line => !line.StartsWith(Starts, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("own", "")]
    [InlineData("of another", "untrusted")]
    [InlineData("none", "untrusted")]
    [InlineData("broken", "untrusted")]
    public void A_webhook_that_API_servers_do_not_trust_is_a_problem(string bundle, string reason)
    {
        using var ca = new TestCa("mesh");
        using var other = new TestCa("other");
        using var served = ca.Server("istiod.istio-system.svc");
        var pem = bundle switch { "own" => ca.Pem, "of another" => other.Pem, "none" => "", _ => ca.Pem[..100] + ca.Pem[140..] };
        var lines = Lines(WebhookTrust.Of([("c1", "MutatingWebhookConfiguration injector", Convert.ToBase64String(Encoding.UTF8.GetBytes(pem)))],
            (served, []), DateTimeOffset.UtcNow));
        Assert.Equal(reason.Length == 0 ? [] : [$$"""{{Problem}}{cluster="c1",object="MutatingWebhookConfiguration injector",reason="untrusted"} 1"""],
            lines.Where(IsProblem));
        Assert.Equal(bundle is "own" or "of another" ? 2 : 0, lines.Count(line => line.Contains("""kind="webhook CA",""", StringComparison.Ordinal)));
    }

    /// <summary>It says nothing of the end of the CA in force, which may have been in the same Secret.</summary>
    [Theory]
    [InlineData(Severity.Error, "refused_ca")]
    [InlineData(Severity.Warning, "waiting_ca")]
    public void A_CA_in_cacerts_that_does_not_sign_is_a_problem_without_an_end(Severity severity, string reason)
    {
        Assert.Equal([$$"""{{Problem}}{cluster="c1",object="Secret istio-system/cacerts",reason="{{reason}}"} 1"""],
            Lines(CertificateMetrics.Kept("c1", new("ISM1463", "Secret istio-system/cacerts", "data", "it expired", "", severity))));
        Assert.Empty(CertificateMetrics.Kept("c1", null));
    }

    private static bool IsProblem(string line) => line.StartsWith(Problem, StringComparison.Ordinal);

    private IReadOnlyList<string> Lines() => Lines(_rig.Mesh);

    private static IReadOnlyList<string> Lines(MeshGraph mesh) => Lines(new GatewaySecrets(mesh).Read());

    private static IReadOnlyList<string> Lines(IEnumerable<MeshCertificate> certificates)
    {
        var text = new StringBuilder();
        CertificateMetrics.Write(text, [.. certificates]);
        return [.. text.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line[0] != '#')];
    }

    private void Gateway(string credential, string host, string mode = "SIMPLE") => _rig.Config($$"""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: front, namespace: shop}
        spec: {selector: {app: eastwest}, servers: [{port: {number: 15443, name: https, protocol: HTTPS}, hosts: [{{host}}], tls: {mode: {{mode}}, credentialName: {{credential}}} }]}
        """);

    private static (string, string)[] Pair(string subject, params string[] names)
    {
        var (certificate, key) = TestCa.SelfSignedPair(subject, names);
        return [("tls.crt", certificate), ("tls.key", key)];
    }

    private void Put(string name, params (string Key, string Text)[] data) => Put(name, MeshRig.Namespace, data);

    private void Put(string name, string ns, (string Key, string Text)[] data) => _rig.Writer.Put("c1", new Secret
    {
        Metadata = new() { Name = name, Namespace = ns },
        Data = data.ToDictionary(item => item.Key, item => Convert.ToBase64String(Encoding.UTF8.GetBytes(item.Text))),
    });
}
