using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.WasmPlugins;
using Xunit;
using HttpWasm = Isthmus.Wire.Envoy.HttpFilters.Wasm;
using TypeUrls = Isthmus.Wire.Xds.TypeUrls;

namespace Isthmus.Tests.Effects.Extensions;

/// <summary>WasmPlugins reach proxies that run Wasm: filters in their place, and their configuration by discovery.</summary>
public sealed class WasmPluginTests
{
    private const string Prefix = "extensions.istio.io/wasmplugin/";

    private readonly MeshRig _rig = Rig();

    [Fact]
    public void Filters_come_in_the_order_of_phases_and_priorities()
    {
        var feed = Envoy();
        Put("stats", "phase: STATS");
        Put("last", "");
        Put("low", "phase: AUTHN, priority: 1");
        Put("high", "phase: AUTHN, priority: 7");
        Put("none", "phase: AUTHN");
        Put("decide", "phase: AUTHZ");
        Put("tokens", "rules: [{to: [{operation: {paths: [/a]}}]}]", "AuthorizationPolicy", "security.istio.io/v1");
        Put("issuer", "jwtRules: [{issuer: a.example, jwks: '{\"keys\":[]}'}]", "RequestAuthentication", "security.istio.io/v1");
        _rig.Push();
        var names = Manager(feed, "virtualInbound", 8080).HttpFilters.Select(filter => filter.Name.Replace(Prefix + "shop.", "", StringComparison.Ordinal))
            .ToList();
        string[] wanted = ["high", "low", "none", "envoy.filters.http.jwt_authn", "decide", "envoy.filters.http.rbac", "stats", "last",
            "envoy.filters.http.fault", "envoy.filters.http.router"];
        Assert.Equal(wanted, names.Where(wanted.Contains));
        Assert.Contains(Prefix + "shop.high", Manager(feed, "0.0.0.0_80", 0).HttpFilters.Select(filter => filter.Name));
    }

    [Theory]
    [InlineData("mode: SERVER", true, false)]
    [InlineData("mode: CLIENT", false, true)]
    [InlineData("ports: [{number: 80}]", false, true)]
    [InlineData("ports: [{number: 8080}]", true, false)]
    [InlineData("mode: CLIENT_AND_SERVER", true, true)]
    public void The_traffic_is_chosen_by_direction_and_port(string match, bool inbound, bool outbound)
    {
        var feed = Envoy();
        Put("one", $"match: [{{{match}}}]");
        _rig.Push();
        bool Has(string listener, uint port) => Manager(feed, listener, port).HttpFilters.Any(filter => filter.Name == Prefix + "shop.one");
        Assert.Equal((inbound, outbound), (Has("virtualInbound", 8080), Has("0.0.0.0_80", 0)));
    }

    [Fact]
    public void A_network_plugin_is_before_what_ends_the_chain()
    {
        var feed = Envoy();
        Put("bytes", "type: NETWORK");
        _rig.Push();
        foreach (var chain in MeshRig.Listener(feed,
            "virtualInbound")!.FilterChains.Where(chain => !chain.Name.EndsWith("blackhole", StringComparison.Ordinal)))
        {
            Assert.Equal(Prefix + "shop.bytes", chain.Filters[0].Name);
            Assert.Contains("type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm", chain.Filters[0].ConfigDiscovery.TypeUrls);
            Assert.Contains(chain.Filters[^1].Name, (string[])["envoy.filters.network.http_connection_manager", "envoy.filters.network.tcp_proxy"]);
        }
        Assert.Equal("type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm", Config(feed, "bytes").TypedConfig.TypeUrl);
    }

    [Fact]
    public void The_configuration_says_how_to_get_the_module_and_what_to_do_without_it()
    {
        var feed = Envoy();
        _rig.Writer.Put("c1", Registry("me"));
        Put("one",
            "pluginConfig: {a: 1}, pluginName: root, failStrategy: FAIL_OPEN, imagePullPolicy: Always, imagePullSecret: registry, vmConfig: {env: [{name: "
                + "MODE, value: strict}, {name: HOME, valueFrom: HOST}]}");
        _rig.Push();
        var config = Plugin(feed, "one");
        Assert.Equal(("shop.one", "root", FailurePolicy.FailOpen, false), (config.Name, config.RootId, config.FailurePolicy, config.FailOpen));
        Assert.Equal("""{"a":1}""", config.Configuration.Unpack<Google.Protobuf.WellKnownTypes.StringValue>().Value);
        Assert.Equal(("envoy.wasm.runtime.v8", "oci://registry.example/one"), (config.VmConfig.Runtime, config.VmConfig.Code.Remote.HttpUri.Uri));
        var variables = config.VmConfig.EnvironmentVariables;
        Assert.Equal(["HOME"], variables.HostEnvKeys);
        Assert.Equal(("strict", "Always", "me"),
            (variables.KeyValues["MODE"], variables.KeyValues["ISTIO_META_WASM_IMAGE_PULL_POLICY"], variables.KeyValues["ISTIO_META_WASM_IMAGE_PULL_SECRET"]));
        _rig.Writer.Put("c1", Registry("you"));
        _rig.Push();
        Assert.Equal("you", Plugin(feed, "one").VmConfig.EnvironmentVariables.KeyValues["ISTIO_META_WASM_IMAGE_PULL_SECRET"]);
    }

