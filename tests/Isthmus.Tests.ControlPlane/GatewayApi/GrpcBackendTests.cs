using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Upstreams;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>Which protocol gateways speak with ports that name none.</summary>
public sealed class GrpcBackendTests
{
    private const string Options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

    /// <summary>They detect no protocol, and gRPC needs HTTP/2. A route that may not lead there says nothing.</summary>
    [Theory]
    [InlineData("GRPCRoute", "shop", "", true)]
    [InlineData("HTTPRoute", "shop", "", false)]
    [InlineData("GRPCRoute", "other", "", false)]
    [InlineData("GRPCRoute", "other", "GRPCRoute", true)]
    [InlineData("GRPCRoute", "other", "HTTPRoute", false)]
    public void A_port_is_called_with_HTTP_2_if_a_GRPCRoute_leads_to_it(string kind, string ns, string granted, bool isHttp2)
    {
        var rig = new GatewayApiRig($$"""
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: shop}, spec: {gatewayClassName: istio,
              listeners: [{name: plain, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All} } }]} }
            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: {{kind}}, metadata: {name: r, namespace: {{ns}}},
              spec: {parentRefs: [{name: door, namespace: shop}],
              rules: [{backendRefs: [{name: calls, namespace: shop, port: 80}]}]} }
            """);
        if (granted.Length > 0) rig.Apply($$"""
            {apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: g, namespace: shop},
             spec: {from: [{group: gateway.networking.k8s.io, kind: {{granted}}, namespace: other}], to: [{group: '', kind: Service}]} }
            """);
        rig.Mesh.Service("c1", "calls", "10.96.0.7", "unnamed", 80);
        rig.Mesh.Service("c1", "named", "10.96.0.8", "http", 80);
        rig.Mesh.Service("c1", "door", "10.96.0.5", "http", 80);
        var door = rig.Mesh.Router("c1", "door", labels: new() { [GatewayNaming.GatewayLabel] = "door" });
        var caller = rig.Mesh.Sidecar("c1");
        rig.Mesh.Push();
        Assert.Equal(isHttp2 ? "http2" : "", ProtocolOf(MeshRig.Cluster(door, MeshRig.OutboundName("calls"))!));
        Assert.Equal("", ProtocolOf(MeshRig.Cluster(door, MeshRig.OutboundName("named"))!));
        // Sidecars see what the caller speaks.
        Assert.Equal("downstream", ProtocolOf(MeshRig.Cluster(caller, MeshRig.OutboundName("calls"))!));
        rig.Mesh.Writer.RemoveConfig("c1", kind, ns, "r");
        rig.Mesh.Push();
        Assert.Equal("", ProtocolOf(MeshRig.Cluster(door, MeshRig.OutboundName("calls"))!));
    }

    private static string ProtocolOf(Cluster cluster) => !cluster.TypedExtensionProtocolOptions.TryGetValue(Options, out var packed) ? ""
        : packed.Unpack<HttpProtocolOptions>() is var options && options.ExplicitHttpConfig?.Http2ProtocolOptions is not null ? "http2"
        : options.UseDownstreamProtocolConfig is not null ? "downstream" : "";
}
