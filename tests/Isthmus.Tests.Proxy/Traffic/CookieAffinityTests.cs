using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Hashing by a cookie: a client without it gets one and stays with its host.</summary>
public sealed class CookieAffinityTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("\"ttl\": \"60s\", \"path\": \"/shop\"", "; Max-Age=60; Path=/shop; HttpOnly")]
    [InlineData("\"ttl\": \"0s\"", "; HttpOnly")]
    [InlineData("\"path\": \"/shop\"", null)]
    public async Task A_client_without_the_cookie_gets_one_that_leads_to_the_same_host_again(string settings, string? attributes)
    {
        await using var one = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("one"));
        await using var two = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("two"));
        await using var three = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("three"));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", more: ", \"lb_policy\": \"RING_HASH\"")],
            $$""" "route": {"cluster": "up", "hash_policy": [{"cookie": {"name": "user", {{settings}} } }] } """);
        proxy.Endpoints("up", one.Port, two.Port, three.Port);
        var seen = new HashSet<string>();
        for (var i = 0; i < 100 && seen.Count < 2; i++)
        {
            var (answer, cookie) = await GetAsync(proxy.Port, "");
            seen.Add(answer);
            Assert.Equal(attributes is null, cookie is null);
            if (attributes is null) continue;
            Assert.Matches("^user=\"[0-9a-f]{16}\"" + attributes + "$", cookie);
            // From other connections, with and without the quotes.
            var value = cookie!.Split(';')[0];
            for (var again = 0; again < 5; again++)
                Assert.Equal((answer, null),
                    await GetAsync(proxy.Port, $"other=1; {(again % 2 == 0 ? value : value.Replace("\"", "", StringComparison.Ordinal))}"));
        }
        Assert.True(seen.Count > 1, "all clients go to one host");
    }

    private static async Task<(string Answer, string? Cookie)> GetAsync(int port, string cookie)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseCookies = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port}/");
        if (cookie.Length > 0) request.Headers.Add("cookie", cookie);
        using var response = await client.SendAsync(request, Stop);
        return (await response.Content.ReadAsStringAsync(Stop), response.Headers.TryGetValues("set-cookie", out var values) ? values.Single() : null);
    }
}
