using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Identity;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Lab.Controllers;

public sealed class TokenSecretPlanTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_token_that_somebody_may_have_read_already_is_not_replaced()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace, null, Tree("Namespace", "n"), Stop);
        await client.CreateAsync(Kinds.ServiceAccount, "n", Tree("ServiceAccount", "app"), Stop);
        var empty = Tree("Secret", "token");
        empty["type"] = TokenSecretController.SecretType;
        empty["metadata"]!["annotations"] = new JsonObject { [TokenSecretController.AccountName] = "app" };
        await client.CreateAsync(Kinds.Secret, "n", empty, Stop);
        var account = await client.GetAsync<ServiceAccount>(Kinds.ServiceAccount, "n", "app", Stop);
        var seen = await client.GetAsync<Secret>(Kinds.Secret, "n", "token", Stop);

        // Two decisions about the Secret before the first write is visible: for example, the account changed in between.
        await WriteAsync("one");
        var late = await Assert.ThrowsAsync<KubeException>(() => WriteAsync("two"));
        Assert.Equal(409, late.Code);
        var filled = await client.GetAsync<Secret>(Kinds.Secret, "n", "token", Stop);
        Assert.Equal("one", Encoding.UTF8.GetString(filled.Bytes("token") ?? []));
        Assert.Empty(TokenSecretPlan.For(filled, account, Settings("three")).Writes);

        Task WriteAsync(string token)
        {
            var write = Assert.Single(TokenSecretPlan.For(seen, account, Settings(token)).Writes);
            return client.PatchAsync(write.Kind, write.Namespace, write.Name, write.Body!, write.PatchType, Stop);
        }
    }

    private static ControllerSettings Settings(string token) => new("root", (_, _, _, _) => token, "172.18.200.0/24");

    private static JsonObject Tree(string kind, string name) =>
        new() { ["apiVersion"] = "v1", ["kind"] = kind, ["metadata"] = new JsonObject { ["name"] = name } };
}
