using System.Net;
using System.Text;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Sessions that stay with an endpoint, as a rule of a route or the policy of a Service says. Service <c>many</c> has one server at three
/// addresses: the answer is the address.</summary>
public sealed class SessionPersistenceTests
{
    private const string Many = "backendRefs: [{name: many, port: 80}]";

    private static readonly string[] Addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

    /// <summary>v1.6 of the API and v1.7 write it in different ways.</summary>
    [Theory]
    [InlineData("sessionName: mine", "mine", "; Path=/; HttpOnly")]
    [InlineData("type: Cookie, cookie: {name: mine, path: /}", "mine", "; Path=/; HttpOnly")]
    [InlineData("sessionName: mine, absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}", "mine", "; Max-Age=3600; Path=/; HttpOnly")]
    [InlineData("absoluteTimeout: 1500ms, type: Cookie, cookie: {name: mine, lifetimeType: Permanent}", "mine", "; Max-Age=2; Path=/; HttpOnly")]
    [InlineData("type: Cookie", "session-", "; Path=/; HttpOnly")]
    public async Task A_cookie_keeps_a_client_with_the_endpoint_that_gave_it(string session, string name, string attributes)
    {
        await using var server = await ServerAsync();
        await using var proxy = await ProxyAsync(server, $"{{sessionPersistence: {{{session}}}, {Many}}}");
        var (_, first, cookie) = await proxy.CallAsync("/", answer: "set-cookie");
        Assert.StartsWith(name, cookie, StringComparison.Ordinal);
        Assert.EndsWith(attributes, cookie, StringComparison.Ordinal);
        for (var i = 0; i < 12; i++) Assert.Equal((200, first, ""), await proxy.CallAsync("/", $"cookie: {cookie.Split(';')[0]}", answer: "set-cookie"));
        Assert.Equal(Addresses, await SeenAsync(proxy));
    }

    [Theory]
    [InlineData("type: Header, sessionName: X-Session")]
    [InlineData("type: Header, header: {name: x-session}")]
    public async Task A_header_keeps_a_client_with_its_endpoint_and_is_told_each_time(string session)
    {
        await using var server = await ServerAsync();
        await using var proxy = await ProxyAsync(server, $"{{sessionPersistence: {{{session}}}, {Many}}}");
        var (_, first, header) = await proxy.CallAsync("/", answer: "x-session");
        Assert.Equal($"{first}:{server.Port}", Encoding.ASCII.GetString(Convert.FromBase64String(header)));
        for (var i = 0; i < 12; i++) Assert.Equal((200, first, header), await proxy.CallAsync("/", $"x-session: {header}", answer: "x-session"));
    }

