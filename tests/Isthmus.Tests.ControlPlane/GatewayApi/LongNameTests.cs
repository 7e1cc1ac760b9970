using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>Names of Gateways that no label and no Service can have.</summary>
public sealed class LongNameTests
{
    [Fact]
    public void A_Gateway_with_the_longest_name_is_served()
    {
        var name = new string('a', 253);
        var rig = new GatewayApiRig($$"""
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: {{name}}, namespace: shop, generation: 3},
              spec: {gatewayClassName: istio,
              listeners: [{name: plain, port: 80, protocol: HTTP}]} }
            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: shop},
              spec: {parentRefs: [{name: {{name}} }], rules: [{backendRefs: [{name: web, port: 80}]}]} }
            """);
        rig.Mesh.Service("c1", "web", "10.96.0.7", "http", 80);
        rig.Mesh.Service("c1", "door", "10.96.0.5", "http", 80);
        var door = rig.Mesh.Router("c1", "door", labels: new() { [GatewayNaming.GatewayLabel] = GatewayNaming.LabelOf(name) });
        rig.Mesh.Push();
        var status = rig.Gateway(name, "shop")!;
        Assert.Equal(3, status.Generation.Number);
        Assert.Equal("", GatewayApiRig.Wrong(status.Listeners, "plain"));
        Assert.NotNull(MeshRig.Route(door, "http.8080"));
    }
}
