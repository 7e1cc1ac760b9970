using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>A call to a WorkloadEntry that only the other cluster has, through its gateway.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class RemoteWorkloadCallTests(LoopbackMeshRig mesh, FaultyServices services)
{
    private const string Entry = """
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: $machines, namespace: $ns}
        spec:
          hosts: [$machines.machines.local]
          ports: [{number: 8000, name: http, protocol: HTTP, targetPort: 5000}]
          resolution: STATIC
          location: MESH_INTERNAL
          workloadSelector: {labels: {role: $machines}}
        """;

    private const string Workload = """
        apiVersion: networking.istio.io/v1
        kind: WorkloadEntry
        metadata: {name: $machines, namespace: $ns}
        spec: {address: ADDRESS, labels: {role: $machines, security.istio.io/tlsMode: istio}, serviceAccount: default}
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_call_reaches_a_WorkloadEntry_of_the_other_cluster()
    {
        await services.ReadyAsync(mesh);
        await mesh.UntilAsync(() => TraceAsync("$remote:8000/hello"), text => text.Contains("✔ The call", StringComparison.Ordinal), "the Pod there answers");
        var there = mesh.Pod("cluster2", services.Name("ns"), services.Name("there")).Address;
        foreach (var cluster in LoopbackMeshRig.Clusters) await mesh.ApplyAsync(cluster, services.Fill(Entry));
        try
        {
            await mesh.ApplyAsync("cluster2", services.Fill(Workload).Replace("ADDRESS", $"{there}", StringComparison.Ordinal));
            await mesh.UntilAsync(() => TraceAsync("$machines.machines.local:8000/hello"),
                text => text.Contains("✔ The call gets through", StringComparison.Ordinal), "the WorkloadEntry answers");
            await mesh.Client("cluster2").DeleteAsync(Manifests.ResourceOf(MeshApi.WorkloadEntry), services.Name("ns"), services.Name("machines"), Stop);
            await mesh.UntilAsync(() => TraceAsync("$machines.machines.local:8000/hello"), text => text.Contains("✘ The call fails", StringComparison.Ordinal),
                "without it, nobody does");
        }
        finally
        {
            foreach (var cluster in LoopbackMeshRig.Clusters)
                await mesh.Client(cluster).DeleteAsync(Manifests.ResourceOf(MeshApi.ServiceEntry), services.Name("ns"), services.Name("machines"), Stop);
        }
    }

    private async Task<string> TraceAsync(string target) =>
        TraceText.Write(await mesh.TraceAsync($"deployment/{services.Name("caller")}", services.Name("ns"), services.Fill(target)), details: true);
}
