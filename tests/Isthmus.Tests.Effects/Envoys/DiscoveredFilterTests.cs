using Isthmus.ControlPlane.Push;
using Isthmus.Core.Problems;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;
using TypeUrls = Isthmus.Wire.Xds.TypeUrls;
using TypedStruct = Isthmus.Wire.Envoy.XdsTypes.TypedStruct;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>EnvoyFilters whose filters discover their configuration (ECDS), which only Envoys do.</summary>
public sealed class DiscoveredFilterTests
{
    private const string Lua = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua";

    private const string Discovery = $"{{config_source: {{ads: {{}}, initial_fetch_timeout: 1s}}, type_urls: [{Lua}]}}";

    private const string Insert = $$"""
        {applyTo: HTTP_FILTER, match: {context: SIDECAR_OUTBOUND, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager} } } },
         patch: {operation: INSERT_FIRST, value: {name: marks, config_discovery: {{Discovery}} } } }
        """;

    [Theory]
    [InlineData(true, "ANY", true)]
    [InlineData(true, "SIDECAR_INBOUND", true)]
    [InlineData(true, "SIDECAR_OUTBOUND", true)]
    [InlineData(true, "GATEWAY", false)]
    [InlineData(false, "ANY", false)]
    public void Envoys_get_the_filter_and_its_configuration_and_our_proxies_neither(bool isEnvoy, string context, bool isServed)
    {
        var rig = Rig();
        var proxy = ApiMesh.Envoy("sidecar", "web-v1", "10.244.0.1", []);
        var feed = rig.Connect(isEnvoy ? proxy : proxy with { Software = proxy.Software with { IsEnvoy = false } });
        rig.Config(Filter("marks", Insert, Add("marks", "one", context)));
        rig.Push();
        Assert.DoesNotContain(rig.Mesh.Sources.Problems.Items.Values.SelectMany(item => item.Problems), problem => problem.Severity == Severity.Error);
        var filter = MeshRig.Listener(feed, "0.0.0.0_80")!.FilterChains.Append(MeshRig.Listener(feed, "0.0.0.0_80")!.DefaultFilterChain)
            .OfType<Wire.Envoy.Listeners.FilterChain>().SelectMany(chain => chain.Filters)
            .First(item => item.TypedConfig.Is(HttpConnectionManager.Descriptor)).TypedConfig.Unpack<HttpConnectionManager>().HttpFilters[0];
        Assert.Equal(isEnvoy, filter.Name == "marks");
        if (isEnvoy) Assert.Equal([Lua], filter.ConfigDiscovery.TypeUrls);
        Assert.Equal(isServed ? "one" : null, Served(feed, "marks"));
    }

    [Fact]
    public void Of_two_with_one_name_the_last_counts_and_what_is_removed_is_gone()
    {
        var rig = Rig();
        var feed = rig.Connect(ApiMesh.Envoy("sidecar", "web-v1", "10.244.0.1", []));
        rig.Config(Filter("late", Add("marks", "late"), priority: 5));
        rig.Config(Filter("early", Add("marks", "early")));
        rig.Push();
        Assert.Equal("late", Served(feed, "marks"));
        rig.Writer.RemoveConfig("c1", "EnvoyFilter", "shop", "late");
        rig.Push();
        Assert.Equal("early", Served(feed, "marks"));
        rig.Writer.RemoveConfig("c1", "EnvoyFilter", "shop", "early");
        rig.Push();
        Assert.Null(Served(feed, "marks"));
    }

