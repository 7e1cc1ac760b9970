using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Certificates and CAs that objects name, wherever they are: what control planes have as metrics, the command has, too.</summary>
public sealed class NamedCertificatesTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2030, 6, 1, 12, 0, 0, TimeSpan.Zero);

    private const string Tls = "{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: www}]}}, "
        + "{name: b, port: 8443, protocol: TLS, tls: {certificateRefs: [{name: www}]}}";

    private readonly Issuer _ca = Issuer.SelfSigned(new("Istio", "CA"), Keys.Create(KeyKind.EcP256), Now.AddYears(-1), Now.AddDays(-1));

    public void Dispose() => _ca.Dispose();

    [Theory]
    [InlineData("default: {validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: cas}]}}", Tls,
        "ConfigMap shop/cas: clients of Gateway shop/front (listeners a, b)")]
    [InlineData("perPort: [{port: 8443, tls: {validation: {caCertificateRefs: [{group: '', kind: Secret, name: cas}]}}}]", Tls,
        "Secret shop/cas: clients of Gateway shop/front (listener b)")]
    [InlineData("default: {validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: cas}]}}, perPort: [{port: 443, tls: {}}, "
        + "{port: 8443, tls: {validation: {caCertificateRefs: [{group: certificates.k8s.io, kind: ClusterTrustBundle, name: all}]}}}]", Tls,
        "ClusterTrustBundle all: clients of Gateway shop/front (listener b)")]
    [InlineData("default: {validation: {caCertificateRefs: [{group: '', kind: Secret, name: cas, namespace: vault}]}}", Tls,
        "Secret vault/cas: clients of Gateway shop/front (listeners a, b)")]
    [InlineData("", "{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: beside}], options: {gateway.istio.io/tls-terminate-mode: MUTUAL}}}",
        "Secret shop/beside-cacert: clients of Gateway shop/front (listener a)")]
    // Nobody uses it: it is not permitted, or no listener ends TLS.
    [InlineData("default: {validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: cas, namespace: vault}]}}", Tls, "")]
    [InlineData("default: {validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: cas}]}}",
        "{name: a, port: 80, protocol: HTTP}, {name: b, port: 443, protocol: TLS, tls: {mode: Passthrough}}", "")]
    public async Task CAs_of_clients_of_the_Gateway_API_are_those_that_listeners_use(string frontend, string listeners, string expected)
    {
        var found = await ReadAsync(CertificateRole.ClientAuthority, $$"""
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: shop}, spec: {gatewayClassName: istio,
             listeners: [{{listeners}}], tls: {frontend: { {{frontend}} } } } }
            """);
        Assert.Equal(expected.Length == 0 ? [] : [$"{expected}: expired"], found);
    }

    [Fact]
    public async Task Listeners_of_a_ListenerSet_use_the_CAs_of_its_Gateway()
    {
        var found = await ReadAsync(CertificateRole.ClientAuthority, """
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: shop}, spec: {gatewayClassName: istio,
             listeners: [{name: a, port: 80, protocol: HTTP}],
             tls: {frontend: {default: {validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: cas}]}}}}}}
            """, """
            {apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: more, namespace: web}, spec: {
             parentRef: {name: front, namespace: shop}, listeners: [{name: c, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: www}]}}]}}
            """);
        Assert.Equal(["ConfigMap shop/cas: clients of ListenerSet web/more (listener c): expired"], found);
    }

    [Fact]
    public async Task What_backends_are_checked_by_and_what_they_are_shown_is_named()
    {
        string[] objects =
        [
            """
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: shop}, spec: {gatewayClassName: istio,
             listeners: [{name: a, port: 80, protocol: HTTP}], tls: {backend: {clientCertificateRef: {name: www}}}}}
            """, Policy("sealed", "2029-01-01T00:00:00Z", "cas"), Policy("later", "2029-06-01T00:00:00Z", "cas"),
            Policy("other", "2029-01-01T00:00:00Z", "broken"),
        ];
        Assert.Equal(["Secret shop/www: calls to backends by Gateway shop/front: expired"], await ReadAsync(CertificateRole.Origination, objects));
        // Of two policies for one Service, the older one applies.
        Assert.Equal(
            [
                "ConfigMap shop/cas: calls by BackendTLSPolicy shop/sealed: expired",
                "ConfigMap shop/broken: calls by BackendTLSPolicy shop/other: holds no certificate in its CA (ca.crt)",
            ], await ReadAsync(CertificateRole.ServerAuthority, objects));
    }

    /// <summary>External authorizers, collectors and others.</summary>
    [Theory]
    [InlineData("cas", "Secret shop/cas")]
    [InlineData("beside", "Secret shop/beside-cacert")]
    public async Task What_rules_check_servers_by_is_in_the_Secret_or_beside_it(string name, string owner) => Assert.Equal(
        [$"{owner}: calls by DestinationRule shop/out: expired"], await ReadAsync(CertificateRole.ServerAuthority,
            MeshText.Istio("DestinationRule", "shop", "out", "host: authorizer.example, workloadSelector: {matchLabels: {app: web}}, "
                + $"trafficPolicy: {{tls: {{mode: SIMPLE, credentialName: {name}}}}}")));

    [Theory]
    [InlineData("cas", CertificateRole.Gateway, "Secret shop/cas: Gateway shop/front: holds no certificate (tls.crt)")]
    [InlineData("broken", CertificateRole.ClientAuthority,
        "Secret shop/broken: clients of Gateway shop/front: holds a CA (ca.crt) that cannot be read: it must be PEM")]
    public async Task What_cannot_be_read_is_listed_with_why(string name, CertificateRole role, string expected) => Assert.Equal([expected],
        await ReadAsync(role, MeshText.Workload("shop", "gw-1", "istio: gw", "containers: [{name: istio-proxy}]"),
            MeshText.Istio("Gateway", "shop", "front", "selector: {istio: gw}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*'], "
                + $"tls: {{mode: MUTUAL, credentialName: {name}}} }}]")));

    /// <summary>Who holds each, who needs it, and its state.</summary>
    private async Task<IReadOnlyList<string>> ReadAsync(CertificateRole role, params string[] objects)
    {
        var pem = CertificateText.Write(_ca.Certificate);
        var text = JsonValue.Create(pem).ToJsonString();
        // One object a line.
        var cluster = MeshText.Clusters(MeshText.Join([MeshText.Root, .. objects, $$"""
            {apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: grant, namespace: vault},
             spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: shop}], to: [{group: '', kind: Secret}] } }
            """, $$"""
            {apiVersion: v1, kind: ConfigMap, metadata: {name: cas, namespace: shop}, data: {ca.crt: {{text}} } }
            """, $$"""
            {apiVersion: v1, kind: ConfigMap, metadata: {name: cas, namespace: vault}, data: {ca.crt: {{text}} } }
            """, """
            {apiVersion: v1, kind: ConfigMap, metadata: {name: broken, namespace: shop}, data: {ca.crt: no PEM}}
            """, $$"""
            {apiVersion: certificates.k8s.io/v1beta1, kind: ClusterTrustBundle, metadata: {name: all}, spec: {trustBundle: {{text}} } }
            """]).Replace("\n ", " ", StringComparison.Ordinal))[0];
        var secrets = new Dictionary<string, SecretFacts>
        {
            ["www"] = Secret(("tls.crt", pem), ("tls.key", Keys.ToPem(_ca.Key))),
            ["cas"] = Secret(("ca.crt", pem)), ["beside-cacert"] = Secret(("ca.crt", pem)),
            ["broken"] = Secret(("tls.crt", pem), ("tls.key", Keys.ToPem(_ca.Key)), ("ca.crt", "no PEM")),
        };
        var read = await new CredentialCertificates(cluster, (_, name) => Task.FromResult(secrets.GetValueOrDefault(name))).ReadAsync();
        var found = read.Where(one => one.Role == role).ToValueList();
        var known = cluster.WithCertificates(found, Now);
        // Each needs something, and is a finding.
        Assert.Equal(found.Select(one => one.Owner).Distinct().Order(StringComparer.Ordinal),
            CertificateAnalysis.Check(known).Select(finding => finding.Problem.Object).Distinct().Order(StringComparer.Ordinal));
        return [.. found.Select(one => $"{one.Owner}: {one.NeededBy}: {CertificateState.Describe(one, Now)}")];
    }

    private static string Policy(string name, string created, string map) => $$"""
        {apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: {{name}}, namespace: shop, creationTimestamp: '{{created}}'},
         spec: {
         targetRefs: [{group: '', kind: Service, name: {{(name == "later" ? "sealed" : name)}} }],
         validation: {hostname: sealed.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: {{map}} }] } } }
        """;

    private static SecretFacts Secret(params (string Key, string Text)[] data) => SecretFacts.Of(new Secret
    {
        Metadata = new() { Name = "any", Namespace = "any" },
        Data = data.ToDictionary(item => item.Key, item => Convert.ToBase64String(Encoding.UTF8.GetBytes(item.Text))),
    });
}
