using System.Collections.Concurrent;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;
using static Isthmus.Tests.Effects.GatewayApi.RouteProxy;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>What filters of HTTPRoutes do to requests and responses, from the objects to the proxy.</summary>
public sealed class RouteFilterTests
{
    [Theory]
    [InlineData("/a", "replacePrefixMatch: /x", "/a/b?q=1", "/x/b?q=1")]
    [InlineData("/a", "replacePrefixMatch: /x", "/a", "/x")]
    [InlineData("/a", "replacePrefixMatch: /x", "/a/", "/x/")]
    [InlineData("/a/", "replacePrefixMatch: /x/", "/a/b", "/x/b")]
    [InlineData("/a", "replacePrefixMatch: /", "/a/b", "/b")]
    [InlineData("/a", "replacePrefixMatch: /", "/a", "/")]
    [InlineData("/a", "replacePrefixMatch: ''", "/a/", "/")]
    [InlineData("/a.b", "replacePrefixMatch: /", "/a.b/c", "/c")]
    [InlineData("/", "replacePrefixMatch: /x", "/b", "/x/b")]
    [InlineData("/a", "replaceFullPath: /y/z", "/a/b?q=1", "/y/z?q=1")]
    public async Task Paths_are_rewritten_by_elements_or_as_a_whole(string prefix, string replacement, string path, string seen)
    {
        var type = replacement.StartsWith("replaceFull", StringComparison.Ordinal) ? "ReplaceFullPath" : "ReplacePrefixMatch";
        var match = $"matches: [{{path: {{type: PathPrefix, value: {prefix}}}}}]";
        await using var proxy = await OfRulesAsync(
            $$"""{ {{match}}, filters: [{type: URLRewrite, urlRewrite: {path: {type: {{type}}, {{replacement}} } } }], {{Web}} }""");
        Assert.Equal((200, $"GET {seen}"), Two(await proxy.CallAsync(path)));
        await using var redirecting = await OfRulesAsync(
            $$"""{ {{match}}, filters: [{type: RequestRedirect, requestRedirect: {hostname: other, path: {type: {{type}}, {{replacement}} } } }] }""");
        Assert.Equal((302, "", $"http://other{seen}"), await redirecting.CallAsync(path));
    }

    [Theory]
    [InlineData("statusCode: 301", 301, "http://web.example/p?q=1")]
    [InlineData("statusCode: 303, hostname: other.example", 303, "http://other.example/p?q=1")]
    [InlineData("statusCode: 307, scheme: https", 307, "https://web.example/p?q=1")]
    [InlineData("statusCode: 308, scheme: https, port: 8443", 308, "https://web.example:8443/p?q=1")]
    [InlineData("port: 8080", 302, "http://web.example:8080/p?q=1")]
    [InlineData("port: 80", 302, "http://web.example/p?q=1")]
    [InlineData("scheme: https, port: 443", 302, "https://web.example/p?q=1")]
    [InlineData("scheme: http, port: 443", 302, "http://web.example:443/p?q=1")]
    public async Task Redirects_have_the_status_scheme_host_and_port_of_the_filter(string redirect, int status, string location)
    {
        await using var proxy = await OfRulesAsync($$"""{filters: [{type: RequestRedirect, requestRedirect: { {{redirect}} } }]}""");
        Assert.Equal((status, "", location), await proxy.CallAsync("/p?q=1"));
    }

