using Isthmus.Proxy.Clusters;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary>Session affinity by <c>consistentHash</c>: from the DestinationRule to the host that answers.</summary>
public sealed class AffinityTests
{
    [Theory]
    [InlineData("httpHeaderName: x-user", "/", "x-user: {0}")]
    [InlineData("httpHeaderName: x-user, minimumRingSize: 4096", "/", "x-user: {0}")]
    [InlineData("httpHeaderName: x-user, ringHash: {minimumRingSize: 64}", "/", "x-user: {0}")]
    [InlineData("httpHeaderName: x-user, maglev: {tableSize: 1009}", "/", "x-user: {0}")]
    [InlineData("httpQueryParameterName: user, maglev: {}", "/?a=b&user={0}", "")]
    [InlineData("httpCookie: {name: user, ttl: 0s}", "/", "cookie: a=b; user={0}")]
    [InlineData("useSourceIp: true", "/", "x-forwarded-for: 10.0.0.{0}")]
    public async Task A_key_leads_to_the_host_that_Envoy_would_choose(string hash, string path, string header)
    {
        await using var a = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync($"{context.Connection.LocalPort}"));
        await using var b = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync($"{context.Connection.LocalPort}"));
        await using var c = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync($"{context.Connection.LocalPort}"));
        using var proxy = new SidecarProxy(Rule(hash), [(a.Port, ""), (b.Port, ""), (c.Port, "")]);
        Assert.Empty(proxy.Reported);
        var state = proxy.Plane.State.Current.Clusters["outbound|80||web.example"];
        var table = state.Config.Hashing.Arrange([.. state.AllHosts.Select(host => (host, 1.0 / 3))]);
        for (var i = 0; i < 8; i++)
        {
            var expected = table.Pick(XxHash64.Of(hash.Contains("Ip", StringComparison.Ordinal) ? $"10.0.0.{i}" : $"{i}"), new(0, null, null), false,
                false)!.Endpoint.AddressText.Split(':')[1];
            for (var again = 0; again < 2; again++)
                Assert.Equal((200, expected),
                    await proxy.CallAsync(path.Replace("{0}", $"{i}", StringComparison.Ordinal), header.Replace("{0}", $"{i}", StringComparison.Ordinal)));
        }
    }

    [Fact]
    public async Task A_client_gets_the_cookie_with_all_its_attributes()
    {
        await using var a = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("a"));
        using var proxy = new SidecarProxy(
            Rule("httpCookie: {name: user, ttl: 60s, path: /shop, attributes: [{name: SameSite, value: Strict}, {name: Secure}]}"),
            [(a.Port, "")]);
        Assert.Empty(proxy.Reported);
        using var response = await proxy.SendAsync();
        Assert.Matches("^user=\"[0-9a-f]{16}\"; Max-Age=60; Path=/shop; SameSite=Strict; Secure; HttpOnly$", response.Headers.GetValues("set-cookie").Single());
    }

    private static string Rule(string hash) => $$"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: shop}
        spec: {host: web.example, trafficPolicy: {loadBalancer: {consistentHash: { {{hash}} } } } }
        """;
}
