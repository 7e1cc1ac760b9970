using System.Text;
using Isthmus.Explain.Probing;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Probing;

/// <summary>One cluster of a probe, with an API server whose answers the test writes.</summary>
public sealed class ProbedClusterTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>The API server may make it although nobody waits for the answer anymore, and after it was asked to delete it.</summary>
    [Fact]
    public async Task The_request_for_the_namespace_is_not_interrupted()
    {
        using var server = LocalHttp.Start(out var address);
        var access = new ClusterAccess { Server = address };
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        using var cluster = new ProbedCluster(new ClusterFacts("c1", "") { ProgramImage = "isthmus:1" }, access, "isthmus-probe-1", 1, TimeProvider.System);
        var making = cluster.CreateAsync([1], interrupt.Token);
        var asked = await server.GetContextAsync().WaitAsync(Stop);
        using var client = new KubeClient(access);
        var other = client.FindAsync(Kinds.Namespace, null, "any", interrupt.Token);
        await server.GetContextAsync().WaitAsync(Stop);
        await interrupt.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => other);
        Assert.False(making.IsCompleted);
        await asked.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(ScriptedServer.Item("1")), Stop);
        asked.Response.Close();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => making);
    }
}
