using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>What a mesh costs follows what its proxies get, not how many namespaces they are in.</summary>
public sealed class SharedResourcesTests
{
    private readonly MeshRig _rig = new("c1");

    public SharedResourcesTests()
    {
        _rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        _rig.App("c1", "stock", "10.96.0.11", "10.244.0.2");
        _rig.AppOn("c1", "ledger", "10.96.0.12", "tcp", 9000, "10.244.0.3");
    }

    [Fact]
    public void Proxies_of_two_namespaces_share_what_is_equal()
    {
        var (first, second) = (_rig.Sidecar("c1", "one", "10.244.1.1", ns: "red"), _rig.Sidecar("c1", "two", "10.244.1.2", ns: "blue"));
        _rig.Push();
        Assert.Equal(2, _rig.Publisher.Scopes);
        Assert.Same(first.Snapshot!.Types[TypeUrls.Endpoints], second.Snapshot!.Types[TypeUrls.Endpoints]);
        Assert.Same(Of(first, MeshRig.OutboundName("orders")), Of(second, MeshRig.OutboundName("orders")));
        Assert.True(first.Snapshot!.Types[TypeUrls.Listener].TryGet("10.96.0.12_9000", out var listener));
        Assert.True(second.Snapshot!.Types[TypeUrls.Listener].TryGet("10.96.0.12_9000", out var same));
        Assert.Same(listener, same);
        Assert.Same(Assert.Single(first.Snapshot!.Types[TypeUrls.Route].All), Assert.Single(second.Snapshot!.Types[TypeUrls.Route].All));
        Assert.Same(Assert.Single(first.Snapshot!.Types[TypeUrls.NameTable].All), Assert.Single(second.Snapshot!.Types[TypeUrls.NameTable].All));
    }

    [Fact]
    public void They_still_share_it_after_a_change()
    {
        var (first, second) = (_rig.Sidecar("c1", "one", "10.244.1.1", ns: "red"), _rig.Sidecar("c1", "two", "10.244.1.2", ns: "blue"));
        _rig.Push();
        var before = first.Snapshot!.Types[TypeUrls.Endpoints];
        _rig.App("c1", "orders", "10.96.0.10", "10.244.0.1", "10.244.0.9");
        _rig.Push();
        var after = first.Snapshot!.Types[TypeUrls.Endpoints];
        Assert.Same(after, second.Snapshot!.Types[TypeUrls.Endpoints]);
        Assert.Equal([MeshRig.OutboundName("orders")], after.ChangedSince(before)!);
        Assert.Equal(["10.244.0.1:8080=1", "10.244.0.9:8080=1"], MeshRig.Endpoints(second, MeshRig.OutboundName("orders")));
    }

    [Fact]
    public void A_rule_of_one_namespace_parts_only_what_it_changes()
    {
        _rig.Config(
            "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: own, namespace: red}, spec: {host: orders.shop.svc.cluster.local, "
                + "exportTo: ['.'], trafficPolicy: {connectionPool: {tcp: {connectTimeout: 1s}}}}}");
        _rig.Config(
            "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: own, namespace: red}, spec: {hosts: [stock.shop.svc.cluster.local], "
                + "exportTo: ['.'], http: [{timeout: 3s, route: [{destination: {host: stock.shop.svc.cluster.local}}]}]}}");
        var (first, second) = (_rig.Sidecar("c1", "one", "10.244.1.1", ns: "red"), _rig.Sidecar("c1", "two", "10.244.1.2", ns: "blue"));
        _rig.Push();
        Assert.Equal(TimeSpan.FromSeconds(1), MeshRig.Cluster(first, MeshRig.OutboundName("orders"))!.ConnectTimeout.ToTimeSpan());
        Assert.Equal(TimeSpan.FromSeconds(10), MeshRig.Cluster(second, MeshRig.OutboundName("orders"))!.ConnectTimeout.ToTimeSpan());
        Assert.Same(Of(first, MeshRig.OutboundName("stock")), Of(second, MeshRig.OutboundName("stock")));
        Assert.NotEqual(Routes(first), Routes(second));
        Assert.Equal(["3s"], Timeouts(first, "stock"));
        Assert.Equal(["0s"], Timeouts(second, "stock"));
        // Three hosts, one of them with two rules; two HTTP hosts, one with two routings.
        Assert.Equal((4, 3), (_rig.Publisher.Shared.Clusters.Count, _rig.Publisher.Shared.VirtualHosts.Count));
    }