    /// <summary>The listener, its filter and the filter's configuration are all of EnvoyFilters.</summary>
    [Fact]
    public async Task Envoy_runs_a_filter_with_the_configuration_that_it_discovers()
    {
        _ = EnvoyProcess.Program;
        var folder = Directory.CreateTempSubdirectory("envoy").FullName;
        try
        {
            var (socket, door) = (Path.Combine(folder, "discovery"), Path.Combine(folder, "door"));
            var rig = Rig();
            rig.Config(Filter("marks", Insert));
            rig.Config(Filter("door", $$"""
                {applyTo: LISTENER, match: {context: SIDECAR_OUTBOUND}, patch: {operation: ADD, value: {name: door, address: {pipe: {path: '{{door}}'} },
                 filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {
                 '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: door,
                 http_filters: [{name: marks, config_discovery: {{Discovery}} }, {name: envoy.filters.http.router, typed_config: {
                 '@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router} }],
                 route_config: {name: door, virtual_hosts: [{name: all, domains: ['*'],
                 routes: [{match: {prefix: /}, direct_response: {status: 203, body: {inline_string: here} } }] }] } } }] }] } } }
                """));
            rig.Push();
            Assert.DoesNotContain(rig.Mesh.Sources.Problems.Items.Values.SelectMany(item => item.Problems), problem => problem.Severity == Severity.Error);
            await using var discovery = await DiscoveryForEnvoys.StartAsync(rig, socket);
            using var envoy = new EnvoyProcess(EnvoyTakesTests.Node("sidecar", "client", "10.244.0.7"), socket, folder);
            using var client = EnvoyProcess.ClientOf(door);
            await MarkedAsync("", 500);
            envoy.NewLines(); // it says that it has waited
            discovery.Push(mesh => mesh.Config(Filter("marks", Insert, Add("marks", "one"))));
            await MarkedAsync("one");
            discovery.Push(mesh => mesh.Config(Filter("marks", Insert, Add("marks", "two"))));
            await MarkedAsync("two");
            await Eventually.TrueAsync(() => envoy.HasEnded || discovery.Feeds.All(feed => feed.Sync == SyncState.Synced));
            Assert.Equal([], envoy.NewLines());
            Assert.All(await FollowedMesh.RejectedAsync(envoy), counter => Assert.EndsWith(": 0", counter, StringComparison.Ordinal));

            async Task MarkedAsync(string mark, int status = 203)
            {
                var seen = (0, "");
                await Eventually.TrueAsync(async () =>
                {
                    if (envoy.HasEnded) return true;
                    try
                    {
                        using var response = await client.GetAsync(new Uri("http://door.example/"), TestContext.Current.CancellationToken);
                        seen = ((int)response.StatusCode, string.Join(',', response.Headers.TryGetValues("x-mark", out var values) ? values : []));
                        return seen == (status, mark);
                    }
                    catch (HttpRequestException)
                    {
                        return false;
                    }
                });
                Assert.True(seen == (status, mark), $"{seen}: {string.Join('\n', envoy.NewLines())}");
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static MeshRig Rig()
    {
        var rig = new MeshRig("c1");
        rig.AppOn("c1", "web", "10.96.0.10", "http", 80, "10.244.0.1");
        return rig;
    }

    private static string Add(string name, string mark, string context = "ANY") => $$"""
        {applyTo: EXTENSION_CONFIG, match: {context: {{context}} }, patch: {operation: ADD, value: {name: {{name}}, typed_config: {
         '@type': {{Lua}}, default_source_code: {inline_string: "function envoy_on_response(handle) handle:headers():add('x-mark', '{{mark}}') end"} } } } }
        """;

    private static string Filter(string name, string first, string? second = null, int priority = 0) => $$"""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: {{name}}, namespace: shop}
        spec: {priority: {{priority}}, configPatches: [{{first}}{{(second is null ? "" : $", {second}")}}]}
        """;

    /// <summary>What the configuration adds to answers; null: there is none.</summary>
    private static string? Served(ProxyFeed feed, string name)
    {
        if (!feed.Snapshot!.Types.TryGetValue(TypeUrls.ExtensionConfig, out var all) || !all.TryGet(name, out var resource)) return null;
        var config = TypedExtensionConfig.Parser.ParseFrom(resource!.Body.Value).TypedConfig.Unpack<TypedStruct>();
        Assert.Equal(Lua, config.TypeUrl);
        return config.Value.Fields["default_source_code"].StructValue.Fields["inline_string"].StringValue.Split('\'')[3];
    }
}
