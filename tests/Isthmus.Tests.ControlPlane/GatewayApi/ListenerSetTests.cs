using Isthmus.Mesh.Config;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>Listeners that ListenerSets add to a Gateway.</summary>
public sealed class ListenerSetTests
{
    private const string Conflict = "Accepted=HostnameConflict Programmed=HostnameConflict Conflicted=HostnameConflict";

    private static string Gateway(string allowed, string listeners = "{name: own, port: 80, protocol: HTTP, hostname: a.com}") => $$"""
        ---
        {apiVersion: v1, kind: Namespace, metadata: {name: team, labels: {edge: "yes"} } }
        ---
        {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: infra},
         spec: {gatewayClassName: istio, listeners: [{{listeners}}]{{(allowed.Length == 0 ? "" : $", allowedListeners: {{namespaces: {{{allowed}}} }}")}} } }

        """;

    private static string Set(string name, string listeners, string ns = "team", int age = 0, string kind = "Gateway") => $$"""
        ---
        {apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: {{name}}, namespace: {{ns}}, creationTimestamp: "2026-01-0{{9 - age}}T00:00:00Z"},
         spec: {parentRef: {name: door, namespace: infra, kind: {{kind}}}, listeners: [{{listeners}}]} }

        """;

    [Theory]
    [InlineData("", "team", false)]
    [InlineData("from: None", "infra", false)]
    [InlineData("from: Same", "infra", true)]
    [InlineData("from: Same", "team", false)]
    [InlineData("from: All", "team", true)]
    [InlineData("from: Selector, selector: {matchLabels: {edge: \"yes\"} }", "team", true)]
    [InlineData("from: Selector, selector: {matchLabels: {edge: \"yes\"} }", "infra", false)]
    [InlineData("from: Selector, selector: {matchExpressions: [{key: edge, operator: NotIn, values: [no]}]}", "team", true)]
    [InlineData("from: Selector, selector: {matchExpressions: [{key: edge, operator: DoesNotExist}]}", "team", false)]
    [InlineData("from: Selector, selector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [team]}]}", "team", true)]
    [InlineData("from: Selector", "team", false)]
    public void A_gateway_allows_sets_of_some_namespaces(string allowed, string ns, bool isAllowed)
    {
        var rig = new GatewayApiRig(Gateway(allowed) + Set("extra", "{name: l, port: 81, protocol: HTTP}", ns));
        var set = rig.Set("extra", ns)!;
        Assert.Equal(isAllowed ? [(true, "Accepted")] : [(false, "NotAllowed"), (false, "NotAllowed")],
            set.Conditions.Select(condition => (condition.Status ?? false, condition.Reason)));
        Assert.Equal(isAllowed ? 1 : 0, rig.Gateway("door")!.AttachedListenerSets);
        Assert.Equal(isAllowed ? 2 : 1, rig.Mesh.Mesh.GatewayObjects.Items.Count);
    }

    [Theory]
    [InlineData("HTTP", true, "ListenersNotValid")]
    [InlineData("HBONE", false, "ListenersNotValid, Programmed False Invalid")]
    public void A_gateway_whose_own_listeners_are_not_valid_is_accepted_for_those_of_a_set(string protocol, bool isAccepted, string says)
    {
        var rig = new GatewayApiRig(Gateway("from: All").Replace("protocol: HTTP", "protocol: HBONE", StringComparison.Ordinal)
            + Set("extra", $"{{name: l, port: 81, protocol: {protocol}}}"));
        Assert.Equal($"Accepted {isAccepted} {says}", string.Join(", ", rig.Gateway("door")!.Conditions.Where(condition => condition.Type != "ResolvedRefs")
            .Select(condition => $"{condition.Type} {condition.Status} {condition.Reason}")));
    }

    [Fact]
    public void The_gateway_comes_before_its_sets_and_older_sets_before_newer_ones()
    {
        const string Two = "{name: first, port: 80, protocol: HTTP, hostname: a.com}, {name: second, port: 80, protocol: HTTP, hostname: b.com}";
        var rig = new GatewayApiRig(Gateway("from: All") + Set("newer", Two, age: 1) + Set("older", Two, age: 2)
            + Set("late", "{name: tcp, port: 80, protocol: TCP}", age: 0));
        Assert.Equal("", GatewayApiRig.Wrong(rig.Gateway("door")!.Listeners, "own"));
        Assert.Equal((Conflict, ""),
            (GatewayApiRig.Wrong(rig.Set("older", "team")!.Listeners, "first"), GatewayApiRig.Wrong(rig.Set("older", "team")!.Listeners, "second")));
        Assert.Equal((Conflict, Conflict),
            (GatewayApiRig.Wrong(rig.Set("newer", "team")!.Listeners, "first"), GatewayApiRig.Wrong(rig.Set("newer", "team")!.Listeners, "second")));
        Assert.Contains("ProtocolConflict", GatewayApiRig.Wrong(rig.Set("late", "team")!.Listeners, "tcp"), StringComparison.Ordinal);
        Assert.Equal("ListenersNotValid", rig.Set("newer", "team")!.Conditions[0].Reason);
        Assert.Equal(1, rig.Gateway("door")!.AttachedListenerSets);

        rig.Remove(MeshApi.ListenerSet, "team", "older");
        Assert.Equal("", GatewayApiRig.Wrong(rig.Set("newer", "team")!.Listeners, "second"));
        Assert.Empty(rig.Mesh.Mesh.Graph.Verify());
    }

