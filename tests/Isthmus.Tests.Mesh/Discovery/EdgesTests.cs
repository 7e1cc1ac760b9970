using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Discovery;

/// <summary>Differences between clusters and the edges of networks: Pods by name, ports, localities, gateways of other
/// kinds.</summary>
[Collection(nameof(PlacedMesh))]
[Trait("shard", nameof(PlacedMesh))]
public sealed class EdgesTests(PlacedMeshRig mesh)
{
    [Fact]
    public async Task A_pod_of_a_stateful_set_is_reached_by_name_through_the_far_gateway()
    {
        await EdgeAsync();
        // The own cluster first; then the only one with that name; then the one that is named.
        await HearsAsync("curl -sS -m 5 ring-0.ring:5000/hello", "in-cluster1, instance: ring-0");
        foreach (var pod in (string[])["ring-1", "ring-2"])
        {
            await HearsAsync($"curl -sS -m 5 {pod}.ring:5000/hello", $"in-cluster2, instance: {pod}");
            await HearsAsync($"curl -sS -m 5 -H 'Host: ring' {pod}.ring.edge.svc.cluster.local:5000/hello", $"in-cluster2, instance: {pod}");
            await HearsAsync($"exec 3<>/dev/tcp/{pod}.ring/7085; timeout 5 cat <&3", "in-cluster2");
        }
        await HearsAsync("curl -sS -m 5 ring-0.cluster2.ring:5000/hello", "in-cluster2, instance: ring-0");
        // The headless name resolves to all four. Pods without names of their own are reached by the headless name.
        await HearsAsync("for ip in $(getent ahostsv4 ring | cut -d' ' -f1 | sort -u); do curl -sS -m 5 $ip:5000/hello; done",
            text => Instances(text).SequenceEqual(["in-cluster1 ring-0", "in-cluster2 ring-0", "in-cluster2 ring-1", "in-cluster2 ring-2"]),
            "all four Pods, each at its own address");
        await HearsAsync("exec 3<>/dev/tcp/feed/7001; echo one >&3; timeout 5 head -1 <&3", "fed one");

        var before = await AskAsync("getent ahostsv4 ring-1.ring | head -1");
        await mesh.ScriptAsync("cluster2", "edge", "ring-1", "web", "echo kept > /data/file");
        // kubectl may miss the end of a Pod that is at once made again with the same name, and would wait for ever.
        const string uidOf = "-n edge get pod ring-1 --ignore-not-found -o jsonpath={.metadata.uid}";
        var uid = await mesh.KubectlAsync("cluster2", uidOf);
        await mesh.KubectlAsync("cluster2", "-n edge delete pod ring-1 --wait=false");
        await MeshRig.UntilAsync(() => mesh.KubectlAsync("cluster2", uidOf), text => text.Length > 0 && text != uid, "the Pod is made again");
        await mesh.KubectlAsync("cluster2", "-n edge rollout status statefulset/ring --timeout=90s");
        await HearsAsync("curl -sS -m 5 ring-1.ring:5000/hello", "in-cluster2, instance: ring-1");
        Assert.Equal(before, await AskAsync("getent ahostsv4 ring-1.ring | head -1"));
        Assert.Equal("kept", (await mesh.ScriptAsync("cluster2", "edge", "ring-1", "web", "cat /data/file")).Trim());
    }

