using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Yaml;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Pods that are not ready, of a StatefulSet that replaces none by itself, and what kubelets say at length.</summary>
public sealed class KeptPodTests
{
    [Theory]
    [InlineData("StatefulSet", "OnDelete", "1", "spec.updateStrategy.type")]
    [InlineData("DaemonSet", "OnDelete", "1", "spec.updateStrategy.type")]
    [InlineData("StatefulSet", "OnDelete", "2", "status")]
    [InlineData("DaemonSet", "OnDelete", "2", "status")]
    [InlineData("StatefulSet", "RollingUpdate", "1", "status")]
    public void A_Pod_that_OnDelete_keeps_at_an_older_template_is_told(string kind, string strategy, string revision, string path)
    {
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll($$"""
            apiVersion: apps/v1
            kind: {{kind}}
            metadata: {name: web, namespace: shop, annotations: {deprecated.daemonset.template.generation: '2'} }
            spec: {updateStrategy: {type: {{strategy}} } }
            status: {updateRevision: web-2}
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: web-0, namespace: shop, labels: {controller-revision-hash: web-{{revision}}, pod-template-generation: '{{revision}}'},
              ownerReferences: [{kind: {{kind}}, name: web, controller: true}] }
            spec: {containers: [{name: web}]}
            status: {containerStatuses: [{name: web, lastState: {terminated: {exitCode: 1} }, state: {waiting: {reason: CrashLoopBackOff} } }] }
            """, "c1").OfType<JsonObject>());
        var problem = UnreadyPods.Of(cluster, cluster.Pods.Single());
        Assert.Equal(("ISM2047", path), (problem.Code, problem.Path));
        var why = "is not ready: container web exits with code 1 again and again (CrashLoopBackOff)";
        Assert.Equal(path == "status" ? ("Pod shop/web-0 in c1", why, "kubectl --context=c1 -n shop logs web-0 -c web --previous")
            : ($"{kind} shop/web in c1", $"is OnDelete, and the template is newer than Pod web-0, which stays as it was and {why}",
                "let the newer template apply: kubectl --context=c1 -n shop delete pod web-0"), (problem.Object, problem.Message, problem.Remedy));
    }

    [Fact]
    public void Only_the_beginning_of_long_messages_is_told()
    {
        var said = PodText.Message($"Failed to pull image \"registry/app\":\n  {string.Join(' ', Enumerable.Repeat("unknown", 90))}");
        Assert.StartsWith("Failed to pull image \"registry/app\": unknown", said, StringComparison.Ordinal);
        Assert.EndsWith("unknown…", said, StringComparison.Ordinal);
        Assert.InRange(said.Length, 250, 301);
        Assert.Equal(300, PodText.Message(new('x', 900)).Length);
        Assert.Equal("connection refused", PodText.Message("connection refused\n"));
    }
}
