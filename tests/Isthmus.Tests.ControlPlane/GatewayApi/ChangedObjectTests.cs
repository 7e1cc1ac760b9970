using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>Statuses follow the objects that they are of.</summary>
public sealed class ChangedObjectTests
{
    [Fact]
    public void A_status_is_of_the_generation_that_was_read()
    {
        var rig = new GatewayApiRig(Objects(1));
        Assert.All(Generations(rig), generation => Assert.Equal(1, generation));
        rig.Apply(Objects(7));
        Assert.Equal(7, Generations(rig).Count);
        Assert.All(Generations(rig), generation => Assert.Equal(7, generation));
    }

    /// <summary>Its status is the same to the letter, and it has none yet: it must be written.</summary>
    [Fact]
    public void An_object_that_is_created_again_within_one_change_has_another_status()
    {
        var rig = new GatewayApiRig(Objects(1).Replace("generation:", "uid: a, generation:", StringComparison.Ordinal));
        var before = rig.Mesh.Mesh.ApiStatuses.Items;
        rig.Apply(Objects(1).Replace("generation:", "uid: b, generation:", StringComparison.Ordinal));
        Assert.Equal(7, rig.Mesh.Mesh.ApiStatuses.Items.Count);
        Assert.All(rig.Mesh.Mesh.ApiStatuses.Items, item => Assert.NotEqual(before[item.Key], item.Value));
        Assert.All(rig.Mesh.Mesh.ApiStatuses.Items.Values, status => Assert.Equal("b", status.Generation.Uid));
    }

    [Fact]
    public void Listeners_that_are_added_are_in_the_status_and_those_that_are_removed_are_not()
    {
        var rig = new GatewayApiRig(Gateway(1, "{name: one, port: 80, protocol: HTTP}") + Route("HTTPRoute", 1));
        Assert.Equal(["one 1"], Listeners(rig));
        rig.Apply(Gateway(2, "{name: one, port: 80, protocol: HTTP}, {name: two, port: 81, protocol: HTTP}, {name: tcp, port: 82, protocol: TCP}"));
        Assert.Equal(["one 1", "two 1", "tcp 0"], Listeners(rig));
        rig.Apply(Gateway(3, "{name: two, port: 81, protocol: HTTP}"));
        Assert.Equal(["two 1"], Listeners(rig));
        Assert.Equal("two: *", rig.Attached("r"));
        Assert.Empty(rig.Mesh.Mesh.Graph.Verify());
    }

    private static List<long> Generations(GatewayApiRig rig) => [.. rig.Mesh.Mesh.ApiStatuses.Items.Values.Select(status => status.Generation.Number)];

    private static IEnumerable<string> Listeners(GatewayApiRig rig) =>
        rig.Gateway("door")!.Listeners.Select(listener => $"{listener.Name} {listener.AttachedRoutes}");

    private static string Objects(int generation) =>
        Gateway(generation,
        "{name: web, port: 80, protocol: HTTP}, {name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough} }, {name: tcp, port: 90, protocol: TCP}")
        + Route("HTTPRoute", generation) + Route("GRPCRoute", generation) + Route("TLSRoute", generation) + Route("TCPRoute", generation) + $$"""
        ---
        {apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: more, namespace: infra, generation: {{generation}}},
            spec: {parentRef: {name: door}, listeners: [{name: l, port: 91, protocol: HTTP}]} }
        ---
        {apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: p, namespace: infra, generation: {{generation}}},
            spec: {targetRefs: [{group: '', kind: Service, name: web}], validation: {hostname: a.b, wellKnownCACertificates: System} } }

        """;

    private static string Gateway(int generation, string listeners) => $$"""
        ---
        {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: infra, generation: {{generation}}},
            spec: {gatewayClassName: istio, allowedListeners: {namespaces: {from: Same} }, listeners: [{{listeners}}]} }

        """;

    private static string Route(string kind, int generation) => $$"""
        ---
        {apiVersion: gateway.networking.k8s.io/v1, kind: {{kind}}, metadata: {name: r, namespace: infra, generation: {{generation}}},
            spec: {parentRefs: [{name: door}], rules: [{backendRefs: [{name: web, port: 80}]}]} }

        """;
}
