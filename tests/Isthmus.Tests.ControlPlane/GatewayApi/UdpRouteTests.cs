using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.UdpFilters;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>UDP listeners of Gateways, and the routes of their datagrams.</summary>
public sealed class UdpRouteTests
{
    private const string Cluster = "udp|53||names.shop.svc.cluster.local";

    [Fact]
    public void Datagrams_of_a_listener_go_where_its_UDPRoute_says()
    {
        var rig = new GatewayApiRig("""
            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: shop},
             spec: {gatewayClassName: istio, listeners: [{name: dns, port: 5300, protocol: UDP}, {name: idle, port: 5301, protocol: UDP}]} }
            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: UDPRoute, metadata: {name: r, namespace: shop},
             spec: {parentRefs: [{name: door, sectionName: dns}], rules: [{backendRefs: [{name: names, port: 53}]}]} }
            """);
        Put(rig, "names", "10.96.0.53", 53);
        Put(rig, "door", "10.96.0.5", 5300, 5301);
        var door = rig.Mesh.Router("c1", "door", labels: new() { [GatewayNaming.GatewayLabel] = "door" });
        rig.Mesh.Push();
        var config = MeshRig.Listener(door, "udp_0.0.0.0_5300")!.ListenerFilters.Single().TypedConfig.Unpack<UdpProxyConfig>();
        Assert.Equal(Cluster, config.Matcher.OnNoMatch.Action.TypedConfig.Unpack<Route>().Cluster);
        Assert.NotNull(MeshRig.Cluster(door, Cluster));
        Assert.Null(MeshRig.Listener(door, "udp_0.0.0.0_5301")); // nobody wants its datagrams
        Assert.Equal([1, 0], rig.Gateway("door", "shop")!.Listeners.Select(listener => listener.AttachedRoutes));
        Assert.Equal("", GatewayApiRig.Wrong(rig.Gateway("door", "shop")!.Listeners, "dns"));
    }

    [Theory]
    [InlineData("UDPRoute", "names", "ResolvedRefs")]
    [InlineData("UDPRoute", "web", "UnsupportedProtocol")]
    [InlineData("TCPRoute", "web", "ResolvedRefs")]
    [InlineData("TCPRoute", "names", "UnsupportedProtocol")]
    public void A_port_of_another_protocol_takes_no_connections_of_a_route(string kind, string backend, string reason)
    {
        var rig = new GatewayApiRig($$"""
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: shop},
             spec: {gatewayClassName: istio, listeners: [{name: dns, port: 5300, protocol: UDP}, {name: raw, port: 5300, protocol: TCP}]} }
            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: {{kind}}, metadata: {name: r, namespace: shop},
             spec: {parentRefs: [{name: door}], rules: [{backendRefs: [{name: {{backend}}, port: 53}]}]} }
            """);
        Put(rig, "names", "10.96.0.53", 53);
        rig.Mesh.Service("c1", "web", "10.96.0.54", "tcp", 53);
        rig.Mesh.Push();
        var status = rig.Mesh.Mesh.RouteStatuses.Items.Values.Single(status => status.Source.Kind == kind);
        Assert.Equal(reason, status.Parents[0].Conditions.Single(condition => condition.Type == "ResolvedRefs").Reason);
    }

    [Fact]
    public void A_Service_takes_no_route_of_datagrams_from_its_callers()
    {
        var rig = new GatewayApiRig("""
            {apiVersion: gateway.networking.k8s.io/v1, kind: UDPRoute, metadata: {name: r, namespace: shop},
             spec: {parentRefs: [{group: '', kind: Service, name: names}], rules: [{backendRefs: [{name: names, port: 53}]}]} }
            """);
        Put(rig, "names", "10.96.0.53", 53);
        rig.Mesh.Push();
        var status = Assert.Single(rig.Mesh.Mesh.RouteStatuses.Items.Values);
        var accepted = Assert.Single(status.Parents).Conditions.Single(condition => condition.Type == "Accepted");
        Assert.Equal((false, "UnsupportedValue"), (accepted.Status ?? true, accepted.Reason));
        Assert.Empty(rig.Mesh.Mesh.Routings.Items);
    }

    private static void Put(GatewayApiRig rig, string name, string ip, params int[] ports) => rig.Mesh.Writer.Put("c1", new Service
    {
        Metadata = new() { Name = name, Namespace = "shop" },
        Spec = new()
        {
            Type = "ClusterIP", ClusterIP = ip, ClusterIPs = [ip], Selector = { ["app"] = name },
            Ports = [.. ports.Select(port => new ServicePort { Name = $"udp-{port}", Port = port, Protocol = "UDP", TargetPort = JsonValue.Create(port) })],
        },
    });
}
