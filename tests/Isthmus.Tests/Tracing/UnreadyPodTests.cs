using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Why a Pod is not ready, and the command that shows more: the log of a container that ends, or the events of one that never starts.</summary>
public sealed class UnreadyPodTests
{
    private const string Ended = "lastState: {terminated: {exitCode: 1}}, state: {waiting: {reason: CrashLoopBackOff, message: back-off 40s}}",
        Sidecar = "{name: istio-proxy, restartPolicy: Always}", Init = "{name: istio-init}", Migrate = "{name: migrate}";

    [Theory]
    [InlineData("containers: [{name: web}]", "containerStatuses: [{name: web, " + Ended + "}]",
        "container web exits with code 1 again and again (CrashLoopBackOff)",
        "logs web-1 -c web --previous")]
    [InlineData("containers: [{name: web}]", "containerStatuses: [{name: web, state: {terminated: {exitCode: 3}}}]", "container web exited with code 3",
        "logs web-1 -c web")]
    [InlineData("containers: [{name: web}]", "containerStatuses: [{name: web, state: {waiting: {reason: ImagePullBackOff, message: no such image}}}]",
        "container web waits: ImagePullBackOff no such image", "describe pod web-1")]
    [InlineData($"initContainers: [{Migrate}], containers: [{{name: web}}]", "initContainerStatuses: [{name: migrate, " + Ended + "}]",
        "container migrate exits with code 1 again and again (CrashLoopBackOff)", "logs web-1 -c migrate --previous")]
    [InlineData($"initContainers: [{Migrate}, {Init}], containers: [{{name: web}}, {{name: istio-proxy}}]",
        "initContainerStatuses: [{name: migrate, " + Ended + "}]",
        "container migrate exits with code 1 again and again (CrashLoopBackOff); it runs before the Pod's proxy, "
            + "so its calls leave in plain text, which workloads with STRICT mutual TLS refuse", "logs web-1 -c migrate --previous")]
    [InlineData($"initContainers: [{Init}, {Migrate}], containers: [{{name: web}}, {{name: istio-proxy}}]",
        "initContainerStatuses: [{name: migrate, " + Ended + "}]",
        "container migrate exits with code 1 again and again (CrashLoopBackOff); it runs while connections "
            + "already go to the Pod's proxy and the proxy does not run yet, so they are refused", "logs web-1 -c migrate --previous")]
    [InlineData($"initContainers: [{Init}, {Sidecar}, {Migrate}], containers: [{{name: web}}]", "initContainerStatuses: [{name: migrate, " + Ended + "}]",
        "container migrate exits with code 1 again and again (CrashLoopBackOff)", "logs web-1 -c migrate --previous")]
    [InlineData("dnsPolicy: Default, containers: [{name: web}, {name: istio-proxy}]",
        "containerStatuses: [{name: web, ready: true}, {name: istio-proxy, ready: false, state: {running: {}}}]",
        "the readiness probe of container istio-proxy fails; dnsPolicy Default keeps it from the cluster's DNS, by which it finds its control plane",
        "describe pod web-1")]
    [InlineData("dnsPolicy: ClusterFirst, containers: [{name: web}, {name: istio-proxy}]",
        "containerStatuses: [{name: web, ready: true}, {name: istio-proxy, ready: false, state: {running: {}}}]",
        "the readiness probe of container istio-proxy fails", "describe pod web-1")]
    public void The_container_that_keeps_a_Pod_from_being_ready_is_named(string spec, string status, string why, string look)
    {
        var text = $"{{metadata: {{name: web-1, namespace: shop}}, spec: {{{spec}}}, status: {{{status}}}}}";
        var pod = YamlText.Parse(text, "pod")!.Deserialize(KubeJson.Of<Pod>())!;
        Assert.Equal((why, $"kubectl --context=c1 -n shop {look}"), (ServicePods.Why(pod), ServicePods.Look(pod, "c1")));
    }