    [Fact]
    public async Task Headers_are_set_added_and_removed_for_rules_and_for_backends()
    {
        await using var proxy = await OfRulesAsync($$"""
            {filters: [
                {type: RequestHeaderModifier,
                  requestHeaderModifier: {set: [{name: X-Set, value: one}, {name: x-set, value: two}], add: [{name: x-add, value: more}], remove: [x-gone]} },
                {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-answer, value: set}], remove: [x-secret]} }],
             backendRefs: [{group: networking.istio.io, kind: Hostname, name: web.example, port: 80, filters: [
                {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-backend, value: b}]} }, {type: URLRewrite,
                  urlRewrite: {hostname: inner.example} }]}] }
            """, context =>
        {
            (context.Response.Headers["x-answer"], context.Response.Headers["x-secret"]) = ("server", "s");
            return context.Response.WriteAsync(string.Join('|',
                new[] { "x-set", "x-add", "x-gone", "x-backend", "host" }.Select(name => context.Request.Headers[name].ToString())));
        });
        Assert.Equal((200, "one|given,more||b|inner.example", "set"),
            await proxy.CallAsync("/", "x-set: client\nx-add: given\nx-gone: here", answer: "x-answer"));
        Assert.Equal("", (await proxy.CallAsync("/", answer: "x-secret")).Header);
    }

    [Theory]
    [InlineData("set: [{name: x-header-set, value: new}]", "new||gone|kept")]
    [InlineData("add: [{name: x-header-add, value: more}]", "old|more|gone|kept")]
    [InlineData("remove: [x-header-remove]", "old|||kept")]
    [InlineData("set: [{name: x-header-set, value: new}], add: [{name: x-header-add, value: more}, {name: other, value: more}], remove: [x-header-remove]",
        "new|more||kept,more")]
    public async Task Headers_of_gRPC_calls_are_set_added_and_removed(string changes, string seen)
    {
        await using var proxy = await OfRoutesAsync(Route("g", $$"""
            {matches: [{method: {service: pkg.S, method: Do} }], filters: [{type: RequestHeaderModifier, requestHeaderModifier: { {{changes}} } }], {{Web}} }
            """, "GRPCRoute"), context => context.Response.WriteAsync(
                string.Join('|',
                    new[] { "x-header-set", "x-header-add", "x-header-remove", "other" }.Select(name => context.Request.Headers[name].ToString()))));
        Assert.Equal((200, seen), Two(await proxy.CallAsync("/pkg.S/Do", "x-header-set: old\nx-header-remove: gone\nother: kept", HttpMethod.Post)));
    }

    [Theory]
    [InlineData("type: ReplaceFullPath, replaceFullPath: /rewritten", "/a/original?q=1", "/rewritten?q=1")]
    [InlineData("type: ReplacePrefixMatch, replacePrefixMatch: /rewritten", "/a/original?q=1", "/rewritten/original?q=1")]
    public async Task Paths_are_rewritten_for_one_backend(string rewrite, string path, string seen)
    {
        await using var proxy = await OfRulesAsync($$"""
            {matches: [{path: {type: PathPrefix, value: /a} }], backendRefs: [{group: networking.istio.io, kind: Hostname, name: web.example, port: 80,
              filters: [{type: URLRewrite, urlRewrite: {path: { {{rewrite}} } } }]}]}
            """);
        Assert.Equal((200, $"GET {seen}"), Two(await proxy.CallAsync(path)));
    }

