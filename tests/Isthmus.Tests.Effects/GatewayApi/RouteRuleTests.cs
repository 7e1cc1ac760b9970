using System.Collections.Concurrent;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;
using static Isthmus.Tests.Effects.GatewayApi.RouteProxy;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Which requests rules match, and to which backends they go, from the objects to the proxy.</summary>
public sealed class RouteRuleTests
{
    [Theory]
    [InlineData("path: {type: Exact, value: /a}", "/a", "", true)]
    [InlineData("path: {type: Exact, value: /a}", "/a/", "", false)]
    [InlineData("path: {type: PathPrefix, value: /a/}", "/a", "", true)]
    [InlineData("path: {type: PathPrefix, value: /a}", "/ab", "", false)]
    [InlineData("path: {type: RegularExpression, value: '/[0-9]+'}", "/42", "", true)]
    [InlineData("path: {type: RegularExpression, value: '/[0-9]+'}", "/42x", "", false)]
    [InlineData("headers: [{name: X-A, value: one}, {name: x-a, value: two}]", "/", "x-a: one", true)]
    [InlineData("headers: [{name: x-a, type: RegularExpression, value: 'o.e'}]", "/", "x-a: ooe", true)]
    [InlineData("headers: [{name: x-a, value: one}]", "/", "", false)]
    [InlineData("queryParams: [{name: q, value: one}]", "/?q=one&q=two", "", true)]
    [InlineData("queryParams: [{name: q, value: two}]", "/?q=one&q=two", "", false)]
    [InlineData("queryParams: [{name: q, type: RegularExpression, value: '[a-z]+'}]", "/?q=abc", "", true)]
    [InlineData("method: POST", "/", "", false)]
    public async Task Matches_are_of_paths_headers_queries_and_methods(string match, string path, string header, bool matches)
    {
        await using var proxy = await OfRulesAsync($$"""{matches: [{ {{match}} }], {{Web}} }""");
        Assert.Equal(matches ? 200 : 404, (await proxy.CallAsync(path, header)).Status);
    }

    [Fact]
    public async Task Of_several_rules_and_routes_the_most_exact_match_applies_then_the_oldest_then_the_first_by_name()
    {
        static string Rule(string match, string mark) => $$"""
            {name: {{mark}}, matches: [{ {{match}} }],
             filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: by, value: {{mark}} }]} }], {{Web}} }
            """;
        await using var proxy = await OfRoutesAsync(
            Route("b",
                $"{Rule("path: {type: PathPrefix, value: /}", "root")}, {Rule("path: {type: PathPrefix, value: /a/b}", "long")}, "
                    + $"{Rule("path: {type: Exact, value: /a/b}", "exact")}, {Rule("method: GET, path: {type: PathPrefix, value: /m}", "method")}")
            + Route("c",
                $"{Rule("path: {type: PathPrefix, value: /a}", "short")}, "
                    + $"{Rule("path: {type: PathPrefix, value: /m}, headers: [{name: x, value: y}]", "header")}, "
                    + $"{Rule("path: {type: PathPrefix, value: /same}", "younger")}",
                age: "2026-01-02T00:00:00Z")
            + Route("z", Rule("path: {type: PathPrefix, value: /same}", "older"), age: "2026-01-01T12:00:00Z")
            + Route("a", Rule("path: {type: PathPrefix, value: /b}", "first"))
            + Route("d", Rule("path: {type: PathPrefix, value: /b}", "second")));
        foreach (var (path,
            by) in new[] { ("/a/b", "exact"), ("/a/b/c", "long"), ("/a/c", "short"), ("/x", "root"), ("/m", "method"), ("/same", "older"), ("/b", "first") })
            Assert.Equal((200, by), await ByAsync(path));

        async Task<(int, string)> ByAsync(string path)
        {
            var (status, _, by) = await proxy.CallAsync(path, "x: y", answer: "by");
            return (status, by);
        }
    }

