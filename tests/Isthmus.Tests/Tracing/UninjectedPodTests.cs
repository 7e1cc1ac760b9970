using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Yaml;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary><c>verify</c> warns of Pods without a sidecar in namespaces that are injected, also in a mesh of one network, where their calls get
/// through.</summary>
public sealed class UninjectedPodTests
{
    private const string Owned = "labels: {app: web, pod-template-hash: 5d9}, ownerReferences: [{kind: ReplicaSet, name: web-5d9, controller: true}]";

    [Theory]
    [InlineData(Owned, "kubectl --context=c1 -n shop rollout restart deployment/web")]
    [InlineData("ownerReferences: [{kind: StatefulSet, name: db, controller: true}]", "kubectl --context=c1 -n shop rollout restart statefulset/db")]
    [InlineData("ownerReferences: [{kind: Job, name: sum, controller: true}]", "kubectl --context=c1 -n shop delete pod web-1: its Job makes another one")]
    [InlineData("labels: {app: web}", "create Pod web-1 again")]
    public void A_Pod_that_is_older_than_the_label_is_warned_of_with_what_gives_it_a_sidecar(string metadata, string remedy)
    {
        var problem = Assert.Single(Verified("istio-injection: enabled", Pod("web-1", metadata)));
        // It has no label that could be wrong.
        Assert.Equal(("ISM2051", Severity.Warning, "Pod shop/web-1 in c1", ""), (problem.Code, problem.Severity, problem.Object, problem.Path));
        Assert.Contains("has no sidecar, although its namespace is injected", problem.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A restart does not help where nothing injects.</summary>
    [Fact]
    public void A_webhook_that_is_gone_is_what_is_to_be_mended()
    {
        const string settings = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-sidecar-injector, namespace: istio-system}, data: {values: '{}'}}";
        var problem = Assert.Single(Verified("istio-injection: enabled", Pod("web-1", Owned), settings));
        Assert.Equal(("ISM2051", "cluster c1"), (problem.Code, problem.Object));
        Assert.StartsWith("has no MutatingWebhookConfiguration that injects Pods: Pod shop/web-1 in c1 has no sidecar", problem.Message,
            StringComparison.Ordinal);
        Assert.StartsWith("install again, with the file of this cluster: isthmus install -y --context=c1 -f FILE", problem.Remedy, StringComparison.Ordinal);
        const string webhook = "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: own}, webhooks: "
            + "[{name: namespace.sidecar-injector.istio.io, clientConfig: {url: 'https://istiod.example/inject'}, namespaceSelector: {matchLabels: "
            + "{istio-injection: enabled}}}]}";
        Assert.Equal("Pod shop/web-1 in c1",
            Assert.Single(Verified("istio-injection: enabled", Pod("web-1", Owned), settings, webhook)).Object);
    }

