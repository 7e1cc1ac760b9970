using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Clusters;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>How many requests XBackendTrafficPolicies let callers try again, at a Gateway and within the mesh.</summary>
public sealed class BackendTrafficPolicyTests
{
    private const string Cluster = "outbound|80||web.shop.svc.cluster.local", Objects = """
        {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: shop},
         spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]} }
        ---
        {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: shop},
         spec: {parentRefs: [{name: door}], rules: [{backendRefs: [{name: web, port: 80}]}]} }

        """;

    [Theory]
    [InlineData("retryConstraint: {budget: {percent: 30, interval: 5s}, minRetryRate: {count: 6, interval: 2s} }", "30% of 5s, at least 3", "Accepted")]
    [InlineData("retryConstraint: {}", "20% of 10s, at least 10", "Accepted")]
    [InlineData("retryConstraint: {minRetryRate: {count: 1, interval: 60s} }", "20% of 10s, at least 1", "Accepted")]
    [InlineData("retryConstraint: {}, sessionPersistence: {sessionName: s}", "20% of 10s, at least 10", "Accepted")]
    [InlineData("retryConstraint: {}, sessionPersistence: {absoluteTimeout: 1m}", "", "Invalid")]
    public void Callers_try_again_as_often_as_the_policy_permits(string spec, string budget, string reason)
    {
        var rig = new GatewayApiRig(Objects + Policy("p", spec));
        rig.Mesh.App("c1", "web", "10.96.1.1", "10.244.1.1");
        var (caller, door) = (rig.Mesh.Sidecar("c1"), rig.Mesh.Router("c1", "door", labels: new() { [GatewayNaming.GatewayLabel] = "door" }));
        rig.Mesh.Push();
        Assert.Equal((budget, budget), (BudgetOf(MeshRig.Cluster(caller, Cluster)!), BudgetOf(MeshRig.Cluster(door, Cluster)!)));
        var ancestor = Assert.Single(Assert.Single(rig.Mesh.Mesh.PolicyStatuses.Items.Values).Ancestors);
        Assert.Equal(("door", reason), (ancestor.Parent.Name, Assert.Single(ancestor.Conditions).Reason));
        rig.Remove(Isthmus.Mesh.Config.MeshApi.BackendTrafficPolicy, "shop", "p");
        Assert.Equal("", BudgetOf(MeshRig.Cluster(caller, Cluster)!));
        Assert.Empty(rig.Mesh.Mesh.Graph.Verify());
    }

    /// <summary>It also comes before a DestinationRule, as BackendTLSPolicies do.</summary>
    [Fact]
    public void The_oldest_policy_of_a_Service_applies_and_comes_before_DestinationRules()
    {
        var rig = new GatewayApiRig(Objects + Policy("younger", "retryConstraint: {budget: {percent: 50} }", "2026-02-01T00:00:00Z")
            + Policy("older", "retryConstraint: {budget: {percent: 40} }") + """
            {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: web, namespace: shop},
             spec: {host: web, trafficPolicy: {retryBudget: {percent: 10, minRetryConcurrency: 2} } } }
            """);
        rig.Mesh.App("c1", "web", "10.96.1.1", "10.244.1.1");
        var caller = rig.Mesh.Sidecar("c1");
        rig.Mesh.Push();
        Assert.Equal("40% of 10s, at least 10", BudgetOf(MeshRig.Cluster(caller, Cluster)!));
        Assert.Equal(["older Accepted", "younger Conflicted"], rig.Mesh.Mesh.PolicyStatuses.Items.Values
            .Select(status => $"{status.Source.Name} {status.Ancestors[0].Conditions[0].Reason}").Order(StringComparer.Ordinal));
        foreach (var name in (string[])["younger", "older"]) rig.Remove(Isthmus.Mesh.Config.MeshApi.BackendTrafficPolicy, "shop", name);
        Assert.StartsWith("10%", BudgetOf(MeshRig.Cluster(caller, Cluster)!), StringComparison.Ordinal);
    }

    /// <summary>The filter for sessions is in the listeners of all proxies: it comes and goes with the policies that apply, so that what
    /// a replica sends does not depend on when it started.</summary>
    [Fact]
    public void Only_a_policy_that_applies_to_a_Service_brings_the_filter_for_sessions()
    {
        const string Session = "sessionPersistence: {sessionName: s}";
        var rig = new GatewayApiRig(Policy("older", "retryConstraint: {}") + Policy("younger", Session, "2026-02-01T00:00:00Z"));
        bool KeepsSessions() => rig.Mesh.Mesh.View().Mesh.KeepsSessions;
        rig.Mesh.App("c1", "other", "10.96.1.1", "10.244.1.1");
        rig.Mesh.Push();
        Assert.False(KeepsSessions()); // There is no such Service.
        rig.Mesh.App("c1", "web", "10.96.1.1", "10.244.1.1");
        Assert.False(rig.Mesh.Push().Settings || KeepsSessions()); // It is conflicted.
        rig.Remove(Isthmus.Mesh.Config.MeshApi.BackendTrafficPolicy, "shop", "older");
        Assert.True(KeepsSessions());
        var copy = rig.Mesh.Writer.Copy(Isthmus.Mesh.Model.MultiClusterSettings.Default);
        copy.Commit();
        Assert.True(copy.Mesh.View().Mesh.KeepsSessions); // A preview shows what its changes do.
        rig.Remove(Isthmus.Mesh.Config.MeshApi.BackendTrafficPolicy, "shop", "younger");
        Assert.False(KeepsSessions());
        Assert.Empty(rig.Mesh.Mesh.Graph.Verify());
    }

    private static string BudgetOf(Cluster cluster) => cluster.CircuitBreakers.Thresholds[0].RetryBudget is { } budget
        ? $"{budget.BudgetPercent.Value}% of {budget.BudgetInterval?.ToTimeSpan().TotalSeconds}s, at least {budget.MinRetryConcurrency}" : "";

    private static string Policy(string name, string spec, string age = "2026-01-01T00:00:00Z") => $$"""
        ---
        {apiVersion: gateway.networking.x-k8s.io/v1alpha1, kind: XBackendTrafficPolicy,
         metadata: {name: {{name}}, namespace: shop, creationTimestamp: '{{age}}'},
         spec: {targetRefs: [{group: '', kind: Service, name: web}], {{spec}} } }
        ---

        """;
}
