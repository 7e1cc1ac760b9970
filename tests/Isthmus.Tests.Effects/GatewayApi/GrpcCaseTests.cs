using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;
using static Isthmus.Tests.Effects.GatewayApi.RoutedCalls;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Calls of gRPC over HTTP/2 through GRPCRoutes of a Gateway. What no rule matches is <c>UNIMPLEMENTED</c> (12).</summary>
public sealed class GrpcCaseTests
{
    [Fact]
    public async Task Methods_have_backends_of_their_own()
    {
        await using var calls = await OfAsync(Route("g", "{name: front}", $$"""
            {matches: [{method: {service: pkg.Echo, method: Echo} }], {{V1}} }, {matches: [{method: {service: pkg.Echo, method: EchoTwo} }], {{V2}} }
            """, kind: "GRPCRoute"));
        await ExpectAsync(calls, """
            POST /pkg.Echo/Echo => v1
            POST /pkg.Echo/EchoTwo => v2
            POST /pkg.Echo/EchoThree => 200 <grpc-status=12
            """);
    }

    [Fact]
    public async Task More_headers_count_more_than_fewer()
    {
        await using var calls = await OfAsync(Route("g", "{name: front}", $$"""
            {matches: [{headers: [{name: version, value: one}]}], {{V1}} },
            {matches: [{headers: [{name: version, value: two}]}], {{V2}} },
            {matches: [{headers: [{name: version, value: two}, {name: color, value: orange}]}], {{V1}} },
            {matches: [{headers: [{name: color, value: blue}]}, {headers: [{name: color, value: green}]}], {{V1}} },
            {matches: [{headers: [{name: color, value: red}]}, {headers: [{name: color, value: yellow}]}], {{V2}} }
            """, kind: "GRPCRoute"));
        await ExpectAsync(calls, """
            POST /pkg.Echo/Echo (Version: one) => v1
            POST /pkg.Echo/Echo (Version: two) => v2
            POST /pkg.Echo/Echo (Version: two; Color: orange) => v1
            POST /pkg.Echo/Echo (Version: two; Color: blue) => v2
            POST /pkg.Echo/Echo (Color: orange) => 200 <grpc-status=12
            POST /pkg.Echo/Echo (Some-Other: one) => 200 <grpc-status=12
            POST /pkg.Echo/Echo (Color: blue) => v1
            POST /pkg.Echo/Echo (Color: green) => v1
            POST /pkg.Echo/Echo (Color: red) => v2
            POST /pkg.Echo/Echo (Color: yellow) => v2
            POST /pkg.Echo/Echo (Color: purple) => 200 <grpc-status=12
            """);
    }

    [Fact]
    public async Task Routes_of_one_listener_or_several_get_its_hosts()
    {
        static string Listener(string name, string host) => $"{{name: {name}, port: 80, protocol: HTTP, hostname: {host}}}";
        await using var calls = await OfAsync(
            Route("a", "{name: front, sectionName: one}", $"{{{V1}}}", kind: "GRPCRoute")
            + Route("b", "{name: front, sectionName: two}", $"{{{V2}}}", kind: "GRPCRoute")
            + Route("c", "{name: front, sectionName: three}, {name: front, sectionName: four}", $"{{{V3}}}", kind: "GRPCRoute"),
            string.Join('\n', Listener("one", "bar.com"), Listener("two", "foo.bar.com"), Listener("three", "'*.bar.com'"), Listener("four", "'*.foo.com'")));
        await ExpectAsync(calls, """
            POST bar.com/pkg.Echo/Echo => v1
            POST foo.bar.com/pkg.Echo/Echo => v2
            POST baz.bar.com/pkg.Echo/Echo => v3
            POST boo.bar.com/pkg.Echo/Echo => v3
            POST multiple.prefixes.bar.com/pkg.Echo/Echo => v3
            POST multiple.prefixes.foo.com/pkg.Echo/Echo => v3
            POST foo.com/pkg.Echo/Echo => 200 <grpc-status=12
            POST no.matching.host/pkg.Echo/Echo => 200 <grpc-status=12
            """);
    }

    [Fact]
    public async Task Calls_are_shared_by_weight()
    {
        await using var calls = await OfAsync(Route("g", "{name: front}", """
            {backendRefs: [{name: v1, port: 80, weight: 70}, {name: v2, port: 80, weight: 30}, {name: v3, port: 80, weight: 0}]}
            """, kind: "GRPCRoute"));
        var shares = await calls.SharesAsync("/pkg.Echo/Echo", 500);
        Assert.InRange(shares[0], 288, 412);
        Assert.Equal(0, shares[2]);
    }

    /// <summary>Gateways do not share their routes, except one that names both.</summary>
    [Fact]
    public async Task A_route_of_two_Gateways_is_at_both_beside_their_own()
    {
        const string Other = """
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: other, namespace: shop},
             spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]} }
            ---

            """;
        static string Of(string name, string parents, string method, string to) =>
            Route(name, parents, $"{{matches: [{{method: {{service: pkg.Echo, method: {method}}} }}], {to}}}", kind: "GRPCRoute");

        await using var calls = await OfAsync(Other + Of("shared", "{name: front}, {name: other}", "Echo", V1) + Of("ours", "{name: front}", "EchoTwo", V2)
            + Of("theirs", "{name: other}", "EchoTwo", V3));
        await ExpectAsync(calls, """
            POST /pkg.Echo/Echo => v1
            POST /pkg.Echo/EchoTwo => v2
            """);
        Assert.Equal(["other/http 2"], calls.Rig.Mesh.GatewayApi.GatewayStatuses.Items.Values.Where(status => status.Source.Name == "other")
            .SelectMany(status => status.Listeners, (status, listener) => $"{status.Source.Name}/{listener.Name} {listener.AttachedRoutes}"));
    }

    [Fact]
    public async Task Rules_apply_with_a_name_and_without_one()
    {
        await using var calls = await OfAsync(Route("g", "{name: front}", $$"""
            {name: first, matches: [{method: {service: pkg.Echo, method: Echo} }], {{V1}} },
            {matches: [{method: {service: pkg.Echo, method: EchoTwo} }], {{V2}} }
            """, kind: "GRPCRoute"));
        await ExpectAsync(calls, """
            POST /pkg.Echo/Echo => v1
            POST /pkg.Echo/EchoTwo => v2
            """);
    }

    private static Task<RoutedCalls> OfAsync(string routes, string listeners = "") =>
        AtGatewayAsync(routes, listeners, protocols: HttpProtocols.Http2, port: "grpc");

    private static Task ExpectAsync(RoutedCalls calls, string table) => calls.ExpectAsync(table, version: HttpVersion.Version20, isGrpc: true);
}
