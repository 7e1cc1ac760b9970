using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Tests.Proxy.System;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

public sealed class MeshFactsReaderTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(500, "etcdserver: request timed out")]
    [InlineData(503, "the server is starting")]
    public async Task One_failed_response_is_asked_again_and_noted(int status, string message)
    {
        var facts = await ReadAsync(1, status, message);
        Assert.Equal("", facts.Error);
        Assert.Contains(message, facts.FirstError, StringComparison.Ordinal);
        var check = MeshVerification.Run([facts], DateTimeOffset.UnixEpoch).First();
        Assert.Null(check.Problem);
        Assert.StartsWith("reachable at the second attempt; the first: ", check.Found, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_fails_again_is_judged()
    {
        var facts = await ReadAsync(int.MaxValue, 500, "etcdserver: request timed out");
        Assert.Contains("etcdserver", facts.Error, StringComparison.Ordinal);
        Assert.Equal("ISM1001", MeshVerification.Run([facts], DateTimeOffset.UnixEpoch).First().Problem?.Code);
    }

    [Fact]
    public async Task A_refusal_stays_one()
    {
        var facts = await ReadAsync(1, 403, "forbidden");
        Assert.Contains("forbidden", facts.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_cannot_be_reached_is_judged_after_the_second_attempt()
    {
        using var nobody = new Isthmus.Testing.ReservedPort();
        var facts = await new MeshFactsReader("istio-system").ReadAsync("c1", new() { Server = new($"http://127.0.0.1:{nobody.Number}") }, Stop);
        Assert.Contains("connection refused", facts.Error, StringComparison.Ordinal);
        Assert.Contains("connection refused", facts.FirstError, StringComparison.Ordinal);
    }

    /// <summary>Reads an empty cluster whose API server fails the first requests.</summary>
    private static async Task<ClusterFacts> ReadAsync(int failures, int status, string message)
    {
        var asked = 0;
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            var fails = Interlocked.Increment(ref asked) <= failures;
            var path = context.Request.Path.Value!;
            var isObject = path.EndsWith("/namespaces/istio-system", StringComparison.Ordinal) || path.EndsWith("/istio-ca-root-cert", StringComparison.Ordinal);
            context.Response.StatusCode = fails ? status : isObject ? 404 : 200;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync((fails || isObject
                ? new JsonObject { ["kind"] = "Status", ["code"] = context.Response.StatusCode, ["message"] = fails ? message : "not found" }
                : new JsonObject { ["kind"] = "List", ["metadata"] = new JsonObject { ["resourceVersion"] = "1" }, ["items"] = new JsonArray() }).ToJsonString(), Stop);
        });
        return await new MeshFactsReader("istio-system").ReadAsync("c1", new() { Server = new($"http://127.0.0.1:{server.Port}") }, Stop);
    }
}
