using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>What Gateways say of their listeners.</summary>
public sealed class ListenerTests
{
    private static string Gateway(string name, string listeners, string spec = "", string ns = "infra", string @class = "istio") =>
        $"---\n{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: {name}, namespace: {ns}}}, spec: {{gatewayClassName: {@class}, "
            + $"{spec} listeners: [{listeners}]}} }}\n";

    [Theory]
    [InlineData("name: l, port: 80, protocol: HTTP", "", "HTTPRoute GRPCRoute")]
    [InlineData("name: l, port: 9000, protocol: TCP", "", "TCPRoute")]
    [InlineData("name: l, port: 443, protocol: TLS, tls: {mode: Passthrough}", "", "TLSRoute")]
    [InlineData("name: l, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}", "", "HTTPRoute GRPCRoute")]
    [InlineData("name: l, port: 443, protocol: TLS, tls: {certificateRefs: [{name: cert}]}", "", "TLSRoute TCPRoute")]
    [InlineData("name: l, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: GRPCRoute}]}", "", "GRPCRoute")]
    [InlineData("name: l, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: HTTPRoute}, {kind: FooRoute}]}", "ResolvedRefs=InvalidRouteKinds",
        "HTTPRoute")]
    [InlineData("name: l, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: HTTPRoute, group: example.com}]}", "ResolvedRefs=InvalidRouteKinds", "")]
    [InlineData("name: l, port: 80, protocol: WHAT", "Accepted=UnsupportedProtocol Programmed=Invalid", "")]
    [InlineData("name: l, port: 80, protocol: HTTP, tls: {certificateRefs: [{name: cert}]}", "Accepted=UnsupportedProtocol Programmed=Invalid",
        "HTTPRoute GRPCRoute")]
    [InlineData("name: l, port: 443, protocol: HTTPS, tls: {mode: Passthrough}", "Accepted=UnsupportedProtocol Programmed=Invalid", "HTTPRoute GRPCRoute")]
    [InlineData("name: l, port: 99999, protocol: HTTP", "Accepted=PortUnavailable Programmed=Invalid", "HTTPRoute GRPCRoute")]
    [InlineData("name: l, port: 15000, protocol: HTTP", "Accepted=PortUnavailable Programmed=Invalid", "HTTPRoute GRPCRoute")]
    [InlineData("name: l, port: 15020, protocol: TCP", "Accepted=PortUnavailable Programmed=Invalid", "TCPRoute")]
    [InlineData("name: l, port: 15021, protocol: HTTP", "Accepted=PortUnavailable Programmed=Invalid", "HTTPRoute GRPCRoute")]
    [InlineData("name: l, port: 15090, protocol: HTTP", "Accepted=PortUnavailable Programmed=Invalid", "HTTPRoute GRPCRoute")]
    [InlineData("name: l, port: 15021, protocol: UDP", "", "UDPRoute")]
    [InlineData("name: l, port: 80, protocol: HTTP, hostname: 'a b'", "Accepted=UnsupportedValue Programmed=Invalid", "HTTPRoute GRPCRoute")]
    [InlineData("name: l, port: 443, protocol: HTTPS", "Programmed=Invalid ResolvedRefs=InvalidCertificateRef", "HTTPRoute GRPCRoute")]
    public void A_listener_says_whether_it_is_served_and_which_routes_it_takes(string listener, string wrong, string kinds)
    {
        var status = new GatewayApiRig(Gateway("door", $"{{{listener}}}")).Certificate("infra", "cert").Gateway("door")!;
        Assert.Equal(wrong, GatewayApiRig.Wrong(status.Listeners, "l"));
        Assert.Equal(kinds, string.Join(' ', status.Listeners[0].SupportedKinds.Select(kind => kind.Kind)));
    }

    [Fact]
    public void A_gateway_is_accepted_while_one_of_its_listeners_is_valid()
    {
        const string Good = "{name: good, port: 80, protocol: HTTP}", Bad = "{name: bad, port: 81, protocol: WHAT}";
        var rig = new GatewayApiRig(Gateway("all", Good) + Gateway("some", $"{Good}, {Bad}") + Gateway("none", Bad));
        Assert.Equal((true, "Accepted"), Accepted(rig.Gateway("all")!));
        Assert.Equal((true, "ListenersNotValid"), Accepted(rig.Gateway("some")!));
        Assert.Equal((false, "ListenersNotValid"), Accepted(rig.Gateway("none")!));
    }

    /// <summary>The Pods of a Gateway are ready whether it has a listener or not: without any that is valid, it is rejected as a whole. Otherwise, its
    /// Service and Pods say whether it is programmed.</summary>
    [Theory]
    [InlineData("", "Invalid: No listener is valid: tunnel")]
    [InlineData(", {name: good, port: 80, protocol: HTTP}", "")]
    public void A_gateway_without_a_valid_listener_is_not_programmed(string others, string why)
    {
        var status = new GatewayApiRig(Gateway("door", $"{{name: tunnel, port: 15008, protocol: HBONE}}{others}")).Gateway("door")!;
        Assert.Equal("Accepted=UnsupportedProtocol Programmed=Invalid", GatewayApiRig.Wrong(status.Listeners, "tunnel"));
        Assert.Equal(why, string.Concat(status.Conditions.Where(condition => condition is { Type: "Programmed", Status: false })
            .Select(condition => $"{condition.Reason}: {condition.Message}")));
    }

