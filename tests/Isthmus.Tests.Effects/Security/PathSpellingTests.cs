using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose.Analysis;
using Xunit;

namespace Isthmus.Tests.Effects.Security;

/// <summary>What the analysis says of spellings that pass a policy is what proxies do.</summary>
public sealed class PathSpellingTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("NONE", PathNormalization.None, 5)]
    [InlineData("BASE", PathNormalization.Base, 4)]
    [InlineData("MERGE_SLASHES", PathNormalization.MergeSlashes, 3)]
    [InlineData("DECODE_AND_MERGE_SLASHES", PathNormalization.DecodeAndMergeSlashes, 2)]
    [InlineData("STRICT", PathNormalization.Strict, 0)]
    public async Task Each_spelling_that_the_analysis_names_passes_and_the_others_do_not(string name, PathNormalization normalization, int passing)
    {
        var all = PathSpellings.Passing(["/admin"], PathNormalization.None);
        var named = PathSpellings.Passing(["/admin"], normalization);
        Assert.Equal((5, passing), (all.Count, named.Count));
        using var gateway = Gateway(name, "paths: [/admin]");
        Assert.Equal(403, await StatusAsync(gateway.Port, "/admin"));
        foreach (var spelling in all) Assert.Equal((spelling, named.Contains(spelling)), (spelling, await StatusAsync(gateway.Port, spelling) == 418));
        foreach (var other in PathSpellings.PassingAsOthers(["/admin"])) Assert.Equal((other, 418), (other, await StatusAsync(gateway.Port, other)));
    }

    [Theory]
    [InlineData("/admin*")]
    [InlineData("*/admin")]
    [InlineData("*.php")]
    [InlineData("/{*}/admin")]
    [InlineData("/admin/{**}")]
    [InlineData("/a.b/*")]
    public async Task Patterns_are_read_as_the_proxy_reads_them(string path)
    {
        using var gateway = Gateway("NONE", $"paths: ['{path}']");
        foreach (var spelling in PathSpellings.Passing([path], PathNormalization.None))
            Assert.Equal((spelling, 418), (spelling, await StatusAsync(gateway.Port, spelling)));
    }

    [Theory]
    [InlineData("*")]
    [InlineData("/*")]
    public void Nothing_passes_what_matches_every_path(string path) => Assert.Empty(PathSpellings.Passing(["/admin", path], PathNormalization.None));

    private static GuardedGateway Gateway(string normalization, string operation) => new($$"""pathNormalization: {normalization: {{normalization}} }""", $$"""
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: paths, namespace: shop}
        spec: {action: DENY, rules: [{to: [{operation: { {{operation}} } }] }]}
        """, 1, 1, blocked: "method: {exact: GET}");

    /// <summary>The status for a path as it is: clients would change it.</summary>
    private static async Task<int> StatusAsync(int port, string path)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, port, Stop);
        await using var stream = new NetworkStream(socket);
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n"), Stop);
        using var reader = new StreamReader(stream, Encoding.ASCII);
        return int.Parse((await reader.ReadLineAsync(Stop))!.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
    }
}
