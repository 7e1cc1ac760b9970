using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
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
    [InlineData("dnsPolicy: None, dnsConfig: {nameservers: [10.96.0.10]}, containers: [{name: web}, "
        + "{name: istio-proxy, startupProbe: {tcpSocket: {port: 1}}}]",
        "containerStatuses: [{name: web, ready: true}, {name: istio-proxy, ready: false, state: {running: {}}}]",
        "the startup probe of container istio-proxy has not succeeded; dnsPolicy None, and no cluster.local in searches of dnsConfig, keep it from the cluster's "
            + "DNS, by which it finds its control plane", "describe pod web-1")]
    [InlineData("containers: [{name: web, startupProbe: {tcpSocket: {port: 80}}}]", "containerStatuses: [{name: web, started: false, state: {running: {}}}]",
        "the startup probe of container web has not succeeded", "describe pod web-1")]
    [InlineData("containers: [{name: web, startupProbe: {tcpSocket: {port: 80}}}]", "containerStatuses: [{name: web, started: true, state: {running: {}}}]",
        "container web runs, and has not become ready", "describe pod web-1")]
    [InlineData("containers: [{name: web, livenessProbe: {tcpSocket: {port: 80}}}]", "containerStatuses: [{name: web, lastState: {terminated: {exitCode: 0}}, "
        + "state: {waiting: {reason: CrashLoopBackOff}}}]", "container web ends with code 0 again and again (CrashLoopBackOff), as when its liveness probe fails",
        "describe pod web-1")]
    [InlineData("containers: [{name: job, image: app, command: [sh, -c, echo done; exit 0]}]", "containerStatuses: [{name: job, lastState: {terminated: "
        + "{exitCode: 0, startedAt: '2026-06-01T00:00:01Z', finishedAt: '2026-06-01T00:00:03Z'}}, state: {waiting: {reason: CrashLoopBackOff, message: b}}}]",
        "container job ends with code 0 again and again (CrashLoopBackOff), 2 s after its start: its program (sh -c 'echo done; exit 0') is not a server, "
            + "or goes to the background", "logs web-1 -c job --previous")]
    [InlineData("containers: [{name: job, image: app, args: [once]}]", "containerStatuses: [{name: job, lastState: {terminated: {exitCode: 0}}, "
        + "state: {waiting: {reason: CrashLoopBackOff}}}]", "container job ends with code 0 again and again (CrashLoopBackOff): its program (that of image "
            + "app, with once) is not a server, or goes to the background", "logs web-1 -c job --previous")]
    [InlineData("containers: [{name: web, readinessProbe: {exec: {command: [test, -f, /tmp/ready]}}}]",
        "containerStatuses: [{name: web, ready: false, state: {running: {}}}]",
        "the readiness probe of container web (command test -f /tmp/ready) fails", "describe pod web-1")]
    [InlineData("containers: [{name: web, command: [/app/srver]}]", "containerStatuses: [{name: web, lastState: {terminated: {exitCode: 128, reason: StartError, "
        + "message: 'exec: \"/app/srver\": no such file'}}, state: {waiting: {reason: CrashLoopBackOff}}}]",
        "container web cannot be started: exec: \"/app/srver\": no such file", "describe pod web-1")]
    [InlineData("dnsPolicy: ClusterFirst, containers: [{name: web}, {name: istio-proxy}]",
        "containerStatuses: [{name: web, ready: true}, {name: istio-proxy, ready: false, state: {running: {}}}]",
        "the readiness probe of container istio-proxy fails", "describe pod web-1")]
    public void The_container_that_keeps_a_Pod_from_being_ready_is_named(string spec, string status, string why, string look)
    {
        var text = $"{{metadata: {{name: web-1, namespace: shop}}, spec: {{{spec}}}, status: {{{status}}}}}";
        var pod = YamlText.Parse(text, "pod")!.Deserialize(KubeJson.Of<Pod>())!;
        Assert.Equal((why, $"kubectl --context=c1 -n shop {look}"), (ServicePods.Why(pod), ServicePods.Look(pod, "c1")));
    }

    /// <summary>A probe that begins later has not failed.</summary>
    [Theory]
    [InlineData("readinessProbe: {initialDelaySeconds: 3600, tcpSocket: {port: 80}}", "", 60, "", "readinessProbe",
        "is 3600, so the readiness probe of container web begins 3600 s after the start of the container, at 2026-06-01 01:00:00Z: Pod web-1 "
            + "is not ready before")]
    [InlineData("readinessProbe: {tcpSocket: {port: 80}}, startupProbe: {initialDelaySeconds: 90, tcpSocket: {port: 80}}", "started: false, ", 60, "",
        "startupProbe", "is 90, so the startup probe of container web begins 90 s after")]
    [InlineData("readinessProbe: {initialDelaySeconds: 90, tcpSocket: {port: 80}}, startupProbe: {tcpSocket: {port: 80}}", "started: false, ", 60, "", "", "")]
    [InlineData("readinessProbe: {initialDelaySeconds: 90, tcpSocket: {port: 80}}, startupProbe: {tcpSocket: {port: 80}}", "started: true, ", 60, "",
        "readinessProbe", "is 90")]
    [InlineData("readinessProbe: {initialDelaySeconds: 60, tcpSocket: {port: 80}}", "", 60, "", "", "")]
    [InlineData("readinessProbe: {initialDelaySeconds: 3600, tcpSocket: {port: 80}}", "", 60, "connection refused", "", "")]
    [InlineData("readinessProbe: {tcpSocket: {port: 80}}", "", 60, "", "", "")]
    public void A_probe_that_was_not_made_yet_is_no_failure(string probes, string started, int after, string said, string field, string message)
    {
        var since = new DateTimeOffset(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll($$"""
            apiVersion: v1
            kind: Pod
            metadata:
              {name: web-1, namespace: shop, labels: {pod-template-hash: abc}, ownerReferences: [{kind: ReplicaSet, name: web-abc, controller: true}] }
            spec: {containers: [{name: web, {{probes}} }] }
            status: {phase: Running, containerStatuses: [{name: web, ready: false, {{started}}state: {running: {startedAt: "2026-06-01T00:00:00Z"} } }] }
            """, "c1").OfType<JsonObject>());
        cluster.AddCheck("shop/web-1", said);
        var problem = UnreadyPods.Of(cluster, cluster.Pods.Single(), now: since.AddSeconds(after));
        Assert.Equal(("ISM2047", field.Length > 0 ? $"spec.template.spec.containers[0].{field}.initialDelaySeconds" : "status"), (problem.Code, problem.Path));
        if (field.Length == 0) return;
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
        Assert.EndsWith("kubectl --context=c1 -n shop edit deployment web", problem.Remedy, StringComparison.Ordinal);
        // Nobody says it without a clock.
        Assert.Equal("status", UnreadyPods.Of(cluster, cluster.Pods.Single()).Path);
    }

    /// <summary>An injector should have written the image of the gateway: the failed pull only follows from that.</summary>
    [Theory]
    [InlineData("istio-injection: disabled", "sidecar.istio.io/inject: 'true'",
        "it cannot start; namespace edge has istio-injection=disabled, which keeps injectors from its Pods, whatever they ask for",
        "remove the label: kubectl --context=c1 label namespace edge istio-injection-, and create the Pod again: its own label then suffices")]
    [InlineData("istio-injection: disabled", "app: door", "it cannot start; namespace edge has istio-injection=disabled, which keeps injectors from its Pods",
        "kubectl --context=c1 label namespace edge istio-injection=enabled --overwrite, and create the Pod again")]
    [InlineData("team: edge", "app: door", "it cannot start", "label the namespace or the Pod for injection (kubectl --context=c1 label namespace edge "
        + "istio-injection=enabled), and create the Pod again")]
    [InlineData("istio-injection: enabled", "app: door", "it cannot start, although namespace edge asks for injection",
        "see that the webhook of the control plane injects Pods (isthmus verify, isthmus analyze), and create the Pod again")]
    public void A_proxy_that_no_injector_gave_its_image_is_told(string ofNamespace, string ofPod, string says, string remedy)
    {
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll($$"""
            {apiVersion: v1, kind: Namespace, metadata: {name: edge, labels: { {{ofNamespace}} } } }
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: door, namespace: edge, labels: { {{ofPod}} } }
            spec: {containers: [{name: istio-proxy, image: auto}]}
            status: {phase: Pending, containerStatuses: [{name: istio-proxy, image: auto, state: {waiting: {reason: ErrImagePull} } }] }
            """, "c1").OfType<JsonObject>());
        var problem = UnreadyPods.Of(cluster, cluster.Pods.Single());
        Assert.Equal(("ISM2047", "Pod edge/door in c1", "spec.containers"), (problem.Code, problem.Object, problem.Path));
        Assert.Equal($"has image: auto: no injector changed it, and {says}", problem.Message);
        Assert.Equal(remedy, problem.Remedy);
    }

    private static readonly DateTimeOffset Made = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>The scheduler says why no Node takes a Pod: what keeps it is named, with its field.</summary>
    [Theory]
    [InlineData("0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are available", "", "Nodes of c1", "spec.unschedulable",
        "is true of Nodes, which take no new Pods (cordoned): Pod web-1 is on no Node", "kubectl --context=c1 uncordon NODE")]
    [InlineData("0/1 nodes are available: 1 Insufficient cpu.", "", "Deployment shop/web in c1", "spec.template.spec.containers[0].resources.requests.cpu",
        "is 64, and no Node has that much free", "lower it, or add Nodes")]
    [InlineData("0/1 nodes are available: 1 Insufficient memory.", "", "Pod shop/web-1 in c1", "status.conditions[PodScheduled]",
        "no Node has enough memory for it", "add Nodes")]
    [InlineData("0/1 nodes are available: persistentvolumeclaim \"data\" not found.", "", "PersistentVolumeClaim shop/data in c1", "",
        "does not exist, and spec.template.spec.volumes[1] of Deployment shop/web names it", "create it in namespace shop of c1, or correct claimName")]
    [InlineData("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", "", "PersistentVolumeClaim shop/data in c1", "status.phase",
        "is not Bound", "kubectl --context=c1 -n shop describe pvc data")]
    [InlineData("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.", "nodeSelector: {disk: ssd}, ", "Deployment shop/web in c1",
        "spec.template.spec.nodeSelector", "is disk=ssd, and no Node that is free has these labels", "correct it, or label a Node")]
    [InlineData("0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}.", "", "Deployment shop/web in c1", "spec.template.spec.tolerations",
        "has none for {dedicated: gpu}, a taint of Nodes", "add a toleration")]
    [InlineData("0/1 nodes are available: something new.", "", "Pod shop/web-1 in c1", "status", "is not ready: 0/1 nodes are available: something new.", "kubectl")]
    public void What_keeps_a_Pod_from_all_Nodes_is_named(string said, string spec, string owner, string path, string message, string remedy)
    {
        var cluster = Alone($"{spec}containers: [{{name: web, resources: {{requests: {{cpu: '64'}}}}}}], volumes: [{{name: a, emptyDir: {{}}}}, {{name: b, "
            + "persistentVolumeClaim: {claimName: data}}]", "phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: '"
            + said.Replace("'", "''", StringComparison.Ordinal) + "'}]");
        var problem = UnreadyPods.Of(cluster, cluster.Pods.Single(), now: Made.AddSeconds(3));
        Assert.Equal(("ISM2047", owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A limit of memory that is too small for the proxy is named where it is written.</summary>
    [Theory]
    [InlineData("sidecar.istio.io/proxyMemoryLimit: 8Mi", "metadata.annotations[sidecar.istio.io/proxyMemoryLimit]")]
    [InlineData("sidecar.istio.io/proxyMemoryLimit: 64Mi", "spec.containers[istio-proxy].resources.limits.memory")]
    public void A_proxy_that_is_killed_for_lack_of_memory_is_told_with_its_limit(string annotation, string path)
    {
        var text = "{apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, annotations: {" + annotation + "}}, spec: {containers: [{name: web}, "
            + "{name: istio-proxy, resources: {limits: {memory: 8Mi}}}]}, status: {phase: Running, containerStatuses: [{name: istio-proxy, ready: false, "
            + "restartCount: 2, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}, state: {waiting: {reason: CrashLoopBackOff}}}]}}";
        var cluster = ClusterObjects.From("c1", [(JsonObject)YamlText.Parse(text, "c1")!]);
        var problem = UnreadyPods.Of(cluster, cluster.Pods.Single());
        Assert.Equal(("ISM2047", "Pod shop/web-1 in c1", path), (problem.Code, problem.Object, problem.Path));
        Assert.Equal("is 8Mi, and container istio-proxy needed more, so that it was killed (OOMKilled, exit code 137; 2 restarts): the Pod is not ready",
            problem.Message);
        Assert.Contains("sidecar.istio.io/proxyMemoryLimit", problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("is true of node-b, which takes no new Pods (cordoned)", "when its maintenance is over: kubectl --context=c1 uncordon node-b; or add Nodes",
        "node-b")]
    [InlineData("is true of node-a, node-b, which take no new Pods",
        "when their maintenance is over: kubectl --context=c1 uncordon node-a node-b; or add Nodes",
        "node-b", "node-a")]
    public void Nodes_that_take_no_new_Pods_are_named(string message, string remedy, params string[] nodes)
    {
        var pod = Alone("containers: [{name: web}]", "phase: Pending, conditions: [{type: PodScheduled, status: 'False', message: '0/2 nodes are available: 2 "
            + "node(s) were unschedulable.'}]").Pods.Single();
        var cluster = ClusterObjects.From("c1", [.. nodes.Select(node => (JsonObject)YamlText.Parse(
            $"{{apiVersion: v1, kind: Node, metadata: {{name: {node}}}, spec: {{unschedulable: true}}}}", node)!),
            (JsonObject)YamlText.Parse("{apiVersion: v1, kind: Node, metadata: {name: full}}", "full")!]);
        var problem = UnreadyPods.Of(cluster, pod);
        Assert.Equal(("ISM2047", "Nodes of c1", remedy), (problem.Code, problem.Object, problem.Remedy));
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
    }

    /// <summary>Only the kubelet's events tell that a volume cannot be mounted.</summary>
    [Theory]
    [InlineData("MountVolume.SetUp failed for volume \"conf\" : configmap \"web-conf\" not found", "ConfigMap shop/web-conf in c1", "",
        "does not exist in this cluster, and spec.template.spec.volumes[0] of Deployment shop/web names it: no container of Pod web-1 is started")]
    [InlineData("MountVolume.SetUp failed for volume \"keys\" : secret \"web-keys\" not found", "Secret shop/web-keys in c1", "",
        "does not exist in this cluster, and spec.template.spec.volumes[1]")]
    [InlineData("MountVolume.SetUp failed for volume \"conf\" : configmap references non-existent config key: app.yaml", "ConfigMap shop/web-conf in c1",
        "data[app.yaml]", "does not exist, and spec.template.spec.volumes[0]")]
    [InlineData("MountVolume.SetUp failed for volume \"data\" : persistentvolumeclaim \"web-data\" not found", "PersistentVolumeClaim shop/web-data in c1", "",
        "does not exist in this cluster")]
    [InlineData("", "Pod shop/web-1 in c1", "status", "is not ready: its containers are not started yet (ContainerCreating)")]
    public void What_a_volume_names_and_does_not_exist_is_named(string said, string owner, string path, string message)
    {
        var cluster = Alone("containers: [{name: web}], volumes: [{name: conf, configMap: {name: web-conf}}, {name: keys, secret: {secretName: web-keys}}, "
            + "{name: data, persistentVolumeClaim: {claimName: web-data}}]",
            "phase: Pending, containerStatuses: [{name: web, ready: false, state: {waiting: {reason: ContainerCreating}}}]");
        cluster.AddCheck("shop/web-1", said);
        var problem = UnreadyPods.Of(cluster, cluster.Pods.Single(), now: Made.AddMinutes(3));
        Assert.Equal(("ISM2047", owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
    }

    /// <summary>It has no readiness probe, so that nothing but its volumes is asked about.</summary>
    [Fact]
    public void What_a_Pod_without_a_readiness_probe_cannot_mount_is_asked_for()
    {
        var scenario = new TraceScenario { Checked = "MountVolume.SetUp failed for volume \"data\" : persistentvolumeclaim \"orders-data\" not found" };
        scenario.Two = scenario.Two.Replace("{name: orders-b, namespace: shop", "{name: orders-b, namespace: away", StringComparison.Ordinal);
        scenario.One = scenario.One.Replace("status: {phase: Running, podIP: 10.1.0.5, conditions: [{type: Ready, status: \"True\"}]}",
            "status: {phase: Pending, containerStatuses: [{name: web, ready: false, state: {waiting: {reason: PodInitializing}}}]}", StringComparison.Ordinal);
        scenario.Client = scenario.Client.Replace("\"lb_endpoints\": [", "\"ignored\": [", StringComparison.Ordinal);
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal(("ISM2047", "PersistentVolumeClaim shop/orders-data in c1"), (problem.Code, problem.Object));
    }

    /// <summary>Only events tell of a hook, and of what a startup probe met.</summary>
    [Theory]
    [InlineData("lifecycle: {postStart: {exec: {command: [/opt/register.sh]}}}", "PostStartHook failed: stat /opt/register.sh: no such file or directory", 9,
        "is not ready: container web runs, and has not become ready: PostStartHook failed: stat /opt/register.sh")]
    [InlineData("startupProbe: {failureThreshold: 60, tcpSocket: {port: 8081}}", "Startup probe failed: dial tcp 10.1.0.5:8081: connection refused", 9,
        "is not ready yet: it is starting, and nothing else says that it fails; container web runs for 7 s, and its startup probe has not succeeded so far: "
            + "Startup probe failed: dial tcp 10.1.0.5:8081")]
    public void What_the_kubelet_says_of_a_container_that_runs_is_told(string field, string said, int after, string message)
    {
        var cluster = Alone($"containers: [{{name: web, {field}}}]",
            "phase: Running, containerStatuses: [{name: web, ready: false, started: false, state: {running: {startedAt: '2026-06-01T00:00:02Z'}}}]");
        cluster.AddCheck("shop/web-1", said);
        Assert.StartsWith(message, UnreadyPods.Of(cluster, cluster.Pods.Single(), now: Made.AddSeconds(after)).Message, StringComparison.Ordinal);
    }

    /// <summary>The mesh's own containers call nothing.</summary>
    [Fact]
    public void Calls_of_the_containers_of_the_mesh_are_not_spoken_of() => Assert.Equal("",
        ServicePods.Unproxied(Alone("initContainers: [{name: istio-init}], containers: [{name: web}, {name: istio-proxy}]", "phase: Pending").Pods.Single(),
            "istio-init"));

    /// <summary>Its proxy never finds the control plane, however long one waits.</summary>
    [Fact]
    public void A_Pod_whose_proxy_finds_no_control_plane_is_not_said_to_start()
    {
        var cluster = Alone("dnsPolicy: Default, containers: [{name: web}, {name: istio-proxy, startupProbe: {failureThreshold: 600, tcpSocket: {port: 1}}}]",
            "phase: Pending, containerStatuses: [{name: web, ready: true}, {name: istio-proxy, ready: false, state: {running: {startedAt: "
                + "'2026-06-01T00:00:02Z'}}}]");
        cluster.AddCheck("shop/web-1", "");
        var problem = UnreadyPods.Of(cluster, cluster.Pods.Single(), now: Made.AddSeconds(9));
        Assert.Contains("dnsPolicy Default keeps it from the cluster's DNS, by which it finds its control plane", problem.Message, StringComparison.Ordinal);
    }

    /// <summary>A Pod that was just made starts: nothing has failed.</summary>
    [Theory]
    [InlineData("", "", 3, "is not ready yet: it is starting, and nothing says that it fails; it was created 3 s ago")]
    [InlineData("", "state: {waiting: {reason: ContainerCreating}}", 9, "is not ready yet: it is starting, and nothing says that it fails; it was created 9 s ago")]
    [InlineData("", "state: {waiting: {reason: ContainerCreating}}", 45, "is not ready: its containers are not started yet (ContainerCreating)")]
    [InlineData("", "state: {waiting: {reason: ImagePullBackOff}}", 3, "is not ready: container web waits: ImagePullBackOff")]
    [InlineData("", "state: {running: {startedAt: '2026-06-01T00:00:02Z'}}", 12,
        "is not ready yet: it is starting, and nothing says that it fails; container web runs for 10 s, and its readiness probe has not succeeded so far")]
    [InlineData("", "restartCount: 1, state: {running: {startedAt: '2026-06-01T00:00:02Z'}}", 12, "is not ready: the readiness probe of container web")]
    [InlineData("connection refused", "state: {running: {startedAt: '2026-06-01T00:00:02Z'}}", 12, "is not ready: the readiness probe of container web")]
    [InlineData("", "state: {running: {startedAt: '2026-06-01T00:00:02Z'}}", 40, "is not ready: the readiness probe of container web")]
    public void A_Pod_that_starts_is_told_from_one_that_fails(string said, string status, int after, string message)
    {
        var cluster = Alone("containers: [{name: web, readinessProbe: {tcpSocket: {port: 80}}}]",
            status.Length == 0 ? "phase: Pending" : $"phase: Pending, containerStatuses: [{{name: web, ready: false, {status}}}]");
        cluster.AddCheck("shop/web-1", said);
        var problem = UnreadyPods.Of(cluster, cluster.Pods.Single(), now: Made.AddSeconds(after));
        Assert.Equal(("ISM2047", "Pod shop/web-1 in c1"), (problem.Code, problem.Object));
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
    }

    /// <summary>A Deployment that replaces all Pods at once has none while the old one ends.</summary>
    [Theory]
    [InlineData("Recreate", "spec.strategy.type", "is Recreate, and Pod web-0 still ends, until 2026-06-01 00:01:00Z at the latest")]
    [InlineData("RollingUpdate", "status", "has no Pods")]
    public void A_Pod_that_has_not_ended_keeps_its_successor_away(string strategy, string path, string message)
    {
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll($$"""
            {apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {replicas: 1, strategy: {type: {{strategy}} }, template: {metadata: {labels: {app: web} } } } }
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop, labels: {app: web}, deletionTimestamp: "2026-06-01T00:01:00Z"}, spec: {containers: [{name: web}]} }
            """, "c1").OfType<JsonObject>());
        var problem = RefusedPods.Missing(cluster, cluster.Deployments[0]);
        Assert.Equal(("ISM2048", "Deployment shop/web in c1", path), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
    }

    /// <summary>A cluster with one Pod of a Deployment.</summary>
    private static ClusterObjects Alone(string spec, string status) => ClusterObjects.From("c1", YamlText.ParseAll($$"""
        apiVersion: v1
        kind: Pod
        metadata:
          {name: web-1, namespace: shop, creationTimestamp: "2026-06-01T00:00:00Z", labels: {pod-template-hash: abc}, ownerReferences: [{kind: ReplicaSet, name: web-abc, controller: true}] }
        spec: { {{spec}} }
        status: { {{status}} }
        """, "c1").OfType<JsonObject>());

    /// <summary>Another cluster may have what the environment of a container names.</summary>
    [Theory]
    [InlineData("secret \"db\" not found", "Secret shop/db in c1", "", "does not exist in this cluster, and container web of Deployment shop/web is not started",
        "create it in namespace shop of c1; if another cluster")]
    [InlineData("configmap \"db\" not found", "ConfigMap shop/db in c1", "", "does not exist in this cluster", "create it in namespace shop")]
    [InlineData("couldn't find key password in Secret shop/db", "Secret shop/db in c1", "data[password]", "does not exist, and container web", "add the key")]
    [InlineData("something else", "Pod shop/web-1 in c1", "status", "is not ready: container web waits: CreateContainerConfigError something else", "kubectl")]
    public void What_the_environment_of_a_container_names_and_does_not_exist_is_named(string said, string owner, string path, string message, string remedy)
    {
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll($$"""
            {apiVersion: v1, kind: Pod, spec: {containers: [{name: web}] }, metadata: {name: web-1, namespace: shop, labels: {pod-template-hash: abc},
             ownerReferences: [{kind: ReplicaSet, name: web-abc, controller: true}] },
             status: {phase: Pending, containerStatuses: [{name: web, ready: false,
               state: {waiting: {reason: CreateContainerConfigError, message: '{{said.Replace("'", "''", StringComparison.Ordinal)}}'} } }] } }
            """, "c1").OfType<JsonObject>());
        var problem = UnreadyPods.Of(cluster, cluster.Pods.Single());
        Assert.Equal(("ISM2047", owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    private const string Rewritten = "{httpGet: {path: /app-health/web/readyz, port: 15020}}", Told = "{name: istio-proxy, env: [{name: "
        + "ISTIO_KUBE_APP_PROBERS, value: '{\"/app-health/web/readyz\":{\"httpGet\":{\"path\":\"/healthz\",\"port\":8080}}}'}]}";

    [Theory]
    [InlineData(Rewritten, Told, "HTTP probe failed with statuscode: 404", "", "Deployment shop/web in c1",
        "spec.template.spec.containers[0].readinessProbe.httpGet.path",
        "is /healthz, and container web of Pod web-1 answers 404 to it at port 8080, so the Pod is not ready")]
    [InlineData("{httpGet: {path: healthz, port: http}}", "{name: log}", "HTTP probe failed with statuscode: 404", "", "Deployment shop/web in c1",
        "spec.template.spec.containers[0].readinessProbe.httpGet.path",
        "is /healthz, and container web of Pod web-1 answers 404 to it at port 8080, so the Pod is not ready")]
    [InlineData(Rewritten, Told, "HTTP probe failed with statuscode: 500", "8081", "Deployment shop/web in c1",
        "spec.template.spec.containers[0].readinessProbe.httpGet.port",
        "is 8080, where nothing listens in Pod web-1, so it is not ready: its programs listen on 8081")]
    [InlineData(Rewritten, Told, "HTTP probe failed with statuscode: 503", "8080", "Pod shop/web-1 in c1", "status",
        "is not ready: the readiness probe of container web (GET /healthz at port 8080) fails: HTTP probe failed with statuscode: 503")]
    [InlineData("{timeoutSeconds: 2, httpGet: {path: /slow, port: 8080}}", "{name: log}",
        "Get \"http://10.1.0.5:8080/slow\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)", "8080", "Deployment shop/web in c1",
        "spec.template.spec.containers[0].readinessProbe.timeoutSeconds",
        "is 2, and container web of Pod web-1 does not answer the probe (GET /slow at port 8080) within it, so the Pod is not ready: Get \"http://10.1.0.5:8080/slow\": "
            + "context deadline exceeded (Client.Timeout exceeded while awaiting headers)")]
    [InlineData("{tcpSocket: {port: 9090}}", "{name: log}", "", "8080", "Deployment shop/web in c1",
        "spec.template.spec.containers[0].readinessProbe.tcpSocket.port",
        "is 9090, where nothing listens in Pod web-1, so it is not ready: its programs listen on 8080")]
    [InlineData("{exec: {command: [test]}}", "{name: log}", "no such file", "8080", "Pod shop/web-1 in c1", "status",
        "is not ready: the readiness probe of container web (command test) fails: no such file")]
    public void A_readiness_probe_that_asks_for_what_is_not_there_is_told(string probe, string other, string said, string listening, string owner, string path,
        string message)
    {
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll($$"""
            apiVersion: v1
            kind: Pod
            metadata:
              {name: web-1, namespace: shop, labels: {pod-template-hash: abc}, ownerReferences: [{kind: ReplicaSet, name: web-abc, controller: true}] }
            spec: {containers: [{name: web, ports: [{name: http, containerPort: 8080}], readinessProbe: {{probe}} }, {{other}}] }
            status: {phase: Running, containerStatuses: [{name: web, ready: false, state: {running: {} } }] }
            """, "c1").OfType<JsonObject>());
        var pod = cluster.Pods.Single();
        cluster.AddCheck("shop/web-1", said);
        var problem = UnreadyPods.Of(cluster, pod, listening: listening.Length == 0 ? null : [.. listening.Split(',').Select(int.Parse)]);
        Assert.Equal(("ISM2047", owner, path, message), (problem.Code, problem.Object, problem.Path, problem.Message));
    }

    [Fact]
    public void The_walk_asks_why_the_readiness_probe_of_a_Pod_fails()
    {
        var scenario = new TraceScenario { Checked = "HTTP probe failed with statuscode: 404" };
        scenario.Client = scenario.ClientOfOne;
        scenario.Two = scenario.Two.Replace("{name: web, ports: [{containerPort: 8080}]}",
                "{name: web, ports: [{containerPort: 8080}], readinessProbe: {httpGet: {path: /up, port: 8080}}}", StringComparison.Ordinal)
            .Replace("podIP: 10.1.0.5, conditions: [{type: Ready, status: \"True\"}]", "podIP: 10.1.0.5, conditions: [{type: Ready, status: \"False\"}], "
                + "containerStatuses: [{name: web, ready: false, state: {running: {}}}]", StringComparison.Ordinal);
        var warning = Assert.Single(scenario.Walk().Hops, hop => hop.Name == "capacity").Problem!;
        Assert.Equal(("ISM2047", "Pod shop/orders-b in c2", "spec.containers[0].readinessProbe.httpGet.path"),
            (warning.Code, warning.Object, warning.Path));
    }

    /// <summary>A program may open one port before the other: that of a debugger comes first.</summary>
    [Theory]
    [InlineData(5005, 10, "", "status")]
    [InlineData(5005, 3600, "", "spec.containers[0].readinessProbe.httpGet.port")]
    [InlineData(8081, 10, "", "spec.containers[0].readinessProbe.httpGet.port")]
    [InlineData(15030, 3600, "", "spec.containers[0].readinessProbe.httpGet.port")]
    [InlineData(8081, 3600, "host: db.example.com, ", "status")]
    public void A_program_that_still_starts_is_not_said_to_listen_elsewhere(int listening, int seconds, string host, string path)
    {
        var scenario = new TraceScenario { Checked = "connection refused" };
        scenario.Client = scenario.ClientOfOne;
        scenario.CalleeThere = scenario.CalleeThere.Replace("\"0.0.0.0:8080\"", $"\"0.0.0.0:{listening}\"", StringComparison.Ordinal);
        scenario.Two = scenario.Two.Replace("{name: web, ports: [{containerPort: 8080}]}",
                $"{{name: web, ports: [{{containerPort: 8081}}], readinessProbe: {{httpGet: {{{host}path: /up, port: 8080}}}}}}", StringComparison.Ordinal)
            .Replace("podIP: 10.1.0.5, conditions: [{type: Ready, status: \"True\"}]", "podIP: 10.1.0.5, conditions: [{type: Ready, status: \"False\"}], "
                + $"containerStatuses: [{{name: web, ready: false, state: {{running: {{startedAt: \"{TraceScenario.Now.AddSeconds(-seconds):O}\"}}}}}}]",
                StringComparison.Ordinal);
        var warning = Assert.Single(scenario.Walk().Hops, hop => hop.Name == "capacity").Problem!;
        Assert.Equal(("ISM2047", "Pod shop/orders-b in c2", path), (warning.Code, warning.Object, warning.Path));
    }

    [Fact]
    public void A_static_Pod_is_its_own_owner()
    {
        var pod = YamlText.Parse("{metadata: {name: web-node-a, namespace: shop, ownerReferences: [{kind: Node, name: node-a, controller: true}]}}", "pod")!
            .Deserialize(KubeJson.Of<Pod>())!;
        Assert.Equal(("Pod", "web-node-a"), ServicePods.OwnerOf(pod));
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

    /// <summary>Proxies find their control plane by a name of the cluster.</summary>
    [Theory]
    [InlineData("nameservers: [10.96.0.10]", "spec.dnsConfig.searches", "no cluster.local in searches of dnsConfig",
        "add cluster.local to searches of dnsConfig")]
    [InlineData("nameservers: [8.8.8.8], searches: [cluster.local]", "spec.dnsConfig.nameservers",
        "dnsPolicy None with the nameservers 8.8.8.8 keeps the Pod from", "name the cluster's DNS in dnsConfig: 10.96.0.10")]
    [InlineData("nameservers: [169.254.20.10], searches: [cluster.local]", "", "it has not reached a control plane", "isthmus proxy-status")]
    public void A_Pod_whose_DNS_does_not_lead_to_its_control_plane_is_told(string dns, string path, string says, string remedy)
    {
        var scenario = new TraceScenario { Client = """{"config_dump": {"configs": []}, "clusters": {}, "pod": {"listening": []}}""" };
        scenario.One = scenario.One.Replace("labels: {app: buyer}}, spec: {", $"labels: {{app: buyer}}}}, spec: {{dnsPolicy: None, dnsConfig: {{{dns}}}, ",
            StringComparison.Ordinal) + "\n---\n{apiVersion: v1, kind: Service, metadata: {name: kube-dns, namespace: kube-system, "
            + "labels: {k8s-app: kube-dns}}, spec: {clusterIP: 10.96.0.10, ports: [{name: dns, port: 53}]}}";
        var trace = scenario.Walk("orders:80");
        var problem = trace.Failure!.Problem!;
        Assert.Equal(("ISM2003", path), (problem.Code, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
        Assert.Equal("http://orders:80/", trace.Target);
    }

    /// <summary>What comes after an init container starts only when it has ended.</summary>
    [Theory]
    [InlineData("[{name: wait}, {name: istio-init}]", "wait", "; it runs before the Pod's proxy, so its calls leave in plain text", true)]
    [InlineData("[{name: istio-init}, {name: wait}]", "wait", "; it runs while connections already go to the Pod's proxy", true)]
    [InlineData("[{name: istio-init}, {name: istio-proxy, restartPolicy: Always}, {name: wait}]", "wait", "", true)]
    [InlineData("[{name: istio-init}, {name: wait, restartPolicy: Always}]", "wait", "", false)]
    [InlineData("[{name: istio-init}]", "istio-init", "", false)]
    public void An_init_container_that_does_not_end_is_named(string containers, string running, string says, bool isNamed)
    {
        var proxy = containers.Contains("istio-proxy", StringComparison.Ordinal) ? "" : ", {name: istio-proxy}";
        var pod = $$$"""
            apiVersion: v1
            kind: Pod
            metadata: {name: orders-5d4-x, namespace: shop, labels: {app: orders, pod-template-hash: 5d4}, ownerReferences: [{kind: ReplicaSet, name: orders-5d4, controller: true}]}
            spec: {initContainers: {{{containers}}}, containers: [{name: web}{{{proxy}}}]}
            status: {phase: Pending, initContainerStatuses: [{name: {{{running}}}, state: {running: {startedAt: '2026-06-01T00:00:00Z'} } },
               {name: other, state: {waiting: {reason: PodInitializing} } }]}
            """;
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll(pod, "c1").OfType<JsonObject>());
        var problem = UnreadyPods.Of(cluster, cluster.Pods[0]);
        Assert.Equal(isNamed ? ("Deployment shop/orders in c1", "spec.template.spec.initContainers[0]") : ("Pod shop/orders-5d4-x in c1", "status"),
            (problem.Object, problem.Path));
        if (!isNamed) return;
        Assert.StartsWith("wait runs since 2026-06-01 00:00:00Z and has not ended", problem.Message, StringComparison.Ordinal);
        Assert.Contains($"Pod orders-5d4-x is not ready{says}", problem.Message, StringComparison.Ordinal);
        Assert.Equal(says.Length > 0, problem.Remedy.Contains("sidecar.istio.io/nativeSidecar", StringComparison.Ordinal));
    }

    /// <summary>Any other value than enabled has the effect of disabled.</summary>
    [Fact]
    public void The_label_of_a_namespace_that_was_mistyped_is_named()
    {
        var cluster = ClusterObjects.From("c1", YamlText.ParseAll("""
            {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio-injection: 'true'}}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: job, namespace: shop}, spec: {containers: [{name: web}]}}
            """, "c1").OfType<JsonObject>());
        var found = Sidecarless.Of(cluster, cluster.Pods[0]);
        Assert.Equal(("Namespace shop in c1", "metadata.labels[istio-injection]"), (found.Object, found.Field));
        Assert.Equal("is \"true\", which has the effect of disabled: Pod shop/job in c1 ", found.Because);
        Assert.StartsWith("kubectl --context=c1 label namespace shop istio-injection=enabled --overwrite", found.Remedy, StringComparison.Ordinal);
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
            metadata: {name: injector, labels: {app: sidecar-injector} }
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

    [Theory]
    [InlineData("orders-1.orders.shop", true, "ISM2104", "StatefulSet shop/orders in c1", "spec.replicas", "makes Pod orders-0 only, and no Pod orders-1",
        "kubectl --context=c1 -n shop scale statefulset orders --replicas=2; or call orders-0.orders.shop")]
    [InlineData("orders-0.orders.shop", false, "ISM2047", "Pod shop/orders-0 in c1", "status", "is not ready", "describe pod orders-0")]
    public void A_Pod_of_a_StatefulSet_that_is_not_there_or_not_ready_has_no_name(string host, bool isReady, string code, string owner, string path,
        string message, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("metadata: {name: orders-a, namespace: shop, labels: {app: orders, version: v1}}, spec: {",
            "metadata: {name: orders-0, namespace: shop, labels: {app: orders, version: v1}, ownerReferences: "
                + "[{kind: StatefulSet, name: orders, controller: true}]}, spec: {subdomain: orders, ", StringComparison.Ordinal)
            .Replace("clusterIP: 10.96.0.5", "clusterIP: None", StringComparison.Ordinal);
        if (!isReady) scenario.One = scenario.One.Replace("status: \"True\"", "status: \"False\"", StringComparison.Ordinal);
        scenario.Two = scenario.Two.Replace("clusterIP: 10.96.0.5", "clusterIP: None", StringComparison.Ordinal);
        scenario.Client = scenario.Client.Replace("\"host\": \"orders\"", $"\"host\": \"{host}\"", StringComparison.Ordinal)
            .Replace("\"addresses\": [\"10.96.0.5\"]", "\"addresses\": []", StringComparison.Ordinal);
        var problem = scenario.Walk($"{host}/").Failure?.Problem;
        Assert.Equal((code, owner, path), (problem?.Code, problem?.Object, problem?.Path));
        Assert.Contains(message, problem!.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Nothing keeps calls from a Pod whose application does not listen yet.</summary>
    [Theory]
    [InlineData("", true, "Pod shop/orders-a in c1", "spec.containers[0].readinessProbe", "is not set, so that Pod orders-a gets calls as soon as it runs: container "
        + "web started 6 s ago, and nothing listens on port 8080 yet", "add a readinessProbe")]
    [InlineData("publishNotReadyAddresses: true, ", false, "Service shop/orders in c1", "spec.publishNotReadyAddresses",
        "is true, so that calls come to Pods that are not ready: nothing listens on port 8080 of Pod orders-a", "remove it, unless")]
    public void A_Pod_that_gets_calls_before_it_listens_is_told(string spec, bool isReady, string owner, string path, string message, string remedy)
    {
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "declared and closed");
        var started = TraceScenario.Now.AddSeconds(-6).UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", System.Globalization.CultureInfo.InvariantCulture);
        var state = $"containerStatuses: [{{name: web, ready: {(isReady ? "true" : "false")}, state: {{running: {{startedAt: \"{started}\"}}}}}}], conditions: "
            + $"[{{type: Ready, status: \"{(isReady ? "True" : "False")}\"}}]";
        scenario.One = scenario.One.Replace("selector: {app: orders}, ports", $"{spec}selector: {{app: orders}}, ports", StringComparison.Ordinal)
            .Replace("podIP: 10.1.0.5, conditions: [{type: Ready, status: \"True\"}]", $"podIP: 10.1.0.5, {state}", StringComparison.Ordinal);
        var trace = scenario.Walk();
        var problem = trace.Failure!.Problem!;
        Assert.Equal(("ISM2072", owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
        Assert.DoesNotContain(trace.Hops, hop => hop.Name == "capacity");
    }

    /// <summary>A worker with the labels of an application that runs in the other cluster.</summary>
    [Theory]
    [InlineData("worker", true)]
    [InlineData("orders", false)]
    public void A_workload_that_may_have_the_labels_of_a_Service_by_mistake_is_told(string name, bool isTold)
    {
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "declared and closed");
        scenario.Callee = scenario.Callee.Replace("\"0.0.0.0:9090\", ", "", StringComparison.Ordinal).Replace("\"0.0.0.0:9090\"", "", StringComparison.Ordinal);
        (scenario.One, scenario.Two) = (Owned(scenario.One, name), Owned(scenario.Two, "orders"));
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal("ISM2072", problem.Code);
        Assert.Equal(isTold, problem.Remedy.Contains("; or, if Deployment worker is not meant to serve Service shop/orders in c1, as Deployment orders in "
            + "c2 does, change its labels", StringComparison.Ordinal));
    }

    private static string Owned(string yaml, string owner) => yaml.Replace("labels: {app: orders, version: v1}}, spec",
        $"labels: {{app: orders, version: v1, pod-template-hash: x1}}, ownerReferences: [{{controller: true, kind: ReplicaSet, name: {owner}-x1}}]}}, spec",
        StringComparison.Ordinal);
}
