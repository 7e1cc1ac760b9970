using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Security;

/// <summary>The last good certificate of a gateway's server, for a gateway that restarts while the Secret is missing or broken.</summary>
public sealed class GatewayCertificatesTests
{
    private readonly MeshRig _rig = new("c1");

    public GatewayCertificatesTests() => _rig.EastWest("c1", "172.18.201.1");

    [Theory]
    [InlineData("deleted", "does not exist")]
    [InlineData("broken", "cannot be used together")]
    [InlineData("without its key", "holds no private key")]
    [InlineData("weak", "holds a certificate with an RSA key of 1024 bits")]
    public void A_gateway_that_restarts_gets_the_last_good_certificate_while_the_Secret_is_unusable(string state, string reason)
    {
        Gateway(("front", "shop.example", "SIMPLE"));
        Put("front", "first");
        _rig.Push();
        var (certificate, key) = TestCa.SelfSignedPair("second");
        if (state == "deleted") _rig.Writer.Remove("c1", Kinds.Secret, MeshRig.Namespace, "front");
        else if (state == "weak") Write("front", Weak());
        else Write("front", ("tls.crt", certificate), ("tls.key", state == "broken" ? TestCa.SelfSignedPair("other").Key : ""));
        _rig.Push();
        var restarted = Restart();
        Assert.Equal(["kubernetes://front CN=first"], SecurityTests.Credentials(restarted));
        var problem = Assert.Single(restarted.Problems);
        Assert.Equal((state == "deleted" ? "IST0101" : "IST0161", "Gateway shop/front", "spec.servers[0].tls.credentialName"),
            (problem.Code, problem.Object, problem.Path));
        Assert.Contains(reason, problem.Message, StringComparison.Ordinal);
        Assert.EndsWith("; gateways get the last good certificate", problem.Message, StringComparison.Ordinal);
        Write("front", ("tls.crt", certificate), ("tls.key", key));
        _rig.Push();
        Assert.Equal(["kubernetes://front CN=second"], SecurityTests.Credentials(restarted));
        Assert.Empty(restarted.Problems);
    }

