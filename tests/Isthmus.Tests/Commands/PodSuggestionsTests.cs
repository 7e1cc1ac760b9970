using System.Text.Json.Nodes;
using Isthmus.Options;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Commands;

/// <summary>What a shell is told of the Pods of a cluster.</summary>
public sealed class PodSuggestionsTests : IDisposable
{
    private readonly ScriptedServer _server = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _server.Dispose();

    private static string Object(string name, string ns, params string[] containers) => new JsonObject
    {
        ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = ns },
        ["spec"] = new JsonObject { ["containers"] = new JsonArray([.. containers.Select(container => (JsonNode)new JsonObject { ["name"] = container })]) },
    }.ToJsonString();

    [Theory]
    [InlineData(null, "", "orders-1.shop pay-1.bank")]
    [InlineData(null, "ord", "orders-1.shop")]
    [InlineData("shop", "ord", "orders-1")]
    [InlineData(null, "none", "")]
    public async Task Pods_with_a_proxy_are_named_with_their_namespace_unless_the_line_has_one(string? ns, string begun, string expected)
    {
        var finding = PodSuggestions.FindAsync(_server.Client, ns, begun, Stop);
        await (await _server.NextAsync())
            .ListAsync("1",
                [.. ((string[])[Object("pay-1", "bank", "pay", "istio-proxy"), Object("orders-1", "shop", "orders", "istio-proxy"),
                    Object("coredns-1", "kube-system", "coredns")])
                    .Where(pod => ns is null || pod.Contains($"\"{ns}\"", StringComparison.Ordinal))]);
        Assert.Equal(expected, string.Join(' ', await finding));
    }

    [Fact]
    public async Task Deployments_follow_their_prefix()
    {
        var finding = PodSuggestions.FindAsync(_server.Client, null, "deployment/o", Stop);
        await (await _server.NextAsync()).ListAsync("1", Object("orders", "shop"), Object("pay", "bank"));
        Assert.Equal(["deployment/orders.shop"], await finding);
    }
}