    /// <summary>Nobody calls it, so no Service shows that it does not work.</summary>
    [Fact]
    public void A_proxy_that_no_Service_selects_is_verified_too()
    {
        const string pod = """
            apiVersion: v1
            kind: Pod
            metadata: {name: job, namespace: shop, labels: {app: job}}
            spec: {dnsPolicy: Default, containers: [{name: web}, {name: istio-proxy}]}
            status: {phase: Running, containerStatuses: [{name: web, ready: true}, {name: istio-proxy, ready: false, state: {running: {}}}]}
            """;
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll(pod, "c1").OfType<JsonObject>());
        var problem = Assert.Single(WorkloadVerification.Run([cluster])).Problem;
        Assert.Equal(("ISM2047", "Pod shop/job in c1"), (problem?.Code, problem?.Object));
        Assert.Contains("dnsPolicy Default", problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>The cluster was installed under another name when the Pod was injected: its proxy runs, and gets nothing any more.</summary>
    [Theory]
    [InlineData("c1", false)]
    [InlineData("Kubernetes", true)]
    public void A_proxy_that_calls_its_cluster_by_another_name_is_named(string name, bool isNamed)
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("ISTIO_META_CLUSTER_ID, value: c1", $"ISTIO_META_CLUSTER_ID, value: {name}", StringComparison.Ordinal);
        var found = WorkloadVerification.Run([ClusterObjects.From("c1", YamlText.ParseAll(scenario.One, "c1").OfType<JsonObject>())])
            .Select(check => check.Problem).OfType<Isthmus.Core.Problems.Problem>().Where(problem => problem.Code == "ISM2106").ToList();
        Assert.Equal(isNamed ? ["Pod shop/buyer in c1"] : [], found.Select(problem => problem.Object));
        if (isNamed) Assert.Contains($"calls the cluster {name}, and its control plane calls it c1", found[0].Message, StringComparison.Ordinal);
    }

    /// <summary>What to do about a Pod without a sidecar depends on what its namespace gets.</summary>
    [Theory]
    [InlineData("", "namespace.sidecar-injector.istio.io", false)]
    [InlineData("", "auto.sidecar-injector.istio.io", true)]
    [InlineData("istio-injection: disabled", "auto.sidecar-injector.istio.io", false)]
    [InlineData("istio-injection: enabled", "namespace.sidecar-injector.istio.io", true)]
    public void A_namespace_that_does_not_ask_is_injected_where_all_are(string labels, string webhook, bool isInjected)
    {
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll($$"""
            {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: { {{labels}} } } }
            ---
            {apiVersion: v1, kind: Namespace, metadata: {name: kube-system, labels: { {{labels}} } } }
            ---
            apiVersion: admissionregistration.k8s.io/v1
            kind: MutatingWebhookConfiguration
            metadata: {name: injector}
            webhooks: [{name: {{webhook}}, clientConfig: {} } ]
            """, "c1").OfType<JsonObject>());
        Assert.Equal((isInjected, isInjected && labels.Length > 0), (cluster.Injects("shop"), cluster.Injects("kube-system")));
    }

    [Theory]
    [InlineData("db", "orders-a.orders.shop", "spec.serviceName", "is db, and no such Service exists, so Pod orders-a has no name of its own")]
    [InlineData("", "orders-a.orders.shop", "spec.serviceName", "is not set, so Pod orders-a has no name of its own")]
    [InlineData("orders", "orders-a.db.shop", "spec.serviceName", "is orders, so the name of Pod orders-a is orders-a.orders.shop, and not orders-a.db")]
    public void A_name_of_a_Pod_that_it_has_not_is_explained_by_its_StatefulSet(string subdomain, string host, string path, string message)
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("metadata: {name: orders-a, namespace: shop, labels: {app: orders, version: v1}}, spec: {",
            "metadata: {name: orders-a, namespace: shop, labels: {app: orders, version: v1}, ownerReferences: "
                + $"[{{kind: StatefulSet, name: orders, controller: true}}]}}, spec: {{subdomain: \"{subdomain}\", ", StringComparison.Ordinal)
            .Replace("clusterIP: 10.96.0.5", "clusterIP: None", StringComparison.Ordinal);
        scenario.Two = scenario.Two.Replace("clusterIP: 10.96.0.5", "clusterIP: None", StringComparison.Ordinal);
        scenario.Client = scenario.Client.Replace("\"host\": \"orders\"", $"\"host\": \"{host}\"", StringComparison.Ordinal)
            .Replace("\"addresses\": [\"10.96.0.5\"]", "\"addresses\": []", StringComparison.Ordinal);
        var problem = scenario.Walk($"{host}/").Failure?.Problem;
        Assert.Equal(("ISM2104", "StatefulSet shop/orders in c1", path), (problem?.Code, problem?.Object, problem?.Path));
        Assert.Contains(message, problem!.Message, StringComparison.Ordinal);
    }
}
