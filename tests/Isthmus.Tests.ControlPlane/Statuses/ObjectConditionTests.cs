using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Statuses;

/// <summary>A condition reaches its object, also when rights to write it come late.</summary>
public sealed class ObjectConditionTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>In a mesh in which nothing changes, nobody but the rounds themselves asks for another one.</summary>
    [Fact]
    public async Task A_condition_that_is_refused_is_written_without_a_change_once_the_server_takes_it()
    {
        var (isAllowed, asked, written) = (false, 0, 0);
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            var isWrite = HttpMethods.IsPatch(context.Request.Method);
            if (isWrite) Interlocked.Increment(ref asked);
            if (isWrite && !Volatile.Read(ref isAllowed))
            {
                context.Response.StatusCode = 403;
                return;
            }
            if (isWrite) Interlocked.Increment(ref written);
            context.Response.ContentType = "application/json";
            var item = new JsonObject { ["metadata"] = new JsonObject { ["name"] = "web", ["namespace"] = "shop", ["resourceVersion"] = "1" } };
            await context.Response.WriteAsync(item.ToJsonString(), Stop);
        });
        using var client = new KubeClient(new ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") });
        var clock = new ManualClock();
        var condition = new ObjectCondition(client, Kinds.Ingress, (ObjectCondition.ResolvedRefs, "Missing"), clock, NullLogger.Instance);
        var problem = new Problem("ISM0001", "Ingress shop/web", "spec.tls", "the Secret is missing", "create it");
        Task<NextRound> UpdateAsync() => condition.UpdateAsync(["shop/web"], [problem], Stop);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        for (var round = 0; round < 3; round++) Assert.Equal(new(TimeSpan.FromMinutes(5)), await UpdateAsync());
        Assert.Equal(1, Volatile.Read(ref asked));
        Volatile.Write(ref isAllowed, true);
        var rounds = new Rounds(clock).RunAsync(_ => UpdateAsync(), ends.Token);
        await Eventually.TrueAsync(() =>
        {
            clock.Advance(TimeSpan.FromMinutes(1));
            return Volatile.Read(ref written) > 0;
        });
        await ends.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => rounds);
        Assert.Equal(NextRound.AtChange, await UpdateAsync());
        Assert.Equal(1, Volatile.Read(ref written));
    }
}