    [Fact]
    public async Task Requests_are_mirrored_to_several_backends_each_for_its_part()
    {
        var seen = new ConcurrentQueue<string>();
        await using var proxy = await OfRulesAsync($$"""
            {filters: [
                {type: RequestMirror, requestMirror: {backendRef: {group: networking.istio.io, kind: Hostname, name: web.example, port: 80} } },
                {type: RequestMirror, requestMirror: {backendRef: {group: networking.istio.io, kind: Hostname, name: web.example, port: 80},
                  fraction: {numerator: 0, denominator: 7} } },
                {type: RequestMirror,
                  requestMirror: {backendRef: {group: networking.istio.io, kind: Hostname, name: web.example, port: 80}, percent: 100} }], {{Web}} }
            """, context =>
        {
            seen.Enqueue(context.Request.Host.Host);
            return Task.CompletedTask;
        });
        Assert.Equal(200, (await proxy.CallAsync("/")).Status);
        await Eventually.TrueAsync(() => seen.Count == 3);
        Assert.Equal(["web.example", "web.example-shadow", "web.example-shadow"], seen.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("allowOrigins: ['https://a.example']", "https://a.example", "https://a.example")]
    [InlineData("allowOrigins: ['https://*.b.example']", "https://x.y.b.example", "https://x.y.b.example")]
    [InlineData("allowOrigins: ['https://*.b.example']", "https://b.example", "")]
    [InlineData("allowOrigins: ['https://*.b.example']", "https://xb.example", "")]
    [InlineData("allowOrigins: ['*']", "https://any.example:123", "https://any.example:123")]
    [InlineData("allowOrigins: ['*']", "null", "")]
    public async Task Origins_are_named_or_have_any_labels_for_an_asterisk(string cors, string origin, string allowed)
    {
        await using var proxy = await OfRulesAsync($$"""{filters: [{type: CORS, cors: { {{cors}} } }], {{Web}} }""");
        Assert.Equal((200, "GET /", allowed), await proxy.CallAsync("/", $"origin: {origin}", answer: "access-control-allow-origin"));
        // The proxy answers preflight requests of all origins.
        Assert.Equal((200, "", allowed),
            await proxy.CallAsync("/", $"origin: {origin}\naccess-control-request-method: PUT", HttpMethod.Options, "access-control-allow-origin"));
    }

    [Theory]
    [InlineData("allowMethods: [GET, OPTIONS]", "access-control-allow-methods", "GET,OPTIONS")]
    [InlineData("allowMethods: ['*'], allowCredentials: true", "access-control-allow-methods", "PUT")]
    [InlineData("allowHeaders: ['*'], allowCredentials: true", "access-control-allow-headers", "x-one, x-two")]
    [InlineData("allowHeaders: ['*']", "access-control-allow-headers", "*")]
    [InlineData("exposeHeaders: [x-a, x-b]", "access-control-expose-headers", "x-a,x-b")]
    [InlineData("maxAge: 3600", "access-control-max-age", "3600")]
    [InlineData("allowMethods: [GET]", "access-control-max-age", "5")]
    [InlineData("allowCredentials: true", "access-control-allow-credentials", "true")]
    [InlineData("allowCredentials: false", "access-control-allow-credentials", "")]
    public async Task Preflight_answers_say_what_the_filter_allows(string cors, string header, string expected)
    {
        await using var proxy = await OfRulesAsync($$"""{filters: [{type: CORS, cors: {allowOrigins: ['*'], {{cors}} } }], {{Web}} }""");
        Assert.Equal(expected,
            (await proxy.CallAsync("/", "origin: https://a.example\naccess-control-request-method: PUT\naccess-control-request-headers: x-one, x-two",
                HttpMethod.Options, header)).Header);
    }

    [Theory]
    [InlineData("filters: [{type: ExtensionRef, extensionRef: {group: g, kind: K, name: n} }]")]
    [InlineData("filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: content-length, value: '1'}]} }]")]
    [InlineData("filters: [{type: RequestRedirect, requestRedirect: {scheme: https} }, {type: URLRewrite, urlRewrite: {hostname: other} }]")]
    [InlineData("matches: [{headers: [{name: x, type: RegularExpression, value: '('}]}]")]
    [InlineData("sessionPersistence: {idleTimeout: 10s}")]
    public async Task A_rule_with_what_is_not_supported_fails_and_others_apply(string part)
    {
        await using var proxy = await OfRulesAsync($$"""{ {{part}}, {{Web}} }, {matches: [{path: {type: PathPrefix, value: /ok} }], {{Web}} }""");
        Assert.Equal(part.StartsWith("matches", StringComparison.Ordinal) ? 404 : 500, (await proxy.CallAsync("/")).Status);
        Assert.Equal(200, (await proxy.CallAsync("/ok")).Status);
    }

    private static (int, string) Two((int Status, string Body, string Header) answer) => (answer.Status, answer.Body);
}
