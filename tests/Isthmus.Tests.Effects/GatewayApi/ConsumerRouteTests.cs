using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Routes for callers within the mesh, through the sidecar of a caller in namespace <c>shop</c>.</summary>
public sealed class ConsumerRouteTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>A consumer's own route takes the place of the producer's for it, and only while it is there.</summary>
    [Fact]
    public async Task The_route_of_the_callers_namespace_comes_before_that_of_the_Service()
    {
        await using var server = await ServerAsync();
        using var caller = new SidecarProxy("", [(server.Port, "")]);
        Service(caller, "far", "stock", server.Port);
        caller.Apply(Route("far", "producer", "{name: stock}"));
        Assert.Equal("producer", await CallAsync(caller, "stock.far"));
        caller.Apply(Route("shop", "consumer", "{name: stock, namespace: far}"));
        Assert.Equal("consumer", await CallAsync(caller, "stock.far"));
        // One of a third namespace is for the callers there.
        caller.Apply(Route("third", "other", "{name: stock, namespace: far}", "2020-01-01T00:00:00Z"));
        Assert.Equal("consumer", await CallAsync(caller, "stock.far"));
        caller.Rig.Writer.RemoveConfig("c1", "HTTPRoute", "shop", "consumer");
        caller.Apply("");
        Assert.Equal("producer", await CallAsync(caller, "stock.far"));
    }

    /// <summary>As the suite asks for each feature of routes in the mesh: at a Service, with filters.</summary>
    [Theory]
    [InlineData("{filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /new}, statusCode: 302}}]}",
        "302 http://stock.far/new")]
    [InlineData("{filters: [{type: RequestRedirect, requestRedirect: {port: 8083}}]}", "302 http://stock.far:8083/old/x")]
    [InlineData("{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}", "302 https://stock.far/old/x")]
    [InlineData("{filters: [{type: RequestRedirect, requestRedirect: {hostname: b.example, statusCode: 303}}]}", "303 http://b.example/old/x")]
    [InlineData("{filters: [{type: RequestRedirect, requestRedirect: {hostname: b.example, statusCode: 307}}]}", "307 http://b.example/old/x")]
    [InlineData("{filters: [{type: RequestRedirect, requestRedirect: {hostname: b.example, statusCode: 308}}]}", "308 http://b.example/old/x")]
    [InlineData("{matches: [{path: {value: /old}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: "
        + "/new}}}], BACKEND}", "200 /new/x -")]
    [InlineData("{matches: [{queryParams: [{name: q, value: a}]}], BACKEND}", "200 /old/x -")]
    [InlineData("{matches: [{queryParams: [{name: q, value: b}]}], BACKEND}", "404 ")]
    [InlineData("{backendRefs: [{name: stock, port: 80, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: mark, value: "
        + "set}]}}]}]}", "200 /old/x set")]
    public async Task Filters_apply_to_calls_of_a_Service(string rule, string expected)
    {
        await using var server = await ServerAsync();
        using var caller = new SidecarProxy("", [(server.Port, "")]);
        Service(caller, "far", "stock", server.Port);
        caller.Apply(RouteOf("far", "r", "{name: stock}", rule.Replace("BACKEND", "backendRefs: [{name: stock, port: 80}]", StringComparison.Ordinal)));
        using var answer = await SendAsync(caller, "stock.far", "/old/x?q=a");
        var location = answer.Headers.Location?.ToString().Replace("?q=a", "", StringComparison.Ordinal);
        Assert.Equal(expected, $"{(int)answer.StatusCode} {location ?? await answer.Content.ReadAsStringAsync(Stop)}");
    }

    private static Task<OriginServer> ServerAsync() => OriginServer.StartAsync(HttpProtocols.Http1, context =>
        context.Response.WriteAsync($"{context.Request.Path} {(context.Request.Headers["mark"] is [{ } mark] ? mark : "-")}"));

    private static async Task<string> CallAsync(SidecarProxy caller, string host)
    {
        using var answer = await SendAsync(caller, host, "/");
        return (await answer.Content.ReadAsStringAsync(Stop)).Split(' ')[^1];
    }

    private static async Task<HttpResponseMessage> SendAsync(SidecarProxy caller, string host, string path)
    {
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{caller.Port}{path}");
        request.Headers.Host = host;
        return await client.SendAsync(request, Stop);
    }

    private static string Route(string ns, string name, string parent, string age = "2026-01-01T00:00:00Z") => RouteOf(ns, name, parent, $$"""
        {filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: mark, value: {{name}} }]} }],
            backendRefs: [{name: stock, namespace: far, port: 80}]}
        """, age);

    private static string RouteOf(string ns, string name, string parent, string rule, string age = "2026-01-01T00:00:00Z") => $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: {{name}}, namespace: {{ns}}, creationTimestamp: '{{age}}'}
        spec: {parentRefs: [{{parent.Replace("{", "{group: '', kind: Service, ", StringComparison.Ordinal)}}], rules: [{{rule.Trim()}}]}
        """;

    private static void Service(SidecarProxy caller, string ns, string name, int port)
    {
        caller.Rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = name, Namespace = ns },
            Spec = new() { Type = "ClusterIP", ClusterIP = "10.96.3.1", ClusterIPs = ["10.96.3.1"], Selector = { ["app"] = name },
                Ports = { new() { Name = "http", Port = 80, TargetPort = JsonValue.Create(port) } } },
        });
        caller.Rig.Writer.Put("c1", new EndpointSlice
        {
            Metadata = new() { Name = $"{name}-1", Namespace = ns, Labels = { ["kubernetes.io/service-name"] = name } },
            Endpoints = [new() { Addresses = ["127.0.0.1"], Conditions = new() { Ready = true } }],
            Ports = { new() { Name = "http", Port = port } },
        });
    }
}