    [Fact]
    public void Routes_of_connections_part_only_the_listener_that_has_them()
    {
        _rig.Config(
            "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: own, namespace: red}, spec: {hosts: [ledger.shop.svc.cluster.local], "
                + "exportTo: ['.'], tcp: [{route: [{destination: {host: orders.shop.svc.cluster.local}}]}]}}");
        var (first, second) = (_rig.Sidecar("c1", "one", "10.244.1.1", ns: "red"), _rig.Sidecar("c1", "two", "10.244.1.2", ns: "blue"));
        _rig.Push();
        Assert.NotEqual(Listener(first, "10.96.0.12_9000"), Listener(second, "10.96.0.12_9000"));
        Assert.Same(Listener(first, "virtualOutbound"), Listener(second, "virtualOutbound"));
        Assert.Same(Assert.Single(first.Snapshot!.Types[TypeUrls.Route].All), Assert.Single(second.Snapshot!.Types[TypeUrls.Route].All));
        Assert.Same(Assert.Single(first.Snapshot!.Types[TypeUrls.NameTable].All), Assert.Single(second.Snapshot!.Types[TypeUrls.NameTable].All));
        Assert.Equal(1, _rig.Publisher.Shared.NameTables.Count);
    }

    /// <summary>The scopes are not equal, but what routes read of them is.</summary>
    [Fact]
    public void Proxies_that_differ_in_what_only_listeners_read_share_the_rest()
    {
        var first = _rig.Sidecar("c1", "one", "10.244.1.1");
        var second = _rig.Connect(first.Proxy with { Headers = ProxyHeaders.Default with { Server = "front" } });
        _rig.Push();
        Assert.Equal(2, _rig.Publisher.Scopes);
        Assert.NotEqual(Listener(first, "0.0.0.0_80"), Listener(second, "0.0.0.0_80"));
        foreach (var type in (string[])[TypeUrls.Cluster, TypeUrls.Endpoints, TypeUrls.Route, TypeUrls.NameTable])
            Assert.All(first.Snapshot!.Types[type].All,
                known => Assert.Same(known, second.Snapshot!.Types[type].TryGet(known.Name, out var other) ? other : null));
    }

    [Fact]
    public void A_change_that_names_do_not_show_leaves_their_table_as_it_is()
    {
        var proxy = _rig.Sidecar("c1", "one", "10.244.1.1");
        _rig.Push();
        var before = Assert.Single(proxy.Snapshot!.Types[TypeUrls.NameTable].All);
        _rig.AppOn("c1", "ledger", "10.96.0.12", "tcp", 9001, "10.244.0.3");
        _rig.Push();
        Assert.NotNull(Listener(proxy, "10.96.0.12_9001"));
        Assert.Same(before, Assert.Single(proxy.Snapshot!.Types[TypeUrls.NameTable].All));
        Assert.Equal(1, _rig.Publisher.Shared.NameTables.Count);
    }

