using System.Text.Json.Nodes;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Injecting;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>Manifests whose Pods say little, as <c>isthmus kube-inject</c> meets them.</summary>
public sealed class ManifestTemplateTests
{
    [Theory]
    [InlineData("{apiVersion: batch/v1, kind: CronJob, metadata: {name: report}, spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: web}]}}}}}}",
        "spec.jobTemplate.spec.template", "kubernetes://apis/batch/v1/namespaces/trade/cronjobs/report")]
    [InlineData("{apiVersion: batch/v1, kind: Job, metadata: {name: report}, spec: {template: {spec: {containers: [{name: web}]}}}}", "spec.template",
        "kubernetes://apis/batch/v1/namespaces/trade/jobs/report")]
    public void A_Pod_without_metadata_belongs_to_its_workload(string manifest, string template, string owner)
    {
        var injected = Inject(manifest);
        var pod = template.Split('.').Aggregate((JsonNode)injected, (node, step) => node[step]!);
        Assert.Equal("report", pod["metadata"]!["labels"]!["service.istio.io/canonical-name"]!.ToString());
        var proxy = pod["spec"]!["containers"]!.AsArray().Single(container => container!["name"]!.ToString() == "istio-proxy")!;
        Assert.Equal(owner, proxy["env"]!.AsArray().Single(variable => variable!["name"]!.ToString() == "ISTIO_META_OWNER")!["value"]!.ToString());
    }

    [Theory]
    [InlineData("List")]
    [InlineData("DeploymentList")]
    public void Items_of_lists_get_proxies(string kind)
    {
        var injected = Inject(
            $$"""
            {apiVersion: v1, kind: {{kind}}, items: [{apiVersion: v1, kind: Service, metadata: {name: a} },
              {apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [{name: web}] } } } }] }
            """);
        Assert.Equal(["Service", "Deployment"], injected["items"]!.AsArray().Select(item => item!["kind"]!.ToString()));
        Assert.Equal("a", injected["items"]![1]!["spec"]!["template"]!["metadata"]!["labels"]!["service.istio.io/canonical-name"]!.ToString());
    }

    private static JsonObject Inject(string manifest)
    {
        var warnings = new List<string>();
        var injected = new ManifestInjection(InjectorValues.Empty, InjectionPath.Default, NativeSidecars.Off,
            []).Inject((JsonObject)YamlText.Parse(manifest, "manifest")!,
            "trade", warnings);
        Assert.Empty(warnings);
        return injected;
    }
}
