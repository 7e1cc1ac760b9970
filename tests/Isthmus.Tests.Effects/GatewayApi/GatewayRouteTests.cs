using System.Net.Sockets;
using System.Text;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Routes of Gateways, from the objects to the backends, and what their statuses say.</summary>
public sealed class GatewayRouteTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Hosts_of_routes_narrow_what_a_listener_takes_and_the_more_exact_host_applies()
    {
        await using var server = await ServerAsync("web");
        using var proxy = new ApiGatewayProxy(
            Route("wide", "", Marked("wide"), "hostnames: ['*.example.com'], ") + Route("exact", "", Marked("exact"), "hostnames: [a.example.com], "),
            [("web", "http", server.Port)]);
        Assert.Equal(200, (await proxy.CallAsync("a.example.com")).Status);
        Assert.Equal("exact", await MarkAsync(proxy, "a.example.com"));
        Assert.Equal("wide", await MarkAsync(proxy, "b.c.example.com"));
        Assert.Equal(404, (await proxy.CallAsync("example.com")).Status);
    }

    /// <summary>Both routes are for the one host of the listener, but one names it, and the other one every host below its domain.</summary>
    [Fact]
    public async Task Where_hosts_are_narrowed_to_the_same_the_original_ones_decide()
    {
        await using var server = await ServerAsync("web");
        using var proxy = new ApiGatewayProxy(
            Route("older", "", Marked("older", "/path"), "hostnames: ['*.example.com'], ")
                + Route("younger", "", Marked("younger"), "hostnames: [a.example.com], ", age: "2026-03-01T00:00:00Z"),
            [("web", "http", server.Port)], "- {name: one, port: 80, protocol: HTTP, hostname: a.example.com}");
        Assert.Equal("younger", await MarkAsync(proxy, "a.example.com", "/path"));
    }

    [Theory]
    [InlineData("", 500, "RefNotPermitted")]
    [InlineData("{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}], to: [{group: '', kind: Service}]}", 200, "ResolvedRefs")]
    [InlineData("{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}], to: [{group: '', kind: Service, name: web}]}", 200,
        "ResolvedRefs")]
    [InlineData("{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}], to: [{group: '', kind: Service, name: else}]}", 500,
        "RefNotPermitted")]
    [InlineData("{from: [{group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: other}], to: [{group: '', kind: Service}]}", 500, "RefNotPermitted")]
    [InlineData("{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: third}], to: [{group: '', kind: Service}]}", 500, "RefNotPermitted")]
    public async Task Backends_of_other_namespaces_need_a_grant(string grant, int status, string reason)
    {
        await using var server = await ServerAsync("web");
        var granted = grant.Length == 0
            ? ""
            : $"---\n{{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {{name: g, namespace: shop}}, spec: {grant}}}";
        using var proxy = new ApiGatewayProxy(Route("r", "namespace: shop, ", "{backendRefs: [{name: web, namespace: shop, port: 80}]}", ns: "other") + granted,
            [("web", "http", server.Port)]);
        Assert.Equal(status, (await proxy.CallAsync("any")).Status);
        Assert.Equal(["Accepted", reason], Conditions(proxy).Select(condition => condition.Reason));
    }

    /// <summary>A rule whose backend may not be used fails, and others of the route apply.</summary>
    [Fact]
    public async Task A_grant_that_goes_takes_the_way_to_its_backends_with_it()
    {
        await using var calls = await RoutedCalls.AtGatewayAsync("""
            {apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: g, namespace: shop},
             spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}], to: [{group: '', kind: Service, name: v1}]} }
            ---

            """ + RoutedCalls.Route("r", "{name: front, namespace: shop}", """
            {matches: [{path: {type: PathPrefix, value: /one} }], backendRefs: [{name: v1, namespace: shop, port: 80}]},
            {matches: [{path: {type: PathPrefix, value: /two} }], backendRefs: [{name: v2, namespace: shop, port: 80}]}
            """, ns: "other"));
        await calls.ExpectAsync("""
            GET /one => v1
            GET /two => 500
            """);
        calls.Rig.Writer.RemoveConfig("c1", "ReferenceGrant", "shop", "g");
        calls.Apply("");
        await calls.ExpectAsync("GET /one => 500");
        Assert.Equal("RefNotPermitted", calls.Rig.Mesh.RouteStatuses.Items.Values.Single(status => status.Source.Name == "r").Parents[0].Conditions[1].Reason);
    }

    /// <summary>A grant for another kind of route is none.</summary>
    [Theory]
    [InlineData("", false)]
    [InlineData("TCPRoute", true)]
    [InlineData("HTTPRoute", false)]
    public async Task Connections_to_other_namespaces_need_a_grant(string granted, bool arrive)
    {
        await using var server = await ServerAsync("one");
        var grant = granted.Length == 0 ? "" : "{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: g, namespace: shop}, "
            + $"spec: {{from: [{{group: gateway.networking.k8s.io, kind: {granted}, namespace: other}}], to: [{{group: '', kind: Service}}]}}}}";
        using var proxy = new ApiGatewayProxy(
            Route("t", "namespace: shop, sectionName: tcp, ", "{backendRefs: [{name: one, namespace: shop, port: 80}]}", kind: "TCPRoute", ns: "other") + grant,
            [("one", "tcp", server.Port)]);
        Assert.Equal(arrive ? "one" : "", await ConnectAsync(proxy.TcpPort));
        Assert.Equal(["Accepted", arrive ? "ResolvedRefs" : "RefNotPermitted"], Conditions(proxy, "TCPRoute").Select(condition => condition.Reason));
    }

    [Fact]
    public async Task Routes_follow_their_backends_and_parents()
    {
        await using var server = await ServerAsync("web");
        using var proxy = new ApiGatewayProxy(Route("r", "", "{backendRefs: [{name: web, port: 80}]}"), []);
        Assert.Equal(500, (await proxy.CallAsync("any")).Status);
        Assert.Equal(["Accepted", "BackendNotFound"], Conditions(proxy).Select(condition => condition.Reason));
        ApiGatewayProxy.Service(proxy.Rig, "web", "http", server.Port, 1);
        proxy.Apply("");
        Assert.Equal((200, "web"), await proxy.CallAsync("any"));
        proxy.Apply(Route("r", "sectionName: none, ", "{backendRefs: [{name: web, port: 80}]}"));
        Assert.Equal(404, (await proxy.CallAsync("any")).Status);
        Assert.Empty(proxy.Rig.Mesh.Graph.Verify());
    }

    [Fact]
    public async Task Connections_go_to_the_backends_of_TCP_routes_by_weight()
    {
        await using var one = await ServerAsync("one");
        await using var two = await ServerAsync("two");
        using var proxy = new ApiGatewayProxy(
            Route("t", "sectionName: tcp, ",
                "{backendRefs: [{name: one, port: 80, weight: 1}, {name: two, port: 80, weight: 1}, {name: none, port: 80, weight: 1}]}", kind: "TCPRoute"),
            [("one", "tcp", one.Port), ("two", "tcp", two.Port)]);
        var seen = new HashSet<string>();
        for (var i = 0; i < 200 && seen.Count < 3; i++) seen.Add(await ConnectAsync(proxy.TcpPort));
        Assert.Equal(["", "one", "two"], seen.Order(StringComparer.Ordinal));
        Assert.Equal(["Accepted", "BackendNotFound"], Conditions(proxy, "TCPRoute").Select(condition => condition.Reason));
    }

    [Fact]
    public async Task The_ancestors_of_a_TLS_policy_are_the_Gateways_whose_routes_lead_to_its_target()
    {
        await using var server = await ServerAsync("web");
        using var proxy = new ApiGatewayProxy(Route("r", "", "{backendRefs: [{name: web, port: 80}]}") + """
            {apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: p, namespace: shop, generation: 4},
             spec: {targetRefs: [{group: '', kind: Service, name: web}],
               validation: {hostname: a.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: none}]} } }
            """, [("web", "http", server.Port)]);
        Assert.Equal(503, (await proxy.CallAsync("any")).Status);
        var status = Assert.Single(proxy.Rig.Mesh.PolicyStatuses.Items.Values);
        var ancestor = Assert.Single(status.Ancestors);
        Assert.Equal((4, "shop", "front"), (status.Generation.Number, ancestor.Parent.Namespace, ancestor.Parent.Name));
        Assert.Equal([("Accepted", false, "NoValidCACertificate"), ("ResolvedRefs", false, "InvalidCACertificateRef")],
            ancestor.Conditions.Select(item => (item.Type, item.Status ?? true, item.Reason)));
    }

    [Theory]
    [InlineData("kubernetes.io/h2c", HttpProtocols.Http2)]
    [InlineData("", HttpProtocols.Http1)]
    public async Task Backends_are_called_in_the_protocol_that_their_Service_names(string protocol, HttpProtocols server)
    {
        await using var web = await OriginServer.StartAsync(server, context => context.Response.WriteAsync(context.Request.Protocol));
        using var proxy = new ApiGatewayProxy(Route("r", "", "{backendRefs: [{name: web, port: 80}]}"), [], prepare: rig => Named(rig, protocol, web.Port));
        Assert.Equal((200, server == HttpProtocols.Http2 ? "HTTP/2" : "HTTP/1.1"), await proxy.CallAsync("any"));
    }

    [Fact]
    public async Task A_connection_that_switches_to_a_WebSocket_carries_what_both_sides_send()
    {
        await using var web = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            context.Response.Headers.Upgrade = "websocket";
            await using var stream = await context.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync();
            await stream.CopyToAsync(stream, context.RequestAborted);
        });
        using var proxy = new ApiGatewayProxy(Route("r", "", "{backendRefs: [{name: web, port: 80}]}"), [], prepare: rig =>
            Named(rig, "kubernetes.io/ws", web.Port));
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", proxy.Port, Stop);
        var stream = client.GetStream();
        await stream.WriteAsync("GET / HTTP/1.1\r\nhost: any\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"u8.ToArray(), Stop);
        using var reader = new StreamReader(stream, Encoding.ASCII);
        Assert.StartsWith("HTTP/1.1 101", await reader.ReadLineAsync(Stop), StringComparison.Ordinal);
        while (await reader.ReadLineAsync(Stop) is { Length: > 0 })
        {
            // The rest of the head.
        }
        await stream.WriteAsync("hello\n"u8.ToArray(), Stop);
        Assert.Equal("hello", await reader.ReadLineAsync(Stop));
    }

    /// <summary>Its endpoints may be somebody's own, and it may have no address.</summary>
    [Theory]
    [InlineData("10.96.1.1", true)]
    [InlineData("None", true)]
    [InlineData("10.96.1.1", false)]
    [InlineData("None", false)]
    public async Task A_backend_is_a_Service_with_or_without_an_address(string address, bool hasPods)
    {
        await using var web = await ServerAsync("web");
        using var proxy = new ApiGatewayProxy(Route("r", "", "{backendRefs: [{name: web, port: 80}]}"), [], prepare: rig =>
        {
            Named(rig, "", web.Port, address);
            if (hasPods) return;
            rig.Writer.Put("c1", new Isthmus.Kubernetes.Objects.EndpointSlice
            {
                Metadata = new() { Name = "web-1", Namespace = MeshRig.Namespace, Labels = { ["kubernetes.io/service-name"] = "web" } },
                Endpoints = [new() { Addresses = ["127.0.0.1"], Conditions = new() { Ready = true } }], Ports = { new() { Name = "first", Port = web.Port } },
            });
        });
        Assert.Equal((200, "web"), await proxy.CallAsync("any"));
    }

    /// <summary>The port that the client wrote is that of another scheme, or of a way that ends in front of the gateway.</summary>
    [Theory]
    [InlineData("scheme: https", "https://web.example/")]
    [InlineData("scheme: http", "http://web.example/")]
    [InlineData("statusCode: 301", "http://web.example/")]
    [InlineData("port: 8081", "http://web.example:8081/")]
    [InlineData("scheme: https, port: 8443", "https://web.example:8443/")]
    [InlineData("scheme: https, hostname: other.example", "https://other.example/")]
    public async Task A_redirect_without_a_port_has_that_of_the_scheme_or_of_the_listener(string redirect, string location)
    {
        using var proxy = new ApiGatewayProxy(Route("r", "", $$"""{filters: [{type: RequestRedirect, requestRedirect: { {{redirect}} } }]}"""), []);
        foreach (var host in (string[])["web.example", "web.example:8080"])
        {
            using var response = await proxy.SendAsync(host);
            Assert.Equal(location, response.Headers.GetValues("location").Single());
        }
    }

    private static void Named(MeshRig rig, string protocol, int port, string address = "10.96.1.1")
    {
        rig.Writer.Put("c1", new Isthmus.Kubernetes.Objects.Service
        {
            Metadata = new() { Name = "web", Namespace = MeshRig.Namespace },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = address, ClusterIPs = [address],
                Ports = { new() { Name = "first", Port = 80, TargetPort = System.Text.Json.Nodes.JsonValue.Create(port), AppProtocol = protocol.Length > 0
                    ? protocol : "http" } },
            },
        });
        rig.Pod("c1", "web", "web-a", "127.0.0.1", mtls: false);
        rig.Slice("c1", "web", port, "first", ("web-a", "127.0.0.1"));
    }

    private static Task<OriginServer> ServerAsync(string name) => OriginServer.StartAsync(HttpProtocols.Http1, context =>
    {
        context.Response.Headers["seen"] = context.Request.Headers["mark"];
        return context.Response.WriteAsync(context.Request.Headers["mark"].Count > 0 ? context.Request.Headers["mark"].ToString() : name);
    });

    private static async Task<string> MarkAsync(ApiGatewayProxy proxy, string host, string path = "/") => (await proxy.CallAsync(host, path)).Body;

    private static string Marked(string mark, string path = "/") =>
        $$"""
        {matches: [{path: {type: PathPrefix, value: {{path}} } }],
         filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: mark, value: {{mark}} }]} }], backendRefs: [{name: web, port: 80}]}
        """;

    private static string Route(string name, string parent, string rules, string more = "", string kind = "HTTPRoute", string ns = "shop",
        string age = "2026-01-01T00:00:00Z") =>
        $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: {{kind}}
        metadata: {name: {{name}}, namespace: {{ns}}, creationTimestamp: '{{age}}'}
        spec: { {{more}}parentRefs: [{ {{parent}}name: front}], rules: [{{rules}}]}
        ---

        """;

    private static IEnumerable<ApiCondition> Conditions(ApiGatewayProxy proxy, string kind = "HTTPRoute") =>
        Assert.Single(Assert.Single(proxy.Rig.Mesh.RouteStatuses.Items.Values,
            status => status.Source.Kind == kind && status.Source.Name != "fallback").Parents).Conditions;

    /// <summary>What a server answers over a connection; empty: the connection ends.</summary>
    private static async Task<string> ConnectAsync(int port)
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync("127.0.0.1", port, Stop);
            var stream = client.GetStream();
            await stream.WriteAsync("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"u8.ToArray(), Stop);
            using var reader = new StreamReader(stream, Encoding.ASCII);
            var text = await reader.ReadToEndAsync(Stop);
            return text.Length == 0
                ? ""
                : text.Contains("\r\none\r\n", StringComparison.Ordinal) || text.EndsWith("one", StringComparison.Ordinal)
                ? "one"
                : "two";
        }
        catch (IOException)
        {
            return "";
        }
    }
}
