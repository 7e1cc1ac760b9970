using System.Text.Json.Nodes;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Inventory;

/// <summary>Several control planes of a namespace have a MeshConfig each: commands choose the same one.</summary>
public sealed class MeshMapTests
{
    [Theory]
    [InlineData("", "istio istio-canary", "istio")]
    [InlineData("default", "istio istio-canary", "istio")]
    [InlineData("canary", "istio istio-canary", "istio-canary")]
    [InlineData("blue", "istio istio-canary", "istio")]
    [InlineData("", "istio-canary istio-blue", "istio-blue")]
    [InlineData("", "istio! istio-canary", "istio-canary")]
    [InlineData("canary", "istio istio-canary!", "istio")]
    [InlineData("", "istio! istio-canary!", "istio")]
    [InlineData("", "", "")]
    public void The_map_of_a_revision_counts_unless_only_another_can_be_read(string revision, string maps, string expected)
    {
        var read = maps.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(name => MeshMap.Read(Map(name))!).ToList();
        Assert.Equal(expected, MeshMap.Of(read, revision)?.Name ?? "");
        Assert.Equal(expected, MeshMap.Of(Enumerable.Reverse(read), revision)?.Name ?? "");
    }

    [Theory]
    [InlineData("istio istio-canary", "istio")]
    [InlineData("istio! istio-canary", "istio-canary")]
    [InlineData("istio!", null)]
    public void What_the_analyzers_take_for_the_MeshConfig_can_be_read(string maps, string? expected) =>
        Assert.Equal(expected, ClusterInventory.From("c1", maps.Split(' ').Select(Map)).Mesh?.TrustDomain);

    private static JsonObject Map(string name) => new()
    {
        ["apiVersion"] = "v1", ["kind"] = "ConfigMap",
        ["metadata"] = new JsonObject { ["name"] = name.TrimEnd('!'), ["namespace"] = "istio-system" },
        ["data"] = new JsonObject { ["mesh"] = name.EndsWith('!') ? "trustDomain: {" : $"trustDomain: {name}" },
    };
}
