using Isthmus.Mesh.Config;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>Which listeners of Gateways take which routes.</summary>
public sealed class AttachmentTests
{
    private static string Gateway(string listeners) =>
        $"---\n{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: door, namespace: infra}}, spec: {{gatewayClassName: istio, "
            + $"listeners: [{listeners}]}} }}\n";

    private static string Route(string parent, string hostnames = "", string kind = "HTTPRoute", string ns = "infra") =>
        $"---\n{{apiVersion: gateway.networking.k8s.io/v1, kind: {kind}, metadata: {{name: r, namespace: {ns}}}, spec: {{parentRefs: [{{name: door, namespace: "
            + $"infra{parent}}}], hostnames: [{hostnames}]}} }}\n";

    [Theory]
    [InlineData("", "", "web: *; api: api.com; any: *.wide.com")]
    [InlineData(", sectionName: web", "", "web: *")]
    [InlineData(", port: 81", "", "api: api.com; any: *.wide.com")]
    [InlineData(", port: 81, sectionName: api", "", "api: api.com")]
    [InlineData(", port: 80, sectionName: api", "", "NoMatchingParent")]
    [InlineData(", sectionName: nobody", "", "NoMatchingParent")]
    [InlineData(", port: 82", "", "NoMatchingParent")]
    [InlineData(", sectionName: api", "other.com", "NoMatchingListenerHostname")]
    [InlineData(", sectionName: api", "'*.com'", "api: api.com")]
    [InlineData(", sectionName: any", "x.wide.com, wide.com, '*.deep.wide.com', '*.com'", "any: x.wide.com,*.deep.wide.com,*.wide.com")]
    [InlineData("", "api.com", "web: api.com; api: api.com")]
    public void A_route_attaches_where_section_port_and_a_hostname_match(string parent, string hostnames, string expected)
    {
        var rig = new GatewayApiRig(
            Gateway(
                "{name: web, port: 80, protocol: HTTP}, {name: api, port: 81, protocol: HTTP, hostname: api.com}, {name: any, port: 81, protocol: HTTP, "
                    + "hostname: '*.wide.com'}")
            + Route(parent, hostnames));
        Assert.Equal(expected.Replace("; ", " ", StringComparison.Ordinal), rig.Attached("r"));
    }

    [Theory]
    [InlineData("HTTP", "HTTPRoute", true)]
    [InlineData("HTTP", "GRPCRoute", true)]
    [InlineData("HTTP", "TLSRoute", false)]
    [InlineData("TCP", "TCPRoute", true)]
    [InlineData("TCP", "HTTPRoute", false)]
    [InlineData("UDP", "UDPRoute", true)]
    [InlineData("UDP", "TCPRoute", false)]
    [InlineData("TCP", "UDPRoute", false)]
    public void A_listener_takes_routes_that_fit_its_protocol(string protocol, string kind, bool isTaken)
    {
        var rig = new GatewayApiRig(Gateway($"{{name: l, port: 80, protocol: {protocol}}}") + Route("", kind: kind));
        Assert.Equal(isTaken ? "l: *" : "NotAllowedByListeners", rig.Attached("r", kind: MeshApi.All.Single(known => known.Kind == kind)));
        Assert.Equal(isTaken ? 1 : 0, rig.Gateway("door")!.Listeners[0].AttachedRoutes);
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("from: All", true)]
    [InlineData("from: Selector, selector: {matchLabels: {edge: \"yes\"} }", true)]
    [InlineData("from: Selector, selector: {matchLabels: {edge: \"no\"} }", false)]
    public void A_listener_takes_routes_of_the_namespaces_that_it_allows(string namespaces, bool isTaken)
    {
        var rig = new GatewayApiRig("{apiVersion: v1, kind: Namespace, metadata: {name: team, labels: {edge: \"yes\"} } }\n"
            + Gateway($"{{name: l, port: 80, protocol: HTTP{(namespaces.Length == 0 ? "" : $", allowedRoutes: {{namespaces: {{{namespaces}}} }}")} }}")
            + Route("", ns: "team"));
        Assert.Equal(isTaken ? "l: *" : "NotAllowedByListeners", rig.Attached("r", "team"));
        rig.Apply("{apiVersion: v1, kind: Namespace, metadata: {name: team, labels: {edge: \"no\"} } }");
        Assert.Equal(namespaces.Contains("no", StringComparison.Ordinal) || namespaces == "from: All" ? "l: *" : "NotAllowedByListeners",
            rig.Attached("r", "team"));
        Assert.Empty(rig.Mesh.Mesh.Graph.Verify());
    }

    [Fact]
    public void Parents_of_others_are_left_alone_and_one_that_comes_later_takes_the_route()
    {
        var rig = new GatewayApiRig("""
            {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: infra},
             spec: {parentRefs: [{name: door}, {name: door, group: example.com}, {name: door, group: "", kind: Service}]} }
            """);
        Assert.Empty(rig.Route("r").Parents);
        rig.Apply(Gateway("{name: l, port: 80, protocol: HTTP}"));
        Assert.Equal("l: *", rig.Attached("r"));
        Assert.Equal("door", Assert.Single(rig.Route("r").Parents).Parent.Name);
    }

    /// <summary>A listener that cannot be served has its routes all the same: they say how many a repair is for.</summary>
    [Fact]
    public void Routes_attach_to_a_listener_without_its_certificate()
    {
        var rig = new GatewayApiRig(Gateway("{name: l, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: missing}]} }") + Route(""));
        Assert.Equal("Programmed=Invalid ResolvedRefs=InvalidCertificateRef", GatewayApiRig.Wrong(rig.Gateway("door")!.Listeners, "l"));
        Assert.Equal(1, rig.Gateway("door")!.Listeners[0].AttachedRoutes);
    }
}
