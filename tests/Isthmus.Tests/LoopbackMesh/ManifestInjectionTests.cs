using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Injecting;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary><c>isthmus kube-inject</c>, with what an installation has in its cluster.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class ManifestInjectionTests(LoopbackMeshRig mesh)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("Deployment", "spec.template")]
    [InlineData("CronJob", "spec.jobTemplate.spec.template")]
    [InlineData("DeploymentConfig", "spec.template")]
    [InlineData("Rollout", "spec.template")]
    [InlineData("PodTemplate", "template")]
    public async Task A_workload_gets_the_same_proxy_as_by_the_webhook(string kind, string template)
    {
        var injection = await new InjectionSource(mesh.Client("cluster2"), WellKnown.SystemNamespace, "").ReadAsync(null, null, Stop);
        JsonNode manifest = new JsonObject
        {
            ["metadata"] = new JsonObject { ["labels"] = new JsonObject { ["app"] = "made" } },
            ["spec"] = new JsonObject { ["containers"] = new JsonArray(new JsonObject { ["name"] = "web", ["image"] = "any" }) }
        };
        foreach (var step in template.Split('.').Reverse()) manifest = new JsonObject { [step] = manifest };
        var workload = manifest.AsObject();
        (workload["kind"], workload["metadata"]) = (kind, new JsonObject { ["name"] = "made", ["namespace"] = "sample" });
        var warnings = new List<string>();
        JsonNode injected = injection.Inject(workload, "other", warnings);
        foreach (var step in template.Split('.')) injected = injected[step]!;
        Assert.Empty(warnings);

        // The webhook has injected the gateway.
        var pod = mesh.Pod("cluster2", "istio-system", "istio-eastwestgateway").Pod;
        var made = Proxy(injected);
        var real = pod.Spec.Containers.Concat(pod.Spec.InitContainers).Single(container => container.Name == "istio-proxy");
        Assert.Equal(real.Image, made["image"]!.ToString());
        foreach (var name in (string[])["ISTIO_META_CLUSTER_ID", "ISTIO_META_NETWORK", "CA_ADDR", "ISTIO_META_MESH_ID"])
            Assert.Equal(real.Env.Single(variable => variable.Name == name).Value,
                made["env"]!.AsArray().Single(variable => variable!["name"]!.ToString() == name)!["value"]!.ToString());
        Assert.Equal("made", injected["metadata"]!["labels"]!["service.istio.io/canonical-name"]!.ToString());
    }

    [Fact]
    public async Task What_gets_no_proxy_stays_as_it_is()
    {
        var injection = await new InjectionSource(mesh.Client("cluster1"), WellKnown.SystemNamespace, "").ReadAsync(null, null, Stop);
        var warnings = new List<string>();
        foreach (var text in (string[])
        [
            "{kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}",
            "{kind: Pod, metadata: {name: web}, spec: {hostNetwork: true, containers: [{name: web}]}}",
            "{kind: Turbine, metadata: {name: web}, spec: {template: {spec: {containers: [{name: web}]}}}}",
            "{kind: List, items: [{kind: Deployment, metadata: {name: web}, spec: {template: {metadata: {labels: {sidecar.istio.io/inject: \"false\"}}, spec: "
                + "{containers: [{name: web}]}}}}]}",
        ])
        {
            var value = (JsonObject)YamlText.Parse(text, "test")!;
            Assert.Equal(value.ToJsonString(), injection.Inject(value, "sample", warnings).ToJsonString());
        }
        Assert.Equal(["Pod web", "Turbine web", "Deployment web"], warnings.Select(warning => warning[..warning.IndexOf(" gets", StringComparison.Ordinal)]));
    }

    private static JsonNode Proxy(JsonNode pod) =>
        (pod["spec"]!["containers"] as JsonArray ?? []).Concat(pod["spec"]!["initContainers"] as JsonArray ?? [])
            .Single(container => container!["name"]!.ToString() == "istio-proxy")!;
}