    [Fact]
    public void Scopes_that_see_the_same_change_of_routes_share_the_next_table()
    {
        string[] teams = ["red", "blue", "green", "white"];
        _rig.Config(Timeout("stock", "shop", 1, "*"));
        _rig.Config(Timeout("stock", "red", 9, "."));
        var proxies = teams.Select((team, at) => _rig.Sidecar("c1", team, $"10.244.1.{at + 1}", ns: team)).ToList();
        _rig.Push();
        for (var seconds = 2; seconds < 5; seconds++)
        {
            _rig.Config(Timeout("stock", "shop", seconds, "*"));
            _rig.Config(Timeout("orders", "shop", seconds, "*"));
            _rig.Push();
            Assert.Equal(["9s", $"{seconds}s", $"{seconds}s", $"{seconds}s"], proxies.SelectMany(proxy => Timeouts(proxy, "stock")));
            Assert.Equal(Enumerable.Repeat($"{seconds}s", teams.Length), proxies.SelectMany(proxy => Timeouts(proxy, "orders")));
            var tables = proxies.Select(proxy => Assert.Single(proxy.Snapshot!.Types[TypeUrls.Route].All)).ToList();
            Assert.All(tables[2..], table => Assert.Same(tables[1], table));
            Assert.NotEqual(tables[0].Version, tables[1].Version);
        }
        // One of them parts from the others, and joins them again.
        foreach (var (own, seconds) in ((int, string)[])[(7, "7s"), (0, "4s")])
        {
            if (own > 0) _rig.Config(Timeout("stock", "green", own, "."));
            else _rig.Writer.RemoveConfig("c1", "VirtualService", "green", "stock");
            _rig.Push();
            Assert.Equal(["9s", "4s", seconds, "4s"], proxies.SelectMany(proxy => Timeouts(proxy, "stock")));
            Assert.Equal(own == 0, Routes(proxies[1]) == Routes(proxies[2]));
        }
    }

    [Fact]
    public void Routes_know_the_namespace_and_labels_of_their_callers_where_a_match_asks_for_them()
    {
        _rig.Config(
            "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: stock, namespace: shop}, spec: {hosts: [stock], http: [{match: "
                + "[{sourceNamespace: red}], timeout: 1s, route: [{destination: {host: stock}}]}, {timeout: 2s, route: [{destination: {host: stock}}]}]}}");
        var (first, second) = (_rig.Sidecar("c1", "one", "10.244.1.1", ns: "red"), _rig.Sidecar("c1", "two", "10.244.1.2", ns: "blue"));
        _rig.Push();
        Assert.Equal(["1s"], Timeouts(first, "stock"));
        Assert.Equal(["2s"], Timeouts(second, "stock"));
    }

    [Fact]
    public void Short_names_belong_to_the_callers_namespace()
    {
        var (first, second) = (_rig.Sidecar("c1", "one", "10.244.1.1"), _rig.Sidecar("c1", "two", "10.244.1.2", ns: "blue"));
        _rig.Push();
        Assert.Contains("orders", Domains(first, "orders"));
        Assert.DoesNotContain("orders", Domains(second, "orders"));
        Assert.Contains("orders.shop", Domains(second, "orders"));
    }

    /// <summary>The next publication makes all tables anew: what one holds that could not be made would stay for ever.</summary>
    [Fact]
    public void A_table_that_cannot_be_made_holds_nothing()
    {
        var shared = _rig.Publisher.Shared;
        var before = shared.VirtualHosts.Count;
        OutboundHost Host(string name, MeshConfig mesh) =>
            new(name, null, [name], shared.VirtualHosts.Take(new(new(new("", default), false), mesh, name, 80, [name], null, default)));
        var good = new OutboundTable(shared, "80", 80, null, [Host("a", MeshConfig.Default), Host("b", MeshConfig.Default)]);
        Assert.ThrowsAny<Exception>(() => good.With([(1, Host("c", null!))]));
        Assert.ThrowsAny<Exception>(() => new OutboundTable(shared, "80", 80, null, [Host("a", MeshConfig.Default), Host("c", null!)]));
        Assert.Equal(before + 2, shared.VirtualHosts.Count);
        good.Return();
        Assert.Equal((before, 0), (shared.VirtualHosts.Count, shared.RouteTables.Count));
    }

