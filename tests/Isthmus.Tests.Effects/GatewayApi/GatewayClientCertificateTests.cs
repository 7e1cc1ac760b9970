using System.Text;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;
using ConfigMap = Isthmus.Kubernetes.Objects.ConfigMap;
using Secret = Isthmus.Kubernetes.Objects.Secret;
using TypeUrls = Isthmus.Wire.Xds.TypeUrls;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>The certificate that a Gateway shows to backends that demand TLS.</summary>
public sealed class GatewayClientCertificateTests
{
    private static readonly TestCa Servers = new("servers");

    /// <summary>It may be in another namespace where a grant permits it. Without it, a Gateway has no connections to such backends.</summary>
    [Theory]
    [InlineData("shop", false, "kubernetes-gateway://shop/client", 1, "200 CN=client")]
    [InlineData("keys", true, "kubernetes-gateway://keys/client", 1, "200 CN=client")]
    [InlineData("keys", false, "kubernetes-gateway://keys/", 0, "503")]
    public async Task A_Gateway_shows_its_certificate_if_it_may_have_it(string ns, bool isGranted, string name, int sent, string answer)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
            await context.Response.WriteAsync((await context.Connection.GetClientCertificateAsync())?.Subject ?? "nobody"), Servers.Server("a.example"),
            asksClients: true);
        using var proxy = ProxyOf(ns, isGranted, server.Port);
        var context = MeshRig.Cluster(proxy.Feed, "outbound|80||web.shop.svc.cluster.local")!.TransportSocket.TypedConfig.Unpack<UpstreamTlsContext>();
        Assert.Equal(name, Assert.Single(context.CommonTlsContext.TlsCertificateSdsSecretConfigs).Name);
        Assert.Equal(sent, proxy.Feed.Snapshot!.Types[TypeUrls.Secret].All.Count(item => item.Name == name));
        var (status, body) = await proxy.CallAsync("any");
        Assert.Equal(answer, status == 200 ? $"{status} {body}" : $"{status}");
    }

    private static ApiGatewayProxy ProxyOf(string ns, bool isGranted, int port)
    {
        var (certificate, key) = TestCa.SelfSignedPair("client");
        var grant = isGranted ? """
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: ReferenceGrant
            metadata: {name: g, namespace: keys}
            spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: shop}], to: [{group: '', kind: Secret}]}
            """ : "";
        return new($$"""
            apiVersion: gateway.networking.k8s.io/v1
            kind: HTTPRoute
            metadata: {name: r, namespace: shop}
            spec: {parentRefs: [{name: front}], rules: [{backendRefs: [{name: web, port: 80}]}]}
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: BackendTLSPolicy
            metadata: {name: p, namespace: shop}
            spec: {targetRefs: [{group: '', kind: Service, name: web}],
              validation: {hostname: a.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: servers}]} }
            {{grant}}
            """, [("web", "http", port)], $"tls: {{backend: {{clientCertificateRef: {{name: client, namespace: {ns}}} }} }}", rig =>
        {
            rig.Writer.Put("c1", new ConfigMap { Metadata = new() { Name = "servers", Namespace = "shop" }, Data = { ["ca.crt"] = Servers.Pem } });
            rig.Writer.Put("c1", new Secret
            {
                Metadata = new() { Name = "client", Namespace = ns }, Type = "kubernetes.io/tls",
                Data = { ["tls.crt"] = Base64(certificate), ["tls.key"] = Base64(key) },
            });
        });
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
