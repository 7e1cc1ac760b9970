using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>The certificates of listeners: where they may be, who gets them, and what connections get without them.</summary>
public sealed class CertificateTests
{
    private const string Bundle = "configmap://shop/clients-cacert";

    private static string Gateway(string references, string spec = "") => $$"""
        ---
        {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: shop}, spec: {gatewayClassName: istio, {{spec}} listeners: [
          {name: https, port: 443, protocol: HTTPS, hostname: a.com, tls: {certificateRefs: [{{references}}]} }]} }

        """;

    private static string Grant(string to, string kind = "Gateway", string ns = "shop") => $$"""
        ---
        {apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: grant, namespace: vault},
         spec: {from: [{group: gateway.networking.k8s.io, kind: {{kind}}, namespace: {{ns}}}], to: [{{to}}]} }

        """;

    [Theory]
    [InlineData("{name: own}", "", "")]
    [InlineData("{name: missing}", "", "InvalidCertificateRef")]
    [InlineData("{name: own, kind: ConfigMap}", "", "InvalidCertificateRef")]
    [InlineData("{name: own, group: example.com}", "", "InvalidCertificateRef")]
    [InlineData("{name: broken}", "", "InvalidCertificateRef")]
    [InlineData("{name: cert, namespace: vault}", "", "RefNotPermitted")]
    [InlineData("{name: missing, namespace: vault}", "", "RefNotPermitted")]
    [InlineData("{name: cert, namespace: vault}", "{group: '', kind: Secret}", "")]
    [InlineData("{name: cert, namespace: vault}", "{group: '', kind: Secret, name: cert}", "")]
    [InlineData("{name: cert, namespace: vault}", "{group: '', kind: Secret, name: other}", "RefNotPermitted")]
    [InlineData("{name: cert, namespace: vault}", "{group: '', kind: ConfigMap}", "RefNotPermitted")]
    [InlineData("{name: cert, namespace: vault}", "{group: example.com, kind: Secret}", "RefNotPermitted")]
    [InlineData("{name: cert, namespace: vault}", "{group: '', kind: Secret, name: 5}", "RefNotPermitted")]
    public void A_reference_leads_to_a_Secret_of_the_own_namespace_or_of_one_that_permits_it(string reference, string grant, string wrong)
    {
        var rig = new GatewayApiRig(Gateway(reference) + (grant.Length > 0 ? Grant(grant) : "")).Certificate("shop", "own").Certificate("vault", "cert");
        rig.Apply("{apiVersion: v1, kind: Secret, metadata: {name: broken, namespace: shop}, data: {tls.crt: aGVsbG8=, tls.key: aGVsbG8=} }");
        var listeners = rig.Gateway("door", "shop")!.Listeners;
        Assert.Equal(wrong.Length == 0 ? "" : $"Programmed=Invalid ResolvedRefs={wrong}", GatewayApiRig.Wrong(listeners, "https"));
        Assert.Equal(reference is "{name: missing}" or "{name: broken}",
            listeners[0].Conditions.First(condition => condition.Type == "Programmed").Message.Contains("the last good certificate", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("HTTPRoute", "shop")]
    [InlineData("ListenerSet", "shop")]
    [InlineData("Gateway", "elsewhere")]
    public void A_grant_is_for_one_kind_of_one_namespace(string kind, string ns)
    {
        var rig = new GatewayApiRig(Gateway("{name: cert, namespace: vault}") + Grant("{group: '', kind: Secret}", kind, ns)).Certificate("vault", "cert");
        Assert.Contains("RefNotPermitted", GatewayApiRig.Wrong(rig.Gateway("door", "shop")!.Listeners, "https"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_certificate_of_another_namespace_reaches_the_gateway_while_a_grant_permits_it()
    {
        var rig = new GatewayApiRig(Gateway("{name: cert, namespace: vault}")).Certificate("vault", "cert");
        var (door, other) = (Door(rig), Door(rig, "elsewhere"));
        Assert.Empty(Secrets(door));
        Assert.Null(Chain(door).TransportSocket);

        rig.Apply(Grant("{group: '', kind: Secret}"));
        Assert.Equal(["kubernetes-gateway://vault/cert"], Secrets(door));
        Assert.Equal("kubernetes-gateway://vault/cert", Tls(Chain(door)).CommonTlsContext.TlsCertificateSdsSecretConfigs[0].Name);
        Assert.Null(MeshRig.Listener(other, "0.0.0.0_8443"));
        Assert.Empty(Secrets(other));

        rig.Remove(MeshApi.ReferenceGrant, "vault", "grant");
        Assert.Empty(Secrets(door));
        Assert.Null(Chain(door).TransportSocket);
        Assert.Equal(["a.com"], Chain(door).FilterChainMatch.ServerNames);
        Assert.Empty(rig.Mesh.Mesh.Graph.Verify());
    }

    /// <summary>As for Gateways of Istio: who renews a certificate in two steps loses no connection.</summary>
    [Fact]
    public void A_Secret_that_goes_leaves_its_last_good_certificate_and_one_that_comes_reaches_gateways_of_other_namespaces()
    {
        var rig = new GatewayApiRig(Gateway("{name: cert, namespace: vault}") + Grant("{group: '', kind: Secret}"));
        var door = Door(rig);
        Assert.Empty(Secrets(door));
        rig.Certificate("vault", "cert");
        Assert.Equal(["kubernetes-gateway://vault/cert"], Secrets(door));
        rig.Remove(MeshApi.Secret, "vault", "cert");
        Assert.Equal("Programmed=Invalid ResolvedRefs=InvalidCertificateRef", GatewayApiRig.Wrong(rig.Gateway("door", "shop")!.Listeners, "https"));
        Assert.Equal(["kubernetes-gateway://vault/cert"], Secrets(door));
    }

    /// <summary>The Pods that a Gateway is deployed as read no Secrets: their account has no such right.</summary>
    [Theory]
    [InlineData("door-istio", true)]
    [InlineData("other", false)]
    public void The_account_of_a_Gateways_own_Pods_needs_no_right_to_read_Secrets(string account, bool isServed)
    {
        var rig = new GatewayApiRig(Gateway("{name: own}")).Certificate("shop", "own");
        var door = rig.Mesh.Router("c1", account, labels: new() { [GatewayNaming.GatewayLabel] = "door" });
        rig.Mesh.Writer.PutSecretAccess(new("c1", "shop", account), new("it may not"));
        rig.Mesh.Push();
        Assert.Equal(isServed ? ["kubernetes-gateway://shop/own"] : [], Secrets(door));
    }

    [Fact]
    public void A_VirtualService_cannot_name_a_listener_as_its_gateway()
    {
        var rig = new GatewayApiRig(Gateway("{name: own}")).Certificate("shop", "own");
        rig.Apply("""
            {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: v, namespace: shop},
             spec: {hosts: [a.com], gateways: [shop/door~https], http: [{route: [{destination: {host: x}}]}]} }
            """);
        Assert.Equal("shop/door~https", Assert.Single(rig.Mesh.Mesh.GatewayObjects.Items.Values).FullName);
        Assert.Empty(rig.Mesh.Mesh.Sources.VirtualServices.Items);
    }

    [Theory]
    [InlineData("{kind: ConfigMap, name: clients}", "", "")]
    [InlineData("{kind: Secret, name: clients}", "", "")]
    [InlineData("{kind: ConfigMap, name: missing}", "InvalidCACertificateRef", "NoValidCACertificate")]
    [InlineData("{kind: ConfigMap, name: rotten}", "InvalidCACertificateRef", "NoValidCACertificate")]
    [InlineData("{kind: Service, name: clients}", "InvalidCACertificateKind", "NoValidCACertificate")]
    [InlineData("{kind: ConfigMap, name: clients, namespace: vault}", "RefNotPermitted", "NoValidCACertificate")]
    [InlineData("{kind: ConfigMap, name: clients}, {kind: ConfigMap, name: missing}", "InvalidCACertificateRef", "")]
    [InlineData("{group: certificates.k8s.io, kind: ClusterTrustBundle, name: platform}", "", "")]
    [InlineData("{group: certificates.k8s.io, kind: ClusterTrustBundle, name: clients}", "InvalidCACertificateRef", "NoValidCACertificate")]
    [InlineData("{group: certificates.k8s.io, kind: ClusterTrustBundle, name: rotten}", "InvalidCACertificateRef", "NoValidCACertificate")]
    [InlineData("{group: certificates.k8s.io, kind: ClusterTrustBundle, name: platform, namespace: vault}", "InvalidCACertificateRef", "NoValidCACertificate")]
    [InlineData("{kind: ClusterTrustBundle, name: platform}", "InvalidCACertificateKind", "NoValidCACertificate")]
    public void Clients_are_checked_with_the_CAs_that_the_Gateway_names(string reference, string resolved, string accepted)
    {
        var rig = new GatewayApiRig(Gateway("{name: own}", $"tls: {{frontend: {{default: {{validation: {{caCertificateRefs: [{reference}]}} }} }} }},")
            + Clients()).Certificate("shop", "own");
        var expected = (accepted.Length > 0 ? $"Accepted={accepted} Programmed=Invalid " : "") + (resolved.Length > 0 ? $"ResolvedRefs={resolved}" : "");
        Assert.Equal(expected, GatewayApiRig.Wrong(rig.Gateway("door", "shop")!.Listeners, "https"));
        var chain = Chain(Door(rig));
        if (accepted.Length > 0) Assert.Null(chain.TransportSocket);
        else Assert.True(Tls(chain).RequireClientCertificate);
    }

    [Fact]
    public void A_port_has_its_own_rule_for_clients_and_an_insecure_one_is_told()
    {
        const string Secure = "{frontend: {default: {validation: {caCertificateRefs: [{kind: ConfigMap, name: clients}]} } } }";
        const string Insecure =
            "{frontend: {default: {validation: {caCertificateRefs: [{kind: ConfigMap, name: missing}]} }, perPort: [{port: 443, tls: {validation: {mode: "
                + "AllowInsecureFallback, caCertificateRefs: [{kind: ConfigMap, name: clients}]} } }] } }";
        var rig = new GatewayApiRig(Gateway("{name: own}", $"tls: {Secure},") + Clients()).Certificate("shop", "own");
        var door = Door(rig);
        Assert.Equal((true, Bundle),
            (Tls(Chain(door)).RequireClientCertificate, Tls(Chain(door)).CommonTlsContext.CombinedValidationContext.ValidationContextSdsSecretConfig.Name));
        Assert.Contains(Bundle, Secrets(door));
        Assert.DoesNotContain(rig.Gateway("door", "shop")!.Conditions, condition => condition.Type == "InsecureFrontendValidationMode");

        rig.Apply(Gateway("{name: own}", $"tls: {Insecure},"));
        var tls = Tls(Chain(door));
        Assert.Equal((false, CertificateValidationContext.Types.TrustChainVerification.AcceptUntrusted),
            (tls.RequireClientCertificate, tls.CommonTlsContext.CombinedValidationContext.DefaultValidationContext.TrustChainVerification));
        Assert.Contains(rig.Gateway("door", "shop")!.Conditions, condition => condition is { Type: "InsecureFrontendValidationMode", Status: true });
    }

    [Theory]
    [InlineData("{name: own}", "True ResolvedRefs")]
    [InlineData("{name: missing}", "False InvalidClientCertificateRef")]
    [InlineData("{name: own, kind: ConfigMap}", "False InvalidClientCertificateRef")]
    [InlineData("{name: cert, namespace: vault}", "False RefNotPermitted")]
    public void The_certificate_for_backends_is_a_reference_of_the_Gateway(string reference, string expected)
    {
        var rig = new GatewayApiRig(Gateway("{name: own}", $"tls: {{backend: {{clientCertificateRef: {reference}}} }},"))
            .Certificate("shop", "own").Certificate("vault", "cert");
        Assert.Equal(["True Accepted", expected], rig.Gateway("door", "shop")!.Conditions.Select(condition => $"{condition.Status} {condition.Reason}"));
    }

    /// <summary>They reach a gateway wherever it is, and under a name that no other object has.</summary>
    [Fact]
    public void A_ClusterTrustBundle_is_for_the_Gateways_of_all_namespaces()
    {
        const string References =
            "{kind: ConfigMap, name: clients}, {group: certificates.k8s.io, kind: ClusterTrustBundle, name: platform}";
        const string Name = $"{Bundle},clustertrustbundle://platform-cacert";
        var rig = new GatewayApiRig(Gateway("{name: own}", $"tls: {{frontend: {{default: {{validation: {{caCertificateRefs: [{References}]}} }} }} }},")
            + Clients()).Certificate("shop", "own");
        var door = Door(rig);
        Assert.Equal(Name, Tls(Chain(door)).CommonTlsContext.CombinedValidationContext.ValidationContextSdsSecretConfig.Name);
        string Sent() => door.Snapshot!.Types[TypeUrls.Secret].All.Single(item => item.Name == Name).Body.Unpack<Secret>()
            .ValidationContext.TrustedCa.InlineBytes.ToStringUtf8();
        Assert.Equal(2, Sent().Split("BEGIN CERTIFICATE").Length - 1);
        var (more, _) = TestCa.SelfSignedPair("more");
        rig.Apply($$"""
            {apiVersion: certificates.k8s.io/v1beta1, kind: ClusterTrustBundle, metadata: {name: platform}, spec: {trustBundle: {{System.Text.Json.JsonSerializer.Serialize(more)}} } }
            """);
        Assert.Contains(more.TrimEnd(), Sent(), StringComparison.Ordinal);
    }

    private static string Clients()
    {
        var (ca, _) = TestCa.SelfSignedPair("clients");
        var text = System.Text.Json.JsonSerializer.Serialize(ca);
        var data = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(ca));
        return $$"""
            ---
            {apiVersion: v1, kind: ConfigMap, metadata: {name: clients, namespace: shop}, data: {ca.crt: {{text}} } }
            ---
            {apiVersion: v1, kind: ConfigMap, metadata: {name: clients, namespace: vault}, data: {ca.crt: {{text}} } }
            ---
            {apiVersion: v1, kind: ConfigMap, metadata: {name: rotten, namespace: shop}, data: {ca.crt: nothing} }
            ---
            {apiVersion: certificates.k8s.io/v1, kind: ClusterTrustBundle, metadata: {name: platform}, spec: {trustBundle: {{text}} } }
            ---
            {apiVersion: certificates.k8s.io/v1, kind: ClusterTrustBundle, metadata: {name: rotten}, spec: {trustBundle: nothing} }
            ---
            {apiVersion: v1, kind: Secret, metadata: {name: clients, namespace: shop}, data: {ca.crt: "{{data}}"} }

            """;
    }

    /// <summary>A gateway in a Pod with the label of the Gateway, behind a Service.</summary>
    private static ProxyFeed Door(GatewayApiRig rig, string ns = MeshRig.Namespace)
    {
        rig.Mesh.Service("c1", "door", "10.96.0.5", "https", 443, 8443);
        return rig.Mesh.Router("c1", "door", labels: new() { [GatewayNaming.GatewayLabel] = "door" }, ns: ns);
    }

    private static FilterChain Chain(ProxyFeed door) => Assert.Single(MeshRig.Listener(door, "0.0.0.0_8443")!.FilterChains);

    private static DownstreamTlsContext Tls(FilterChain chain) => chain.TransportSocket.TypedConfig.Unpack<DownstreamTlsContext>();

    private static IEnumerable<string> Secrets(ProxyFeed door) =>
        door.Snapshot!.Types[TypeUrls.Secret].All.Select(resource => resource.Name).Order(StringComparer.Ordinal);
}
