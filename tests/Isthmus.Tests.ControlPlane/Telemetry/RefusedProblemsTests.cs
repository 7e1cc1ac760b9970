using Isthmus.Core.Problems;
using Isthmus.Mesh.Overflows;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Reports;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Telemetry;

/// <summary>What limits of proxies refused, as problems of the objects that set them.</summary>
public sealed class RefusedProblemsTests
{
    private const string Path = "/apis/networking.istio.io/v1/namespaces/shop/destination-rule/tight", Host = "orders.shop.svc.cluster.local";

    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Theory]
    [InlineData("connectionPool: {tcp: {maxConnections: 1}}", "", "", "spec.trafficPolicy.connectionPool")]
    [InlineData("connectionPool: {tcp: {maxConnections: 1}}", "", "v1", "spec.trafficPolicy.connectionPool")]
    [InlineData("portLevelSettings: [{port: {number: 81}, connectionPool: {tcp: {maxConnections: 5}}}, {port: {number: 80}, connectionPool: {tcp: "
        + "{maxConnections: 1}}}]", "", "", "spec.trafficPolicy.portLevelSettings[1].connectionPool")]
    [InlineData("outlierDetection: {}", "trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}", "v1", "spec.subsets[0].trafficPolicy.connectionPool")]
    public void The_field_of_a_DestinationRule_that_sets_the_limits_is_named(string policy, string ofSubset, string subset, string field)
    {
        var rig = Mesh($"host: orders, trafficPolicy: {{{policy}}}, subsets: [{{name: v1, labels: {{app: orders}}, {ofSubset}}}]");
        var (cluster, problem) = Assert.Single(Find(rig, new RefusedCalls($"outbound|80|{subset}|{Host}", Path, 7, Now.AddSeconds(-30))));
        Assert.Equal(("", "ISM1551", "DestinationRule shop/tight", field, Severity.Warning),
            (cluster, problem.Code, problem.Object, problem.Path, problem.Severity));
        Assert.StartsWith($"its limits have refused 14 calls to {Host}:80 (503, response flag UO), the last one 30 s ago, at 2 proxies, for example "
            + "orders-10.244.0.1.shop in c1", problem.Message, StringComparison.Ordinal);
        Assert.Contains("http1MaxPendingRequests", problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void Limits_of_connections_to_the_application_are_those_of_its_Sidecar_or_the_rule_of_its_Service()
    {
        var inbound = new RefusedCalls("inbound|8080||", "", 1, Now.AddMinutes(-3));
        var rig = Mesh("host: orders");
        Assert.Equal(("DestinationRule shop/tight", "spec.trafficPolicy.connectionPool"), Place(rig, inbound with { Config = Path }));
        Assert.Equal(("Pod shop/orders-10.244.0.1", ""), Place(rig, inbound));
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Sidecar
            metadata: {name: own, namespace: shop}
            spec: {inboundConnectionPool: {tcp: {maxConnections: 1}}}
            """);
        rig.Push();
        Assert.Equal(("Sidecar shop/own", "spec.inboundConnectionPool"), Place(rig, inbound));
        Assert.Contains("the last one 3 min ago", Find(rig, inbound)[0].Problem.Message, StringComparison.Ordinal);
    }

    /// <summary>A rule that is gone, or that nobody has but the proxy, has no limits.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("/apis/networking.istio.io/v1/namespaces/shop/destination-rule/others")]
    [InlineData("/apis/networking.istio.io/v1/namespaces/shop/virtual-service/tight")]
    [InlineData("shop/tight")]
    public void Without_a_known_rule_the_proxy_itself_is_named(string config)
    {
        var (cluster, problem) = Find(Mesh("host: orders"), new RefusedCalls($"outbound|80||{Host}", config, 1, Now))[0];
        Assert.Equal(("c1", "Pod shop/orders-10.244.0.1", ""), (cluster, problem.Object, problem.Path));
        Assert.Contains("give the host a DestinationRule", problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void Ten_minutes_later_nothing_is_said() =>
        Assert.Empty(Find(Mesh("host: orders"), new RefusedCalls($"outbound|80||{Host}", Path, 1, Now.AddMinutes(-10))));

    [Fact]
    public void A_report_of_a_strange_proxy_is_bounded()
    {
        var report = new TelemetryReport();
        report.Refused.Add(new RefusedPool { Count = 1, Last = 1 });
        report.Refused.Add(new RefusedPool { Cluster = "a", Last = 1 });
        report.Refused.Add(new RefusedPool { Cluster = "a", Count = ulong.MaxValue, Last = 1 });
        report.Refused.Add(new RefusedPool { Cluster = "a", Count = 1, Last = long.MaxValue });
        report.Refused.Add(new RefusedPool { Cluster = "a", Count = 1, Last = long.MinValue });
        report.Refused.Add(new RefusedPool { Cluster = new('a', 5000), Count = 1, Last = 1 });
        for (var i = 0; i < 1000; i++) report.Refused.Add(new RefusedPool { Cluster = "a|b", Count = 1, Last = 1 });
        Assert.Equal(TelemetryReports.MostRefused - 6, RefusedCalls.Of(report).Count);
    }

    private static (string Object, string Path) Place(MeshRig rig, RefusedCalls calls) =>
        (Find(rig, calls)[0].Problem.Object, Find(rig, calls)[0].Problem.Path);

    private static IReadOnlyList<(string Cluster, Problem Problem)> Find(MeshRig rig, RefusedCalls calls) =>
        RefusedProblems.Of(rig.Mesh.View(), [.. ((string[])["10.244.0.1", "10.244.0.2"]).Select(ip => new RefusingProxy(
            rig.Sidecar("c1", $"orders-{ip}", ip).Proxy, [calls]))], Now);

    private static MeshRig Mesh(string rule)
    {
        var rig = new MeshRig("c1");
        rig.AppOn("c1", "orders", "10.96.0.10", "http", 80, "10.244.0.1", "10.244.0.2");
        rig.Config($$"""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: tight, namespace: shop}
            spec: { {{rule}} }
            """);
        rig.Push();
        return rig;
    }
}
