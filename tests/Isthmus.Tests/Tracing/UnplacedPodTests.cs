using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Tests.Clusters;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Pods that no Node has, or no kubelet starts: the field that keeps them, in the template where that has it.</summary>
public sealed class UnplacedPodTests
{
    private const string Bound = "{type: PodScheduled, status: 'True'}", Owner = "Deployment shop/web in c1", Own = "Pod shop/web-abc-1 in c1",
        Node = "{apiVersion: v1, kind: Node, metadata: {name: node-a}}",
        Distant = "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, "
            + "labelSelector: {matchLabels: {app: store}}}]}}, ",
        NearOwn = "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, "
            + "labelSelector: {matchLabels: {app: web}}}]}}, ",
        Store = "{apiVersion: v1, kind: Pod, metadata: {name: store, namespace: shop, labels: {app: store}}, spec: {nodeName: node-a, containers: "
            + "[{name: store}]}, status: {phase: Running}}";

    private static readonly DateTimeOffset Made = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>A scheduler that nobody runs says nothing.</summary>
    [Theory]
    [InlineData("schedulerName: gpu, ", "schedulerName: gpu, ", "", 11, Owner, "spec.template.spec.schedulerName",
        "names scheduler gpu, which has not placed Pod web-abc-1 on a Node", "remove schedulerName from the template")]
    [InlineData("schedulerName: gpu, ", "", "", 11, Own, "spec.schedulerName", "names scheduler gpu, which has not placed", "start gpu; the template does not")]
    [InlineData("schedulerName: gpu, ", "schedulerName: gpu, ", "", 9, Own, "status",
        "is not ready yet: it is starting, and nothing says that it fails; it was created 9 s ago, and is on no Node so far", "wait")]
    [InlineData("schedulerName: gpu, ", "schedulerName: gpu, ", "{type: PodScheduled, status: 'False', message: no room}", 11, Own, "status",
        "is not ready: no room", "describe pod")]
    [InlineData("schedulerName: default-scheduler, ", "schedulerName: default-scheduler, ", "", 40, Own, "status", "is not ready: phase Pending", "describe")]
    [InlineData("schedulerName: gpu, nodeName: node-a, ", "schedulerName: gpu, ", "", 40, Own, "status", "is not ready: phase Pending", "describe pod")]
    public void A_scheduler_that_does_not_place_a_Pod_is_named(string spec, string template, string condition, int after, string owner, string path,
        string message, string remedy) => Is(Cluster(spec, template, condition, Node), after, owner, path, message, remedy);

    /// <summary>No kubelet takes a Pod whose Node does not exist. Where nobody has read Nodes, nothing is said of them.</summary>
    [Theory]
    [InlineData("nodeName: node-b, ", "", Node, 11, Owner, "spec.template.spec.nodeName",
        "is node-b, a Node that does not exist in c1: Pod web-abc-1 is bound to it", "remove nodeName from the template")]
    [InlineData("", Bound, Node, 11, Own, "spec.nodeName", "is node-b, a Node that does not exist in c1", "delete pod web-abc-1")]
    [InlineData("nodeName: node-b, ", "", Node, 9, Own, "status", "is not ready yet", "wait")]
    [InlineData("nodeName: node-b, ", "", "", 40, Own, "status", "is not ready: phase Pending", "describe pod")]
    [InlineData("nodeName: node-b, ", "", "{apiVersion: v1, kind: Node, metadata: {name: node-b}}", 40, Own, "status", "is not ready: phase Pending", "pod")]
    public void A_Node_that_does_not_exist_is_named(string template, string condition, string node, int after, string owner, string path, string message,
        string remedy)
    {
        var cluster = Cluster("nodeName: node-b, ", template, condition, node);
        Assert.True(UnplacedPods.NeedNodes(cluster.Pods[0]));
        Is(cluster, after, owner, path, message, remedy);
    }