    [Fact]
    public void Nothing_is_kept_for_proxies_that_left()
    {
        var random = new Random(7);
        var proxies = new List<ProxyFeed>();
        _rig.Push();
        for (var step = 0; step < 300; step++)
        {
            switch (random.Next(6))
            {
                case 0: proxies.Add(_rig.Sidecar("c1", $"client-{step}", $"10.244.1.{step % 250 + 1}", ns: $"team-{random.Next(4)}")); break;
                case 1 when proxies.Count > 0:
                    _rig.Publisher.Leave(proxies[^1]);
                    proxies.RemoveAt(proxies.Count - 1);
                    break;
                case 2:
                    var action = random.Next(2) == 0 ? "" : ", outboundTrafficPolicy: {mode: REGISTRY_ONLY}";
                    var team = random.Next(4);
                    var hosts = random.Next(2) == 0 ? "*/*" : "./*";
                    _rig.Config($$"""
                        {apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: default, namespace: team-{{team}} },
                         spec: {egress: [{hosts: ['{{hosts}}', 'shop/orders.shop.svc.cluster.local']}]{{action}} } }
                        """);
                    break;
                case 3: _rig.App("c1", "stock", "10.96.0.11", [.. Enumerable.Range(1, random.Next(1, 4)).Select(i => $"10.244.2.{i}")]); break;
                case 4:
                    var (host, ns) = (random.Next(2) == 0 ? "stock" : "orders", random.Next(2) == 0 ? "shop" : $"team-{random.Next(4)}");
                    _rig.Config(Timeout(host, ns, random.Next(1, 9), random.Next(2) == 0 ? "." : "*"));
                    break;
                default: _rig.Push(); break;
            }
        }
        _rig.Push();
        var shared = _rig.Publisher.Shared;
        Assert.Equal(proxies.Count > 0, shared.Clusters.Count > 0);
        foreach (var proxy in proxies) _rig.Publisher.Leave(proxy);
        Assert.Equal((0, 0, 0, 0), (_rig.Publisher.Scopes, shared.Clusters.Count, shared.Endpoints.Count, shared.VirtualHosts.Count));
        Assert.Equal((0, 0, 0, 0), (shared.RouteTables.Count, shared.Fallbacks.Count, shared.Listeners.Count, shared.NameTables.Count));
    }

    [Fact]
    public void Entries_live_as_long_as_somebody_holds_them()
    {
        var made = 0;
        var table = new SharedTable<string, string>(text => $"{text} {++made}", StringComparer.Ordinal);
        var (one, two) = (table.Take("a"), table.Take("a"));
        Assert.Same(one, two);
        Assert.Equal("a 1", one.Made);
        table.Return(one);
        Assert.Equal("a 1", table.Take("a").Made);
        table.Return(two);
        table.Return(two);
        Assert.Equal(0, table.Count);
        Assert.Equal("a 2", table.Take("a").Made);
    }

    private static string Timeout(string service, string ns, int seconds, string exportTo) =>
        $"{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: {service}, namespace: {ns}}}, "
            + $"spec: {{hosts: [{service}.shop.svc.cluster.local], exportTo: ['{exportTo}'], "
            + $"http: [{{timeout: {seconds}s, route: [{{destination: {{host: {service}.shop.svc.cluster.local}}}}]}}]}}}}";

    private static XdsResource? Of(ProxyFeed proxy, string cluster) => proxy.Snapshot!.Types[TypeUrls.Cluster].TryGet(cluster, out var found) ? found : null;

    private static XdsResource? Listener(ProxyFeed proxy, string name) => proxy.Snapshot!.Types[TypeUrls.Listener].TryGet(name, out var found) ? found : null;

    private static string Routes(ProxyFeed proxy) => Assert.Single(proxy.Snapshot!.Types[TypeUrls.Route].All).Version;

    private static Isthmus.Wire.Envoy.Routes.VirtualHost Host(ProxyFeed proxy, string service) =>
        MeshRig.Route(proxy, "80")!.VirtualHosts.Single(host => host.Name == $"{service}.shop.svc.cluster.local:80");

    private static IEnumerable<string> Domains(ProxyFeed proxy, string service) => Host(proxy, service).Domains;

    private static IEnumerable<string> Timeouts(ProxyFeed proxy, string service) =>
        Host(proxy, service).Routes.Select(route => $"{route.Route_.Timeout.ToTimeSpan().TotalSeconds}s");
}
