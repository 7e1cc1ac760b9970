using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class InventoryReaderTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>One after the other, they take seconds with an API server in another region. The user may not read Secrets.</summary>
    [Fact]
    public async Task Questions_that_need_no_other_answer_are_asked_at_once_and_Secrets_are_not_needed()
    {
        // Besides the lists: DNS, settings (two), the namespace, control planes, roots, three Secrets, remote secrets, those without
        // their label and those in other namespaces, events, twelve definitions of the Gateway API.
        var expected = InventoryReader.Lists.Count + 25;
        var (asked, all) = (0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            if (Interlocked.Increment(ref asked) == expected) all.TrySetResult();
            await all.Task.WaitAsync(context.RequestAborted);
            var path = context.Request.Path.Value!;
            var status = path.Contains("/secrets", StringComparison.Ordinal) ? 403 : path.Contains("/configmaps/", StringComparison.Ordinal) ? 404 : 200;
            context.Response.StatusCode = status;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync((status != 200 ? new JsonObject { ["kind"] = "Status", ["code"] = status, ["message"] = "refused by test" }
                : path.EndsWith("/namespaces/istio-system", StringComparison.Ordinal)
                ? new JsonObject { ["metadata"] = new JsonObject { ["name"] = "istio-system" } }
                : new JsonObject { ["kind"] = "List", ["metadata"] = new JsonObject { ["resourceVersion"] = "1" }, ["items"] = new JsonArray() })
                .ToJsonString(),
                Stop);
        });
        var cluster = await new InventoryReader("istio-system", proxies: 0).ReadAsync("c1",
            new Isthmus.Kubernetes.Client.ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") }, Stop);
        Assert.Equal("", cluster.Error);
        Assert.Equal(expected, asked);
        Assert.True(cluster.Trust.HasIstio);
        Assert.True(cluster.HidesRemoteSecrets);
    }
}
