using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>A Service that is an alias in the caller's cluster, and has Pods in another one (tests/operator-faults.tsv).</summary>
public sealed class AliasedServiceTests
{
    /// <summary>The name leads outside, where nothing has it, or where the proxy lets nothing out.</summary>
    [Theory]
    [InlineData(false, "ISM2098", "is orders.corp.example, which has no address")]
    [InlineData(true, "ISM2027", "is an alias of orders.corp.example, which is not a service in the mesh")]
    public void The_Service_with_Pods_of_another_cluster_is_told(bool hasAddress, string code, string says)
    {
        var problem = Aliased(hasAddress, "").Walk().Failure?.Problem;
        Assert.Equal((code, "Service shop/orders in c1", "spec.externalName"), (problem?.Code, problem?.Object, problem?.Path));
        Assert.StartsWith(says, problem!.Message, StringComparison.Ordinal);
        Assert.EndsWith("; c2 has the Service with Pods, such as shop/orders-b, and callers in c1 follow that of their own cluster", problem.Message,
            StringComparison.Ordinal);
        Assert.StartsWith("if the Pods of c2 are meant, make the Service the same: kubectl --context=c1 -n shop delete service orders && kubectl --context=c1 "
            + "apply -f - <<< '{\"apiVersion\":\"v1\",\"kind\":\"Service\"", problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_Pods_there_it_is_as_any_alias()
    {
        var problem = Aliased(hasAddress: false, "app: nobody").Walk().Failure!.Problem!;
        Assert.EndsWith("the DNS of c1 knows it", problem.Message, StringComparison.Ordinal);
        Assert.StartsWith("correct externalName", problem.Remedy, StringComparison.Ordinal);
    }

    private static TraceScenario Aliased(bool hasAddress, string selector)
    {
        const string Spec = "spec: {clusterIP: 10.96.0.5, selector: {app: orders}";
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace(Spec, "spec: {type: ExternalName, externalName: orders.corp.example", StringComparison.Ordinal);
        if (selector.Length > 0) scenario.Two = scenario.Two.Replace(Spec, $"spec: {{selector: {{{selector}}}", StringComparison.Ordinal);
        if (!hasAddress) scenario.Client = scenario.Client.Replace("[\"10.96.0.5\"], \"by\": \"sidecar\"", "[], \"by\": \"\"", StringComparison.Ordinal);
        // Nothing is let out that the mesh does not know.
        scenario.Client = scenario.Client.Replace("\"domains\": [\"orders\", \"orders.shop\", \"" + TraceScenario.Fqdn + "\"]", "\"domains\": [\"other\"]",
            StringComparison.Ordinal).Replace("\"cluster\": \"PassthroughCluster\"}}]", "\"cluster\": \"BlackHoleCluster\"}}]", StringComparison.Ordinal);
        return scenario;
    }
}
