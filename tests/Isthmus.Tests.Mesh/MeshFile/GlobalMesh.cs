using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Tests.Mesh.Faults;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>
/// Replicated control planes (docs/guides/replicated-control-planes.md): each cluster has a service with the same name.
/// Others call it as <c>either.sample.global</c>, through the other cluster's gateway or next to the caller.
/// </summary>
public sealed class GlobalMesh : MeshRig
{
    internal const string Namespace = "sample", Gateway = "istio-ingressgateway";

    internal override CallPath Calls => new(Namespace, "deploy/caller", "shell", "either.sample.global");

    internal static string Other(string cluster) => Clusters.Single(other => other != cluster);

    /// <summary>The workload that answers in a cluster.</summary>
    internal static string Version(string cluster) => cluster.Replace("cluster", "v", StringComparison.Ordinal);

    private protected override async Task JoinAsync(LabRig lab)
    {
        var file = Path.Combine(Path.GetDirectoryName(lab.Kubeconfig)!, "mesh.yaml");
        var root = (JsonObject)YamlText.Parse((await lab.IsthmusAsync("mesh", "template", "replicated-control-planes")).Expect(0), file)!;
        // With two replicas, one can go away and the other still answers.
        root["spec"]!["install"] = YamlText.Parse("components: {ingressGateways: [{name: istio-ingressgateway, enabled: true, k8s: {replicaCount: 2}}]}", file);
        await File.WriteAllTextAsync(file, YamlText.Print(root));
        (await lab.IsthmusAsync("lab", "up", "--topology", file)).Expect(0);
        foreach (var cluster in Clusters) await WithFileAsync(Workload(cluster), path => KubectlAsync(cluster, $"apply -f {path}"));
        foreach (var cluster in Clusters) await ReadyAsync(cluster, Namespace);
        foreach (var cluster in Clusters) await EnterAsync(cluster);
        (await lab.IsthmusAsync("global", "export", $"{Namespace}/only", "--context=cluster2", "--to", "cluster1")).Expect(0);
    }

    /// <summary>Updates a cluster with the current address of the other's gateway.</summary>
    internal async Task EnterAsync(string cluster)
    {
        var gateway = await UntilAsync(() => KubectlAsync(Other(cluster),
            $"-n istio-system get service {Gateway} -o jsonpath={{.status.loadBalancer.ingress[0].ip}}"),
            text => text.Length > 0, $"the gateway of {Other(cluster)} has an address");
        await WithFileAsync($$"""
            apiVersion: networking.istio.io/v1alpha3
            kind: ServiceEntry
            metadata: {name: either, namespace: {{Namespace}} }
            spec:
              hosts: [either.{{Namespace}}.global]
              location: MESH_INTERNAL
              ports: [{name: http, number: 5000, protocol: http}]
              resolution: DNS
              addresses: [240.0.0.2]
              endpoints:
              - {address: {{gateway}}, ports: {http: 15443} }
              - {address: either.{{Namespace}}.svc.cluster.local}
            """, path => KubectlAsync(cluster, $"apply -f {path}"));
    }

    private static string Workload(string cluster) => $$$"""
        apiVersion: v1
        kind: Namespace
        metadata: {name: {{{Namespace}}}, labels: {istio-injection: enabled}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: either, namespace: {{{Namespace}}} }
        spec: {selector: {app: web}, ports: [{name: http, port: 5000}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: only, namespace: {{{Namespace}}} }
        spec: {selector: {app: web}, ports: [{name: http, port: 5000}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: {{{Namespace}}} }
        spec:
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              containers: [{name: web, image: docker.io/istio/examples-helloworld-v1:1.0, env: [{name: SERVICE_VERSION, value: {{{Version(cluster)}}} }]}]
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: caller, namespace: {{{Namespace}}} }
        spec:
          selector: {matchLabels: {app: caller}}
          template:
            metadata: {labels: {app: caller}}
            spec:
              terminationGracePeriodSeconds: 1
              containers: [{name: shell, image: host.lab.internal/rootfs, command: [sleep, infinity]}]
        """;
}
