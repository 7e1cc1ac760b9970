using System.Diagnostics;
using System.Net;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary>Fields of HTTP routes, from the VirtualService to the bytes.</summary>
public sealed class RouteFieldTests
{
    private const string ToWeb = "route: [{destination: {host: web.example}}]";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("match: '^/v1/(.*)/by/(.*)$', rewrite: '/\\2/of/\\1'", "/v1/cats/by/name?q=1", "/name/of/cats?q=1")]
    [InlineData("match: '//+', rewrite: '$/'", "/a//b///c", "/a$/b$/c")]
    [InlineData("match: '^/none$', rewrite: /some", "/a", "/a")]
    public async Task A_path_is_rewritten_by_a_regular_expression(string rewrite, string path, string seen)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1,
            context => context.Response.WriteAsync(context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpRequestFeature>()!.RawTarget));
        using var proxy = Proxy($"rewrite: {{uriRegexRewrite: {{{rewrite}}}}}, {ToWeb}", origin.Port);
        Assert.Equal((200, seen), await proxy.CallAsync(path));
    }

    [Theory]
    [InlineData("derivePort: FROM_REQUEST_PORT, authority: other.example, scheme: https", "https://other.example:80/a")]
    [InlineData("derivePort: FROM_PROTOCOL_DEFAULT, authority: other.example", "http://other.example/a")]
    [InlineData("derivePort: FROM_REQUEST_PORT, authority: other.example", "http://other.example/a")]
    [InlineData("port: 8080, uri: /b", "http://web.example:8080/b")]
    public async Task A_redirect_names_the_port_that_the_rule_derives(string redirect, string location)
    {
        using var proxy = Proxy($"redirect: {{{redirect}}}", 1);
        using var response = await proxy.SendAsync("/a");
        Assert.Equal((HttpStatusCode.MovedPermanently, location), (response.StatusCode, response.Headers.Location!.OriginalString));
    }

    [Theory]
    [InlineData("match: [{uri: {prefix: /old}}], redirect: {prefixRewrite: /new}", "/old/a?q=1", "http://web.example/new/a?q=1")]
    [InlineData("match: [{uri: {prefix: /old}}], redirect: {prefixRewrite: /, authority: other.example, scheme: https}", "/old", "https://other.example/")]
    [InlineData("match: [{uri: {prefix: /old/}}], redirect: {prefixRewrite: /new/, redirectCode: 308}", "/old/a/b", "http://web.example/new/a/b")]
    [InlineData("redirect: {prefixRewrite: /new/}", "/a", "http://web.example/new/a")]
    public async Task A_redirect_replaces_the_prefix_that_matches(string route, string path, string location)
    {
        using var proxy = Proxy(route, 1);
        using var response = await proxy.SendAsync(path);
        Assert.Equal(location, response.Headers.Location!.OriginalString);
    }

    [Theory]
    [InlineData("abort: {grpcStatus: RESOURCE_EXHAUSTED, percentage: {value: 100}}", true, 200, "8")]
    [InlineData("abort: {grpcStatus: '14', percentage: {value: 100}}", true, 200, "14")]
    [InlineData("abort: {grpcStatus: NOT_FOUND, percentage: {value: 100}}", false, 404, null)]
    [InlineData("abort: {httpStatus: 429, percentage: {value: 100}}", false, 429, null)]
    [InlineData("abort: {httpStatus: 429, percentage: {value: 100}}", true, 200, "14")]
    [InlineData("abort: {httpStatus: 429, percentage: {value: 0}}", false, 200, null)]
    public async Task A_fault_ends_a_request(string fault, bool isGrpc, int status, string? grpc)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var proxy = Proxy($"fault: {{{fault}}}, {ToWeb}", origin.Port);
        using var response = await proxy.SendAsync(header: isGrpc ? "content-type: application/grpc" : "", version: isGrpc ? HttpVersion.Version20 : null);
        Assert.Equal(status, (int)response.StatusCode);
        // A response of only trailers: the status is in the first and last block of fields.
        Assert.Equal(grpc, response.Headers.TryGetValues("grpc-status", out var values) ? values.Single() : null);
        if (grpc is not null) Assert.Equal("fault filter abort", response.Headers.GetValues("grpc-message").Single());
        Assert.Equal(fault.Contains("value: 0", StringComparison.Ordinal) ? "origin" : isGrpc ? "" : "fault filter abort",
            await response.Content.ReadAsStringAsync(Stop));
    }

    [Fact]
    public async Task A_fault_delays_a_request()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var proxy = Proxy($"fault: {{delay: {{fixedDelay: 200ms, percentage: {{value: 100}}}}}}, {ToWeb}", origin.Port);
        var begun = Stopwatch.GetTimestamp();
        Assert.Equal((200, "origin"), await proxy.CallAsync());
        Assert.True(Stopwatch.GetElapsedTime(begun) >= TimeSpan.FromMilliseconds(200));
    }

    [Theory]
    [InlineData("", "http://good.example", 200, "http://good.example")]
    [InlineData("", "http://bad.example", 418, null)]
    [InlineData("unmatchedPreflights: FORWARD,", "http://bad.example", 418, null)]
    [InlineData("unmatchedPreflights: IGNORE,", "http://bad.example", 200, null)]
    [InlineData("unmatchedPreflights: IGNORE,", "http://good.example", 200, "http://good.example")]
    public async Task A_preflight_request_is_answered_or_forwarded(string unmatched, string from, int status, string? allowed)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.StatusCode = 418;
            return Task.CompletedTask;
        });
        using var proxy = Proxy($"corsPolicy: {{{unmatched} allowOrigins: [{{exact: 'http://good.example'}}], allowMethods: [GET]}}, {ToWeb}", origin.Port);
        using var response = await proxy.SendAsync(method: HttpMethod.Options, header: $"origin: {from}\naccess-control-request-method: GET");
        Assert.Equal((status, allowed),
            ((int)response.StatusCode, response.Headers.TryGetValues("access-control-allow-origin", out var values) ? values.Single() : null));
    }

    [Fact]
    public async Task A_copy_of_each_request_reaches_the_mirror()
    {
        var copies = new TaskCompletionSource<(string Host, string Path, string Body)>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        await using var mirror = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            copies.TrySetResult(($"{context.Request.Host}", context.Request.Path, await reader.ReadToEndAsync()));
            context.Response.StatusCode = 500;
        });
        using var proxy = new SidecarProxy($$"""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: web, namespace: shop}
            spec: {host: web.example, subsets: [{name: a, labels: {v: a} }, {name: b, labels: {v: b} }] }
            ---
            {{Routes("route: [{destination: {host: web.example, subset: a}}], mirrors: [{destination: {host: web.example, subset: b}, percentage: {value: 100}}]")}}
            """, [(origin.Port, "v: a"), (mirror.Port, "v: b")]);
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post,
            $"http://127.0.0.1:{proxy.Port}/copy") { Content = new StringContent("body"), Headers = { Host = "web.example" } };
        using var response = await client.SendAsync(request, Stop);
        Assert.Equal("origin", await response.Content.ReadAsStringAsync(Stop));
        Assert.Equal(("web.example-shadow", "/copy", "body"), await copies.Task.WaitAsync(TimeSpan.FromSeconds(30), Stop));
    }

    [Theory]
    [InlineData("retryOn: '503'", "", 1)]
    [InlineData("retryOn: reset-before-request", "", 0)]
    [InlineData("retryOn: envoy-ratelimited", "x-envoy-ratelimited", 1)]
    [InlineData("retryOn: '503,5xx'", "x-envoy-ratelimited", 0)]
    public async Task An_answer_is_asked_for_again_under_the_conditions(string retry, string field, int retries)
    {
        var asked = 0;
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            if (field.Length > 0) context.Response.Headers[field] = "true";
            context.Response.StatusCode = Interlocked.Increment(ref asked) == 1 ? 503 : 200;
            return Task.CompletedTask;
        });
        using var proxy = Proxy($"retries: {{attempts: 1, {retry}}}, {ToWeb}", origin.Port);
        Assert.Equal(retries == 1 ? 200 : 503, (await proxy.CallAsync()).Status);
        Assert.Equal(1 + retries, asked);
    }

    [Theory]
    [InlineData("reset-before-request", 200)]
    [InlineData("retriable-4xx", 503)]
    public async Task A_host_that_cannot_be_reached_is_left_under_the_conditions(string on, int status)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var dead = new Isthmus.Testing.ReservedPort();
        var seen = new HashSet<int>();
        for (var i = 0; i < 40 && !seen.Contains(status); i++)
        {
            // A proxy that does not yet know which of the two is dead.
            using var proxy = Proxy($"retries: {{attempts: 2, retryOn: {on}}}, {ToWeb}", origin.Port, dead.Number);
            seen.Add((await proxy.CallAsync()).Status);
        }
        Assert.Contains(status, seen);
        if (status == 200) Assert.DoesNotContain(503, seen);
    }

    [Fact]
    public async Task Every_retry_waits_as_long_as_its_backoff_says()
    {
        var asked = 0;
        await using var a = await OriginServer.StartAsync(HttpProtocols.Http1, Fail);
        await using var b = await OriginServer.StartAsync(HttpProtocols.Http1, Fail);
        using var proxy = Proxy($"retries: {{attempts: 6, retryOn: 5xx, backoff: 40ms}}, {ToWeb}", a.Port, b.Port);
        var begun = Stopwatch.GetTimestamp();
        Assert.Equal(500, (await proxy.CallAsync()).Status);
        Assert.Equal(7, asked);
        // Each pause is a random part of 40, 80, 160, 320, 400 and 400 ms.
        Assert.True(Stopwatch.GetElapsedTime(begun) > TimeSpan.FromMilliseconds(20));

        Task Fail(HttpContext context)
        {
            Interlocked.Increment(ref asked);
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        }
    }

    [Theory]
    [InlineData("", 2)]
    [InlineData(", retryIgnorePreviousHosts: true", 2)]
    [InlineData(", retryIgnorePreviousHosts: false", 1)]
    public async Task Retries_avoid_tried_hosts_unless_the_rule_says_otherwise(string field, int hosts)
    {
        var seen = new HashSet<int>();
        await using var a = await OriginServer.StartAsync(HttpProtocols.Http1, Fail);
        await using var b = await OriginServer.StartAsync(HttpProtocols.Http1, Fail);
        using var proxy = new SidecarProxy($$"""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: web, namespace: shop}
            spec: {host: web.example, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: user} } } }
            ---
            {{Routes($"retries: {{attempts: 1, retryOn: 5xx{field}}}, {ToWeb}")}}
            """, [(a.Port, ""), (b.Port, "")]);
        Assert.Equal(500, (await proxy.CallAsync(header: "user: 1")).Status);
        Assert.Equal(hosts, seen.Count);

        Task Fail(HttpContext context)
        {
            lock (seen) seen.Add(context.Connection.LocalPort);
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        }
    }

    /// <summary>More hosts are near than a request tries.</summary>
    [Theory]
    [InlineData("", "", 500)]
    [InlineData(", retryRemoteLocalities: false", "", 500)]
    [InlineData(", retryRemoteLocalities: true", "", 200)]
    [InlineData("", ", loadBalancer: {localityLbSetting: {enabled: true, failoverPriority: [tier=near]} }", 500)]
    [InlineData(", retryRemoteLocalities: true", ", loadBalancer: {localityLbSetting: {enabled: true, failoverPriority: [tier=near]} }", 200)]
    public async Task Retries_leave_their_priority_if_the_rule_lets_them(string field, string balancing, int status)
    {
        const string Near = "istio-locality: c1.z1, tier: near";
        var (near, far) = (0, 0);
        await using var a = await OriginServer.StartAsync(HttpProtocols.Http1, Fail);
        await using var b = await OriginServer.StartAsync(HttpProtocols.Http1, Fail);
        await using var c = await OriginServer.StartAsync(HttpProtocols.Http1, Fail);
        await using var d = await OriginServer.StartAsync(HttpProtocols.Http1, Fail);
        await using var remote = await OriginServer.StartAsync(HttpProtocols.Http1, _ =>
        {
            Interlocked.Increment(ref far);
            return Task.CompletedTask;
        });
        using var proxy = new SidecarProxy($$"""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: web, namespace: shop}
            spec: {host: web.example, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1000}{{balancing}} } }
            ---
            {{Routes($"retries: {{attempts: 2, retryOn: 5xx{field}}}, {ToWeb}")}}
            """, [(a.Port, Near), (b.Port, Near), (c.Port, Near), (d.Port, Near), (remote.Port, "istio-locality: c9.z9, tier: far")]);
        Assert.Equal(status, (await proxy.CallAsync()).Status);
        Assert.Equal(status == 200 ? (2, 1) : (3, 0), (near, far));

        Task Fail(HttpContext context)
        {
            Interlocked.Increment(ref near);
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        }
    }

    [Theory]
    [InlineData("gateways: [front]", 200)]
    [InlineData("gateways: [front, mesh]", 418)]
    [InlineData("gateways: [mesh]", 418)]
    public async Task A_rule_for_gateways_only_changes_no_calls_of_sidecars(string gateways, int status)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var proxy = new SidecarProxy(Routes("directResponse: {status: 418}").Replace("hosts:", $"{gateways}, hosts:", StringComparison.Ordinal),
            [(origin.Port, "")]);
        Assert.Empty(proxy.Reported);
        Assert.Equal(status, (await proxy.CallAsync()).Status);
    }

    private static SidecarProxy Proxy(string route, params int[] ports)
    {
        var proxy = new SidecarProxy(Routes(route), [.. ports.Select(port => (port, ""))]);
        Assert.Empty(proxy.Reported);
        return proxy;
    }

    private static string Routes(string route) => $$"""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec: {hosts: [web.example], http: [{ {{route}} }]}
        """;
}
