using System.Text.Json.Nodes;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Http;

public sealed class OpenApiTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    /// <summary>kubectl computes strategic merge patches with these.</summary>
    [Theory]
    [InlineData("apis/apps/v1", "io.k8s.api.apps.v1.DeploymentSpec", "strategy", "retainKeys", null)]
    [InlineData("apis/policy/v1", "io.k8s.api.policy.v1.PodDisruptionBudgetSpec", "selector", "replace", null)]
    [InlineData("api/v1", "io.k8s.api.core.v1.PodSpec", "volumes", "merge,retainKeys", "name")]
    [InlineData("api/v1", "io.k8s.api.core.v1.PodSpec", "containers", "merge", "name")]
    [InlineData("api/v1", "io.k8s.api.core.v1.PodSpec", "nodeName", null, null)]
    public async Task Fields_name_their_patch_strategy(string version, string type, string field, string? strategy, string? key)
    {
        var (code, document) = await server.SendAsync("GET", $"/openapi/v3/{version}");
        Assert.Equal(200, code);
        var property = (JsonObject)document["components"]!["schemas"]![type]!["properties"]![field]!;
        Assert.Equal((strategy, key), ((string?)property["x-kubernetes-patch-strategy"], (string?)property["x-kubernetes-patch-merge-key"]));
    }
}
