using System.Text;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Remote;
using Xunit;

namespace Isthmus.Tests.Libraries.Client;

public sealed class RemoteSecretReaderTests
{
    private const string Good = """
        clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443"}}]
        contexts: [{name: c, context: {cluster: c, user: c}}]
        current-context: c
        users: [{name: c, user: {token: hush-hush}}]
        """;

    [Fact]
    public void Every_key_but_the_own_cluster_is_a_cluster()
    {
        var (clusters, problems) = RemoteSecretReader.Read(Secret(("east", Good), ("own", "junk"), ("west", Good)), "own");
        Assert.Equal(["east", "west"], clusters.Select(cluster => cluster.Id));
        Assert.Equal("hush-hush", clusters[0].Access.Token);
        Assert.Empty(problems);
    }

    [Theory]
    [InlineData("", "is empty")]
    [InlineData("just text", "is not a kubeconfig")]
    [InlineData("[1, 2]", "is not a kubeconfig")]
    [InlineData("a: [", "is not valid YAML")]
    [InlineData("{}", "no current-context")]
    [InlineData("current-context: [c]", "current-context: should be text")]
    [InlineData("current-context: c\nusers: [x]\nclusters: 5\ncontexts: [5]", "context \"c\" does not exist")]
    [InlineData("current-context: c\ncontexts: [{name: c, context: {cluster: c}}]", "cluster \"c\" does not exist")]
    [InlineData("current-context: c\ncontexts: [{name: c, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 5}}]", "server: should be text")]
    [InlineData("current-context: c\ncontexts: [{name: c, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'file:///etc'}}]",
        "is not an http(s) address")]
    public void A_malformed_kubeconfig_is_a_problem_of_its_own_cluster_alone(string text, string words) => Refused(text, words);

    [Theory]
    [InlineData("exec: {command: sh}", "data[bad]: users[c].user.exec: would run a program")]
    [InlineData("auth-provider: {name: x}", "would run a credential plugin")]
    [InlineData("tokenFile: /etc/passwd", "would read a file")]
    [InlineData("client-certificate: /etc/passwd", "would read a file")]
    [InlineData("client-key: /etc/passwd", "would read a file")]
    [InlineData("token: {a: hush-hush}", "token: should be text")]
    [InlineData("token: \"hush-hush\\nhush-hush\"", "token: has a line break")]
    [InlineData("{token: hush-hush, as: \"a\\0b\"}", "as: has a line break")]
    [InlineData("{client-certificate-data: '%', client-key-data: aHVzaA==}", "is not base64")]
    [InlineData("{client-certificate-data: aHVzaA==, client-key-data: aHVzaA==}", "certificate or key that cannot be read")]
    public void Credentials_that_reach_for_the_machine_or_cannot_be_used_are_refused(string user, string words) =>
        Refused(Good.Replace("{token: hush-hush}", user.StartsWith('{') ? user : $"{{{user}}}", StringComparison.Ordinal), words);

    [Theory]
    [InlineData("insecure-skip-tls-verify: true", "clusters[c].cluster.insecure-skip-tls-verify: would send the token to an unverified server")]
    [InlineData("insecure-skip-tls-verify: 'true'", "would send the token to an unverified server")]
    [InlineData("proxy-url: 'ftp://proxy'", "proxy-url \"ftp://proxy\" is not a valid address")]
    public void An_address_that_nobody_vouches_for_or_that_leads_nowhere_is_refused(string cluster, string words) =>
        Refused(Good.Replace("6443\"", $"6443\", {cluster}", StringComparison.Ordinal), words);

    [Fact]
    public void A_certificate_authority_that_is_none_is_refused()
    {
        var pem = Convert.ToBase64String("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"u8);
        Refused(Good.Replace("6443\"", $"6443\", certificate-authority-data: {pem}", StringComparison.Ordinal), "certificate or key that cannot be read");
        Refused(Good.Replace("6443\"", "6443\", certificate-authority: /etc/passwd", StringComparison.Ordinal), "would read a file");
    }

    private static void Refused(string text, string words)
    {
        var (clusters, problems) = RemoteSecretReader.Read(Secret(("bad", text), ("good", Good)), "own");
        Assert.Equal("good", Assert.Single(clusters).Id);
        var (cluster, problem) = Assert.Single(problems);
        Assert.Equal("bad", cluster);
        Assert.Contains(words, problem.ToString());
        Assert.StartsWith("Secret istio-system/s: data[bad]", problem.ToString());
        Assert.DoesNotContain("hush-hush", problem.ToString());
    }

    private static Secret Secret(params (string Key, string Text)[] data) => new()
    {
        Metadata = new ObjectMeta { Name = "s", Namespace = "istio-system" },
        Data = data.ToDictionary(entry => entry.Key, entry => Convert.ToBase64String(Encoding.UTF8.GetBytes(entry.Text))),
    };
}
