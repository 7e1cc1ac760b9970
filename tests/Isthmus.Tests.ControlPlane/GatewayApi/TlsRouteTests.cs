using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>TLSRoutes: connections go by the name that clients ask for, whether or not the Gateway decrypts them.</summary>
public sealed class TlsRouteTests
{
    [Fact]
    public void Names_of_routes_are_narrowed_by_listeners_and_lead_to_their_backends()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "web", "10.96.0.7", "10.244.0.1");
        var (certificate, key) = TestCa.SelfSignedPair("c", "*.example.com");
        rig.Writer.Put("c1", new Secret
        {
            Metadata = new() { Name = "cert", Namespace = "shop" }, Type = "kubernetes.io/tls",
            Data = { ["tls.crt"] = Base64(certificate), ["tls.key"] = Base64(key) },
        });
        rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "front", Namespace = "shop" },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = "10.96.0.20", ClusterIPs = ["10.96.0.20"], Selector = { ["app"] = "front" },
                Ports =
                {
                    new() { Name = "pass", Port = 443, TargetPort = JsonValue.Create(443) },
                    new() { Name = "term", Port = 444, TargetPort = JsonValue.Create(444) }
                },
            },
        });
        rig.Config("""
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop, annotations: {gateway.istio.io/service-account: front} }
            spec:
              gatewayClassName: istio
              listeners:
              - {name: pass, port: 443, protocol: TLS, hostname: '*.example.com', tls: {mode: Passthrough} }
              - {name: term, port: 444, protocol: TLS, hostname: '*.example.com', tls: {mode: Terminate, certificateRefs: [{name: cert}]} }
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: TLSRoute
            metadata: {name: p, namespace: shop}
            spec: {hostnames: [a.example.com, b.other], parentRefs: [{name: front, sectionName: pass}], rules: [{backendRefs: [{name: web, port: 80}]}]}
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: TLSRoute
            metadata: {name: t, namespace: shop}
            spec: {hostnames: [c.example.com], parentRefs: [{name: front, sectionName: term}], rules: [{backendRefs: [{name: web, port: 80}]}]}
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: TLSRoute
            metadata: {name: none, namespace: shop}
            spec: {hostnames: [b.other], parentRefs: [{name: front, sectionName: pass}], rules: [{backendRefs: [{name: web, port: 80}]}]}
            """);
        var gateway = rig.Router("c1", "front", labels: new() { ["gateway.networking.k8s.io/gateway-name"] = "front" });
        rig.Push();
        var (passing, ending) = (Named(MeshRig.Listener(gateway, "0.0.0.0_443")!, "a.example.com"),
            Named(MeshRig.Listener(gateway, "0.0.0.0_444")!, "c.example.com"));
        foreach (var (chain, hasTls) in new[] { (passing, false), (ending, true) })
        {
            Assert.Equal("outbound|80||web.shop.svc.cluster.local", chain.Filters[^1].TypedConfig.Unpack<TcpProxy>().Cluster);
            Assert.Equal(hasTls, chain.TransportSocket is not null);
        }
        Assert.DoesNotContain(MeshRig.Listener(gateway, "0.0.0.0_443")!.FilterChains, chain => chain.FilterChainMatch.ServerNames.Contains("b.other"));
        Assert.Equal(["p True Accepted", "t True Accepted", "none False NoMatchingListenerHostname"],
            rig.Mesh.RouteStatuses.Items.Values.OrderBy(status => status.Source.Name == "none").ThenBy(status => status.Source.Name)
            .Select(status => (status.Source.Name, Accepted: status.Parents.Single().Conditions[0]))
            .Select(item => $"{item.Name} {item.Accepted.Status} {item.Accepted.Reason}"));
    }

    private static FilterChain Named(Listener listener, string name) =>
        Assert.Single(listener.FilterChains, chain => chain.FilterChainMatch?.ServerNames.Contains(name) == true);

    private static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(text));
}
