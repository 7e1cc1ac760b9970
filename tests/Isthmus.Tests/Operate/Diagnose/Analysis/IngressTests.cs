using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class IngressTests
{
    [Theory]
    [InlineData("metadata: {name: front, namespace: shop}, spec: {ingressClassName: istio}", true)]
    [InlineData("metadata: {name: front, namespace: shop, annotations: {kubernetes.io/ingress.class: istio}}, spec: {}", true)]
    [InlineData("metadata: {name: front, namespace: shop}, spec: {ingressClassName: nginx}", false)]
    [InlineData("metadata: {name: front, namespace: shop}, spec: {}", false)]
    public void An_Ingress_that_is_meant_for_the_mesh_is_named(string fields, bool named)
    {
        var ingress = YamlText.Parse($"{{apiVersion: networking.k8s.io/v1, kind: Ingress, {fields}}}", "c1")!;
        var finding = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([ClusterInventory.From("c1", [(JsonObject)ingress])]).SingleOrDefault();
        Assert.Equal(named, finding is not null);
        if (finding is null) return;
        Assert.Equal(("ISM1412", "Ingress shop/front", Severity.Warning), (finding.Problem.Code, finding.Problem.Object, finding.Problem.Severity));
    }
}
