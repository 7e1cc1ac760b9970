using Google.Protobuf;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire.Envoy.Routes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;
using RouteSet = Isthmus.Mesh.Model.RouteSet;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary>What only the model of routes can say: no VirtualService has backends that lead nowhere, or paths by elements.</summary>
public sealed class RouteSetTests
{
    private static readonly Destination Up = new("up.shop.svc.cluster.local", "", 80);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_share_of_a_backend_that_leads_nowhere_gets_500_and_the_others_get_theirs()
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("up"));
        var route = Assert.Single(Routes(new RouteRule("", default, [new(Up, 1), new(null, 1), new(null, 0)], new() { Retries = new(0, null, "", null) })));
        var cluster = ResourceNames.Outbound(Up.Port, Up.Subset, Up.Host);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster(cluster)], $"\"route\": {JsonFormatter.Default.Format(route.Route_)}");
        proxy.Endpoints(cluster, server.Port);
        using var client = new HttpClient();
        var seen = new HashSet<int>();
        for (var i = 0; i < 200 && seen.Count < 2; i++)
        {
            using var answer = await client.GetAsync($"http://127.0.0.1:{proxy.Port}/", Stop);
            seen.Add((int)answer.StatusCode);
        }
        Assert.Equal([200, 500], seen.Order());
    }

    [Fact]
    public async Task A_rule_whose_backends_all_lead_nowhere_answers_500()
    {
        var route = Assert.Single(Routes(new RouteRule("", default, [new(null, 1), new(null, 3), new(Up, 0)], RouteFilters.None)));
        using var proxy = new LoopbackProxy([], $"\"direct_response\": {JsonFormatter.Default.Format(route.DirectResponse)}");
        using var client = new HttpClient();
        using var answer = await client.GetAsync($"http://127.0.0.1:{proxy.Port}/", Stop);
        Assert.Equal(500, (int)answer.StatusCode);
    }

    [Theory]
    [InlineData("/a", "", "/a")]
    [InlineData("/", "/", "")]
    public void A_prefix_of_elements_is_one_in_the_proxy(string path, string prefix, string separated)
    {
        var route = Assert.Single(Routes(new RouteRule("", [Match(path)], [new(Up, 1)], RouteFilters.None)));
        Assert.Equal((prefix, separated), (route.Match.Prefix, route.Match.PathSeparatedPrefix));
    }

    private static HttpMatch Match(string path) =>
        new("", new(MatchKind.PathPrefix, path), false, null, null, null, default, default, default, 0, default, "", default);

    private static IEnumerable<Route> Routes(params RouteRule[] rules)
    {
        var routes = new RouteSet(new("c1", "HTTPRoute", "shop", "r"), ["up"], [RouteSet.Mesh], ["*"], [.. rules], default, default, 0);
        return RouteGenerator.VirtualHost(new(new(new("", default), false), MeshSettings.Default.Mesh, "up", 80, ["up"], routes, default)).Routes;
    }
}