    [Fact]
    public void Routes_attach_to_a_set_by_its_own_name_and_rules()
    {
        var rig = new GatewayApiRig(Gateway("from: All") + Set("extra", "{name: l, port: 81, protocol: HTTP, allowedRoutes: {namespaces: {from: Same}} }") + """
            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: team}, spec: {parentRefs: [{kind: ListenerSet, name: extra}]}}
            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: infra},
             spec: {parentRefs: [{kind: ListenerSet, name: extra, namespace: team}, {name: door, sectionName: l}, {name: door}]}}
            """);
        Assert.Equal("l: *", rig.Attached("r", "team"));
        Assert.Equal("NotAllowedByListeners; NoMatchingParent; own: a.com", rig.Attached("r"));
        Assert.Equal((1, 1), (rig.Set("extra", "team")!.Listeners[0].AttachedRoutes, rig.Gateway("door")!.Listeners[0].AttachedRoutes));
    }

    [Fact]
    public void A_set_whose_parent_is_itself_another_set_or_missing_belongs_to_nobody()
    {
        var rig = new GatewayApiRig(Gateway("from: All") + Set("ring", "{name: l, port: 81, protocol: HTTP}", kind: "ListenerSet"));
        Assert.Null(rig.Set("ring", "team"));
        rig.Remove(MeshApi.ApiGateway, "infra", "door");
        rig.Apply(Set("alone", "{name: l, port: 81, protocol: HTTP}"));
        Assert.Null(rig.Set("alone", "team"));
    }

    /// <summary>Nobody else can say that a ListenerSet takes no listeners; where another controller has a class, its Gateway may be meant.</summary>
    [Theory]
    [InlineData("door", "Gateway", "", true)]
    [InlineData("door", "Gateway", "example.com/theirs", true)]
    [InlineData("first", "ListenerSet", "", true)]
    [InlineData("first", "ListenerSet", "example.com/theirs", false)]
    [InlineData("lost", "ListenerSet", "", true)]
    [InlineData("first", "Service", "example.com/theirs", false)]
    public void A_set_on_another_set_is_refused_where_it_concerns_us(string second, string kind, string others, bool isRefused)
    {
        static string Of(string name, string parent, string kind) =>
            Set(name, "{name: l, port: 81, protocol: HTTP}", "infra", kind: kind).Replace("{name: door,", $"{{name: {parent},", StringComparison.Ordinal);
        static string Class(string name, string controller) =>
            $"---\n{{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {{name: {name}}}, spec: {{controllerName: {controller}}} }}\n";
        var rig = new GatewayApiRig(Gateway("from: All") + Class("istio", "istio.io/gateway-controller") + (others.Length > 0 ? Class("theirs", others) : "")
            + Of("first", "second", "ListenerSet") + Of("second", second, kind));
        Assert.Equal(isRefused ? [("Accepted", false, "Invalid"), ("Programmed", false, "Invalid")] : [],
            (rig.Set("first")?.Conditions ?? default).Select(condition => (condition.Type, condition.Status ?? true, condition.Reason)));
        if (isRefused) Assert.Contains("ListenerSet infra/second cannot take listeners", rig.Set("first")!.Conditions[0].Message, StringComparison.Ordinal);
        // Whose Gateway another controller serves, belongs to it.
        rig.Apply(Gateway("from: All").Replace("gatewayClassName: istio", "gatewayClassName: theirs", StringComparison.Ordinal)
            + Class("theirs", "example.com/theirs"));
        Assert.Null(rig.Set("first"));
        Assert.Empty(rig.Mesh.Mesh.Graph.Verify());
    }

    /// <summary>One more route, with its own attachment and one status: nothing of the other sets is looked at again.</summary>
    [Fact]
    public void One_more_route_changes_its_own_listeners_only()
    {
        var rig = new GatewayApiRig(Gateway("from: All") + string.Concat(Enumerable.Range(0, 50).Select(i =>
            Set($"s{i}", $"{{name: l, port: 80, protocol: HTTP, hostname: h{i}.com}}") + Route($"r{i}", $"s{i}"))));
        var (attached, statuses) = (new List<string>(), new List<string>());
        rig.Mesh.Mesh.Graph.Committed += _ =>
        {
            attached.AddRange(rig.Mesh.Mesh.GatewayApi.Attached.Changed.Select(key => key.Name));
            statuses.AddRange(rig.Mesh.Mesh.GatewayApi.ListenerSetStatuses.Changed.Select(key => key.Name));
            Assert.Empty(rig.Mesh.Mesh.GatewayApi.Listeners.Changed);
            Assert.Empty(rig.Mesh.Mesh.GatewayApi.GatewayStatuses.Changed);
        };
        rig.Apply(Route("more", "s7"));
        Assert.Equal(("more", "s7"), (Assert.Single(attached), Assert.Single(statuses)));
    }

    private static string Route(string name, string set) => $$"""
        ---
        {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: {{name}}, namespace: team}, spec: {parentRefs: [{kind: ListenerSet, name: {{set}}}]} }

        """;
}