    private static (string, string)[] Weak()
    {
        using var key = RSA.Create(1024);
        using var certificate = new CertificateRequest("CN=weak", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            .CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1));
        return [("tls.crt", certificate.ExportCertificatePem()), ("tls.key", key.ExportPkcs8PrivateKeyPem())];
    }

    /// <summary>Endpoints are pushed at once, with a mesh in which the Secret is there already.</summary>
    [Fact]
    public void A_gateway_that_joins_between_two_pushes_gets_a_renewed_certificate_with_the_second()
    {
        Gateway(("front", "shop.example", "SIMPLE"));
        Put("front", "first");
        _rig.Push();
        var identity = Restart().Proxy;
        Put("front", "second");
        var changes = _rig.Writer.Commit();
        _rig.Publisher.PublishEndpoints(_rig.Mesh.View(), changes.Endpoints);
        var joined = _rig.Connect(identity);
        _rig.Publisher.PublishAll(_rig.Mesh.View(), changes);
        Assert.Equal(["kubernetes://front CN=second"], SecurityTests.Credentials(joined));
    }

    [Fact]
    public void A_server_that_is_pointed_to_a_missing_Secret_keeps_the_certificate_of_the_former_name()
    {
        Put("a", "first");
        Put("b", "second");
        Gateway(("a", "a.example", "SIMPLE"), ("b", "b.example", "SIMPLE"));
        _rig.Push();
        Gateway(("nowhere", "a.example", "SIMPLE"), ("nowhere", "b.example", "SIMPLE"));
        _rig.Push();
        // The former Secrets may go as well, and be renewed.
        Put("b", "third");
        _rig.Writer.Remove("c1", Kinds.Secret, MeshRig.Namespace, "a");
        _rig.Push();
        var restarted = Restart();
        Assert.Equal(["kubernetes://a CN=first", "kubernetes://b CN=third"], SecurityTests.Credentials(restarted));
        Assert.Equal(["a.example kubernetes://a", "b.example kubernetes://b"], Served(restarted));
        Assert.All(restarted.Problems, problem => Assert.Contains("\"nowhere\"", problem.Message, StringComparison.Ordinal));
        Put("nowhere", "fourth");
        _rig.Push();
        Assert.Equal(["kubernetes://nowhere CN=fourth"], SecurityTests.Credentials(restarted));
        Assert.Equal(["a.example kubernetes://nowhere", "b.example kubernetes://nowhere"], Served(restarted));
        Assert.Empty(restarted.Problems);
    }

    [Fact]
    public void The_CA_of_clients_is_kept_too_and_a_current_one_wins_wherever_it_is()
    {
        var (certificate, key) = TestCa.SelfSignedPair("front");
        Gateway(("front", "shop.example", "MUTUAL"));
        Write("front", ("tls.crt", certificate), ("tls.key", key), ("ca.crt", TestCa.SelfSignedPair("old").Certificate));
        _rig.Push();
        Write("front", ("tls.crt", certificate), ("tls.key", key));
        _rig.Push();
        var restarted = Restart();
        Assert.Equal(["kubernetes://front CN=front", "kubernetes://front-cacert CN=old"], SecurityTests.Credentials(restarted));
        Assert.EndsWith("; gateways get the last good certificate", Assert.Single(restarted.Problems).Message, StringComparison.Ordinal);
        Write("front-cacert", ("ca.crt", TestCa.SelfSignedPair("new").Certificate));
        _rig.Push();
        Assert.Equal(["kubernetes://front CN=front", "kubernetes://front-cacert CN=new"], SecurityTests.Credentials(restarted));
        Assert.Empty(restarted.Problems);
    }

    [Fact]
    public void A_server_that_begins_to_check_its_clients_does_not_fall_back_to_a_certificate_without_their_CA()
    {
        Put("a", "first");
        Gateway(("a", "a.example", "SIMPLE"));
        _rig.Push();
        Gateway(("nowhere", "a.example", "MUTUAL"));
        _rig.Push();
        var restarted = Restart();
        Assert.Equal(["a.example kubernetes://nowhere"], Served(restarted));
        Assert.Empty(SecurityTests.Credentials(restarted));
        Assert.EndsWith("without one, they refuse TLS handshakes", Assert.Single(restarted.Problems).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Each_of_several_certificates_of_a_server_is_kept_at_its_place()
    {
        Put("a", "first");
        Put("b", "second");
        Several("a", "b");
        _rig.Push();
        Several("a", "nowhere");
        _rig.Writer.Remove("c1", Kinds.Secret, MeshRig.Namespace, "a");
        _rig.Push();
        var restarted = Restart();
        Assert.Equal(["kubernetes://a CN=first", "kubernetes://b CN=second"], SecurityTests.Credentials(restarted));
        Assert.Equal(["spec.servers[0].tls.credentialNames[0]", "spec.servers[0].tls.credentialNames[1]"], restarted.Problems.Select(problem => problem.Path));
        Assert.All(restarted.Problems, problem => Assert.EndsWith("; gateways get the last good certificate", problem.Message, StringComparison.Ordinal));
        Put("nowhere", "third");
        _rig.Push();
        Assert.Equal(["kubernetes://a CN=first", "kubernetes://nowhere CN=third"], SecurityTests.Credentials(restarted));
    }

    [Fact]
    public void A_CA_whose_certificates_were_revoked_is_never_kept_without_the_revocations()
    {
        var (certificate, key) = TestCa.SelfSignedPair("front");
        Gateway(("front", "shop.example", "MUTUAL"));
        Write("front", ("tls.crt", certificate), ("tls.key", key), ("ca.crt", certificate));
        _rig.Push();
        Write("front", ("tls.crt", certificate), ("tls.key", key), ("ca.crt", certificate), ("ca.crl", "LIST"));
        _rig.Push();
        var restarted = Restart();
        Assert.Equal("LIST", Revocations(restarted));
        Assert.Contains("holds a certificate revocation list", Assert.Single(restarted.Problems).Message, StringComparison.Ordinal);
        _rig.Writer.Remove("c1", Kinds.Secret, MeshRig.Namespace, "front");
        _rig.Push();
        Assert.Equal("LIST", Revocations(Restart()));
    }

    private static string? Revocations(ProxyFeed gateway) =>
        gateway.Snapshot!.Types[Isthmus.Wire.Xds.TypeUrls.Secret].TryGet("kubernetes://front-cacert", out var found)
        ? Isthmus.Wire.Envoy.Secret.Parser.ParseFrom(found.Body.Value).ValidationContext.Crl?.InlineBytes.ToStringUtf8() : null;

    private void Several(params string[] names) => _rig.Config($$"""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: front, namespace: shop}
        spec: {selector: {app: eastwest}, servers: [{port: {number: 15443, name: https, protocol: HTTPS}, hosts: [shop.example],
            tls: {mode: SIMPLE, credentialNames: [{{string.Join(", ", names)}}] } } ] }
        """);

    [Theory]
    [InlineData("Gateway")]
    [InlineData("server")]
    [InlineData("name")]
    public void Who_removes_the_Gateway_or_the_server_removes_the_certificate(string removed)
    {
        Put("front", "first");
        Put("other", "second");
        Gateway(("other", "other.example", "SIMPLE"), ("front", "shop.example", "SIMPLE"));
        _rig.Push();
        _rig.Writer.Remove("c1", Kinds.Secret, MeshRig.Namespace, "front");
        _rig.Push();
        Assert.Contains("kubernetes://front CN=first", SecurityTests.Credentials(Restart()));
        switch (removed)
        {
            case "Gateway":
                _rig.Writer.RemoveConfig("c1", "Gateway", "shop", "front");
                break;
            case "server":
                Gateway(("other", "other.example", "SIMPLE"));
                break;
            default:
                Gateway(("other", "other.example", "SIMPLE"), ("other", "shop.example", "SIMPLE"));
                break;
        }
        _rig.Push();
        // It does not come back with the server.
        Gateway(("other", "other.example", "SIMPLE"), ("front", "shop.example", "SIMPLE"));
        _rig.Push();
        Assert.DoesNotContain("kubernetes://front CN=first", SecurityTests.Credentials(Restart()));
    }

    [Fact]
    public void A_server_for_other_hosts_that_points_to_a_missing_Secret_gets_nothing()
    {
        Put("front", "first");
        Gateway(("front", "shop.example", "SIMPLE"));
        _rig.Push();
        Gateway(("nowhere", "new.example", "SIMPLE"));
        _rig.Push();
        Assert.Empty(SecurityTests.Credentials(Restart()));
    }

    [Fact]
    public void A_Secret_that_no_Gateway_names_is_not_kept()
    {
        Put("front", "first");
        _rig.Push();
        _rig.Writer.Remove("c1", Kinds.Secret, MeshRig.Namespace, "front");
        _rig.Push();
        Gateway(("front", "shop.example", "SIMPLE"));
        _rig.Push();
        Assert.Empty(SecurityTests.Credentials(Restart()));
    }

    /// <summary>Only the DestinationRule names the Secret here in the end. One of the same name in another namespace is that of a server.</summary>
    [Fact]
    public void What_is_kept_for_a_server_of_another_namespace_is_not_served_here()
    {
        Gateway(("front", "shop.example", "SIMPLE"));
        Put("front", "first");
        var (certificate, key) = TestCa.SelfSignedPair("far");
        WriteTo("other", "front", ("tls.crt", certificate), ("tls.key", key));
        _rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        _rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: orders, namespace: shop}
            spec: {host: orders, trafficPolicy: {tls: {mode: MUTUAL, credentialName: front} } }
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: {name: door, namespace: shop}
            spec: {gatewayClassName: istio, listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: front, namespace: other}] } }]}
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: ReferenceGrant
            metadata: {name: shop, namespace: other}
            spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: shop}], to: [{group: '', kind: Secret}]}
            """);
        var gateway = Restart();
        _rig.Push();
        Assert.Equal(["kubernetes://front CN=first"], SecurityTests.Credentials(gateway));
        _rig.Writer.RemoveConfig("c1", "Gateway", MeshRig.Namespace, "front");
        _rig.Push();
        Put("front", "second");
        _rig.Push();
        Assert.Equal(["kubernetes://front CN=second"], SecurityTests.Credentials(gateway));
    }

    [Fact]
    public void A_rule_that_goes_takes_along_its_Secret_even_where_no_cluster_was_made_of_it()
    {
        Gateway(("front", "shop.example", "SIMPLE"));
        Put("front", "first");
        Put("unused", "second");
        _rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "names", Namespace = MeshRig.Namespace },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = "10.96.0.53", ClusterIPs = ["10.96.0.53"],
                Ports = { new() { Name = "dns", Port = 53, Protocol = "UDP" } },
            },
        });
        var gateway = Restart();
        _rig.Push();
        _rig.Config("{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: names, namespace: shop}, spec: {host: names, trafficPolicy: "
            + "{tls: {mode: MUTUAL, credentialName: unused}}}}");
        _rig.Push();
        Assert.Equal(["kubernetes://front CN=first", "kubernetes://unused CN=second"], SecurityTests.Credentials(gateway));
        _rig.Writer.RemoveConfig("c1", "DestinationRule", MeshRig.Namespace, "names");
        _rig.Push();
        Assert.Equal(["kubernetes://front CN=first"], SecurityTests.Credentials(gateway));
    }

    private void Gateway(params (string Credential, string Host, string Mode)[] servers) => _rig.Config($$"""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: front, namespace: shop}
        spec:
          selector: {app: eastwest}
          servers:
        {{string.Join('\n', servers.Select((server, i) => $$"""
              - port: {number: 15443, name: https-{{i}}, protocol: HTTPS}
                hosts: [{{server.Host}}]
                tls: {mode: {{server.Mode}}, credentialName: {{server.Credential}} }
            """))}}
        """);

    private void Put(string name, string subject)
    {
        var (certificate, key) = TestCa.SelfSignedPair(subject);
        Write(name, ("tls.crt", certificate), ("tls.key", key));
    }

    private void Write(string name, params (string Key, string Text)[] data) => WriteTo(MeshRig.Namespace, name, data);

    private void WriteTo(string ns, string name, params (string Key, string Text)[] data) => _rig.Writer.Put("c1", new Kubernetes.Objects.Secret
    {
        Metadata = new() { Name = name, Namespace = ns },
        Data = data.ToDictionary(item => item.Key, item => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(item.Text))),
    });

    /// <summary>A new proxy knows nothing of what the one before it had.</summary>
    private ProxyFeed Restart() => _rig.Router("c1", "eastwest");

    /// <summary>The hosts of the gateway's servers, each with the name of its certificate.</summary>
    private static IEnumerable<string> Served(ProxyFeed gateway) => MeshRig.Listener(gateway, "0.0.0.0_15443")!.FilterChains
        .Select(
            chain =>
                $"{chain.FilterChainMatch.ServerNames[0]} "
                    + $"{chain.TransportSocket.TypedConfig.Unpack<DownstreamTlsContext>().CommonTlsContext.TlsCertificateSdsSecretConfigs[0].Name}")
        .Order(StringComparer.Ordinal);
}