    [Theory]
    [InlineData("method: {service: pkg.S, method: Do}", "/pkg.S/Do", true)]
    [InlineData("method: {service: pkg.S, method: Do}", "/pkg.S/Other", false)]
    [InlineData("method: {service: pkg.S}", "/pkg.S/Any", true)]
    [InlineData("method: {service: pkg.S}", "/pkg.S2/Any", false)]
    [InlineData("method: {method: Do}", "/any.S/Do", true)]
    [InlineData("method: {type: RegularExpression, service: 'pkg[.].*', method: 'D.'}", "/pkg.X/Do", true)]
    [InlineData("method: {type: RegularExpression, service: 'pkg[.].*'}", "/other.X/Do", false)]
    [InlineData("headers: [{name: x, value: y}]", "/pkg.S/Do", false)]
    public async Task Calls_of_gRPC_match_by_service_method_and_headers(string match, string path, bool matches)
    {
        await using var proxy = await OfRoutesAsync(Route("g", $$"""{name: calls, matches: [{ {{match}} }], {{Web}} }""", "GRPCRoute"));
        Assert.Equal(matches ? 200 : 404, (await proxy.CallAsync(path)).Status);
    }

    [Fact]
    public async Task Backends_share_requests_by_weight_each_with_its_own_changes()
    {
        await using var proxy = await OfRulesAsync("""
            {backendRefs: [
              {group: networking.istio.io, kind: Hostname, name: web.example, port: 80, weight: 1,
                filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /one} } }]},
              {group: networking.istio.io, kind: Hostname, name: web.example, port: 80, weight: 0,
               filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /none} } }]},
              {group: networking.istio.io, kind: Hostname, name: web.example, port: 80, weight: 1,
                filters: [{type: RequestRedirect, requestRedirect: {statusCode: 303} }]},
              {group: networking.istio.io, kind: Hostname, name: none.example, port: 80, weight: 1}]}
            """);
        var seen = new Dictionary<string, int>();
        for (var i = 0; i < 300; i++)
        {
            var (status, body, _) = await proxy.CallAsync("/p");
            var key = $"{status} {body}";
            seen[key] = seen.GetValueOrDefault(key) + 1;
        }
        Assert.Equal(["200 GET /one", "303 ", "500 "], seen.Keys.Order(StringComparer.Ordinal));
        Assert.All(seen.Values, count => Assert.InRange(count, 50, 150));
    }

    [Fact]
    public async Task Backends_share_calls_of_gRPC_by_weight()
    {
        await using var proxy = await OfRoutesAsync(Route("g", """
            {matches: [{method: {service: pkg.S} }], backendRefs: [
              {group: networking.istio.io, kind: Hostname, name: web.example, port: 80, weight: 1},
              {group: networking.istio.io, kind: Hostname, name: none.example, port: 80, weight: 1}]}
            """, "GRPCRoute"));
        var answered = 0;
        for (var i = 0; i < 200; i++)
            if ((await proxy.CallAsync("/pkg.S/Do")).Status == 200) answered++;
        Assert.InRange(answered, 50, 150);
    }

    [Theory]
    [InlineData("backendRefs: []")]
    [InlineData("backendRefs: [{group: networking.istio.io, kind: Hostname, name: web.example, port: 80, weight: 0}]")]
    [InlineData("backendRefs: [{group: networking.istio.io, kind: Hostname, name: none.example, port: 80}]")]
    [InlineData("backendRefs: [{group: networking.istio.io, kind: Hostname, name: web.example, port: 81}]")]
    [InlineData("backendRefs: [{group: networking.istio.io, kind: Hostname, name: web.example}]")]
    [InlineData("backendRefs: [{group: g, kind: Unknown, name: web.example, port: 80}]")]
    [InlineData("backendRefs: [{name: none, port: 80}]")]
    public async Task Without_a_backend_requests_get_500(string backends)
    {
        await using var proxy = await OfRulesAsync($"{{{backends}}}");
        Assert.Equal(500, (await proxy.CallAsync("/")).Status);
    }

    [Fact]
    public async Task Limits_of_time_end_requests_and_their_attempts()
    {
        await using var proxy = await OfRulesAsync($$"""
            {matches: [{path: {type: PathPrefix, value: /try} }], timeouts: {backendRequest: 200ms}, {{Web}} },
            {matches: [{path: {type: PathPrefix, value: /whole} }], timeouts: {request: 200ms}, {{Web}} },
            {matches: [{path: {type: PathPrefix, value: /none} }], timeouts: {request: 0s, backendRequest: 0s}, {{Web}} },
            {matches: [{path: {type: PathPrefix, value: /patient} }], timeouts: {request: 60s, backendRequest: 50s}, {{Web}} }
            """, context => context.Request.Path.Value switch
        {
            "/try" or "/whole" => Task.Delay(Timeout.Infinite, context.RequestAborted),
            // Longer than the other limits.
            "/none" => Task.Delay(TimeSpan.FromSeconds(1), context.RequestAborted),
            _ => Task.CompletedTask,
        });
        foreach (var (path, status) in new[] { ("/try", 504), ("/whole", 504), ("/none", 200), ("/patient", 200) })
            Assert.Equal(status, (await proxy.CallAsync(path)).Status);
    }