    [Fact]
    public async Task A_Job_with_a_native_sidecar_ends_and_its_init_containers_are_in_the_mesh()
    {
        await EdgeAsync();
        // ring-1 exists only in the other cluster, behind its gateway.
        const string call = "curl -sS -m 5 ring-1.ring:5000/hello";
        await HearsAsync(call, "in-cluster2, instance: ring-1");
        await mesh.WithFileAsync($$"""
            apiVersion: batch/v1
            kind: Job
            metadata: {name: errand, namespace: edge}
            spec:
              backoffLimit: 0
              template:
                metadata: {annotations: {sidecar.istio.io/nativeSidecar: "true"} }
                spec:
                  restartPolicy: Never
                  initContainers: [{name: before, image: host.lab.internal/rootfs, command: [sh, -c, "{{call}}"]}]
                  containers: [{name: main, image: host.lab.internal/rootfs, command: [sh, -c, "{{call}}"]}]
            """, path => mesh.KubectlAsync("cluster1", $"apply -f {path}"));
        await mesh.KubectlAsync("cluster1", "-n edge wait --for=condition=complete job/errand --timeout=90s");
        foreach (var container in (string[])["before", "main"])
            Assert.Contains("in-cluster2, instance: ring-1", await mesh.KubectlAsync("cluster1", $"-n edge logs job/errand -c {container}"),
                StringComparison.Ordinal);
        var pod = JsonNode.Parse(await mesh.KubectlAsync("cluster1", "-n edge get pods -l job-name=errand -o json"))!["items"]!.AsArray().Single()!;
        Assert.Equal(["istio-init", "istio-proxy", "before"], pod["spec"]!["initContainers"]!.AsArray().Select(one => one!["name"]!.ToString()));
        // It has drained, so it ends at once, and by itself.
        Assert.Equal((0, 0),
            ((int)pod["status"]!["initContainerStatuses"]![1]!["state"]!["terminated"]!["exitCode"]!,
                (int)pod["status"]!["initContainerStatuses"]![1]!["restartCount"]!));
        Assert.DoesNotContain("FailedPreStopHook", await mesh.KubectlAsync("cluster1", "-n edge get events"), StringComparison.Ordinal);
        Assert.Contains("0/2", await mesh.KubectlAsync("cluster1", "-n edge get pods -l job-name=errand"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Probes_hooks_and_scrapes_reach_an_application_that_accepts_only_the_mesh()
    {
        await EdgeAsync();
        await mesh.WithFileAsync("""
            apiVersion: security.istio.io/v1
            kind: PeerAuthentication
            metadata: {name: clerk, namespace: edge}
            spec: {selector: {matchLabels: {app: clerk}}, mtls: {mode: STRICT}}
            ---
            apiVersion: v1
            kind: Pod
            metadata:
              name: clerk
              namespace: edge
              labels: {app: clerk}
              annotations: {prometheus.io/scrape: "true", prometheus.io/port: "5000", prometheus.io/path: /hello}
            spec:
              terminationGracePeriodSeconds: 20
              containers:
              - name: web
                image: docker.io/istio/examples-helloworld-v1:1.0
                ports: [{name: web, containerPort: 5000}]
                startupProbe: {httpGet: {path: /health, port: web}, periodSeconds: 1, failureThreshold: 60}
                livenessProbe: {tcpSocket: {port: web}, periodSeconds: 1, timeoutSeconds: 30}
                readinessProbe: {httpGet: {path: /health, port: 5000}, periodSeconds: 1}
                lifecycle: {preStop: {httpGet: {path: /hello, port: web}}}
            """, path => mesh.KubectlAsync("cluster1", $"apply -f {path}"));
        await mesh.KubectlAsync("cluster1", "-n edge wait --for=condition=ready pod/clerk --timeout=90s");
        Assert.Equal("0 0", await mesh.KubectlAsync("cluster1", "-n edge get pod clerk -o jsonpath={.status.containerStatuses[*].restartCount}"));
        // Where injection leads Prometheus: the proxy fetches what the application says.
        var annotations = JsonNode.Parse(await mesh.KubectlAsync("cluster1", "-n edge get pod clerk -o json"))!["metadata"]!["annotations"]!;
        Assert.Equal(("15020", "/stats/prometheus"), (annotations["prometheus.io/port"]!.ToString(), annotations["prometheus.io/path"]!.ToString()));
        var scrape = await mesh.KubectlAsync("cluster1", "get --raw /api/v1/namespaces/edge/pods/clerk:15020/proxy/stats/prometheus");
        foreach (var part in (string[])["istio_build{component=\"proxy\"", "istio_agent_cert_expiry_seconds{", "Hello version: v1, instance: clerk"])
            Assert.Contains(part, scrape, StringComparison.Ordinal);
        await mesh.KubectlAsync("cluster1", "-n edge delete pod clerk");
        var events = await MeshRig.UntilAsync(() => mesh.KubectlAsync("cluster1", "-n edge get events --field-selector involvedObject.name=clerk"),
            text => text.Contains("Stopping container web", StringComparison.Ordinal), "the Pod's end is told");
        Assert.DoesNotContain("FailedPreStopHook", events, StringComparison.Ordinal);
        await mesh.KubectlAsync("cluster1", "-n edge delete peerauthentication clerk");
    }

    [Fact]
    public async Task A_stateful_set_scales_in_order_and_its_claims_can_be_given_back()
    {
        await EdgeAsync();
        await mesh.KubectlAsync("cluster2", "-n edge scale statefulset/ring --replicas=2");
        await MeshRig.UntilAsync(() => mesh.KubectlAsync("cluster2", "-n edge get pods -l app=ring -o name"),
            text => !text.Contains("ring-2", StringComparison.Ordinal), "ring-2 leaves");
        await mesh.KubectlAsync("cluster2", "-n edge delete pvc data-ring-2");
        await MeshRig.UntilAsync(() => mesh.KubectlAsync("cluster2", "get pv"), text => !text.Contains("data-ring-2", StringComparison.Ordinal),
            "its volume leaves");
        await MeshRig.UntilAsync(() => AskAsync("getent ahostsv4 ring-2.ring || echo none"), text => text.Trim() == "none", "its name leaves");
        await mesh.KubectlAsync("cluster2", "-n edge scale statefulset/ring --replicas=3");
        await mesh.KubectlAsync("cluster2", "-n edge rollout status statefulset/ring --timeout=90s");
        await HearsAsync("curl -sS -m 5 ring-2.ring:5000/hello", "in-cluster2, instance: ring-2");
    }

    [Fact]
    public async Task Ports_that_differ_work_and_are_told_of()
    {
        await EdgeAsync();
        await HearsAsync("for i in $(seq 12); do curl -sS -m 5 desk:8085/hello; done",
            text => text.Contains("in-cluster1", StringComparison.Ordinal) && text.Contains("in-cluster2", StringComparison.Ordinal), "both clusters answer");
        await HearsAsync("exec 3<>/dev/tcp/desk/7085; timeout 5 cat <&3", "desk of cluster2");
        string[] told = ["port 8085 is named 'http-pages' in cluster1 and 'http-web' in cluster2", "port 7085 of cluster2 does not exist in cluster1"];
        var lab = await mesh.LabAsync();
        await MeshRig.UntilAsync(async () => string.Join('\n',
            JsonNode.Parse((await lab.IsthmusAsync("verify", "-o", "json")).Expect(0))!.AsArray().Select(check => check!["problem"]?["message"]?.ToString())),
            text => told.All(words => text.Contains(words, StringComparison.Ordinal)), "verify tells of the ports, and finds no error");
    }

    [Fact]
    public async Task The_own_region_answers_while_it_can_and_the_other_one_then()
    {
        await EdgeAsync();
        await ApplyAsync("trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}}");
        await HearsAsync("for i in $(seq 20); do curl -sS -m 5 desk:8085/hello; done", text => Versions(text).SequenceEqual(["in-cluster1"]),
            "only the own region");
        await mesh.KubectlAsync("cluster1", "-n edge scale deployment/desk --replicas=0");
        await HearsAsync("for i in $(seq 5); do curl -sS -m 5 desk:8085/hello; done", text => Versions(text).SequenceEqual(["in-cluster2"]),
            "the other region");
        await mesh.KubectlAsync("cluster1", "-n edge scale deployment/desk --replicas=1");
        await mesh.KubectlAsync("cluster1", "-n edge rollout status deployment/desk --timeout=90s");

        // Weights, and failover for what the endpoints cannot handle.
        await ApplyAsync(
            "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}, loadBalancer: {localityLbSetting: {distribute: [{from: eu/*, to: {'us/*': 100}}], "
                + "failover: [{from: eu, to: us}]}}}");
        await HearsAsync("for i in $(seq 20); do curl -sS -m 5 desk:8085/hello; done", text => Versions(text).SequenceEqual(["in-cluster2"]),
            "the region with the share");
        await mesh.KubectlAsync("cluster2", "-n edge scale deployment/desk --replicas=0");
        await HearsAsync("for i in $(seq 5); do curl -sS -m 5 desk:8085/hello; done", text => Versions(text).SequenceEqual(["in-cluster1"]), "what is left");
        await mesh.KubectlAsync("cluster2", "-n edge scale deployment/desk --replicas=1");
        await mesh.KubectlAsync("cluster1", "-n edge delete destinationrule desk");
        await mesh.ReadyAsync("cluster2", "edge");

        async Task ApplyAsync(string spec) => await mesh.WithFileAsync($$"""
            apiVersion: networking.istio.io/v1beta1
            kind: DestinationRule
            metadata: {name: desk, namespace: edge}
            spec:
              host: desk
              {{spec}}
            """, path => mesh.KubectlAsync("cluster1", $"apply -f {path}"));
    }

    [Fact]
    public async Task A_gateway_on_node_ports_made_by_hand_takes_over_from_one_that_is_taken_out()
    {
        await EdgeAsync();
        await mesh.WithFileAsync("""
            apiVersion: v1
            kind: Service
            metadata:
              name: by-hand
              namespace: istio-system
              labels: {topology.istio.io/network: network2, networking.istio.io/gatewayPort: "16443"}
              annotations: {traffic.istio.io/nodeSelector: '{}'}
            spec:
              type: NodePort
              selector: {istio: eastwestgateway}
              ports: [{name: tls, port: 16443, targetPort: 15443, nodePort: 30043}]
            """, path => mesh.KubectlAsync("cluster2", $"apply -f {path}"));
        await mesh.KubectlAsync("cluster2", "-n istio-system annotate service istio-eastwestgateway networking.isthmus.internal/gateway-weight=0");
        await EntersAtAsync("30043", "15443");
        await HearsAsync("exec 3<>/dev/tcp/desk/7085; timeout 5 cat <&3", "desk of cluster2");
        await mesh.KubectlAsync("cluster2", "-n istio-system annotate service istio-eastwestgateway networking.isthmus.internal/gateway-weight-");
        await mesh.KubectlAsync("cluster2", "-n istio-system delete service by-hand");
        await EntersAtAsync("15443", "30043");
        await HearsAsync("exec 3<>/dev/tcp/desk/7085; timeout 5 cat <&3", "desk of cluster2");

        // The caller's proxy enters the other network at one port, and no longer at the other: tests that follow count on it.
        async Task EntersAtAsync(string port, string not)
        {
            var lab = await mesh.LabAsync();
            await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync("proxy-config", "endpoints", "deploy/asker.edge", "--context=cluster1", "--cluster",
                "outbound|7085||desk.edge.svc.cluster.local")).Output,
                text => text.Contains($":{port}", StringComparison.Ordinal) && !text.Contains($":{not}", StringComparison.Ordinal),
                $"port {port} is the only entry");
        }
    }

    [Fact]
    public async Task A_host_that_is_made_cluster_local_is_each_clusters_own()
    {
        await EdgeAsync();
        var map = JsonNode.Parse(await mesh.KubectlAsync("cluster1", "-n istio-system get configmap istio -o json"))!;
        var written = map["data"]!["mesh"]!.ToString();
        await PatchAsync(written + "\nserviceSettings:\n- settings: {clusterLocal: true}\n  hosts: [desk.edge.svc.cluster.local]\n");
        await HearsAsync("for i in $(seq 20); do curl -sS -m 5 desk:8085/hello; done", text => Versions(text).SequenceEqual(["in-cluster1"]),
            "only the own cluster");
        await PatchAsync(written);
        await HearsAsync("for i in $(seq 20); do curl -sS -m 5 desk:8085/hello; done", text => Versions(text).Count == 2, "both clusters");

        async Task PatchAsync(string text)
        {
            map["metadata"]!.AsObject().Remove("resourceVersion");
            map["data"]!["mesh"] = text;
            await mesh.WithFileAsync(map.ToJsonString(), path => mesh.KubectlAsync("cluster1", $"replace -f {path}"));
        }
    }

    [Fact]
    public async Task An_export_gives_a_service_a_name_and_an_address_in_the_cluster_set()
    {
        await EdgeAsync();
        await mesh.WithFileAsync(Export("desk") + "\n---\n" + Export("ring") + "\n---\n" + Export("nobody"),
            path => mesh.KubectlAsync("cluster2", $"apply -f {path}"));
        await HearsAsync("for i in $(seq 10); do curl -sS -m 5 desk.edge.svc.clusterset.local:8085/hello; done",
            text => Versions(text).SequenceEqual(["in-cluster2"]) && Instances(text).Count == 10, "the exporting cluster");
        await HearsAsync("curl -sS -m 5 ring-0.cluster2.ring.edge.svc.clusterset.local:5000/hello", "in-cluster2, instance: ring-0");
        var import = await MeshRig.UntilAsync(() => mesh.KubectlAsync("cluster1",
            "-n edge get serviceimports desk --ignore-not-found -o jsonpath={.metadata.name}:{.spec.ips[*]}:{.status.clusters[*].cluster}"),
            text => text.StartsWith("desk:240.240.", StringComparison.Ordinal) && text.EndsWith(":cluster2", StringComparison.Ordinal),
            "the import in the other cluster");
        await HearsAsync("getent ahostsv4 desk.edge.svc.clusterset.local", import.Split(':')[1]);
        await MeshRig.UntilAsync(() => mesh.KubectlAsync("cluster2", "-n edge get serviceexports"),
            text => Line(text, "desk").Contains("True") && Line(text, "nobody").Contains("False"), "conditions");
        await mesh.KubectlAsync("cluster2", "-n edge delete serviceexports --all");
        await HearsAsync("getent ahostsv4 desk.edge.svc.clusterset.local || echo none", text => text.Trim() == "none", "the name leaves");
        await MeshRig.UntilAsync(() => mesh.KubectlAsync("cluster1", "-n edge get serviceimports -o name"), text => text.Trim().Length == 0,
            "the imports leave");

        static string Export(string name) => $"apiVersion: multicluster.x-k8s.io/v1alpha1\nkind: ServiceExport\nmetadata: {{name: {name}, namespace: edge}}";

        static string[] Line(string table, string name) => table.Split('\n').First(line => line.StartsWith(name + " ", StringComparison.Ordinal)).Split(' ');
    }

    [Fact]
    public async Task Daemon_sets_and_jobs_do_their_work()
    {
        await mesh.WithFileAsync(Work, path => mesh.KubectlAsync("cluster1", $"apply -f {path}"));
        await mesh.KubectlAsync("cluster1", "-n work rollout status daemonset/watcher --timeout=60s");
        await mesh.KubectlAsync("cluster1", "-n work wait --for=condition=complete job/thrice --timeout=60s");
        Assert.Contains("done", await mesh.KubectlAsync("cluster1", "-n work logs -l job-name=thrice --tail=-1"), StringComparison.Ordinal);
        await mesh.KubectlAsync("cluster1", "-n work wait --for=condition=failed job/failing --timeout=60s");
        await mesh.KubectlAsync("cluster1", "delete namespace work");
    }

    [Fact]
    public async Task A_gateway_in_a_namespace_of_its_own_serves_TLS_with_the_Secret_there_if_its_account_may_read_it()
    {
        await EdgeAsync();
        var (certificate, key) = Isthmus.Testing.TestCa.SelfSignedPair("door.example");
        await mesh.WithFileAsync(Door + Secret(certificate, key) + Front("front", "front") + Front("bare", "default"),
            path => mesh.KubectlAsync("cluster1", $"apply -f {path}"));
        foreach (var name in (string[])["front", "bare"]) await mesh.KubectlAsync("cluster1", $"-n door rollout status deployment/{name} --timeout=90s");
        await HearsAsync("curl -sSvk -m 5 --connect-to ::front.door:443 https://door.example/hello 2>&1",
            text => text.Contains("Hello version: ", StringComparison.Ordinal) && text.Contains("CN=door.example", StringComparison.Ordinal),
            "the certificate and the answer");
        await MeshRig.UntilAsync(() => mesh.KubectlAsync("cluster1", "-n door get gateways.networking.istio.io bare -o jsonpath={.status}"),
            text => text.Contains("Secret door/front is not sent: ServiceAccount door/default of the gateway may not list Secrets in namespace door",
                StringComparison.Ordinal),
            "the status of the Gateway without the Role");
        Assert.DoesNotContain("Hello version", await AskAsync("curl -sSk -m 5 --connect-to ::bare.door:443 https://door.example/hello 2>&1"),
            StringComparison.Ordinal);
        Assert.DoesNotContain("Secret", await mesh.KubectlAsync("cluster1", "-n door get gateways.networking.istio.io front -o jsonpath={.status}"),
            StringComparison.Ordinal);
        await mesh.KubectlAsync("cluster1", "delete namespace door");

        static string Secret(string certificate, string key) => $$"""
            apiVersion: v1
            kind: Secret
            metadata: {name: front, namespace: door}
            type: kubernetes.io/tls
            data: {tls.crt: {{Base64(certificate)}}, tls.key: {{Base64(key)}} }

            """;

        static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes(text));

        static string Front(string name, string account) => $$$"""
            ---
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: {{{name}}}, namespace: door}
            spec:
              selector: {matchLabels: {app: {{{name}}} } }
              template:
                metadata: {labels: {app: {{{name}}}, sidecar.istio.io/inject: "true"}, annotations: {inject.istio.io/templates: gateway} }
                spec: {serviceAccountName: {{{account}}}, terminationGracePeriodSeconds: 1, containers: [{name: istio-proxy, image: auto}]}
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: {{{name}}}, namespace: door}
            spec: {selector: {app: {{{name}}} }, ports: [{name: https, port: 443, targetPort: 8443}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: {{{name}}}, namespace: door}
            spec: {selector: {app: {{{name}}} }, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [door.example], tls: {mode: SIMPLE, credentialName: front} }]}

            """;
    }

