using Isthmus.Explain.Tracing.Causes;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>The gateway of another network has no filter chain for a Service that its cluster has: why it does not know it.</summary>
public sealed class GatewayViewTests
{
    private const string Map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: \"$\"}}",
        Selecting = "discoverySelectors: [{matchLabels: {mesh: joined}}]";

    [Theory]
    [InlineData("store", "ISM2012", "Service shop/orders in c2", "metadata.annotations[networking.istio.io/exportTo]",
        "kubectl --context=c2 -n shop annotate service orders networking.istio.io/exportTo=store,istio-system --overwrite")]
    [InlineData("., store", "ISM2012", "Service shop/orders in c2", "metadata.annotations[networking.istio.io/exportTo]", "kubectl")]
    [InlineData("istio-system", "ISM2054", "Pod istio-system/gw in c2", "", "isthmus proxy-status")]
    [InlineData("*", "ISM2054", "Pod istio-system/gw in c2", "", "isthmus proxy-status")]
    public void A_Service_that_is_not_exported_to_the_gateway_is_told(string to, string code, string owner, string path, string remedy)
    {
        var scenario = Chainless("");
        scenario.Two = Put(scenario.Two, "kind: Service, metadata: {name: orders, namespace: shop}",
            $"kind: Service, metadata: {{name: orders, namespace: shop, annotations: {{networking.istio.io/exportTo: '{to}'}}}}");
        AssertCause(scenario, code, owner, path, remedy);
    }

    [Theory]
    [InlineData(Selecting, "{}", "ISM2105", "Namespace shop in c2", "metadata.labels", "kubectl --context=c2 label namespace shop mesh=joined")]
    [InlineData(Selecting, "{mesh: joined}", "ISM2054", "Pod istio-system/gw in c2", "", "isthmus proxy-status")]
    [InlineData("defaultServiceExportTo: ['.']", "{}", "ISM2012", "ConfigMap istio-system/istio in c2", "data.mesh.defaultServiceExportTo",
        "kubectl --context=c2 -n shop annotate service orders networking.istio.io/exportTo=shop,istio-system")]
    [InlineData("defaultServiceExportTo: ['*']", "{}", "ISM2054", "Pod istio-system/gw in c2", "", "isthmus proxy-status")]
    public void Settings_of_the_cluster_that_keep_a_Service_from_its_gateway_are_told(string mesh, string labels, string code, string owner, string path,
        string remedy)
    {
        var scenario = Chainless(mesh);
        scenario.Two += $"\n---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {labels}}}}}";
        AssertCause(scenario, code, owner, path, remedy);
    }

    /// <summary>The settings of the caller's cluster are not those of the gateway's.</summary>
    [Fact]
    public void Settings_of_the_caller_do_not_hide_a_Service_from_a_gateway_elsewhere()
    {
        var scenario = Chainless("");
        scenario.One += $"\n---\n{Map.Replace("$", "defaultServiceExportTo: ['.']", StringComparison.Ordinal)}";
        AssertCause(scenario, "ISM2054", "Pod istio-system/gw in c2", "", "isthmus proxy-status");
    }

    /// <summary>Gateways get DestinationRules of their own namespace, of the Service's, and of the root namespace.</summary>
    [Theory]
    [InlineData("store", "ISM2035", "DestinationRule store/orders in c2", "metadata.namespace", "create the rule in namespace shop, in all clusters")]
    [InlineData("shop", "ISM2054", "Pod istio-system/gw in c2", "", "isthmus proxy-status")]
    [InlineData("istio-system", "ISM2054", "Pod istio-system/gw in c2", "", "isthmus proxy-status")]
    public void A_subset_that_the_gateway_does_not_see_is_told(string ns, string code, string owner, string path, string remedy)
    {
        var scenario = Chainless("");
        scenario.Client = Put(scenario.Client, TraceScenario.Sni, $"outbound_.80_.v1_.{TraceScenario.Fqdn}");
        var rule = $"\n---\n{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: orders, namespace: {ns}}}, spec: {{host: "
            + $"{TraceScenario.Fqdn}, subsets: [{{name: v1, labels: {{version: v1}}}}]}}}}";
        scenario.One += rule;
        scenario.Two += rule;
        AssertCause(scenario, code, owner, path, remedy);
    }

