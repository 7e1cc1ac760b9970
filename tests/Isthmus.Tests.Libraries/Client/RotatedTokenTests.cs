using System.Net;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Client;

/// <summary>A mounted kubeconfig changes while a program runs: the next request uses the new token.</summary>
public sealed class RotatedTokenTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    [Fact]
    public async Task The_token_of_a_mounted_kubeconfig_is_read_again_and_the_last_one_holds_while_it_cannot_be_read()
    {
        using var server = LocalHttp.Start(out var address);
        Write(address, "one");
        var access = KubeConfig.Load(_file, null, _ => null) with { TokenKubeconfig = _file };
        using var client = new KubeClient(access);
        Assert.Equal("Bearer one", await SeenAsync(server, client));
        Write(address, "two");
        Assert.Equal("Bearer two", await SeenAsync(server, client));
        await File.WriteAllTextAsync(_file, "half a fi", TestContext.Current.CancellationToken);
        Assert.Equal("Bearer two", await SeenAsync(server, client));
    }

    private void Write(Uri address, string token) => File.WriteAllText(_file, $$$"""
        apiVersion: v1
        kind: Config
        current-context: c
        contexts: [{name: c, context: {cluster: c, user: c}}]
        clusters: [{name: c, cluster: {server: "{{{address}}}"}}]
        users: [{name: c, user: {token: {{{token}}} } }]
        """);

    private static async Task<string?> SeenAsync(HttpListener server, KubeClient client)
    {
        var asked = client.FindAsync(Kinds.Namespace, null, "any", TestContext.Current.CancellationToken);
        var call = await server.GetContextAsync();
        var seen = call.Request.Headers["Authorization"];
        call.Response.StatusCode = (int)HttpStatusCode.NotFound;
        call.Response.Close();
        Assert.Null(await asked);
        return seen;
    }
}
