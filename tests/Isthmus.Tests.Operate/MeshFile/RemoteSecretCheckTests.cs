using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Operate.MeshFile;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Operate.MeshFile;

/// <summary>Remote secrets in the clusters of a mesh file. Who may write Secrets of istio-system is not who may read files of the person that runs
/// the command, so a kubeconfig in one names no file, program or unverified server.</summary>
public sealed class RemoteSecretCheckTests : IAsyncLifetime
{
    private const string Server = "https://10.0.0.2";

    private readonly RunningApiServer _one = new(), _other = new();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("remote");

    public async ValueTask InitializeAsync()
    {
        foreach (var server in (RunningApiServer[])[_one, _other])
        {
            await server.InitializeAsync();
            await server.SendAsync("POST", "/api/v1/namespaces", """{"metadata":{"name":"kube-system"}}""");
            await server.SendAsync("POST", "/api/v1/namespaces", """{"metadata":{"name":"istio-system"}}""");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _one.DisposeAsync();
        await _other.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("", "tokenFile: FILE", "users[u].user.tokenFile: would read a file of the machine that reads it and is rejected")]
    [InlineData("", "client-certificate: FILE, client-key: FILE",
        "users[u].user.client-certificate: would read a file of the machine that reads it and is rejected")]
    [InlineData("", "exec: {apiVersion: client.authentication.k8s.io/v1, command: FILE, interactiveMode: Never}",
        "users[u].user.exec: would run a program of the machine that reads it and is rejected")]
    [InlineData("certificate-authority: FILE", "token: t", "clusters[c].cluster.certificate-authority: would read a file of the machine")]
    [InlineData("insecure-skip-tls-verify: true", "token: t", "clusters[c].cluster.insecure-skip-tls-verify: would send the token to an unverified server")]
    public async Task What_names_a_file_or_a_program_is_a_difference_and_nothing_is_opened(string cluster, string user, string told)
    {
        var (program, ran) = (Path.Combine(_folder.FullName, "program"), Path.Combine(_folder.FullName, "ran"));
        await File.WriteAllTextAsync(program, $"#!/bin/sh\n: > {ran}\necho '{{}}'\n", TestContext.Current.CancellationToken);
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var change = await CompareAsync(Kubeconfig(cluster.Replace("FILE", program, StringComparison.Ordinal),
            user.Replace("FILE", program, StringComparison.Ordinal)));
        var fault = Assert.Single(change!.Fields);
        Assert.Equal((ChangeKind.Change, "data.other", "a kubeconfig"), (change.Kind, fault.Path, fault.Wanted));
        Assert.Contains(told, fault.Found, StringComparison.Ordinal);
        Assert.False(File.Exists(ran));
    }

    [Fact]
    public async Task The_same_kubeconfig_with_what_the_cluster_accepts_is_right()
    {
        Assert.Null(await CompareAsync(Kubeconfig("", $"token: {await TokenAsync()}")));
        Assert.Equal(["data.other: token"], (await CompareAsync(Kubeconfig("", "token: t")))!.Fields.Select(fault => fault.Path));
    }

    private async Task<Change?> CompareAsync(string kubeconfig)
    {
        var stop = TestContext.Current.CancellationToken;
        var secret = new JsonObject
        {
            ["metadata"] = new JsonObject
            {
                ["name"] = RemoteSecretCheck.Name("other"), ["labels"] = new JsonObject { ["istio/multiCluster"] = "true" },
            },
            ["data"] = new JsonObject { ["other"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(kubeconfig)) },
        };
        await _one.SendAsync("DELETE", $"/api/v1/namespaces/istio-system/secrets/{RemoteSecretCheck.Name("other")}", "");
        await _one.SendAsync("POST", "/api/v1/namespaces/istio-system/secrets", secret.ToJsonString());
        using var links = await MeshLinks.OpenAsync(MeshReaderTests.Read(
            $"  clusters: [{{name: a, server: 'https://10.0.0.1'}}, {{name: other, server: '{Server}'}}]\n"),
            context => context == "other" ? _other.Access : _one.Access, ["a", "other"], stop);
        return await new RemoteSecretCheck(links).CompareAsync(new("other", "a"), stop);
    }

    /// <summary>The token of an account that may list namespaces.</summary>
    private async Task<string> TokenAsync()
    {
        const string rbac = "/apis/rbac.authorization.k8s.io/v1";
        await _other.SendAsync("POST", "/api/v1/namespaces/istio-system/serviceaccounts", """{"metadata":{"name":"reader"}}""");
        await _other.SendAsync("POST", $"{rbac}/clusterroles",
            """{"metadata":{"name":"reader"},"rules":[{"apiGroups":[""],"resources":["namespaces"],"verbs":["list"]}]}""");
        await _other.SendAsync("POST", $"{rbac}/clusterrolebindings", """
            {"metadata":{"name":"reader"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"reader"},
             "subjects":[{"kind":"ServiceAccount","name":"reader","namespace":"istio-system"}]}
            """);
        return (await _other.SendAsync("POST", "/api/v1/namespaces/istio-system/serviceaccounts/reader/token",
            """{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}""")).Body["status"]!["token"]!.ToString();
    }

    private static string Kubeconfig(string cluster, string user) =>
        $"{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}], clusters: [{{name: c, cluster: "
        + $"{{server: '{Server}', {cluster}}}}}], users: [{{name: u, user: {{{user}}}}}]}}";
}
