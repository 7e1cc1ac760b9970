using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class RuleConflictsTests
{
    [Theory]
    [InlineData("{host: web, trafficPolicy: {tls: {mode: DISABLE}}}", "{host: web, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}", "spec.trafficPolicy")]
    [InlineData("{host: web, subsets: [{name: v1}]}", "{host: web.shop.svc.cluster.local, subsets: [{name: v2}, {name: v1, labels: {a: b}}]}",
        "spec.subsets[1]")]
    [InlineData("{host: web, subsets: [{name: v1}]}", "{host: web, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}, subsets: [{name: v2}]}", null)]
    [InlineData("{host: web, trafficPolicy: {tls: {mode: DISABLE}}}", "{host: other, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}", null)]
    [InlineData("{host: web, trafficPolicy: {tls: {mode: DISABLE}}}",
        "{host: web, workloadSelector: {matchLabels: {app: a}}, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}", null)]
    [InlineData("{host: web, exportTo: ['*'], trafficPolicy: {tls: {mode: DISABLE}}}", "{host: web, exportTo: [.], trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}",
        null)]
    public void What_an_older_rule_of_the_host_hides_is_reported(string older, string newer, string? path)
    {
        var objects = new[]
        {
            older, newer
        }.Select(
            (spec, i) =>
                $$"""{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: rule{{i}}, namespace: shop, creationTimestamp: '2026-01-0{{i + 1}}T00:00:00Z'}, spec: {{spec}}}""");
        var inventory = ClusterInventory.From("c1", YamlText.ParseAll(string.Join("\n---\n", objects), "c1").OfType<JsonObject>());
        var finding = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([inventory]).SingleOrDefault(finding => finding.Problem.Code == "ISM1410");
        Assert.Equal(path, finding?.Problem.Path);
        if (finding is null) return;
        Assert.Equal(("ISM1410", "DestinationRule shop/rule1", Severity.Warning), (finding.Problem.Code, finding.Problem.Object, finding.Problem.Severity));
        Assert.Contains("DestinationRule shop/rule0 is older", finding.Problem.Message, StringComparison.Ordinal);
    }
}