    /// <summary>The scheduler's rules about the Pods that run on Nodes.</summary>
    [Theory]
    [InlineData("didn't match pod anti-affinity rules", Distant, Store, Owner, "spec.template.spec.affinity.podAntiAffinity",
        "keeps it away from the Pods that it names, such as Pod shop/store on node-a, and no Node that is free is without them", "let it name other Pods")]
    [InlineData("didn't match pod anti-affinity rules", NearOwn, Store, Owner, "spec.template.spec.affinity.podAntiAffinity",
        "keeps it away from the Pods that it names, and no Node", "let it name other Pods")]
    [InlineData("didn't satisfy existing pods anti-affinity rules", "", "{apiVersion: v1, kind: Pod, metadata: {name: lone, namespace: shop}, spec: {"
        + NearOwn + "nodeName: node-a}, status: {phase: Running}}", "Pod shop/lone in c1", "spec.affinity.podAntiAffinity",
        "keeps other Pods away from Pod shop/lone on node-a, among them Pod shop/web-abc-1", "let it name other Pods")]
    [InlineData("didn't satisfy existing pods anti-affinity rules", "", Store, Own, "metadata.labels", "are among those that Pods", "see which do")]
    [InlineData("didn't match pod affinity rules", "affinity: {podAffinity: {}}, ", Store, Owner, "spec.template.spec.affinity.podAffinity",
        "asks for Pods to run beside, and no Node", "start the Pods that it names")]
    [InlineData("didn't match pod topology spread constraints", "", Store, Owner, "spec.template.spec.topologySpreadConstraints",
        "allow one more Pod on no Node", "whenUnsatisfiable: ScheduleAnyway")]
    [InlineData("didn't match pod topology spread constraints (missing required label)", "", Store, Owner, "spec.template.spec.topologySpreadConstraints",
        "have a topologyKey, a label that Nodes", "whenUnsatisfiable: ScheduleAnyway")]
    [InlineData("Too many pods", "", Store, "Nodes of c1", "status.allocatable.pods", "lets no Node that is free take one more Pod", "add Nodes")]
    public void What_other_Pods_on_Nodes_forbid_is_named(string said, string spec, string other, string owner, string path, string message, string remedy) =>
        Is(Cluster(spec, spec, "{type: PodScheduled, status: 'False', message: \"0/2 nodes are available: 1 node(s) had untolerated taint {role: control}, "
            + $"1 node(s) {said}.\"}}", other), 11, owner, path, message, remedy);

    /// <summary>Rollouts need room for one more Pod of the same workload.</summary>
    [Fact]
    public void Replicas_that_keep_each_other_away_are_told_what_lets_them_roll_out() => Is(Cluster(NearOwn, NearOwn,
        "{type: PodScheduled, status: 'False', message: \"0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.\"}",
        "{apiVersion: v1, kind: Pod, metadata: {name: web-old-1, namespace: shop, labels: {app: web, pod-template-hash: old}, ownerReferences: "
            + "[{kind: ReplicaSet, name: web-old, controller: true}]}, spec: {nodeName: node-a}, status: {phase: Running}}"),
        11, Owner, "spec.template.spec.affinity.podAntiAffinity", "keeps it away from the Pods that it names, such as Pod shop/web-old-1", "maxSurge: 0");

    /// <summary>Injection adds the volumes of an annotation, and may put its own before those of the template.</summary>
    [Theory]
    [InlineData("'{\"certs\":{\"secret\":{\"secretName\":\"corp\"}}}'", "", "volume certs of spec.template.metadata.annotations[sidecar.istio.io/userVolume]",
        "remove that and its userVolumeMount")]
    [InlineData("'[{\"name\":\"certs\",\"secret\":{\"secretName\":\"corp\"}}]'", "",
        "volume certs of spec.template.metadata.annotations[sidecar.istio.io/userVolume]", "remove that and its userVolumeMount")]
    [InlineData("'{\"other\":{}}'", "volumes: [{name: certs}], ", "spec.template.spec.volumes[0]", "correct the volume")]
    [InlineData("no JSON", "", "volume certs", "correct the volume")]
    public void A_volume_is_named_where_it_is_written(string annotation, string template, string field, string remedy)
    {
        var cluster = Cluster("volumes: [{name: istio-token}, {name: certs, secret: {secretName: corp}}], ", template, Bound, Node, annotation);
        cluster.AddCheck("shop/web-abc-1", "MountVolume.SetUp failed for volume \"certs\" : secret \"corp\" not found");
        Is(cluster, 11, "Secret shop/corp in c1", "", $"does not exist in this cluster, and {field} of Deployment shop/web names it", remedy);
    }