    [Theory]
    [InlineData("{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}", "HostnameConflict")]
    [InlineData("{name: a, port: 80, protocol: HTTP, hostname: x.com}, {name: b, port: 80, protocol: HTTP, hostname: X.com}", "HostnameConflict")]
    [InlineData("{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: TCP}", "ProtocolConflict")]
    [InlineData("{name: a, port: 80, protocol: TCP}, {name: b, port: 80, protocol: TCP, hostname: x.com}", "ProtocolConflict")]
    [InlineData("{name: a, port: 443, protocol: TLS, tls: {mode: Passthrough}}, {name: b, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]} }",
        "ProtocolConflict")]
    [InlineData("{name: a, port: 80, protocol: HTTP, hostname: x.com}, {name: b, port: 80, protocol: HTTP, hostname: y.com}", "")]
    [InlineData(
        "{name: a, port: 443, protocol: TLS, hostname: x.com, tls: {mode: Passthrough}}, {name: b, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: "
            + "cert}]} }",
        "")]
    [InlineData("{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: WHAT}", "", true)]
    public void Of_listeners_of_a_gateway_that_are_not_distinct_none_is_served(string listeners, string reason, bool isOther = false)
    {
        var rig = new GatewayApiRig(Gateway("door", listeners)).Certificate("infra", "cert");
        var status = rig.Gateway("door")!;
        if (isOther) Assert.Equal("", GatewayApiRig.Wrong(status.Listeners, "a"));
        else Assert.All(status.Listeners,
            listener => Assert.Equal(reason.Length == 0 ? "" : $"Accepted={reason} Programmed={reason} Conflicted={reason}",
                GatewayApiRig.Wrong(status.Listeners, listener.Name)));
        Assert.Equal(isOther ? 1 : reason.Length == 0 ? 2 : 0, rig.Mesh.Mesh.GatewayApi.Gateways.Items.Count);
    }

    [Fact]
    public void Gateways_of_other_classes_are_left_alone_and_a_class_may_have_any_name()
    {
        const string Listener = "{name: l, port: 80, protocol: HTTP}";
        var rig = new GatewayApiRig(Gateway("ours", Listener) + Gateway("named", Listener, @class: "edge")
            + Gateway("theirs", Listener, @class: "other") + Gateway("away", Listener, @class: "istio-remote"));
        Assert.Equal((true, false, false, true),
            (rig.Gateway("ours") is not null, rig.Gateway("named") is not null, rig.Gateway("theirs") is not null, rig.Gateway("away") is not null));
        // It is served elsewhere.
        Assert.Empty(rig.Gateway("away")!.Listeners);
        Assert.Single(rig.Mesh.Mesh.GatewayObjects.Items);
        rig.Apply("""
            {apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: edge}, spec: {controllerName: istio.io/gateway-controller}}
            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: istio}, spec: {controllerName: example.com/other}}
            """);
        Assert.Equal((false, true), (rig.Gateway("ours") is not null, rig.Gateway("named") is not null));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{gatewayClassName: istio, listeners: 5, addresses: {a: b}, tls: [1], infrastructure: x}")]
    [InlineData(
        "{gatewayClassName: istio, listeners: [1, null, {name: 3, port: x, protocol: [], tls: 1, allowedRoutes: {namespaces: {from: {}}, kinds: 7} }]}")]
    [InlineData(
        "{gatewayClassName: istio, listeners: [{name: l, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Everyone}} }], tls: {frontend: {perPort: "
            + "[3]} } }")]
    public void Fields_of_other_types_harm_nobody_and_allow_nothing(string spec)
    {
        var rig = new GatewayApiRig(Gateway("good", "{name: l, port: 80, protocol: HTTP}"));
        rig.Apply($"{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: odd, namespace: infra}}, spec: {spec}}}");
        rig.Apply(
            "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: infra}, spec: {parentRefs: [{name: odd}, 5, {name: "
                + "good}], rules: [3, {matches: 4}], hostnames: {}}}");
        Assert.Empty(rig.Mesh.Mesh.Graph.Verify());
        Assert.Equal("l: *", rig.Attached("r").Split("; ")[^1]);
        Assert.DoesNotContain(rig.Route("r").Parents, parent => parent.Parent.Name == "odd" && !parent.Listeners.IsEmpty);
    }

    [Fact]
    public void Kinds_come_and_go_while_everything_else_stays()
    {
        var rig = new GatewayApiRig(Gateway("door", "{name: l, port: 80, protocol: HTTP}"));
        Assert.Single(rig.Mesh.Mesh.GatewayObjects.Items);
        rig.Remove(MeshApi.ApiGateway, "infra", "door");
        Assert.Null(rig.Gateway("door"));
        Assert.Empty(rig.Mesh.Mesh.GatewayObjects.Items);
        Assert.Empty(rig.Mesh.Mesh.Graph.Verify());
    }

    private static (bool?, string) Accepted(GatewayStatus status) =>
        status.Conditions.Where(condition => condition.Type == "Accepted").Select(condition => (condition.Status, condition.Reason)).Single();
}
