using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Xunit;
using static Isthmus.Tests.Effects.GatewayApi.RoutedCalls;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Requests to the hosts of listeners that ListenerSets add.</summary>
public sealed class ListenerSetCaseTests
{
    private const string All = "allowedRoutes: {namespaces: {from: All} }", Open = "allowedListeners: {namespaces: {from: All} }";

    [Fact]
    public async Task A_route_is_at_the_listeners_of_its_parents()
    {
        await using var calls = await AtGatewayAsync(
            Set("first", Listener("l1", "s1-l1.com"), Listener("l2", "s1-l2.com")) + Set("second", Listener("l1", "s2-l1.com"), Listener("l2", "s2-l2.com"))
            + On("everywhere", "/route", "{name: front}, {kind: ListenerSet, name: first}, {kind: ListenerSet, name: second}", V1)
            + On("gateway", "/gateway", "{name: front}", V2) + On("gateway-section", "/section", "{name: front, sectionName: g1}", V3)
            + On("set1", "/set1", "{kind: ListenerSet, name: first}", V2)
            + On("set1-section", "/set-section1", "{kind: ListenerSet, name: first, sectionName: l1}", V3)
            + On("set2", "/set2", "{kind: ListenerSet, name: second}", V2),
            string.Join('\n', Listener("g1", "g1.com"), Listener("g2", "g2.com")), gateway: Open);
        var hosts = new[] { "g1.com", "g2.com", "s1-l1.com", "s1-l2.com", "s2-l1.com", "s2-l2.com" };
        var paths = new[]
        {
            ("/route", "v1 v1 v1 v1 v1 v1"), ("/gateway", "v2 v2 404 404 404 404"), ("/section", "v3 404 404 404 404 404"), ("/set1", "404 404 v2 v2 404 404"),
            ("/set-section1", "404 404 v3 404 404 404"), ("/set2", "404 404 404 404 v2 v2"),
        };
        await calls.ExpectAsync(string.Join('\n', paths.SelectMany(item => item.Item2.Split(' ').Zip(hosts, (outcome, host) =>
            $"GET {host}{item.Item1} => {outcome}"))));
        Assert.Equal(["first l1 3", "first l2 2", "second l1 2", "second l2 2"], calls.Rig.Mesh.GatewayApi.ListenerSetStatuses.Items.Values
            .SelectMany(set => set.Listeners, (set, entry) => $"{set.Source.Name} {entry.Name} {entry.AttachedRoutes}").Order(StringComparer.Ordinal));
    }

    /// <summary>The parents of a route do not depend on each other: one of them can have no such listener.</summary>
    [Fact]
    public async Task Each_parent_of_a_route_counts_for_itself()
    {
        await using var calls = await AtGatewayAsync(
            Set("extra", Listener("l", "set.com"))
            + On("both", "/both", "{name: front}, {kind: ListenerSet, name: extra}", V1)
            + On("one", "/one", "{name: front, sectionName: l}, {kind: ListenerSet, name: extra, sectionName: l}", V2),
            Listener("own", "gateway.com"), gateway: Open);
        await calls.ExpectAsync("""
            GET gateway.com/both => v1
            GET set.com/both => v1
            GET set.com/one => v2
            GET gateway.com/one => 404
            """);
        Assert.Equal("both: Accepted Accepted; one: NoMatchingParent Accepted", string.Join("; ", calls.Rig.Mesh.RouteStatuses.Items.Values
            .Where(status => status.Source.Name is "both" or "one").OrderBy(status => status.Source.Name, StringComparer.Ordinal)
            .Select(status => $"{status.Source.Name}: {string.Join(' ', status.Parents.Select(parent => parent.Conditions[0].Reason))}")));
    }

    [Fact]
    public async Task The_listeners_of_a_set_take_routes_of_the_namespaces_that_they_allow()
    {
        await using var calls = await AtGatewayAsync(
            Set("extra", Listener("all", "all.com"), Listener("same", "same.com", "allowedRoutes: {namespaces: {from: Same} }"),
                Listener("some", "some.com", "allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {allowed: \"yes\"} } } }"))
            + Set("away", Listener("same", "away.com", "allowedRoutes: {namespaces: {from: Same} }"))
            + On("in-shop", "/shop", "{kind: ListenerSet, name: extra}", V1)
            + On("in-friend", "/friend", "{kind: ListenerSet, name: extra, namespace: shop}", V2, "friend")
            + On("in-stranger", "/stranger", "{kind: ListenerSet, name: extra, namespace: shop}", V3, "stranger")
            + On("in-away", "/away", "{kind: ListenerSet, name: away}", V1, "away")
            + On("from-shop", "/from-shop", "{kind: ListenerSet, name: away, namespace: away}", V1)
            + string.Concat(new[] { "friend", "stranger", "away" }.Select(Grant)),
            Listener("own", "gateway.com"), gateway: Open, prepare: rig =>
            {
                foreach (var (name, allowed) in new[] { ("friend", "yes"), ("stranger", "no"), ("away", "no") })
                    rig.Writer.Put("c1", new Namespace { Metadata = new() { Name = name, Labels = { ["allowed"] = allowed } } });
            });
        await calls.ExpectAsync("""
            GET all.com/shop => v1
            GET all.com/friend => v2
            GET all.com/stranger => v3
            GET same.com/shop => v1
            GET same.com/friend => 404
            GET same.com/stranger => 404
            GET some.com/shop => 404
            GET some.com/friend => v2
            GET some.com/stranger => 404
            GET away.com/away => v1
            GET away.com/from-shop => 404
            """);
    }

    /// <summary>To the Services of <c>shop</c>.</summary>
    private static string Grant(string ns) => $$"""
        {apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: from-{{ns}}, namespace: shop},
         spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: {{ns}} }], to: [{group: '', kind: Service}]} }
        ---

        """;

    private static string On(string name, string path, string parents, string to, string ns = "shop") =>
        Route(name, parents, $"{{matches: [{{path: {{type: PathPrefix, value: {path}}} }}], "
            + $"{to.Replace("port:", "namespace: shop, port:", StringComparison.Ordinal)}}}", ns: ns);

    /// <summary>In a namespace of the same name, if it is <c>away</c>.</summary>
    private static string Set(string name, params string[] listeners) => $$"""
        {apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: {{name}}, namespace: {{(name == "away" ? name : "shop")}} },
         spec: {parentRef: {name: front, namespace: shop}, listeners: [{{string.Join(", ", listeners)}}]} }
        ---

        """;

    private static string Listener(string name, string host, string allowed = All) =>
        $"{{name: {name}, port: 80, protocol: HTTP, hostname: {host}, {allowed} }}";
}
