using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Client;

/// <summary>An API server that has no time for a request (API Priority and Fairness).</summary>
public sealed class BusyServerTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_request_is_sent_again_when_the_server_says_to_come_again()
    {
        var (bodies, answer) = await AskAsync(["0", "1", null]);
        Assert.Equal("made", answer);
        Assert.Equal(3, bodies.Count);
        Assert.Single(bodies.Distinct());
        Assert.Contains("\"name\":\"a\"", bodies[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("3600")]
    public async Task A_server_that_says_nothing_or_much_later_is_not_waited_for(string wait)
    {
        var (bodies, answer) = await AskAsync([wait]);
        Assert.Equal("429", answer);
        Assert.Single(bodies);
    }

    [Fact]
    public async Task A_server_that_stays_busy_is_asked_ten_times()
    {
        var (bodies, answer) = await AskAsync([.. Enumerable.Repeat("0", 10)]);
        Assert.Equal("429", answer);
        Assert.Equal(10, bodies.Count);
    }

    /// <param name="waits">What <c>Retry-After</c> says to each request; empty: there is none. Null: the request is served.</param>
    private static async Task<(List<string> Bodies, string Answer)> AskAsync(string?[] waits)
    {
        using var server = LocalHttp.Start(out var address);
        using var client = new KubeClient(new ClusterAccess { Server = address });
        var bodies = new List<string>();
        var request = client.CreateAsync(Kinds.Namespace, new JsonObject { ["metadata"] = new JsonObject { ["name"] = "a" } }, Stop);
        foreach (var wait in waits)
        {
            var context = await server.GetContextAsync();
            bodies.Add(await new StreamReader(context.Request.InputStream).ReadToEndAsync(Stop));
            context.Response.StatusCode = wait is null ? 201 : 429;
            if (wait is { Length: > 0 }) context.Response.Headers["Retry-After"] = wait;
            var text = wait is null
                ? """{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "made"}}"""
                : """{"kind": "Status", "apiVersion": "v1", "code": 429, "reason": "TooManyRequests"}""";
            await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(text), Stop);
            context.Response.Close();
        }
        try
        {
            return (bodies, (await request)["metadata"]!["name"]!.ToString());
        }
        catch (KubeException e)
        {
            return (bodies, $"{e.Code}");
        }
    }
}
