using Xunit;
using static Isthmus.Tests.Effects.GatewayApi.RoutedCalls;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Calls within the mesh, by the address that is called.</summary>
public sealed class MeshCallCaseTests
{
    private const string Mark = "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: routed, value: \"yes\"}]} }]";

    [Fact]
    public async Task Without_routes_a_call_reaches_the_Service()
    {
        await using var calls = await InMeshAsync("", "0.0.0.0_80", "0.0.0.0_8080");
        await calls.ExpectAsync("""
            GET echo/ => v3
            GET v1/ => v1
            """);
    }

    [Fact]
    public async Task The_paths_of_a_Service_have_backends_of_their_own()
    {
        await using var calls = await InMeshAsync(Route("r", "{group: '', kind: Service, name: echo}", $$"""
            {matches: [{path: {type: Exact, value: /v1} }], {{V1}} }, {matches: [{path: {type: Exact, value: /v2} }], {{V2}} }
            """));
        await calls.ExpectAsync("""
            GET echo/v1 => v1
            GET echo/v2 => v2
            """);
    }

    /// <summary>Of <c>v1</c>, only port 80 has a route, and of <c>v2</c> both have.</summary>
    [Theory]
    [InlineData("10.96.3.2_80", "10.96.3.2_8080", "v1", "v1 <!routed")]
    [InlineData("10.96.3.3_80", "10.96.3.3_8080", "v2", "v2 <routed=yes")]
    public async Task A_route_is_for_the_port_that_it_names_or_for_all(string first, string second, string host, string atSecond)
    {
        await using var calls = await InMeshAsync(Route("one", "{group: '', kind: Service, name: v1, port: 80}", $"{{{Mark}, {V1}}}")
            + Route("two", "{group: '', kind: Service, name: v2}", $"{{{Mark}, {V2}}}"), first, second);
        await calls.ExpectAsync($"GET {host}/ => {host} <routed=yes");
        await calls.ExpectAsync($"GET {host}:8080/ => {atSecond}", atSecond: true);
    }

    /// <summary>Whatever a request calls itself, it gets the routes of the Service whose address it goes to.</summary>
    [Fact]
    public async Task The_address_decides_and_not_the_host()
    {
        await using var calls = await InMeshAsync(Route("r", "{group: '', kind: Service, name: v2}", $"{{{Mark}, {V2}}}"), "10.96.3.3_80", "10.96.3.2_80");
        await calls.ExpectAsync("""
            GET v2/ => v2 <routed=yes
            GET v1/ => v2 <routed=yes
            """);
        await calls.ExpectAsync("GET v2/ => v1 <!routed", atSecond: true);
    }

    [Fact]
    public async Task A_simple_route_leads_to_its_backend()
    {
        await using var calls = await InMeshAsync(Route("r", "{group: '', kind: Service, name: echo}", $"{{{V1}}}"));
        await calls.ExpectAsync("GET echo/ => v1");
    }
}
