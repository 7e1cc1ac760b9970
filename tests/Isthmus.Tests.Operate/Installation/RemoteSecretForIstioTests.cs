using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.RemoteSecrets;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>A control plane of Istio lists Secrets and ConfigMaps of a remote cluster; ours does not.</summary>
public sealed class RemoteSecretForIstioTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Only_the_account_for_Istio_reads_Secrets_and_it_can_be_taken_back()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var notes = new List<string>();
        var secrets = new RemoteSecret(client, TimeProvider.System, notes.Add);
        var request = new RemoteSecretRequest { Name = "c2", TokenDuration = TimeSpan.FromHours(1) };
        using var narrow = Reader(await secrets.MakeAsync(request, Stop), client);
        using var wide = Reader(await secrets.MakeAsync(request with { For = "istio" }, Stop), client);
        Assert.Contains(notes,
            note => note.Contains("istio-reader-for-istiod", StringComparison.Ordinal)
                && note.Contains("ALL Secrets and ConfigMaps", StringComparison.Ordinal));
        foreach (var kind in (ResourceKind[])[Kinds.Secret, Kinds.ConfigMap])
        {
            await wide.ListAllAsync<JsonObject>(kind, null, new ListOptions(), Stop);
            Assert.Equal(403, (await Assert.ThrowsAsync<KubeException>(() => narrow.ListAllAsync<JsonObject>(kind, null, new ListOptions(), Stop))).Code);
        }
        foreach (var reader in (KubeClient[])[narrow, wide]) await reader.ListAllAsync<JsonObject>(Kinds.Service, null, new ListOptions(), Stop);

        Assert.True(await secrets.RemoveAsync(request with { For = "istio" }, Stop));
        Assert.InRange((await Assert.ThrowsAsync<KubeException>(() => wide.ListAllAsync<JsonObject>(Kinds.Secret, null, new ListOptions(), Stop))).Code, 401,
            403);
        await narrow.ListAllAsync<JsonObject>(Kinds.Service, null, new ListOptions(), Stop);
        Assert.False(await secrets.RemoveAsync(request with { For = "istio" }, Stop));
    }

    /// <summary>Somebody removed what binds the account to its role. The remedy for a control plane that is refused is to make the secret again.</summary>
    [Fact]
    public async Task An_account_that_has_lost_its_rights_gets_them_again()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var notes = new List<string>();
        var secrets = new RemoteSecret(client, TimeProvider.System, notes.Add);
        var request = new RemoteSecretRequest { Name = "c2", TokenDuration = TimeSpan.FromHours(1) };
        using var reader = Reader(await secrets.MakeAsync(request, Stop), client);
        await client.DeleteAsync(Kinds.Find("rbac.authorization.k8s.io/v1", "ClusterRoleBinding")!, null, "istio-reader-clusterrole-istio-system", Stop);
        await Assert.ThrowsAsync<KubeException>(() => reader.ListAllAsync<JsonObject>(Kinds.Service, null, new ListOptions(), Stop));

        using var again = Reader(await secrets.MakeAsync(request, Stop), client);
        foreach (var one in (KubeClient[])[reader, again]) await one.ListAllAsync<JsonObject>(Kinds.Service, null, new ListOptions(), Stop);
        Assert.Single(notes, note => note.StartsWith("Gave ServiceAccount istio-system/istio-reader-service-account its", StringComparison.Ordinal));
        await secrets.MakeAsync(request, Stop);
        Assert.Single(notes, note => note.StartsWith("Gave ", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("consul", "remote", null, "'consul' is not a control plane")]
    [InlineData("istio", "config", null, "no effect with --type=config")]
    [InlineData("istio", "remote", "mine", "has an account of its own")]
    public async Task What_does_not_fit_together_is_refused(string whose, string type, string? account, string reason)
    {
        using var nobody = new KubeClient(new ClusterAccess { Server = new Uri("https://127.0.0.1:1") });
        var secrets = new RemoteSecret(nobody, TimeProvider.System, _ => { });
        var request = new RemoteSecretRequest { Name = "c2", For = whose, Type = type, ServiceAccount = account };
        Assert.Contains(reason, (await Assert.ThrowsAsync<WrongUseException>(() => secrets.MakeAsync(request, Stop))).Message, StringComparison.Ordinal);
        Assert.Contains("only what --for=istio", (await Assert.ThrowsAsync<WrongUseException>(() => secrets.RemoveAsync(new(), Stop))).Message,
            StringComparison.Ordinal);
    }

    /// <summary>A client with the token of a remote secret.</summary>
    private static KubeClient Reader(string yaml, KubeClient administrator)
    {
        var secret = YamlText.ParseAll(yaml, "secret").OfType<JsonObject>().Single();
        var kubeconfig = YamlText.Parse(secret["stringData"]!["c2"]!.ToString(), "kubeconfig")!;
        return new(new ClusterAccess
        {
            Server = administrator.Access.Server, CertificateAuthority = administrator.Access.CertificateAuthority,
            Token = kubeconfig["users"]![0]!["user"]!["token"]!.ToString(),
        });
    }
}
