using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>Routes of connections and datagrams whose backends are in another namespace.</summary>
public sealed class RouteGrantTests
{
    [Theory]
    [InlineData("TLSRoute", "", "RefNotPermitted")]
    [InlineData("TLSRoute", "TLSRoute", "ResolvedRefs")]
    [InlineData("TLSRoute", "HTTPRoute", "RefNotPermitted")]
    [InlineData("TCPRoute", "", "RefNotPermitted")]
    [InlineData("TCPRoute", "TCPRoute", "ResolvedRefs")]
    [InlineData("TCPRoute", "TLSRoute", "RefNotPermitted")]
    [InlineData("UDPRoute", "", "RefNotPermitted")]
    [InlineData("UDPRoute", "UDPRoute", "ResolvedRefs")]
    [InlineData("UDPRoute", "TCPRoute", "RefNotPermitted")]
    public void A_grant_is_for_the_kind_of_the_route(string kind, string granted, string reason)
    {
        var grant = granted.Length == 0 ? "" : $$"""

            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: g, namespace: shop},
             spec: {from: [{group: gateway.networking.k8s.io, kind: {{granted}}, namespace: edge}], to: [{group: '', kind: Service}]} }
            """;
        var rig = new GatewayApiRig($$"""
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: edge}, spec: {gatewayClassName: istio, listeners: [
             {name: datagrams, port: 5300, protocol: UDP}, {name: raw, port: 5301, protocol: TCP},
             {name: names, port: 5302, protocol: TLS, tls: {mode: Passthrough} }]} }
            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: {{kind}}, metadata: {name: r, namespace: edge},
             spec: { {{(kind == "TLSRoute" ? "hostnames: [a.example.com], " : "")}}parentRefs: [{name: door}],
              rules: [{backendRefs: [{name: web, namespace: shop, port: {{(kind == "UDPRoute" ? 53 : 80)}} }]}]} }
            """ + grant);
        rig.Mesh.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "web", Namespace = "shop" },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = "10.96.0.54", ClusterIPs = ["10.96.0.54"], Selector = { ["app"] = "web" },
                Ports =
                {
                    new() { Name = "tcp-80", Port = 80, Protocol = "TCP", TargetPort = JsonValue.Create(80) },
                    new() { Name = "udp-53", Port = 53, Protocol = "UDP", TargetPort = JsonValue.Create(53) },
                },
            },
        });
        rig.Mesh.Push();
        var status = Assert.Single(rig.Mesh.Mesh.RouteStatuses.Items.Values);
        Assert.Equal(["Accepted", reason], Assert.Single(status.Parents).Conditions.Select(condition => condition.Reason));
    }
}
