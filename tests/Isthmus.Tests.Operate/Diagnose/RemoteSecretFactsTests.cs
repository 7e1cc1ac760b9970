using System.Text;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

/// <summary>Remote secrets, as commands read them on the machine of an operator.</summary>
public sealed class RemoteSecretFactsTests
{
    private const string Good = """
        clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443"}}]
        contexts: [{name: c, context: {cluster: c, user: c}}]
        current-context: c
        users: [{name: c, user: {token: hush}}]
        """;

    /// <summary>A device that never ends: whoever opens it reads for ever.</summary>
    [Theory]
    [InlineData("6443\"", "6443\", certificate-authority: /dev/zero", "certificate-authority")]
    [InlineData("token: hush", "tokenFile: /dev/zero", "tokenFile")]
    [InlineData("token: hush", "client-certificate: /dev/zero, client-key: /dev/zero", "client-certificate")]
    [InlineData("token: hush", "exec: {command: /bin/sh}", "exec")]
    [InlineData("token: hush", "auth-provider: {name: x}", "auth-provider")]
    public void Nothing_of_a_Secret_names_files_or_programs(string part, string changed, string field)
    {
        var facts = Read(Good.Replace(part, changed, StringComparison.Ordinal));
        Assert.Contains(field, facts.Error, StringComparison.Ordinal);
        Assert.Equal(("", "c2"), (facts.Server, facts.Cluster));
    }

    [Fact]
    public void A_token_that_says_a_claim_twice_is_one_entry_like_others()
    {
        var facts = Read(Good.Replace("hush", "e30.eyJleHAiOjEsImV4cCI6Mn0.x", StringComparison.Ordinal));
        Assert.Equal(("https://10.0.0.1:6443", "", null), (facts.Server, facts.Error, facts.Expires));
    }

    private static RemoteSecretFacts Read(string kubeconfig) => Assert.Single(RemoteSecretFacts.Read(new Secret
    {
        Metadata = new() { Name = "istio-remote-secret-c2", Namespace = "istio-system" },
        Data = { ["c2"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(kubeconfig)) },
    }));
}
