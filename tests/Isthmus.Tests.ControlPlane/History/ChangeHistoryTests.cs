using Isthmus.Graph.History;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.History;

/// <summary>What is remembered of changes, and how much.</summary>
public sealed class ChangeHistoryTests
{
    private readonly ManualClock _clock = new();
    private readonly ChangeHistory _history;

    public ChangeHistoryTests() => _history = new(_clock);

    [Fact]
    public void Nothing_is_a_change_before_the_mesh_is_known()
    {
        _history.Note(Change("early"));
        _history.NoteEndpoints("orders", Endpoints(1, 1));
        Assert.Null(_history.Since);
        Assert.Empty(_history.After(default));
        _history.Start([new("orders", Endpoints(2, 2))]);
        _history.Note(Change("late"));
        Assert.Equal(_clock.GetUtcNow(), _history.Since);
        Assert.Equal("late", Assert.Single(_history.After(default)).Change.Source.Name);
    }

    [Theory]
    [InlineData("""{"a": 1, "b": {"c": [1, 2]}}""", """{"a": 1, "b": {"c": [1, 3]}}""", "spec.b.c[1]")]
    [InlineData("""{"a": 1}""", """{"b": 1}""", "spec.b spec.a")]
    [InlineData("""{"a": [1]}""", """{"a": [1, 2]}""", "spec.a")]
    [InlineData("""{"a": {"b": 1}}""", """{"a": "b"}""", "spec.a")]
    [InlineData("""{"a": 1, "b": 2}""", """{"b": 2, "a": 1}""", "")]
    [InlineData("[1, 2, 3, 4, 5, 6]", "[6, 5, 4, 3, 2, 1]", "spec[0] spec[1] spec[2] spec[3] spec[4] …")]
    public void The_fields_that_differ_are_told(string before, string after, string paths) => Assert.Equal(paths,
        string.Join(' ', ChangedFields.Between(System.Text.Json.Nodes.JsonNode.Parse(before), System.Text.Json.Nodes.JsonNode.Parse(after))));

    [Fact]
    public void What_is_shown_as_one_change_has_the_fields_of_all()
    {
        _history.Start([]);
        _history.Note(Wrote("spec.a"));
        _history.Note(Wrote("spec.b"));
        _history.Note(Wrote("spec.a"));
        Assert.Equal(["spec.a", "spec.b"], Assert.Single(_history.After(default)).Change.Write!.Fields);

        static NotedChange Wrote(string field) => Change("rule", "a.shop") is var change
            ? change with { Write = new("1", "", 1, "kubectl", null, 0) { Fields = [field] } } : change;
    }

    [Fact]
    public void Changes_of_one_object_by_one_writer_within_a_minute_are_one()
    {
        _history.Start([]);
        _history.Note(Change("rule", "a.shop"));
        _clock.Advance(TimeSpan.FromSeconds(20));
        _history.Note(Change("rule", "b.shop"));
        _history.Note(Change("rule", "b.shop", manager: "helm"));
        _clock.Advance(TimeSpan.FromMinutes(2));
        _history.Note(Change("rule", "b.shop", manager: "helm"));
        var all = _history.After(default);
        Assert.Equal([(2, "kubectl"), (1, "helm"), (1, "helm")], all.Select(change => (change.Count, change.Change.Write!.Manager)));
        Assert.Equal(["a.shop", "b.shop"], all[0].Change.Reach.Hosts);
        Assert.Equal(TimeSpan.FromSeconds(20), all[0].Last - all[0].First);
        Assert.Single(_history.After(_clock.GetUtcNow()));
    }

    [Fact]
    public void The_oldest_are_forgotten_and_counted_when_there_are_too_many()
    {
        _history.Start([]);
        for (var i = 0; i < 1500; i++) _history.Note(Change($"rule-{i}"));
        var all = _history.After(default);
        Assert.Equal((1000, 500L, "rule-500"), (all.Count, _history.Forgotten, all[0].Change.Source.Name));
        // Long names count: the memory is bounded in bytes, too.
        for (var i = 0; i < 1000; i++) _history.Note(Change($"rule-{i}", new string('x', 10_000)));
        Assert.InRange(_history.After(default).Count, 1, 60);
    }

    [Fact]
    public void Churn_of_endpoints_is_summed_up_and_drops_no_object()
    {
        _history.Start([new("orders", Endpoints(3, 3))]);
        _history.Note(Change("rule"));
        for (var i = 0; i < 2000; i++) _history.NoteEndpoints($"host-{i}", Endpoints(1, 1));
        for (var i = 2; i >= 0; i--) _history.NoteEndpoints("orders", Endpoints(i, 3));
        _history.NoteEndpoints("orders", Endpoints(2, 2));
        var all = _history.After(default);
        Assert.Contains(all, change => change.Change.Source.Name == "rule");
        var orders = all.Single(change => change.Change.Source.Name == "orders");
        Assert.Equal((4, (3, 0, 2)),
            (orders.Count, (orders.Endpoints!.Value.Before.Ready, orders.Endpoints.Value.Fewest.Ready, orders.Endpoints.Value.After.Ready)));
    }

