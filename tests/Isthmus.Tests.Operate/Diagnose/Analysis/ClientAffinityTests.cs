using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class ClientAffinityTests
{
    [Theory]
    [InlineData("shop", "ClientIP", true)]
    [InlineData("shop", "None", false)]
    [InlineData("kube-system", "ClientIP", false)]
    public void A_Service_that_keeps_clients_at_an_endpoint_is_named(string ns, string affinity, bool named)
    {
        var service = YamlText.Parse(
            $$"""{apiVersion: v1, kind: Service, metadata: {name: web, namespace: {{ns}}}, spec: {sessionAffinity: {{affinity}}, ports: [{port: 80}]} }""",
            "c1")!;
        var finding = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([ClusterInventory.From("c1", [(JsonObject)service])]).SingleOrDefault();
        Assert.Equal(named, finding is not null);
        if (finding is null) return;
        Assert.Equal(("ISM1411", "Service shop/web", "spec.sessionAffinity", Severity.Warning),
            (finding.Problem.Code, finding.Problem.Object, finding.Problem.Path, finding.Problem.Severity));
    }
}
