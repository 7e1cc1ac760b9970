using Isthmus.ControlPlane.Push;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>Stored objects that demand a way which proxies cannot take: there is no other way instead.</summary>
public sealed class ClosedWayTests
{
    [Fact]
    public void A_host_behind_a_tunnel_that_leads_nowhere_is_not_called_without_it()
    {
        var (rig, client) = Shop();
        const string Rule = """
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: orders, namespace: shop}
            spec: {host: orders, subsets: [{name: v1, labels: {app: orders}}], trafficPolicy: {
            """;
        rig.Config(Rule + "}}");
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1"], MeshRig.Endpoints(client, MeshRig.OutboundName("orders")));
        rig.Config(Rule + "tunnel: {protocol: CONNECT, targetHost: far.example, targetPort: 0}}}");
        rig.Push();
        foreach (var subset in (string[])["", "v1"])
        {
            var name = MeshRig.OutboundName("orders", subset: subset);
            Assert.Equal((Cluster.Types.DiscoveryType.Static, true),
                (MeshRig.Cluster(client, name)!.Type, MeshRig.Cluster(client, name)!.LoadAssignment is null));
            Assert.Empty(MeshRig.Endpoints(client, name));
        }
        Reported(rig, "spec.trafficPolicy.tunnel.targetPort");
    }

    [Fact]
    public void A_host_whose_certificates_may_be_revoked_is_not_called_without_TLS()
    {
        var (rig, client) = Shop();
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: orders, namespace: shop}
            spec: {host: orders, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /ca.pem, caCrl: /crl.pem}}}
            """);
        rig.Push();
        Assert.Equal(Cluster.Types.DiscoveryType.Static, MeshRig.Cluster(client, MeshRig.OutboundName("orders"))!.Type);
        Assert.Empty(MeshRig.Endpoints(client, MeshRig.OutboundName("orders")));
        Reported(rig, "spec.trafficPolicy.tls.caCrl");
    }

    [Fact]
    public void A_wrong_tunnel_of_one_port_closes_that_port()
    {
        var (rig, client) = Shop();
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: orders, namespace: shop}
            spec: {host: orders, trafficPolicy: {portLevelSettings: [{port: {number: 81}, tunnel: {targetHost: "a b", targetPort: 1}}]}}
            """);
        rig.Push();
        Assert.Equal(Cluster.Types.DiscoveryType.Eds, MeshRig.Cluster(client, MeshRig.OutboundName("orders"))!.Type);
        Reported(rig, "spec.trafficPolicy.portLevelSettings[0].tunnel.targetHost");
    }

    [Fact]
    public void Unknown_destinations_are_not_called_past_an_egress_proxy()
    {
        var (rig, client) = Shop();
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Sidecar
            metadata: {name: default, namespace: shop}
            spec: {outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: egress.shop.svc.cluster.local, port: {number: 80}}}, egress: [{hosts: ['./*']}]}
            """);
        rig.Push();
        Assert.All(MeshRig.Listener(client, "virtualOutbound")!.FilterChains, chain => Assert.Equal("BlackHoleCluster", Tcp(chain)));
        Reported(rig, "spec.outboundTrafficPolicy.egressProxy");
    }

    [Fact]
    public void A_port_with_TLS_settings_of_its_own_is_closed_and_not_open_without_them()
    {
        var (rig, _) = Shop();
        var orders = rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Sidecar
            metadata: {name: default, namespace: shop}
            spec: {ingress: [{port: {number: 8080, name: https, protocol: HTTPS}, tls: {mode: MUTUAL}}, {port: {number: 9090, name: http, protocol: HTTP}}]}
            """);
        rig.Push();
        var chains = MeshRig.Listener(orders, "virtualInbound")!.FilterChains;
        var closed = Assert.Single(chains, chain => chain.FilterChainMatch.DestinationPort == 8080);
        Assert.Equal(("BlackHoleCluster", "", 0), (Tcp(closed), closed.FilterChainMatch.TransportProtocol, closed.FilterChainMatch.ApplicationProtocols.Count));
        Assert.Contains(chains,
            chain => chain.FilterChainMatch.DestinationPort == 9090 && chain.Filters[^1].Name == "envoy.filters.network.http_connection_manager");
        Assert.Null(MeshRig.Cluster(orders, "inbound|8080||"));
        Reported(rig, "spec.ingress[0].tls");
    }

    private static (MeshRig Rig, ProxyFeed Client) Shop()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        return (rig, rig.Sidecar("c1"));
    }

    private static string Tcp(FilterChain chain) => chain.Filters[^1].TypedConfig.Unpack<TcpProxy>().Cluster;

    private static void Reported(MeshRig rig, string path) =>
        Assert.Equal(path, Assert.Single(rig.Mesh.Sources.Problems.Items.Values.SelectMany(item => item.Problems)).Path);
}
