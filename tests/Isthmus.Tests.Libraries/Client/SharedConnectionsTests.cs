using System.Collections.Concurrent;
using Isthmus.Kubernetes.Client;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Libraries.Client;

/// <summary>Clients of one API server with different time limits.</summary>
public sealed class SharedConnectionsTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_client_with_another_limit_uses_the_same_connection_and_leaves_it_open()
    {
        var connections = new ConcurrentBag<string>();
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            connections.Add(context.Connection.Id);
            if (context.Request.Path == "/slow") await Task.Delay(Timeout.Infinite, context.RequestAborted);
            await context.Response.WriteAsync("{}", Stop);
        });
        using var client = new KubeClient(new() { Server = new($"http://127.0.0.1:{server.Port}") });
        await client.RawAsync(HttpMethod.Get, "/version", null, Stop);
        using (var other = client.Within(TimeSpan.FromMinutes(1))) await other.RawAsync(HttpMethod.Get, "/version", null, Stop);
        await client.RawAsync(HttpMethod.Get, "/version", null, Stop);
        Assert.Equal(3, connections.Count);
        Assert.Single(connections.Distinct());
        var late = await Assert.ThrowsAsync<HttpRequestException>(() => client.Within(TimeSpan.FromMilliseconds(50))
            .RawAsync(HttpMethod.Get, "/slow", null, Stop));
        Assert.Contains("did not answer within", late.Message, StringComparison.Ordinal);
    }
}
