using System.Text.Json;
using Isthmus.Proxy.Admin;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>What the proxy answers by itself is counted and logged as other answers are: a filter that expects an upstream must not stumble over its
/// absence.</summary>
public sealed class LocalReplyKindsTests
{
    private const string Extensions = "type.googleapis.com/envoy.extensions.filters.http.";

    /// <summary>Counts the messages of gRPC, which a local reply has none of.</summary>
    private const string Counting =
        $$$"""
        {"name": "envoy.filters.http.grpc_stats", "typed_config": {"@type": "{{{Extensions}}}grpc_stats.v3.FilterConfig", "emit_filter_state": true} },
        {"name": "istio.stats", "typed_config": {"@type": "type.googleapis.com/stats.PluginConfig"} },
        """;

    [Theory]
    [InlineData("direct", 204)]
    [InlineData("redirect", 301)]
    [InlineData("no route", 404)]
    [InlineData("no cluster", 503)]
    [InlineData("no host", 503)]
    [InlineData("nobody listens", 503)]
    [InlineData("policy", 403)]
    [InlineData("token", 401)]
    [InlineData("fault", 418)]
    [InlineData("limit", 429)]
    [InlineData("lacking", 403)]
    [InlineData("authorizer away", 403)]
    [InlineData("path", 400)]
    [InlineData("old version", 426)]
    public async Task Each_local_reply_is_one_answer_one_line_and_one_count(string kind, int status)
    {
        using var nobody = new ReservedPort();
        var filter = kind switch
        {
            "policy" => $$$"""{"name": "rbac", "typed_config": {"@type": "{{{Extensions}}}rbac.v3.RBAC", "rules": {} } },""",
            "token" =>
                $$$"""
                {"name": "jwt", "typed_config": {"@type": "{{{Extensions}}}jwt_authn.v3.JwtAuthentication",
                  "providers": {"p": {"issuer": "i", "local_jwks": {"inline_string": "{\"keys\": []}"} } },
                  "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"} }] } },
                """,
            "fault" =>
                $$$"""{"name": "fault", "typed_config": {"@type": "{{{Extensions}}}fault.v3.HTTPFault", "abort": {"http_status": 418, "percentage": {"numerator": 100} } } },""",
            "limit" =>
                $$$"""
                {"name": "limit", "typed_config": {"@type": "{{{Extensions}}}local_ratelimit.v3.LocalRateLimit", "stat_prefix": "l",
                  "token_bucket": {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "3600s"}, "filter_enabled": {"default_value": {"numerator": 100} },
                  "filter_enforced": {"default_value": {"numerator": 100} } } },
                """,
            "lacking" =>
                $$$"""{"name": "future", "typed_config": {"@type": "type.googleapis.com/xds.type.v3.TypedStruct", "type_url": "{{{Extensions}}}lua.v3.Lua", "value": {} } },""",
            "authorizer away" =>
                $$$"""
                {"name": "authz", "typed_config": {"@type": "{{{Extensions}}}ext_authz.v3.ExtAuthz",
                  "http_service": {"server_uri": {"uri": "http://a", "cluster": "empty", "timeout": "5s"} } } },
                """,
            _ => "",
        };
        var route = kind switch
        {
            "redirect" => """ "redirect": {"host_redirect": "b"} """,
            "no cluster" => """ "route": {"cluster": "none"} """,
            "no host" => """ "route": {"cluster": "empty"} """,
            "nobody listens" => """ "route": {"cluster": "away"} """,
            _ => """ "direct_response": {"status": 204} """,
        };
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("empty"), LoopbackProxy.Cluster("away")], route, filter + Counting);
        proxy.Endpoints("empty");
        proxy.Endpoints("away", nobody.Number);
        var before = Completed(proxy);
        if (kind == "limit") await CallAsync(proxy, "GET / HTTP/1.1");
        var answer = await CallAsync(proxy, kind switch
        {
            "no route" => "OPTIONS * HTTP/1.1",
            "path" => "GET /%00 HTTP/1.1",
            "old version" => "GET / HTTP/1.0",
            _ => "GET / HTTP/1.1",
        });
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        var calls = kind == "limit" ? 2 : 1;
        await Eventually.TrueAsync(() => proxy.LogText.Count(c => c == '\n') == calls);
        Assert.Contains($" {status} ", proxy.LogText.TrimEnd('\n').Split('\n')[^1], StringComparison.Ordinal);
        Assert.Equal(calls, Completed(proxy) - before);

        static Task<string> CallAsync(LoopbackProxy proxy, string line) => proxy.RawAsync($"{line}\r\nHost: a\r\nConnection: close\r\n\r\n");
    }

    /// <summary>The same for calls of gRPC: the status of the call is in the head.</summary>
    [Theory]
    [InlineData("policy", 7)]
    [InlineData("fault", 2)]
    public async Task A_call_of_gRPC_gets_a_status_and_no_messages(string kind, int status)
    {
        var filter = kind == "policy" ? $$$"""{"name": "rbac", "typed_config": {"@type": "{{{Extensions}}}rbac.v3.RBAC", "rules": {} } },"""
            : $$$"""{"name": "fault", "typed_config": {"@type": "{{{Extensions}}}fault.v3.HTTPFault", "abort": {"http_status": 500, "percentage": {"numerator": 100} } } },""";
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 204} """, filter + Counting);
        var answer = await proxy.RawAsync("POST /a.B/C HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nTE: trailers\r\nContent-Length: 0\r\n"
            + "Connection: close\r\n\r\n");
        Assert.Contains($"grpc-status: {status}\r\n", answer, StringComparison.Ordinal);
        await Eventually.TrueAsync(() => proxy.LogText.EndsWith('\n'));
    }

    private const string Odd = "aZ=;\"\\, \r\n\t\0\u007f:é世";

    /// <summary>A control plane chooses attributes of cookies: none of them makes another field, or ends the answer.</summary>
    [Fact]
    public async Task Attributes_of_a_cookie_stay_in_its_field()
    {
        var random = new Random(39305);
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("o", more: ", \"lb_policy\": \"RING_HASH\"")], """ "direct_response": {"status": 204} """);
        proxy.Endpoints("o", origin.Port);
        var accepted = 0;
        for (var i = 0; i < 60; i++)
        {
            string Text() => new([.. Enumerable.Range(0, random.Next(0, 12)).Select(_ => Odd[random.Next(Odd.Length)])]);
            var (name, value) = (Text(), Text());
            var attribute = $$"""{"name": {{JsonSerializer.Serialize(name)}}, "value": {{JsonSerializer.Serialize(value)}}}""";
            var action = $$$""" "route": {"cluster": "o", "hash_policy": [{"cookie": {"name": "c", "ttl": "60s", "attributes": [{{{attribute}}}] } }] } """;
            try
            {
                proxy.Route(action);
            }
            catch (Xunit.Sdk.XunitException)
            {
                continue; // The whole table is refused.
            }
            accepted++;
            var head = (await proxy.RawAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).Split("\r\n\r\n")[0];
            var lines = head.Split("\r\n");
            Assert.StartsWith("HTTP/1.1 200 ", lines[0], StringComparison.Ordinal);
            Assert.Single(lines, line => line.StartsWith("set-cookie: c=", StringComparison.Ordinal));
            Assert.All(lines.Skip(1), line => Assert.Contains(line.Split(':')[0],
                (string[])["server", "date", "content-length", "transfer-encoding", "set-cookie", "x-envoy-upstream-service-time", "connection"]));
        }
        Assert.InRange(accepted, 10, 60);
    }

    private static long Completed(LoopbackProxy proxy) => StatsText.Plain(proxy.Plane, "downstream_rq_completed").Split('\n')
        .Where(line => line.StartsWith("http.in.", StringComparison.Ordinal))
        .Sum(line => long.Parse(line.Split(' ')[^1], System.Globalization.CultureInfo.InvariantCulture));
}