    /// <summary>A client cannot name a host that is not of the cluster, and one that leaves has a successor.</summary>
    [Fact]
    public async Task What_is_no_endpoint_of_the_Service_is_another_session()
    {
        await using var server = await ServerAsync();
        await using var proxy = await ProxyAsync(server, $"{{sessionPersistence: {{sessionName: mine}}, {Many}}}");
        foreach (var value in (string[])["", "%", "bm90IGFuIGFkZHJlc3M=", Convert.ToBase64String(Encoding.ASCII.GetBytes($"127.0.0.9:{server.Port}")),
            Convert.ToBase64String(Encoding.ASCII.GetBytes("127.0.0.1:1")), new('A', 5000)])
        {
            var (status, body, cookie) = await proxy.CallAsync("/", $"cookie: mine={value}", answer: "set-cookie");
            Assert.Equal(200, status);
            Assert.Contains(body, Addresses);
            Assert.StartsWith("mine=", cookie, StringComparison.Ordinal);
        }
        // The address alone is what older Envoys write.
        var old = Convert.ToBase64String(Encoding.ASCII.GetBytes($"127.0.0.2:{server.Port}"));
        Assert.Equal((200, "127.0.0.2", ""), await proxy.CallAsync("/", $"cookie: mine=\"{old}\"", answer: "set-cookie"));
        proxy.Sidecar.Rig.Slice("c1", "many", server.Port, "http", ("many-0", "127.0.0.1"), ("many-2", "127.0.0.3"));
        proxy.Sidecar.Apply("");
        var (_, next, told) = await proxy.CallAsync("/", $"cookie: mine={old}", answer: "set-cookie");
        Assert.NotEqual("127.0.0.2", next);
        Assert.StartsWith("mine=", told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cookie_is_for_its_path_alone_and_a_rule_for_its_own_requests()
    {
        await using var server = await ServerAsync();
        await using var proxy = await ProxyAsync(server,
            "{matches: [{path: {type: PathPrefix, value: /kept}}], sessionPersistence: {type: Cookie, cookie: {name: mine, path: /kept/in}}, "
                + $"{Many}}}, {{{Many}}}");
        Assert.Equal("", (await proxy.CallAsync("/other", answer: "set-cookie")).Header);
        Assert.Equal("", (await proxy.CallAsync("/kept", answer: "set-cookie")).Header);
        Assert.EndsWith("; Path=/kept/in; HttpOnly", (await proxy.CallAsync("/kept/in?x", answer: "set-cookie")).Header, StringComparison.Ordinal);
    }

    /// <summary>The path of a cookie is that of the client.</summary>
    [Fact]
    public async Task A_rule_that_rewrites_paths_keeps_sessions_for_the_paths_that_clients_ask_for()
    {
        await using var server = await ServerAsync();
        await using var proxy = await ProxyAsync(server,
            "{matches: [{path: {type: PathPrefix, value: /app}}], sessionPersistence: {type: Cookie, cookie: {name: mine, path: /app}}, "
                + $"filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}}}], {Many}}}");
        var (_, first, cookie) = await proxy.CallAsync("/app/x", answer: "set-cookie");
        Assert.EndsWith("; Path=/app; HttpOnly", cookie, StringComparison.Ordinal);
        for (var i = 0; i < 8; i++) Assert.Equal((200, first, ""), await proxy.CallAsync("/app/x", $"cookie: {cookie.Split(';')[0]}", answer: "set-cookie"));
    }

    /// <summary>The filter comes with the first policy, and does nothing without one; a rule says more than a policy.</summary>
    [Fact]
    public async Task A_policy_is_for_all_routes_to_its_Service_without_sessions_of_their_own()
    {
        await using var server = await ServerAsync();
        await using var proxy = await ProxyAsync(server,
            $"{{matches: [{{path: {{type: PathPrefix, value: /own}}}}], sessionPersistence: {{sessionName: own}}, {Many}}}, "
                + "{matches: [{path: {type: PathPrefix, value: /split}}], backendRefs: [{name: many, port: 80}, {name: many, port: 80}]}, "
                + $"{{{Many}}}");
        Assert.Equal("", (await proxy.CallAsync("/", answer: "set-cookie")).Header);
        proxy.Sidecar.Apply("""
            apiVersion: gateway.networking.x-k8s.io/v1alpha1
            kind: XBackendTrafficPolicy
            metadata: {name: p, namespace: shop}
            spec: {targetRefs: [{group: '', kind: Service, name: many}], sessionPersistence: {sessionName: theirs} }
            """);
        foreach (var (path, name) in ((string, string)[])[("/", "theirs"), ("/split", "theirs"), ("/own", "own")])
        {
            await Eventually.TrueAsync(async () => (await proxy.CallAsync(path, answer: "set-cookie")).Header.Length > 0);
            var (_, first, cookie) = await proxy.CallAsync(path, answer: "set-cookie");
            Assert.StartsWith($"{name}=", cookie, StringComparison.Ordinal);
            for (var i = 0; i < 6; i++) Assert.Equal(first, (await proxy.CallAsync(path, $"cookie: {cookie.Split(';')[0]}")).Body);
        }
        proxy.Sidecar.Rig.Writer.RemoveConfig("c1", "XBackendTrafficPolicy", "shop", "p");
        proxy.Sidecar.Apply("");
        await Eventually.TrueAsync(async () => (await proxy.CallAsync("/", answer: "set-cookie")).Header.Length == 0);
    }

    /// <summary>Half of what somebody asks for would look like all of it.</summary>
    [Theory]
    [InlineData("idleTimeout: 1m", Many)]
    [InlineData("absoluteTimeout: 1m", Many)]
    [InlineData("type: Header, sessionName: x, absoluteTimeout: 1m", Many)]
    [InlineData("type: Header, sessionName: content-length", Many)]
    [InlineData("sessionName: 'a;b'", Many)]
    [InlineData("type: Cookie, cookie: {path: 'a;b'}", Many)]
    [InlineData("cookieConfig: {lifetimeType: Permanent}", Many)]
    [InlineData("cookieConfig: {lifetimeType: Permanent}, absoluteTimeout: 500ms", Many)]
    [InlineData("sessionName: mine", "backendRefs: [{name: many, port: 80}, {name: other, port: 80}]")]
    public async Task A_rule_whose_session_cannot_be_kept_as_it_says_fails(string session, string backends)
    {
        await using var server = await ServerAsync();
        await using var proxy = await ProxyAsync(server,
            $"{{matches: [{{path: {{type: PathPrefix, value: /kept}}}}], sessionPersistence: {{{session}}}, {backends}}}, {{{Many}}}");
        Assert.Equal(500, (await proxy.CallAsync("/kept")).Status);
        Assert.Equal(200, (await proxy.CallAsync("/")).Status);
        var condition = proxy.Sidecar.Rig.Mesh.RouteStatuses.Items.Values.SelectMany(status => status.Parents).SelectMany(parent => parent.Conditions)
            .Single(one => one.Type == "PartiallyInvalid");
        Assert.Contains("sessionPersistence", condition.Message, StringComparison.Ordinal);
    }

    private static async Task<string[]> SeenAsync(RouteProxy proxy)
    {
        var seen = new SortedSet<string>(StringComparer.Ordinal);
        await Eventually.TrueAsync(async () =>
        {
            seen.Add((await proxy.CallAsync("/")).Body);
            return seen.Count == Addresses.Length;
        });
        return [.. seen];
    }

    private static Task<OriginServer> ServerAsync() => OriginServer.StartAsync(HttpProtocols.Http1,
        context => context.Response.WriteAsync(context.Connection.LocalIpAddress!.MapToIPv4().ToString()), at: IPAddress.Any);

    private static async Task<RouteProxy> ProxyAsync(OriginServer server, string rules)
    {
        var proxy = await RouteProxy.OfRulesAsync(rules);
        proxy.Sidecar.Rig.Service("c1", "many", "10.96.0.50", "http", 80, server.Port);
        foreach (var (i, address) in Addresses.Index()) proxy.Sidecar.Rig.Pod("c1", "many", $"many-{i}", address, mtls: false);
        proxy.Sidecar.Rig.Slice("c1", "many", server.Port, "http", [.. Addresses.Select((address, i) => ($"many-{i}", address))]);
        proxy.Sidecar.Apply("");
        return proxy;
    }
}