    /// <summary>Who has not proven who it is may say that it is any workload.</summary>
    [Fact]
    public void Credentials_are_only_for_proxies_that_have_proven_who_they_are()
    {
        var envoy = ApiMesh.Envoy("sidecar", "web-10.244.0.1", "10.244.0.1", []);
        ProxyFeed[] feeds = [_rig.Connect(envoy), _rig.Connect(envoy with { Proof = new(new("c1", "other", "web"), "") }),
            _rig.Connect(envoy with { Proof = new(new("c1", "shop", "guest"), "") })];
        _rig.Writer.Put("c1", Registry("me"));
        Put("one", "imagePullSecret: registry");
        _rig.Push();
        Assert.All(feeds, feed => Assert.Equal("", Plugin(feed, "one").VmConfig.EnvironmentVariables.KeyValues["ISTIO_META_WASM_IMAGE_PULL_SECRET"]));
    }

    [Fact]
    public void Only_proxies_that_list_Wasm_get_plugins()
    {
        var (own, envoy) = (_rig.Sidecar("c1", "web-10.244.0.1", "10.244.0.1"), ApiMesh.Envoy("sidecar", "web-v1", "10.244.0.1", []));
        var without = _rig.Connect(envoy with { Software = envoy.Software with { RunsWasm = false } });
        Put("one", "");
        _rig.Push();
        foreach (var feed in (ProxyFeed[])[own, without])
        {
            Assert.DoesNotContain(Manager(feed, "virtualInbound", 8080).HttpFilters, filter => filter.Name.StartsWith(Prefix, StringComparison.Ordinal));
            Assert.False(feed.Snapshot!.Types.ContainsKey(TypeUrls.ExtensionConfig));
        }
    }

    [Fact]
    public void Gateways_run_plugins_too()
    {
        _rig.GatewayPod("c1", "door", new() { ["istio"] = "ingressgateway" });
        _rig.Service("c1", "door", "10.96.0.91", labels: new() { ["app"] = "door" });
        Put("front", "selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]", "Gateway",
            "networking.istio.io/v1");
        Put("low", "priority: 1");
        Put("high", "priority: 2, match: [{mode: CLIENT, ports: [{number: 8080}]}]");
        var feed = _rig.Connect(ApiMesh.Envoy("router", "door-0", "10.244.0.99", []) with { Proof = new(new("c1", "shop", "door"), "") });
        _rig.Push();
        Assert.Equal([Prefix + "shop.high", Prefix + "shop.low"],
            Manager(feed, "0.0.0.0_8080", 0).HttpFilters.Select(filter => filter.Name).Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)));
    }

    [Fact]
    public void Namespace_selector_and_removal_count()
    {
        var feed = Envoy();
        Put("own", "selector: {matchLabels: {app: web}}");
        Put("other", "selector: {matchLabels: {app: nobody}}");
        Put("root", "", ns: "istio-system");
        Put("elsewhere", "", ns: "other");
        _rig.Push();
        Assert.Equal([Prefix + "istio-system.root", Prefix + "shop.own"],
            feed.Snapshot!.Types[TypeUrls.ExtensionConfig].All.Select(resource => resource.Name).Order(StringComparer.Ordinal));
        _rig.Writer.RemoveConfig("c1", "WasmPlugin", "shop", "own");
        _rig.Push();
        Assert.DoesNotContain(Manager(feed, "virtualInbound", 8080).HttpFilters, filter => filter.Name == Prefix + "shop.own");
    }

    private ProxyFeed Envoy() => _rig.Connect(ApiMesh.Envoy("sidecar", "web-10.244.0.1", "10.244.0.1", []) with { Proof = new(new("c1", "shop", "web"), "") });

    private void Put(string name, string spec, string kind = "WasmPlugin", string version = "extensions.istio.io/v1alpha1", string ns = "shop")
    {
        var url = kind == "WasmPlugin" ? $"url: registry.example/{name}{(spec.Length > 0 ? ", " : "")}" : "";
        _rig.Writer.PutConfig("c1",
            (JsonObject)YamlText.Parse($"{{apiVersion: {version}, kind: {kind}, metadata: {{name: {name}, namespace: {ns}}}, spec: {{{url}{spec}}}}}", name)!);
    }

    private static Kubernetes.Objects.Secret Registry(string config) => new()
    {
        Metadata = new() { Name = "registry", Namespace = "shop" }, Type = "kubernetes.io/dockerconfigjson",
        Data = { [".dockerconfigjson"] = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(config)) },
    };

    private static TypedExtensionConfig Config(ProxyFeed feed, string name)
    {
        Assert.True(feed.Snapshot!.Types[TypeUrls.ExtensionConfig].TryGet($"{Prefix}shop.{name}", out var resource));
        return TypedExtensionConfig.Parser.ParseFrom(resource!.Body.Value);
    }

    private static PluginConfig Plugin(ProxyFeed feed, string name)
    {
        Assert.True(Config(feed, name).TypedConfig.TryRead(out HttpWasm wasm));
        return wasm.Config;
    }

    private static HttpConnectionManager Manager(ProxyFeed feed, string listener, uint port) => MeshRig.Listener(feed, listener)!.FilterChains
        .Where(chain => (chain.FilterChainMatch?.DestinationPort ?? 0) == port).SelectMany(chain => chain.Filters)
        .Select(filter => filter.TypedConfig is { } config && config.TryRead(out HttpConnectionManager manager) ? manager : null)
        .OfType<HttpConnectionManager>().First();

    private static MeshRig Rig()
    {
        var rig = new MeshRig("c1");
        rig.AppOn("c1", "web", "10.96.0.10", "http", 80, "10.244.0.1");
        return rig;
    }
}
