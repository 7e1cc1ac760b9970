using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Datagrams through UDPRoutes of a Gateway: listener <c>one</c> is at port 5300, <c>two</c> at 5301.</summary>
public sealed class UdpRouteCaseTests
{
    [Theory]
    [InlineData("{name: front, sectionName: one}", "v1", "")]
    [InlineData("{name: front, port: 5301}", "", "v1")]
    [InlineData("{name: front, sectionName: two, port: 5301}", "", "v1")]
    [InlineData("{name: front}", "v1", "v1")]
    [InlineData("{name: front, sectionName: one, port: 5301}", "", "")]
    public async Task A_UDPRoute_attaches_by_section_by_port_by_both_and_to_all(string parent, string one, string two)
    {
        using var gateway = new DatagramGateway(Route("r", parent, "{name: v1, port: 53}"));
        Assert.Equal((one, two), (await gateway.AskAsync(5300), await gateway.AskAsync(5301)));
        Assert.Equal(one + two == "" ? "NoMatchingParent" : "Accepted", gateway.Reason("r", "Accepted"));
    }

    /// <summary>All of them are accepted, and count.</summary>
    [Fact]
    public async Task Of_several_UDPRoutes_the_oldest_one_has_all_datagrams()
    {
        const string Parent = "{name: front, sectionName: one}";
        using var gateway = new DatagramGateway(Route("younger", Parent, "{name: v2, port: 53}", age: "2026-02-01T00:00:00Z")
            + Route("older", Parent, "{name: v1, port: 53}"));
        for (var i = 0; i < 20; i++) Assert.Equal("v1", await gateway.AskAsync(5300));
        Assert.Equal(("Accepted", "Accepted"), (gateway.Reason("older", "Accepted"), gateway.Reason("younger", "Accepted")));
        Assert.Equal(2, gateway.Rig.Mesh.GatewayApi.GatewayStatuses.Items.Values.Single().Listeners.Single(listener => listener.Name == "one").AttachedRoutes);
    }

    [Fact]
    public async Task A_listener_takes_no_route_of_a_namespace_that_it_does_not_allow()
    {
        using var gateway = new DatagramGateway(Route("r", "{name: front, namespace: shop}", "{name: v1, namespace: shop, port: 53}", ns: "other"));
        Assert.Equal("", await gateway.AskAsync(5300));
        Assert.Equal("NotAllowedByListeners", gateway.Reason("r", "Accepted"));
    }

    [Theory]
    [InlineData("{name: nobody, port: 53}", "BackendNotFound")]
    [InlineData("{name: v1, port: 54}", "BackendNotFound")]
    [InlineData("{name: v1, namespace: other, port: 53}", "RefNotPermitted")]
    [InlineData("{group: example.com, kind: Thing, name: v1, port: 53}", "InvalidKind")]
    public async Task A_datagram_without_a_backend_is_dropped(string backend, string reason)
    {
        using var gateway = new DatagramGateway(Route("r", "{name: front, sectionName: one}", backend));
        Assert.Equal("dropped", await gateway.AskAsync(5300));
        Assert.Equal(("Accepted", reason), (gateway.Reason("r", "Accepted"), gateway.Reason("r", "ResolvedRefs")));
    }

    [Fact]
    public async Task Datagrams_to_another_namespace_need_a_grant()
    {
        using var gateway = new DatagramGateway(Route("r", "{name: front, sectionName: one}", "{name: far, namespace: other, port: 53}"));
        Assert.Equal("dropped", await gateway.AskAsync(5300));
        gateway.Apply("""
            apiVersion: gateway.networking.k8s.io/v1
            kind: ReferenceGrant
            metadata: {name: g, namespace: other}
            spec: {from: [{group: gateway.networking.k8s.io, kind: UDPRoute, namespace: shop}], to: [{group: '', kind: Service, name: far}]}
            """);
        Assert.Equal("far", await gateway.AskAsync(5300));
        Assert.Equal("ResolvedRefs", gateway.Reason("r", "ResolvedRefs"));
        gateway.Rig.Writer.RemoveConfig("c1", "ReferenceGrant", "other", "g");
        gateway.Apply("");
        Assert.Equal("dropped", await gateway.AskAsync(5300));
    }

    private static string Route(string name, string parent, string backend, string ns = "shop", string age = "2026-01-01T00:00:00Z") => $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: UDPRoute
        metadata: {name: {{name}}, namespace: {{ns}}, creationTimestamp: '{{age}}'}
        spec: {parentRefs: [{{parent}}], rules: [{backendRefs: [{{backend}}]}]}
        ---

        """;
}