    /// <summary>A Pod that is made while nothing answers the webhook is refused.</summary>
    [Theory]
    [InlineData("replicas: 0", "", "spec.replicas", "scale deployment istiod --replicas=1")]
    [InlineData("replicas: 1", ", status: {replicas: 1, unavailableReplicas: 1}", "status.readyReplicas", "describe deployment,pod -l app=istiod")]
    [InlineData("replicas: 1", ", status: {replicas: 1, readyReplicas: 1}", "", "")]
    public void A_control_plane_that_does_not_run_is_started_before_the_Pod_is_restarted(string replicas, string status, string field, string remedy)
    {
        const string webhook = "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: own, labels: {app: "
            + "sidecar-injector}}, webhooks: [{name: namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system}}, "
            + "namespaceSelector: {matchLabels: {istio-injection: enabled}}}]}";
        var problem = Assert.Single(Verified("istio-injection: enabled", Pod("web-1", Owned), webhook,
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}, spec: {" + replicas + "}" + status + "}"));
        if (field.Length == 0)
        {
            Assert.Equal("Pod shop/web-1 in c1", problem.Object);
            return;
        }
        Assert.Equal(("ISM2051", "Deployment istio-system/istiod in c1", field), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith("is 0, so that nothing answers the webhook that injects Pods: Pod shop/web-1 in c1 has no sidecar", problem.Message,
            StringComparison.Ordinal);
        Assert.StartsWith($"start the control plane first: kubectl --context=c1 -n istio-system {remedy}; then restart the Pod", problem.Remedy,
            StringComparison.Ordinal);
    }

    /// <summary>With <c>profile=empty</c>, an installation removes the settings of the injector, too. The root of its CA stays.</summary>
    [Fact]
    public void A_control_plane_that_was_removed_took_its_webhook_along()
    {
        const string root = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: istio-system}, data: {root-cert.pem: x}}";
        Assert.Equal("cluster c1", Assert.Single(Verified("istio-injection: enabled", Pod("web-1", Owned), root)).Object);
    }

    [Fact]
    public void Pods_of_one_workload_are_one_warning() => Assert.Contains("like 1 more of Deployment shop/web",
        Assert.Single(Verified("istio-injection: enabled", Pod("web-1", Owned), Pod("web-2", Owned))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("", "labels: {app: web}", "")]
    [InlineData("istio-injection: disabled", "labels: {app: web}", "")]
    [InlineData("istio.io/dataplane-mode: ambient", "labels: {app: web}", "")]
    [InlineData("istio-injection: enabled", "labels: {sidecar.istio.io/inject: 'false'}", "")]
    [InlineData("istio-injection: enabled", "annotations: {sidecar.istio.io/inject: 'false'}", "")]
    [InlineData("istio-injection: enabled", "annotations: {kubernetes.io/config.mirror: '1'}", "")]
    [InlineData("istio-injection: enabled", "deletionTimestamp: '2026-06-01T00:00:00Z'", "")]
    [InlineData("istio-injection: enabled", "labels: {app: web}", "hostNetwork: true, ")]
    [InlineData("istio-injection: enabled", "labels: {app: web}", "initContainers: [{name: istio-proxy, restartPolicy: Always}], ")]
    public void A_Pod_that_is_to_have_none_is_as_it_should_be(string labels, string metadata, string spec) =>
        Assert.Empty(Verified(labels, Pod("web-1", metadata, spec)));

    /// <summary>Nobody in the other network has anything of the Service. Agents of Nodes are not meant for others, and what says that it wants no sidecar is
    /// as it should be.</summary>
    [Theory]
    [InlineData(Owned, "n2", "istio-injection: enabled", "{}", true)]
    [InlineData(Owned, "n1", "istio-injection: enabled", "{}", false)]
    [InlineData(Owned, "n2", "istio-injection: disabled", "{}", false)]
    [InlineData("labels: {app: web, sidecar.istio.io/inject: 'false'}", "n2", "istio-injection: enabled", "{}", false)]
    [InlineData("labels: {app: web}, ownerReferences: [{kind: DaemonSet, name: web, controller: true}]", "n2", "istio-injection: enabled", "{}", false)]
    [InlineData(Owned, "n2", "istio-injection: enabled", Web + "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: web-2, namespace: shop, labels: {app: web, "
        + "sidecar.istio.io/inject: 'false'}}, spec: {containers: [{name: web}]}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}",
        false)]
    public void A_Service_of_Pods_in_the_network_of_their_Node_is_warned_of_where_callers_of_another_network_have_nothing_else(string metadata, string network,
        string there, string beside, bool isTold)
    {
        static ClusterObjects Cluster(string name, string network, string labels, params IEnumerable<string> objects) => ClusterObjects.From(name,
            YamlText.ParseAll(string.Join("\n---\n",
            [
                $"{{apiVersion: v1, kind: Namespace, metadata: {{name: istio-system, labels: {{topology.istio.io/network: {network}}}}}}}",
                $"{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {{{labels}}}}}}}", .. objects,
            ]), name).OfType<JsonObject>());
        var found = WorkloadVerification.Run([Cluster("c1", "n1", "istio-injection: enabled", Web, Pod("web-1", metadata, "hostNetwork: true, ")),
            Cluster("c2", network, there, beside)]).Select(check => check.Problem).OfType<Problem>().ToList();
        Assert.Equal(isTold ? [("ISM2051", Severity.Warning, "Pod shop/web-1 in c1", "spec.hostNetwork")] : [],
            found.Select(problem => (problem.Code, problem.Severity, problem.Object, problem.Path)));
        if (isTold) Assert.Equal("has no sidecar, but only mesh TLS can pass the gateway of n1", found[0].Message);
    }

    private const string Web =
        "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, ports: [{name: http, port: 80}]}}";

    private static string Pod(string name, string metadata, string spec = "") =>
        $"{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, {metadata}}}, spec: {{{spec}containers: [{{name: web}}]}}, "
            + "status: {phase: Running, podIP: 10.1.0.5, conditions: [{type: Ready, status: 'True'}]}}";

    private static List<Problem> Verified(string labels, params IEnumerable<string> pods)
    {
        var objects = YamlText.ParseAll(string.Join("\n---\n",
            [$"{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {{{labels}}}}}}}", .. pods]), "c1").OfType<JsonObject>();
        return [.. WorkloadVerification.Run([ClusterObjects.From("c1", objects)]).Select(check => check.Problem).OfType<Problem>()];
    }
}
