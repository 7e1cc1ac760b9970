using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Judgement;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.History;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>What a trace says of changes shortly before a call that fails.</summary>
public sealed class RecentChangesTests
{
    private const string Policy = "AuthorizationPolicy shop/orders";

    /// <summary>What changed is told if it is the object that the failure is about, of whatever kind, or may concern the call.</summary>
    [Fact]
    public void Changes_that_are_told_are_of_the_cause_or_of_nothing_that_is_known_to_be_another()
    {
        MeshChange[] history = [Everywhere(At(1, "ConfigMap", "istio-system", "istio")),
            At(1, "Service", "shop", "orders") with { Hosts = [TraceScenario.Fqdn] },
            Everywhere(At(1, "PeerAuthentication", "shop", "default")), Everywhere(At(1, "PeerAuthentication", "shop", "default-2")),
            Everywhere(At(1, "Gateway.gateway.networking.k8s.io", "shop", "front"))];
        Assert.Equal("default", Told(history, "gateway endpoints", "PeerAuthentication shop/default in c2"));
        Assert.Equal("orders", Told(history, "gateway endpoints", "PeerAuthentication other/default in c2"));
        Assert.Equal("istio, orders, front", Told(history, "gateway endpoints", "cluster c2"));
        // Of the Gateway API: findings name it without its group.
        Assert.Equal("front", Told(history, "port", "Gateway shop/front in c1"));
    }

    /// <summary>The object at fault comes first, then those that take part and what changed after it, the latest first.</summary>
    [Fact]
    public void The_object_at_fault_is_told_before_others_that_the_call_comes_to()
    {
        MeshChange[] history = [
            ForOrders(At(9, "RequestAuthentication", "shop", "orders")), ForOrders(At(8, "AuthorizationPolicy", "shop", "orders")),
            At(7, "VirtualService", "shop", "orders") with { Hosts = [TraceScenario.Fqdn] }, ForOrders(At(6, "PeerAuthentication", "shop", "later")),
            ForOrders(At(20, "PeerAuthentication", "shop", "earlier")), At(5, "VirtualService", "shop", "other") with { Hosts = ["other.example"] }];
        Assert.Equal("AuthorizationPolicy orders, PeerAuthentication later, VirtualService orders", Told(history, "inbound", Policy, kinds: true));
        Assert.Equal("AuthorizationPolicy orders, RequestAuthentication orders, PeerAuthentication later, VirtualService orders",
            Told(history, "inbound", Policy, "has no token where RequestAuthentication shop/orders looks for one", kinds: true));
    }

    /// <summary>The gateway's Service is one that the call comes to, and has not changed since the installation.</summary>
    [Theory]
    [InlineData("listener")]
    [InlineData("filter chain")]
    [InlineData("route")]
    public void A_Gateway_that_changed_is_told_before_the_installation(string hop)
    {
        MeshChange[] history = [At(9, "Service", "shop", "orders") with { Hosts = [TraceScenario.Fqdn] },
            At(1, "Gateway", "shop", "front") with { Hosts = [TraceScenario.Fqdn], IsAtGateways = true }];
        Assert.Equal("Gateway front, Service orders", Told(history, hop, "Pod istio-system/gw in c2", "no Gateway selects it", kinds: true));
    }

    /// <summary>No failure here names the object.</summary>
    [Theory]
    [InlineData("route", "Ingress", true)]
    [InlineData("filter chain", "IngressClass", true)]
    [InlineData("gateway", "Ingress", true)]
    [InlineData("TLS", "BackendTLSPolicy", false)]
    [InlineData("policy", "WasmPlugin", false)]
    public void What_decides_the_part_of_a_call_that_fails_is_told(string hop, string kind, bool isAtGateways)
    {
        MeshChange[] history = [At(1, kind, "shop", "decides") with { Hosts = [TraceScenario.Fqdn], IsAtGateways = isAtGateways },
            At(1, "Telemetry", "shop", "does not") with { Hosts = [TraceScenario.Fqdn] }];
        Assert.Equal("decides", Told(history, hop, "cluster x"));
    }

    /// <summary>Pods and slices change as endpoints.</summary>
    [Fact]
    public void Every_kind_that_control_planes_read_decides_some_part_of_a_call_or_is_known_to_decide_none() => Assert.Equal(
        ["Node", "Pod", "EndpointSlice", "ProxyConfig", "Telemetry"],
        MeshApi.All.Where(kind => kind is { IsRefused: false, Place: not KindPlace.Nowhere, Decides: CallPart.None }).Select(kind => kind.Name));

