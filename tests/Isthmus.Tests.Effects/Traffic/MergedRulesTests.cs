using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary>Several DestinationRules of one host.</summary>
public sealed class MergedRulesTests
{
    private const string Routes = """
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [web.example]
          http:
          - {match: [{uri: {prefix: /one}}], route: [{destination: {host: web.example, subset: one}}]}
          - {match: [{uri: {prefix: /two}}], route: [{destination: {host: web.example, subset: two}}]}
          - {route: [{destination: {host: web.example}}]}
        """;

    [Theory]
    [InlineData("{host: web.example, subsets: [{name: two, labels: {v: b}}, {name: one, labels: {v: b}}]}", "a", "b")]
    [InlineData("{host: web.example, exportTo: [.], subsets: [{name: two, labels: {v: b}}]}", "a", null)]
    [InlineData("{host: '*.example', subsets: [{name: two, labels: {v: b}}]}", "a", null)]
    public async Task Calls_reach_the_subsets_of_every_rule_that_is_merged(string newer, string one, string? two)
    {
        await using var a = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("a"));
        await using var b = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("b"));
        using var proxy = new SidecarProxy(
            $"{Routes}\n---\n{Rule("first", 1, "{host: web.example, subsets: [{name: one, labels: {v: a}}]}")}\n---\n{Rule("second", 2, newer)}",
            [(a.Port, "v: a"), (b.Port, "v: b")]);
        Assert.Empty(proxy.Reported);
        for (var i = 0; i < 4; i++)
        {
            Assert.Equal((200, one), await proxy.CallAsync("/one"));
            var (status, body) = await proxy.CallAsync("/two");
            Assert.Equal(two is null ? 503 : 200, status);
            if (two is not null) Assert.Equal(two, body);
        }
    }

    [Theory]
    [InlineData("{host: web.example, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}, tcp: {maxConnections: 7}}}}",
        "{host: web.example, trafficPolicy: {connectionPool: {tcp: {maxConnections: 9}}}}", 7)]
    [InlineData("{host: web.example, subsets: [{name: x}]}", "{host: web.example, trafficPolicy: {connectionPool: {tcp: {maxConnections: 9}}}}", 9)]
    public void The_first_policy_stays(string older, string newer, int connections)
    {
        using var proxy = new SidecarProxy($"{Rule("second", 2, newer)}\n---\n{Rule("first", 1, older)}", [(1, "v: a")]);
        Assert.Equal(connections, proxy.Plane.State.Current.Clusters["outbound|80||web.example"].Config.Limits.Connections);
    }

    private static string Rule(string name, int day, string spec) =>
        $$"""
            {apiVersion: networking.istio.io/v1, kind: DestinationRule,
              metadata: {name: {{name}}, namespace: shop, creationTimestamp: '2026-01-0{{day}}T00:00:00Z'}, spec: {{spec}}}
            """;
}
