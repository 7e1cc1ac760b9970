using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class RestrictedNamespacesTests
{
    [Theory]
    [InlineData("istio-injection: enabled, pod-security.kubernetes.io/enforce: restricted", "", "restricted")]
    [InlineData("istio.io/rev: canary, pod-security.kubernetes.io/enforce: baseline", "", "baseline")]
    [InlineData("istio-injection: enabled, pod-security.kubernetes.io/enforce: privileged", "", null)]
    [InlineData("istio-injection: enabled, pod-security.kubernetes.io/warn: restricted", "", null)]
    [InlineData("pod-security.kubernetes.io/enforce: restricted", "", null)]
    [InlineData("istio-injection: disabled, istio.io/rev: canary, pod-security.kubernetes.io/enforce: restricted", "", null)]
    [InlineData("istio-injection: enabled, pod-security.kubernetes.io/enforce: restricted", "inject.istio.io/templates: gateway", null)]
    [InlineData("istio-injection: enabled, pod-security.kubernetes.io/enforce: restricted", "a: b", "restricted")]
    [InlineData("istio-injection: enabled, pod-security.kubernetes.io/enforce: restricted", "agent", null)]
    public void A_level_that_refuses_sidecars_is_named_before_it_does(string labels, string annotations, string? level)
    {
        var objects = $$"""{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: { {{labels}} } } }""";
        if (annotations == "agent")
            objects += "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: istio-cni-node-x, namespace: kube-system, labels: {k8s-app: istio-cni-node} } }";
        else if (annotations.Length > 0)
            objects += $$"""{{"\n---\n"}}{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop, annotations: { {{annotations}} } } }""";
        var finding = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([ClusterInventory.From("c1", YamlText.ParseAll(objects, "c1").OfType<JsonObject>())])
            .SingleOrDefault();
        if (level is null)
        {
            Assert.Null(finding);
            return;
        }
        Assert.Equal(("c1", "ISM1409", "Namespace shop", "metadata.labels[pod-security.kubernetes.io/enforce]"),
            (finding!.Cluster, finding.Problem.Code, finding.Problem.Object, finding.Problem.Path));
        Assert.StartsWith($"the PodSecurity level {level} refuses Pods with a sidecar", finding.Problem.Message, StringComparison.Ordinal);
    }
}