    [Theory]
    [InlineData("exportTo: ['.', store], ", "", "ISM2035", "DestinationRule shop/orders in c2", "spec.exportTo",
        "kubectl --context=c2 -n shop patch destinationrule orders --type=merge -p '{\"spec\":{\"exportTo\":[\".\",\"store\",\"istio-system\"]}}'; or remove")]
    [InlineData("exportTo: ['.', store, istio-system], ", "", "ISM2054", "Pod istio-system/gw in c2", "", "isthmus proxy-status")]
    [InlineData("", "defaultDestinationRuleExportTo: ['.']", "ISM2035", "ConfigMap istio-system/istio in c2", "data.mesh.defaultDestinationRuleExportTo",
        "kubectl --context=c2 -n shop patch destinationrule orders --type=merge -p '{\"spec\":{\"exportTo\":[\"*\"]}}'")]
    [InlineData("exportTo: ['*'], ", "defaultDestinationRuleExportTo: ['.']", "ISM2054", "Pod istio-system/gw in c2", "", "isthmus proxy-status")]
    public void A_subset_whose_rule_is_not_exported_to_the_gateway_is_told(string export, string mesh, string code, string owner, string path, string remedy)
    {
        var scenario = Chainless(mesh);
        scenario.Client = Put(scenario.Client, TraceScenario.Sni, $"outbound_.80_.v1_.{TraceScenario.Fqdn}");
        scenario.One += Rule("");
        scenario.Two += Rule(export);
        AssertCause(scenario, code, owner, path, remedy);
    }

    /// <summary>Once the caller has the rule, the gateway must have it, too.</summary>
    [Theory]
    [InlineData("exportTo: [bank], ",
        "add shop to its exportTo, or remove exportTo; add istio-system to the exportTo of shop/orders in c2 as well, or remove it")]
    [InlineData("exportTo: [bank, istio-system], ", "add shop to its exportTo, or remove exportTo")]
    [InlineData("", "add shop to its exportTo, or remove exportTo")]
    public void What_the_gateway_needs_is_told_together_with_what_the_caller_needs(string there, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One += Rule("exportTo: [bank], ");
        scenario.Two += Rule(there);
        var facts = scenario.Facts();
        var problem = new TraceCauses(facts, new(facts)).Hosts.MissingCluster($"outbound|80|v1|{TraceScenario.Fqdn}", "shop/orders");
        Assert.Equal(("ISM2032", "DestinationRule shop/orders in c1"), (problem.Code, problem.Object));
        Assert.Equal(remedy, problem.Remedy.Split(": the gateway")[0]);
    }

    private static string Rule(string export) => "\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: orders, "
        + $"namespace: shop}}, spec: {{host: {TraceScenario.Fqdn}, {export}subsets: [{{name: v1, labels: {{version: v1}}}}]}}}}";

    private static TraceScenario Chainless(string mesh)
    {
        var scenario = new TraceScenario();
        scenario.Client = Put(scenario.Client, "\"address\": \"10.1.0.5\", \"port_value\": 8080", "\"address\": \"172.18.2.1\", \"port_value\": 15443");
        scenario.Gateway = Put(scenario.Gateway, $"\"server_names\": [\"{TraceScenario.Sni}\"]",
            "\"server_names\": [\"outbound_.80_._.other.shop.svc.cluster.local\"]");
        if (mesh.Length > 0) scenario.Two += $"\n---\n{Map.Replace("$", mesh, StringComparison.Ordinal)}";
        return scenario;
    }

    private static void AssertCause(TraceScenario scenario, string code, string owner, string path, string remedy)
    {
        var failure = scenario.Walk().Failure!;
        Assert.Equal(("gateway chain", code, owner, path), (failure.Name, failure.Problem!.Code, failure.Problem.Object, failure.Problem.Path));
        Assert.StartsWith(remedy, failure.Problem.Remedy, StringComparison.Ordinal);
    }

    private static string Put(string text, string old, string now)
    {
        Assert.Contains(old, text, StringComparison.Ordinal);
        return text.Replace(old, now, StringComparison.Ordinal);
    }
}
