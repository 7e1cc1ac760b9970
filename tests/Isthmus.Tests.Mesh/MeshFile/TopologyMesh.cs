using Isthmus.Tests.Mesh.Faults;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>A lab with the mesh of a topology. Each of its clusters has a workload with its own name, which calls and is
/// called.</summary>
internal sealed class TopologyMesh(Topology topology, int seed) : MeshRig
{
    private readonly string _namespace = $"n{new Random(seed).Next():x}";
    private readonly string _service = $"s{new Random(~seed).Next():x}";

    internal override IReadOnlyList<ControlPlanePlace> ControlPlanes => topology.ControlPlanes;

    internal override string[] Verified => topology.Verified;

    internal override CallPath Calls => new(_namespace, "deploy/caller", "shell", _service);

    private string MeshFile { get; set; } = "";

    /// <summary>Restores the clusters to the state in the file.</summary>
    internal async Task UpAgainAsync() => (await (await LabAsync()).IsthmusAsync("mesh", "up", "-y", "-f", MeshFile)).Expect(0);

    private protected override async Task JoinAsync(LabRig lab)
    {
        Directory.CreateDirectory(lab.Home.Directory);
        MeshFile = Path.Combine(Path.GetDirectoryName(lab.Kubeconfig)!, "mesh.yaml");
        await File.WriteAllTextAsync(MeshFile,
            topology.Template.Length > 0 ? (await lab.IsthmusAsync("mesh", "template", topology.Template)).Expect(0) : topology.Text);
        (await lab.IsthmusAsync("lab", "up", "--topology", MeshFile)).Expect(0);
        foreach (var cluster in topology.Callers)
        {
            var workloads = topology.Answering.Where(item => item.Cluster == cluster).Select(item => Web(item.Version));
            await WithFileAsync(string.Join("\n---\n", [Caller(), .. workloads]), path => KubectlAsync(cluster, $"apply -f {path}"));
        }
        foreach (var cluster in topology.Callers) await ReadyAsync(cluster, _namespace);
    }

    private string Caller() => $$$"""
        apiVersion: v1
        kind: Namespace
        metadata: {name: {{{_namespace}}}, labels: {istio-injection: enabled}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: {{{_service}}}, namespace: {{{_namespace}}} }
        spec: {selector: {app: {{{_service}}} }, ports: [{name: http, port: 5000}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: caller, namespace: {{{_namespace}}} }
        spec:
          selector: {matchLabels: {app: caller}}
          template:
            metadata: {labels: {app: caller}}
            spec:
              terminationGracePeriodSeconds: 1
              containers: [{name: shell, image: host.lab.internal/rootfs, command: [sleep, infinity]}]
        """;

    private string Web(string version) => $$$"""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: {{{version}}}, namespace: {{{_namespace}}} }
        spec:
          selector: {matchLabels: {app: {{{_service}}}, version: {{{version}}} } }
          template:
            metadata: {labels: {app: {{{_service}}}, version: {{{version}}} } }
            spec:
              containers: [{name: web, image: docker.io/istio/examples-helloworld-v1:1.0, env: [{name: SERVICE_VERSION, value: {{{version}}} }]}]
        """;
}
