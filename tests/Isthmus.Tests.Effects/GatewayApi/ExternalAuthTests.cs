using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Tests.Effects.Security;
using Isthmus.Testing;
using Isthmus.Wire.Envoy.Auth;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Rules of HTTPRoutes that ask an authorizer (filter <c>ExternalAuth</c>): Service <c>auth</c>, at port 80.</summary>
public sealed class ExternalAuthTests
{
    private const string Backend = "backendRef: {name: auth, port: 80}", Open = $"{{{RouteProxy.Web}}}";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("", "/a?b=c", "x-test: content-length:0 authorization:t", "x-user:ann x-inner:1 x-error: host:web.example")]
    [InlineData("path: /check/", "/check/a?b=c", "x-test: content-length:0 authorization:t", "x-user:ann x-inner:1 x-error: host:web.example")]
    [InlineData("allowedHeaders: [X-Test], allowedResponseHeaders: [X-User]", "/a?b=c", "x-test:hello content-length:0 authorization:t",
        "x-user:ann x-inner: x-error: host:web.example")]
    public async Task An_HTTP_server_gets_what_is_named_and_so_does_the_backend(string settings, string target, string asked, string forwarded)
    {
        var seen = "";
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            seen = $"{context.Request.Method} {context.Request.Host}{context.Features.Get<IHttpRequestFeature>()!.RawTarget} "
                + Fields(context.Request, "x-test", "content-length", "authorization");
            context.Response.Headers["x-user"] = "ann";
            context.Response.Headers["x-inner"] = "1";
            return context.Response.WriteAsync("a body of some length");
        });
        await using var proxy = await ProxyAsync(server, Rule($"protocol: HTTP, {Backend}, http: {{{settings}}}"),
            context => context.Response.WriteAsync(Fields(context.Request, "x-user", "x-inner", "x-error", "host")));
        Assert.Equal((200, forwarded), Of(await proxy.CallAsync("/a?b=c", "x-test: hello\nauthorization: t\nx-user: eve\ncookie: secret")));
        Assert.Equal($"GET web.example{target} {asked}", seen);
    }

    [Fact]
    public async Task A_client_gets_the_answer_of_a_server_that_denies_and_other_rules_ask_nobody()
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.StatusCode = 403;
            context.Response.Headers["x-auth-error"] = "access-denied";
            return context.Response.WriteAsync("denied by the server");
        });
        await using var proxy = await ProxyAsync(server,
            $"{Rule($"protocol: HTTP, {Backend}", "matches: [{path: {type: PathPrefix, value: /safe}}], ")}, {Open}");
        Assert.Equal((403, "denied by the server", "access-denied"), await proxy.CallAsync("/safe", answer: "x-auth-error"));
        Assert.Equal((200, "GET /open"), Of(await proxy.CallAsync("/open")));
    }

    [Theory]
    [InlineData("", "1")]
    [InlineData("allowedHeaders: [x-test]", "")]
    public async Task A_gRPC_server_gets_all_headers_or_those_that_are_named(string settings, string told)
    {
        CheckRequest? asked = null;
        await using var server = await ExternalAuthorizerTests.GrpcServerAsync(request =>
        {
            asked = request;
            return request.Attributes.Request.Http.Path == "/no" ? new() { Status = new() { Code = 7 } }
                : new() { OkResponse = new() { Headers = { ExternalAuthorizerTests.Field("x-user", "ann") } } };
        }, "auth.shop.svc.cluster.local");
        await using var proxy = await ProxyAsync(server, Rule($"protocol: GRPC, {Backend}, grpc: {{{settings}}}"),
            context => context.Response.WriteAsync(Fields(context.Request, "x-user")));
        Assert.Equal((200, "x-user:ann"), Of(await proxy.CallAsync("/yes", "x-test: hello\nx-other: 1")));
        var headers = asked!.Attributes.Request.Http.Headers;
        Assert.Equal("hello", headers["x-test"]);
        Assert.Equal(told, headers.TryGetValue("x-other", out var other) ? other : "");
        Assert.Equal(403, (await proxy.CallAsync("/no")).Status);
    }

    [Theory]
    [InlineData("forwardBody: {maxSize: 10}, ", 10, 200, "10")]
    [InlineData("forwardBody: {maxSize: 10}, ", 11, 413, "")]
    [InlineData("forwardBody: {maxSize: 0}, ", 200, 200, "0")]
    [InlineData("", 200, 200, "0")]
    public async Task A_server_gets_the_body_as_far_as_it_is_permitted(string setting, int length, int status, string size)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            context.Response.Headers["x-size"] = $"{(await reader.ReadToEndAsync(Stop)).Length}";
        });
        await using var proxy = await ProxyAsync(server, Rule($"protocol: HTTP, {setting}{Backend}"), async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            context.Response.Headers["x-size"] = Fields(context.Request, "x-size");
            await context.Response.WriteAsync(await reader.ReadToEndAsync(Stop));
        });
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://127.0.0.1:{proxy.Sidecar.Port}/")
        {
            Content = new StringContent(new('x', length)),
        };
        request.Headers.Host = "web.example";
        using var answer = await client.SendAsync(request, Stop);
        Assert.Equal(status, (int)answer.StatusCode);
        if (status != 200) return;
        Assert.Equal((length, $"x-size:{size}"),
            ((await answer.Content.ReadAsStringAsync(Stop)).Length, answer.Headers.GetValues("x-size").Single()));
    }

    /// <summary>Nobody has decided about the requests, so they do not continue.</summary>
    [Theory]
    [InlineData("protocol: HTTP, backendRef: {name: none, port: 80}", 500, "BackendNotFound")]
    [InlineData("protocol: HTTP, backendRef: {name: auth, port: 81}", 500, "BackendNotFound")]
    [InlineData("protocol: HTTP, backendRef: {kind: Other, group: example.com, name: auth, port: 80}", 500, "InvalidKind")]
    [InlineData("protocol: OTHER, backendRef: {name: auth, port: 80}", 500, "")]
    [InlineData("protocol: GRPC, backendRef: {name: auth, port: 80}, grpc: {allowedHeaders: ['a b']}", 500, "")]
    [InlineData("protocol: HTTP, backendRef: {name: auth, port: 80}", 403, "")]
    [InlineData("protocol: GRPC, backendRef: {name: auth, port: 80}", 403, "")]
    public async Task Without_an_answer_requests_are_refused(string settings, int status, string reason)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.StatusCode = 503;
            return Task.CompletedTask;
        });
        await using var proxy = await ProxyAsync(server, $"{Rule(settings, "matches: [{path: {type: PathPrefix, value: /safe}}], ")}, {Open}");
        Assert.Equal(status, (await proxy.CallAsync("/safe")).Status);
        Assert.Equal(200, (await proxy.CallAsync("/open")).Status);
        var conditions = proxy.Sidecar.Rig.Mesh.RouteStatuses.Items.Values.SelectMany(one => one.Parents).SelectMany(parent => parent.Conditions).ToList();
        Assert.Equal(status == 500, conditions.Exists(condition => condition is { Type: "PartiallyInvalid", Status: true }));
        var resolved = conditions.Single(condition => condition.Type == "ResolvedRefs");
        Assert.Equal((reason.Length == 0, reason.Length == 0 ? "ResolvedRefs" : reason), (resolved.Status, resolved.Reason));
    }

    /// <summary>Proxies ask before they know the backend.</summary>
    [Fact]
    public async Task The_filter_of_a_backend_is_refused()
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, _ => Task.CompletedTask);
        var backend = RouteProxy.Web.Replace("port: 80}", $"port: 80, filters: [{{type: ExternalAuth, externalAuth: {{protocol: HTTP, {Backend}}}}}]}}",
            StringComparison.Ordinal);
        await using var proxy = await ProxyAsync(server, $"{{{backend}}}");
        Assert.Equal(500, (await proxy.CallAsync("/")).Status);
    }

    /// <summary>A filter that came with the first rule would be missing on connections from before.</summary>
    [Fact]
    public async Task Listeners_have_the_same_filter_whatever_rules_ask()
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, _ => Task.CompletedTask);
        await using var proxy = await ProxyAsync(server, string.Join(", ",
            Rule($"protocol: HTTP, {Backend}, http: {{allowedHeaders: [b, A]}}"), Rule($"protocol: GRPC, {Backend}")));
        var asking = Listener();
        Assert.Single(Filters(asking), filter => filter is { Name: "isthmus.route_ext_authz", Disabled: false });
        proxy.Sidecar.Rig.Writer.RemoveConfig("c1", "HTTPRoute", "shop", "r");
        proxy.Sidecar.Apply("");
        Assert.Equal(asking, Listener());

        Listener Listener() => MeshRig.Listener(proxy.Sidecar.Feed, "0.0.0.0_80")!;
    }

    /// <summary>What it runs comes with routes. A proxy that cannot run it must not serve them: one of an earlier release ignores what they say.</summary>
    [Theory]
    [InlineData("envoy.filters.http.composite", "envoy.filters.http.match_delegate", true)]
    [InlineData("envoy.filters.http.composite", "envoy.filters.http.router", false)]
    [InlineData("envoy.filters.http.match_delegate", "envoy.filters.http.router", false)]
    public async Task A_proxy_gets_the_filter_if_it_lists_what_the_filter_is_made_of_and_else_no_route_that_asks(string one, string other, bool isThere)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, _ => Task.CompletedTask);
        await using var proxy = await ProxyAsync(server, string.Join(", ",
            Rule($"protocol: HTTP, {Backend}", "matches: [{path: {value: /asked}}], "), $"{{{RouteProxy.Web}}}"));
        var rig = proxy.Sidecar.Rig;
        var envoy = ApiMesh.Envoy("sidecar", "client", "10.244.0.7", []);
        var feed = rig.Connect(envoy with
        {
            Software = ProxySoftware.Of("envoy", [new(one, "envoy.filters.http", default), new(other, "envoy.filters.http", default)]),
        });
        rig.Push();
        Assert.Equal(isThere, Filters(MeshRig.Listener(feed, "0.0.0.0_80")!).Any(filter => filter.Name == "isthmus.route_ext_authz"));
        var routes = MeshRig.Route(feed, "80")!.VirtualHosts.Single(host => host.Domains.Contains("web.example")).Routes;
        Assert.Equal(isThere ? null : 500u, routes[0].DirectResponse?.Status);
        Assert.Equal(isThere, routes[0].TypedPerFilterConfig.ContainsKey("isthmus.route_ext_authz"));
        Assert.NotNull(routes[^1].Route_);
    }

    private static IEnumerable<HttpFilter> Filters(Listener listener) => listener.FilterChains.Append(listener.DefaultFilterChain).OfType<FilterChain>()
        .SelectMany(chain => chain.Filters).First(filter => filter.TypedConfig.Is(HttpConnectionManager.Descriptor)).TypedConfig
        .Unpack<HttpConnectionManager>().HttpFilters;

    private static string Rule(string settings, string matches = "") =>
        $"{{{matches}filters: [{{type: ExternalAuth, externalAuth: {{{settings}}}}}], {RouteProxy.Web}}}";

    private static (int, string) Of((int Status, string Body, string Header) answer) => (answer.Status, answer.Body);

    private static string Fields(HttpRequest request, params string[] names) => string.Join(' ', names.Select(name => $"{name}:{request.Headers[name]}"));

    private static async Task<RouteProxy> ProxyAsync(OriginServer server, string rules, RequestDelegate? handle = null)
    {
        var proxy = await RouteProxy.OfRulesAsync(rules, handle);
        proxy.Sidecar.Rig.Service("c1", "auth", "10.96.0.51", "auto", 80, server.Port);
        proxy.Sidecar.Rig.Pod("c1", "auth", "auth-0", "127.0.0.1", mtls: false);
        proxy.Sidecar.Rig.Slice("c1", "auth", server.Port, "auto", ("auth-0", "127.0.0.1"));
        proxy.Sidecar.Apply("");
        return proxy;
    }
}