    [Theory]
    [InlineData("codes: [500], attempts: 3", 500, 2, 200, 3)]
    [InlineData("codes: [500], attempts: 3, backoff: 1ms", 500, 4, 500, 4)]
    [InlineData("codes: [500], attempts: 3", 503, 1, 503, 1)]
    [InlineData("codes: [500, 502, 503, 504], attempts: 2", 502, 1, 200, 2)]
    [InlineData("codes: [500, 502, 503, 504], attempts: 2", 502, 3, 502, 3)]
    [InlineData("codes: [500, 502, 503, 504], attempts: 2", 503, 1, 200, 2)]
    [InlineData("codes: [500, 502, 503, 504], attempts: 2", 503, 3, 503, 3)]
    [InlineData("codes: [500, 502, 503, 504], attempts: 2", 504, 1, 200, 2)]
    [InlineData("codes: [500, 502, 503, 504], attempts: 2", 504, 3, 504, 3)]
    [InlineData("attempts: 0", 500, 1, 500, 1)]
    [InlineData("attempts: 2", 0, 1, 200, 2)]
    public async Task Requests_are_tried_again_for_the_codes_of_a_rule_and_when_nobody_answers(string retry, int failure, int failures, int status,
        int attempts)
    {
        var seen = new ConcurrentDictionary<string, int>();
        await using var proxy = await OfRulesAsync($$"""{retry: { {{retry}} }, timeouts: {backendRequest: {{(failure == 0 ? "1s" : "60s")}} }, {{Web}} }""",
            async context =>
        {
            var attempt = seen.AddOrUpdate("count", 1, (_, count) => count + 1);
            if (attempt > failures) return;
            // Zero: no answer in time.
            if (failure == 0) await Task.Delay(Timeout.Infinite, context.RequestAborted);
            else context.Response.StatusCode = failure;
        });
        Assert.Equal((status, attempts), ((await proxy.CallAsync("/", method: HttpMethod.Post)).Status, seen["count"]));
    }

    /// <summary>A server that closes connections instead of answering. No code is named: what does not answer is tried again.</summary>
    [Theory]
    [InlineData(2, 200, 3)]
    [InlineData(4, 503, 4)]
    public async Task Requests_are_tried_again_when_connections_end_without_an_answer(int failures, int status, int attempts)
    {
        var count = 0;
        await using var proxy = await OfRulesAsync($$"""{retry: {attempts: 3}, {{Web}} }""", context =>
        {
            if (Interlocked.Increment(ref count) <= failures) context.Abort();
            return Task.CompletedTask;
        });
        Assert.Equal((status, attempts), ((await proxy.CallAsync("/")).Status, count));
    }

    /// <summary>Attempts end by their own limit, and all of them together by that of the request.</summary>
    [Theory]
    [InlineData("/try", 2, true, 200, 3)]
    [InlineData("/try", 3, true, 504, 3)]
    [InlineData("/whole", 1, false, 200, 2)]
    [InlineData("/whole", 4, true, 504, 0)]
    public async Task Attempts_go_on_as_long_as_the_limits_of_time_permit(string path, int failures, bool waits, int status, int attempts)
    {
        var count = 0;
        await using var proxy = await OfRulesAsync($$"""
            {matches: [{path: {type: PathPrefix, value: /try} }], retry: {attempts: 2}, timeouts: {backendRequest: 1s}, {{Web}} },
            {matches: [{path: {type: PathPrefix, value: /whole} }], retry: {codes: [500], attempts: 5}, timeouts: {backendRequest: 1s, request: 2s}, {{Web}} }
            """, async context =>
        {
            if (Interlocked.Increment(ref count) > failures) return;
            if (waits) await Task.Delay(Timeout.Infinite, context.RequestAborted);
            context.Response.StatusCode = 500;
        });
        Assert.Equal(status, (await proxy.CallAsync(path)).Status);
        // How many begin within the limit of the request depends on pauses of random length.
        if (attempts > 0) Assert.Equal(attempts, count);
        else Assert.InRange(count, 1, 4);
    }
}