    /// <summary>Events alone tell what a volume lacks: verify asks for those of a Pod whose containers are not started.</summary>
    [Theory]
    [InlineData("", "Secret shop/corp in here", "does not exist in this cluster, and spec.template.spec.volumes[0] of Deployment shop/web names it")]
    [InlineData("/events", "Pod shop/web-abc-1 in here", "is not ready: its containers are not started yet (PodInitializing)")]
    public async Task What_a_volume_names_and_does_not_exist_is_verified(string refused, string owner, string message)
    {
        var cluster = new CountingCluster
        {
            Refused = refused,
            Answers = new Dictionary<string, string>
            {
                ["/api/v1/namespaces"] = List("{metadata: {name: shop, labels: {istio-injection: enabled}}}"),
                ["/api/v1/services"] = List("{metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, ports: [{port: 80}]}}"),
                ["/api/v1/pods"] = List("{metadata: {name: web-abc-1, namespace: shop, labels: {app: web, pod-template-hash: abc}, ownerReferences: "
                    + "[{kind: ReplicaSet, name: web-abc, controller: true}]}, spec: {nodeName: node-a, containers: [{name: web}], volumes: [{name: certs, "
                    + "secret: {secretName: corp}}]}, status: {phase: Pending, containerStatuses: [{name: web, state: {waiting: {reason: "
                    + "PodInitializing}}}]}}"),
                ["/api/v1/namespaces/shop/events"] = List("{involvedObject: {name: web-abc-1}, reason: FailedMount, message: 'MountVolume.SetUp failed for "
                    + "volume \"certs\" : secret \"corp\" not found'}"),
            },
        };
        var checks = await Verification.RunAsync([cluster.Access], "istio-system", TimeProvider.System, TestContext.Current.CancellationToken);
        var problem = Assert.Single(checks.Checks, check => check is { What: "workloads", Problem.Code: "ISM2047" }).Problem!;
        Assert.Equal((owner, Severity.Warning), (problem.Object, problem.Severity));
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
    }

    private static void Is(ClusterObjects cluster, int after, string owner, string path, string message, string remedy)
    {
        var problem = UnreadyPods.Of(cluster, cluster.Pods[0], now: Made.AddSeconds(after));
        Assert.Equal(("ISM2047", owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    private static string List(string item) =>
        YamlText.Parse($"{{kind: List, apiVersion: v1, metadata: {{resourceVersion: '1'}}, items: [{item}]}}", "list")!.ToJsonString();

    /// <summary>A Pod that waits, its Deployment, and one more object.</summary>
    private static ClusterObjects Cluster(string spec, string template, string condition, string other, string annotation = "''") =>
        ClusterObjects.From("c1", YamlText.ParseAll($$"""
            apiVersion: v1
            kind: Pod
            metadata:
              name: web-abc-1
              namespace: shop
              creationTimestamp: "2026-06-01T00:00:00Z"
              labels: {app: web, pod-template-hash: abc}
              annotations: {sidecar.istio.io/userVolume: {{annotation}}}
              ownerReferences: [{kind: ReplicaSet, name: web-abc, controller: true}]
            spec: { {{spec}}containers: [{name: web}] }
            status: {phase: Pending, conditions: [{{condition}}]}
            ---
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: web, namespace: shop}
            spec: {template: {metadata: {labels: {app: web} }, spec: { {{template}}containers: [{name: web}] } } }
            ---
            {{other}}
            """, "c1").OfType<JsonObject>());
}