    /// <summary>A gateway's own Service and the backend of a route are neither the host that is called nor the caller.</summary>
    [Fact]
    public void What_the_way_leads_to_is_told_too()
    {
        var gateway = At(3, "Service", "istio-system", "east") with { Hosts = ["east.istio-system.svc.cluster.local"] };
        var policy = ForOrders(At(2, "AuthorizationPolicy", "shop", "orders"));
        MeshChange[] history = [gateway, policy, At(1, "Service", "bank", "east") with { Hosts = ["east.bank.svc.cluster.local"] },
            At(1, "AuthorizationPolicy", "bank", "orders") with { Selected = ("bank", default) }];
        Assert.Equal("east", Told(history, "gateway", "Service istio-system/east in c2"));
        Assert.Equal("orders", Told([policy, .. history[2..]], "inbound", "Pod shop/orders-b in c2", target: "public.example"));
    }

    /// <summary>An object without effect is what is wrong if the failure names it, and not the reason of another failure.</summary>
    [Theory]
    [InlineData("VirtualService shop/orders in c1", "orders")]
    [InlineData("Pod shop/buyer in c1", "")]
    public void A_change_that_reached_no_proxy_is_told_of_the_object_at_fault_only(string owner, string told) =>
        Assert.Equal(told, Told([At(1, "VirtualService", "shop", "orders") with { Hosts = [TraceScenario.Fqdn], Proxies = 0 }], "listener", owner));

    /// <summary>A WorkloadEntry that is gone has no labels any more with which a policy could be compared.</summary>
    [Fact]
    public void A_WorkloadEntry_that_is_gone_is_told()
    {
        var entry = At(1, "WorkloadEntry", "shop", "vm") with { Verb = "deleted" };
        string Of(string app) => Told([entry with { Selected = ("shop", new Dictionary<string, string> { ["app"] = app, ["version"] = "v2" }.ToValueMap()) }],
            "endpoints", "cluster x");
        Assert.Equal("vm", Of("orders"));
        Assert.Equal("", Of("else"));
    }

    /// <summary>Of a workload that was deleted or scaled to nothing, no Pod is left.</summary>
    [Theory]
    [InlineData("deleted", "")]
    [InlineData("changed", "was scaled from 3 to 0")]
    public void A_workload_without_Pods_is_told(string verb, string cause)
    {
        var gone = At(1, "Deployment", "shop", "orders-b") with { Verb = verb, Cause = cause, Proxies = null };
        string Of(string app) => Told([gone with { Selected = ("shop", new Dictionary<string, string> { ["app"] = app, ["version"] = "v9" }.ToValueMap()) }],
            "endpoints", "cluster x");
        Assert.Equal("orders-b", Of("orders"));
        Assert.Equal("", Of("else"));
    }

    /// <summary>Control planes do not watch what makes Pods, and a part of a route has no hosts.</summary>
    [Fact]
    public void A_workload_behind_the_host_and_a_part_of_its_routes_are_told()
    {
        var rollout = At(1, "Deployment", "shop", "orders-a") with { Proxies = null, Cause = "was rolled out" };
        string Of(string app, string name = "orders-a") => Told([rollout with
        {
            Name = name, Selected = ("shop", new Dictionary<string, string> { ["app"] = app, ["version"] = "v1" }.ToValueMap()),
        }], "endpoints", "cluster x");
        Assert.Equal("orders-a", Of("orders"));
        Assert.Equal("", Of("else"));
        // Its Pods had other labels before.
        Assert.Equal("orders", Of("else", "orders"));

        var scenario = new TraceScenario();
        scenario.One += """

            ---
            {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: web, namespace: shop},
              spec: {hosts: [orders], http: [{delegate: {name: part}}]}}
            """;
        Assert.Equal("part", Told([At(1, "VirtualService", "shop", "part"), At(1, "VirtualService", "shop", "else")], "route", "cluster x",
            scenario: scenario));
    }

    private static MeshChange At(int minutesAgo, string kind, string ns, string name) =>
        new("c1", kind, ns, name, "changed") { Proxies = 3, Last = TraceScenario.Now.AddMinutes(-minutesAgo) };

    private static MeshChange Everywhere(MeshChange change) => change with { IsEverything = true };

    private static MeshChange ForOrders(MeshChange change) =>
        change with { Selected = ("shop", new Dictionary<string, string> { ["app"] = "orders" }.ToValueMap()) };

    private static string Told(IEnumerable<MeshChange> changes, string hop, string owner, string message = "", string target = "orders", bool kinds = false,
        TraceScenario? scenario = null)
    {
        CallTrace trace = new("a", "c1", "b", [
            new("route", 0, HopStatus.Ok, "x", [new Fact(HopFacts.RuleFact, "shop/orders")]),
            new("cluster", 0, HopStatus.Ok, $"outbound|80||{TraceScenario.Fqdn}", []),
            new(hop, 1, HopStatus.Failed, "none", [], new Problem("ISM2066", owner, "", message, "")), new("gateway", 1, HopStatus.Ok, "x", [])],
            [new Way("network n2 through gateway 172.18.2.1:15443", 100)], null);
        return string.Join(", ", RecentChanges.For(trace, new(trace, (scenario ?? new TraceScenario()).Facts(target)), new([.. changes], [], [], []))
            .Select(change => kinds ? $"{change.Kind} {change.Name}" : change.Name));
    }
}
