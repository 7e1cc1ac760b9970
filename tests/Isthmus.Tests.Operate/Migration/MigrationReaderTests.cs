using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Migration;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Operate.Migration;

public sealed class MigrationReaderTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>The inventory has the objects of the Gateway API.</summary>
    [Fact]
    public async Task Kinds_are_listed_once_and_one_that_may_not_be_listed_is_told_once()
    {
        var asked = new ConcurrentQueue<string>();
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            var path = context.Request.Path.Value!;
            if (context.Request.QueryString.Value!.Contains("limit=", StringComparison.Ordinal)) asked.Enqueue(path);
            var isForbidden = path.EndsWith("/httproutes", StringComparison.Ordinal);
            context.Response.StatusCode = isForbidden ? 403 : 200;
            context.Response.ContentType = "application/json";
            JsonObject item = new() { ["metadata"] = new JsonObject { ["name"] = "one", ["namespace"] = "shop" } };
            await context.Response.WriteAsync((isForbidden ? new JsonObject { ["kind"] = "Status", ["code"] = 403, ["message"] = "forbidden" }
                : new JsonObject { ["metadata"] = new JsonObject { ["resourceVersion"] = "9" }, ["items"] = new JsonArray(item) }).ToJsonString(), Stop);
        });
        var input = await new MigrationReader("istio-system").ReadAsync("c1", new() { Server = new($"http://127.0.0.1:{server.Port}") }, Stop);
        Assert.Equal("", input.Cluster.Error);
        Assert.Contains("GRPCRoute", input.GatewayApi.Select(value => $"{value["kind"]}"));
        Assert.DoesNotContain("HTTPRoute", input.GatewayApi.Select(value => $"{value["kind"]}"));
        Assert.Single(input.Unknown, problem => problem.Message.StartsWith("HTTPRoute may not be listed", StringComparison.Ordinal));
        Assert.Single(asked, path => path.EndsWith("/grpcroutes", StringComparison.Ordinal));
    }
}