    [Fact]
    public void Endpoints_are_counted_in_each_cluster_and_those_that_stay_as_many_are_no_change()
    {
        _history.Start([new("orders", Endpoints(2, 2))]);
        _history.NoteEndpoints("orders", Endpoints(2, 2));
        Assert.Empty(_history.After(default));
        var both = new HostEndpoints(Endpoints(2, 2).Endpoints.Concat(Endpoints(1, 1).Endpoints.Select(endpoint => endpoint with { Cluster = "c2" }))
            .ToValueList(),
            default, false);
        _history.NoteEndpoints("orders", both);
        var there = Assert.Single(_history.After(default));
        Assert.Equal(("c2", "orders", 0, 1),
            (there.Change.Source.Cluster, there.Change.Source.Name, there.Endpoints!.Value.Before.Ready, there.Endpoints.Value.After.Ready));
        _history.NoteEndpoints("orders", null);
        Assert.Equal([("c1", 2, 0), ("c2", 0, 0)],
            _history.After(default).Select(change => (change.Change.Source.Cluster, change.Endpoints!.Value.Before.Ready, change.Endpoints.Value.After.Ready))
                .Order());
    }

    [Fact]
    public void A_cluster_that_leaves_says_which_secret_is_gone_and_what_goes_with_it()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c2", "orders", "10.96.0.10", "10.244.0.1");
        rig.Push();
        var writer = new Isthmus.Graph.Intake.MeshWriter(rig.Writer.Mesh, rig.Writer.Allocator, rig.Writer.Kinds) { History = _history };
        writer.PutContact(new("c2", false, true, true, 0, "istio-system/istio-remote-secret-c2"));
        writer.Commit();
        _history.Start([]);
        writer.RemoveCluster("c2");
        var left = Assert.Single(_history.After(default));
        Assert.Equal((ChangeVerb.Left, new Departure("istio-system/istio-remote-secret-c2", 1)), (left.Change.Verb, left.Change.Departure));
    }

    [Fact]
    public void A_change_of_endpoints_allocates_nothing_while_its_minute_lasts()
    {
        _history.Start([]);
        var (one, two) = (Endpoints(1, 2), Endpoints(2, 2));
        _history.NoteEndpoints("orders", one);
        Assert.Equal(0, Allocations.Least(() =>
        {
            for (var i = 0; i < 100; i++) _history.NoteEndpoints("orders", i % 2 == 0 ? two : one);
        }));
    }

    [Fact]
    public void The_user_is_the_one_who_wrote_the_same_content()
    {
        var item = Item("""{"a": 1, "b": [true, "x"]}""");
        _history.Admitted.Add(item, new("alice", true));
        // Another writer was refused later, or by another webhook: the object that is stored is alice's.
        _history.Admitted.Add(Item("""{"a": 2}"""), new("mallory", true));
        _history.Start([]);
        _history.Note(Change("rule") with { Write = ObjectWrite.Of(Item("""{"b": [true, "x"], "a": 1}""")) });
        _history.Note(Change("other") with { Write = ObjectWrite.Of(Item("""{"a": 1, "b": ["x", true]}""")) });
        Assert.Equal([new Writer("alice", true), Writer.Unknown], _history.After(default).Select(change => change.Change.User));

        static System.Text.Json.Nodes.JsonObject Item(string spec) =>
            (System.Text.Json.Nodes.JsonObject)System.Text.Json.Nodes.JsonNode.Parse($$"""{"metadata": {"uid": "u1", "generation": 3}, "spec": {{spec}}}""")!;
    }

    [Fact]
    public void A_push_says_what_it_changed_for_which_proxies()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c1", "users", "10.96.0.11", "10.244.0.2");
        rig.Push();
        var feeds = new[] { rig.Sidecar("c1"), rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1") };
        var effects = rig.Effects(() => rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: orders, namespace: shop}
            spec: {hosts: [orders], http: [{timeout: 3s, route: [{destination: {host: orders}}]}]}
            """));
        Assert.Equal("2 proxies: routes 80", Text(effects));

        effects = rig.Effects(() => rig.Config("""
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: nobody, namespace: shop}
            spec: {selector: {matchLabels: {app: orders}}}
            """));
        Assert.Equal("1 proxies: listeners virtualInbound", Text(effects));

        Assert.Equal(0, rig.Effects(() => rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: nothing, namespace: elsewhere}
            spec: {host: missing.example.com, trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}}
            """)).Proxies);
        Assert.All(feeds, feed => Assert.NotEmpty(feed.Snapshot!.Types[TypeUrls.Listener].All));
    }

    private static string Text(PushEffect effect) =>
        $"{effect.Proxies} proxies: {string.Join(", ", effect.Types.Select(type => $"{type.Type} {string.Join(' ', type.Names)}"))}";

    private static NotedChange Change(string name, string host = "orders.shop", string manager = "kubectl") =>
        new(new("c1", "VirtualService", "shop", name), ChangeVerb.Changed, Reach.OfHosts(host), new("1", "u", 1, manager, null, 0));

    private static HostEndpoints Endpoints(int ready, int total) => new(
        Enumerable.Range(0, total)
            .Select(i => new MeshEndpoint("orders", "c1", EndpointAddress.Parse($"10.0.0.{i}"), default, "", Locality.Unknown, default,
            new("w", "shop", "", ""), "", 1, i < ready ? EndpointHealth.Ready : EndpointHealth.NotReady, "", default)).ToValueList(), default, false);
}
