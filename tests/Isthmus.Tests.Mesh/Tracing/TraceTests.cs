using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Tracing;

/// <summary><c>isthmus trace</c> as users run it, through the quickstart's workloads. The causes that it names are tested
/// in memory (<c>tests/Isthmus.Tests/LoopbackMesh</c>).</summary>
[Collection(nameof(PlacedMesh))]
[Trait("shard", nameof(PlacedMesh))]
public sealed class TraceTests(PlacedMeshRig mesh)
{
    private const string Distant = """
        apiVersion: v1
        kind: Service
        metadata: {name: distant, namespace: sample}
        spec: {selector: {app: helloworld}, ports: [{name: http, port: 8000, targetPort: 5000}]}
        """;

    private const string Bare = """
        apiVersion: v1
        kind: Service
        metadata: {name: bare, namespace: sample}
        spec: {clusterIP: None, selector: {app: helloworld}, ports: [{name: http, port: 5000}]}
        """;

    private const string Deaf = """
        apiVersion: v1
        kind: Service
        metadata: {name: deaf, namespace: sample}
        spec: {selector: {app: helloworld}, ports: [{name: http, port: 80, targetPort: 5055}]}
        """;

    [Fact]
    public async Task The_command_prints_the_way_and_fails_when_the_call_does()
    {
        var lab = await mesh.LabAsync();
        await mesh.WithFileAsync(Deaf, path => mesh.KubectlAsync("cluster1", $"apply -f {path}"));
        await mesh.WithFileAsync(Distant, path => mesh.KubectlAsync("cluster2", $"apply -f {path}"));
        Outcome? last = null;
        var found = await MeshRig.UntilAsync(async () => (last = await lab.IsthmusAsync("trace", "deployment/sleep.sample", "distant:8000/hello",
            "--context=cluster1", "-v")).Output,
            _ => last!.Code == 0, "the call gets through");
        foreach (var word in (string[])["✔ gateway ", "status.loadBalancer", "outbound_.8000_._.", "spiffe://cluster.local/ns/", "callee's proxy", "→ 200 in"])
            Assert.Contains(word, found);
        await MeshRig.UntilAsync(async () => (last = await lab.IsthmusAsync("trace", "deployment/sleep", "-n", "sample", "deaf/", "--context=cluster1",
            "--no-call", "-o", "json")).Output,
            json => last!.Code == 1 && json.Contains("\"code\": \"ISM2070\"", StringComparison.Ordinal), "nobody listens there");
        Assert.Contains("is in cluster1, not in cluster2",
            (await lab.IsthmusAsync("trace", "deployment/helloworld-v1.sample", "distant", "--context=cluster2")).Errors);
    }

    /// <summary>The name of a headless Service denotes Pods, and in memory those have loopback addresses, which are never
    /// captured.</summary>
    [Fact]
    public async Task Nothing_is_wrong_with_a_call_to_a_headless_service()
    {
        var lab = await mesh.LabAsync();
        await mesh.WithFileAsync(Bare, path => mesh.KubectlAsync("cluster1", $"apply -f {path}"));
        await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync("trace", "deployment/sleep.sample", "bare:5000/hello", "--context=cluster1")).Output,
            text => text.Contains("✔ The call", StringComparison.Ordinal) && !text.Contains("✘", StringComparison.Ordinal)
                && !text.Contains("! ", StringComparison.Ordinal),
            "the call gets through");
    }
}