    private const string Door = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: door}
        ---
        apiVersion: v1
        kind: ServiceAccount
        metadata: {name: front, namespace: door}
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: sds, namespace: door}
        rules: [{apiGroups: [""], resources: [secrets], verbs: [get, watch, list]}]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: {name: sds, namespace: door}
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: sds}
        subjects: [{kind: ServiceAccount, name: front, namespace: door}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: door, namespace: door}
        spec: {hosts: [door.example], gateways: [front, bare], http: [{route: [{destination: {host: desk.edge.svc.cluster.local, port: {number: 8085} } }]}]}
        ---

        """;

    private const string Work = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: work}
        ---
        apiVersion: apps/v1
        kind: DaemonSet
        metadata: {name: watcher, namespace: work}
        spec:
          selector: {matchLabels: {app: watcher}}
          template:
            metadata: {labels: {app: watcher}}
            spec:
              terminationGracePeriodSeconds: 0
              containers: [{name: main, image: host.lab.internal/rootfs, command: [sleep, infinity]}]
        ---
        apiVersion: batch/v1
        kind: Job
        metadata: {name: thrice, namespace: work}
        spec:
          completions: 3
          parallelism: 2
          template:
            spec:
              restartPolicy: Never
              containers: [{name: main, image: host.lab.internal/rootfs, command: [echo, done]}]
        ---
        apiVersion: batch/v1
        kind: Job
        metadata: {name: failing, namespace: work}
        spec:
          backoffLimit: 0
          template:
            spec:
              restartPolicy: Never
              containers: [{name: main, image: host.lab.internal/rootfs, command: ["false"]}]
        """;

    private async Task EdgeAsync()
    {
        await mesh.DefineAsync(Definitions());
        await Task.WhenAll(MeshRig.Clusters.Select(cluster => mesh.ApplyAsync(cluster, "edges.yaml")));
        await Task.WhenAll(MeshRig.Clusters.Select(cluster => mesh.ReadyAsync(cluster, "edge")));
    }

    private static string Definitions([CallerFilePath] string path = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, "../../../samples/multicluster/mcs-crds.yaml"));

    /// <summary>The answer that the caller in cluster1 gets.</summary>
    private Task<string> AskAsync(string script) => mesh.ScriptAsync("cluster1", "edge", "deploy/asker", "client", $"{script}; true");

    private Task<string> HearsAsync(string script, string words) => HearsAsync(script, text => text.Contains(words, StringComparison.Ordinal), words);

    private Task<string> HearsAsync(string script, Func<string, bool> wanted, string what) =>
        MeshRig.UntilAsync(() => AskAsync(script), wanted, $"'{what}' from: {script}");

    private static List<string> Instances(string text) => [.. text.Split('\n').Where(line => line.StartsWith("Hello version: ", StringComparison.Ordinal))
        .Select(line => line["Hello version: ".Length..].Replace(", instance:", "", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    private static List<string> Versions(string text) => [.. Instances(text).Select(line => line.Split(' ')[0]).Distinct()];
}
