using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Snapshot;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;

using Xunit;
using Extension = Isthmus.Wire.Envoy.Extension;
using TypeUrls = Isthmus.Wire.Xds.TypeUrls;

namespace Isthmus.Tests.Effects.Extensions;

/// <summary>Envoy, Istio's Envoy and our own proxy list different filters: each gets those that it has listed, and no others.</summary>
public sealed class ProxySoftwareTests
{
    private const string Exchange = "envoy.tcp.metadataexchange.config.MetadataExchange";

    private static readonly string[] All = ["Envoy", "Envoy of Istio", "Isthmus"];

    [Fact]
    public void A_list_of_extensions_says_which_filters_of_Istio_a_proxy_has()
    {
        Assert.Equal(new(true, true, IstioFilters.None), Read("Envoy").Software);
        Assert.Equal(new(true, true, IstioFilters.All & ~IstioFilters.ClusterRewrite), Read("Envoy of Istio").Software);
        Assert.Equal(new(false, true, IstioFilters.All) { ComposesFilters = true, HasTunnels = true }, Read("Isthmus").Software);
        Assert.Equal(new(true, false, IstioFilters.All) { ComposesFilters = true, HasTunnels = true, HasIstioStrings = true }, ProxySoftware.Of("envoy", []));
        // Proxies of older releases list names without messages. A name counts in its own category only.
        Assert.Equal(new(true, true, IstioFilters.Alpn | IstioFilters.ClientExchange), ProxySoftware.Of("envoy",
        [
            new("istio.alpn", "envoy.filters.http", []), new("envoy.filters.network.upstream.metadata_exchange", "envoy.filters.upstream_network", []),
            new("envoy.filters.network.metadata_exchange", "envoy.filters.http", [Exchange]),
        ]));
    }

    [Fact]
    public void What_is_switched_off_is_not_there()
    {
        var node = Node("Envoy of Istio");
        foreach (var extension in node.Extensions.Where(extension => extension.Name == "istio.alpn")) extension.Disabled = true;
        Assert.Equal(IstioFilters.None, MeshFeeds.Read(node, out _)!.Software.Filters & IstioFilters.Alpn);
    }

    [Fact]
    public void Proxies_get_no_filter_that_they_have_not_listed()
    {
        var rig = Mesh();
        var feeds = All.ToDictionary(kind => kind, kind => rig.Connect(Read(kind)));
        rig.Push();
        foreach (var (kind, feed) in feeds)
        {
            var listed = Node(kind).Extensions.SelectMany(extension => extension.TypeUrls.Select(type => (extension.Category, type))).ToHashSet();
            var used = Used(feed).ToHashSet();
            Assert.Contains(("envoy.filters.network", "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"), used);
            Assert.Equal([], used.Except(listed));
        }
        var ofIstio = Used(feeds["Envoy of Istio"]).ToHashSet();
        (string, string)[] wanted =
        [
            ("envoy.filters.http", "io.istio.http.peer_metadata.Config"), ("envoy.filters.http", "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig"),
            ("envoy.filters.http", "stats.PluginConfig"), ("envoy.filters.network", "stats.PluginConfig"), ("envoy.filters.network", Exchange),
            ("envoy.filters.upstream_network", Exchange),
        ];
        Assert.Equal([], wanted.Except(ofIstio));
    }

    /// <summary>An Envoy of Istio keeps metrics only with the filter, and a proxy of Isthmus needs it for changes only.</summary>
    [Fact]
    public void Envoys_of_Istio_keep_the_standard_metrics()
    {
        var rig = Mesh();
        var (envoy, own) = (rig.Connect(Read("Envoy of Istio")), rig.Connect(Read("Isthmus")));
        rig.Push();
        Assert.DoesNotContain(Used(own), item => item.Type == "stats.PluginConfig");
        Assert.Equal([true], Stats(MeshRig.Listener(envoy, "virtualInbound")!).Select(config => config.DisableHostHeaderFallback).Distinct());
        Assert.Equal([false], Stats(MeshRig.Listener(envoy, "0.0.0.0_80")!).Select(config => config.DisableHostHeaderFallback).Distinct());
    }

    /// <summary>Envoys before 1.34 do not know the form that names the source of metadata, and later ones warn of the other.</summary>
    [Theory]
    [InlineData("Envoy", 0, false)]
    [InlineData("Envoy", 33, false)]
    [InlineData("Envoy", 34, true)]
    [InlineData("Envoy", 40, true)]
    [InlineData("Envoy of Istio", 34, true)]
    [InlineData("Isthmus", 40, false)]
    public void Policies_name_the_source_of_metadata_if_the_proxy_knows_how(string kind, uint minor, bool names)
    {
        var rig = Mesh();
        rig.Config("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: shop}\nspec: {action: DENY, rules: [{from: "
            + "[{source: {requestPrincipals: [i/s]}}], when: [{key: 'request.auth.claims[a]', values: [b]}, {key: 'request.auth.audiences', values: [c]}, "
            + "{key: 'request.auth.presenter', values: [d]}, {key: 'experimental.envoy.filters.own[e]', values: [f]}]}]}");
        var node = Node(kind);
        if (minor > 0) node.UserAgentBuildVersion = new() { Version = new() { MajorNumber = 1, MinorNumber = minor } };
        var feed = rig.Connect(MeshFeeds.Read(node, out _)!);
        rig.Push();
        var texts = Filters(MeshRig.Listener(feed, "virtualInbound")!).Where(filter => filter.TypedConfig.Is(HttpConnectionManager.Descriptor))
            .SelectMany(filter => filter.TypedConfig.Unpack<HttpConnectionManager>().HttpFilters).Where(filter => filter.Name == "envoy.filters.http.rbac")
            .Select(filter => WireTypes.Json.Format(filter.TypedConfig.Unpack<Wire.Envoy.HttpFilters.RBAC>())).ToList();
        Assert.NotEmpty(texts);
        Assert.All(texts, text => Assert.Equal(names ? (6, 0) : (0, 6), (Count(text, "\"sourced_metadata\""), Count(text, "\"metadata\""))));

        static int Count(string text, string word) => text.Split(word).Length - 1;
    }

    [Fact]
    public void Proxies_with_equal_software_share_what_they_get()
    {
        var rig = Mesh();
        var (one, two) = (rig.Connect(Read("Envoy")), rig.Connect(Read("Envoy") with { Name = "client-2" }));
        rig.Push();
        Assert.Equal(1, rig.Publisher.Scopes);
        Assert.Same(one.Snapshot!.Types[TypeUrls.Cluster].All.First().Body, two.Snapshot!.Types[TypeUrls.Cluster].All.First().Body);
    }

    private static MeshRig Mesh()
    {
        var rig = new MeshRig("c1");
        rig.AppOn("c1", "web", "10.96.0.10", "http", 80, "10.244.0.1");
        rig.AppOn("c1", "ledger", "10.96.0.11", "tcp", 3306, "10.244.0.2");
        rig.AppOn("c1", "client", "10.96.0.12", "http", 80, "10.244.0.7");
        return rig;
    }

    private static ProxyIdentity Read(string kind) => MeshFeeds.Read(Node(kind), out var error) ?? throw new ArgumentException(error);

    private static Node Node(string kind)
    {
        var environment = new Dictionary<string, string>
        {
            ["POD_NAME"] = "client-10.244.0.7", ["POD_NAMESPACE"] = "shop", ["INSTANCE_IP"] = "10.244.0.7", ["SERVICE_ACCOUNT"] = "client",
            ["ISTIO_META_CLUSTER_ID"] = "c1",
        };
        var node = AgentNode.Build(AgentSettings.Read("sidecar", "shop.svc.cluster.local", environment), new Dictionary<string, string> { ["app"] = "client" },
            new Dictionary<string, string>());
        if (kind == "Isthmus") return node;
        node.Metadata.Fields.Remove("ISTHMUS_VERSION");
        node.UserAgentName = "envoy";
        node.Extensions.Clear();
        node.Extensions.AddRange(OfEnvoy);
        if (kind == "Envoy of Istio") node.Extensions.AddRange(OfIstio);
        return node;
    }

    /// <summary>Those of Envoy's several hundred extensions that a mesh needs.</summary>
    private static IEnumerable<Extension> OfEnvoy =>
    [
        .. Listed("envoy.filters.http", "envoy.extensions.filters.http.", "router.v3.Router", "fault.v3.HTTPFault", "cors.v3.Cors",
            "grpc_stats.v3.FilterConfig", "rbac.v3.RBAC", "jwt_authn.v3.JwtAuthentication", "wasm.v3.Wasm"),
        .. Listed("envoy.filters.network", "envoy.extensions.filters.network.", "tcp_proxy.v3.TcpProxy", "http_connection_manager.v3.HttpConnectionManager",
            "rbac.v3.RBAC"),
        .. Listed("envoy.filters.listener", "envoy.extensions.filters.listener.", "tls_inspector.v3.TlsInspector", "http_inspector.v3.HttpInspector",
            "original_dst.v3.OriginalDst"),
    ];

    private static IEnumerable<Extension> OfIstio =>
    [
        new() { Name = "istio.alpn", Category = "envoy.filters.http", TypeUrls = { "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig" } },
        new() { Name = "envoy.filters.http.peer_metadata", Category = "envoy.filters.http", TypeUrls = { "io.istio.http.peer_metadata.Config" } },
        new() { Name = "envoy.filters.http.istio_stats", Category = "envoy.filters.http", TypeUrls = { "stats.PluginConfig" } },
        new() { Name = "envoy.filters.network.istio_stats", Category = "envoy.filters.network", TypeUrls = { "stats.PluginConfig" } },
        new() { Name = "envoy.filters.network.metadata_exchange", Category = "envoy.filters.network", TypeUrls = { Exchange } },
        new() { Name = "envoy.filters.network.upstream.metadata_exchange", Category = "envoy.filters.upstream_network", TypeUrls = { Exchange } },
    ];

    private static IEnumerable<Extension> Listed(string category, string prefix, params string[] types) =>
        types.Select(type => new Extension { Name = $"{category}.{type.Split('.')[0]}", Category = category, TypeUrls = { prefix + type } });

    /// <summary>The filters of all listeners and clusters of a proxy.</summary>
    private static IEnumerable<(string Category, string Type)> Used(ProxyFeed feed)
    {
        foreach (var listener in Resources(feed, TypeUrls.Listener, Listener.Parser.ParseFrom))
        {
            foreach (var filter in listener.ListenerFilters) yield return ("envoy.filters.listener", TypeOf(filter.TypedConfig));
            foreach (var filter in Filters(listener))
            {
                yield return ("envoy.filters.network", TypeOf(filter.TypedConfig));
                if (!filter.TypedConfig.TryRead(out HttpConnectionManager manager)) continue;
                foreach (var http in manager.HttpFilters) yield return ("envoy.filters.http", TypeOf(http.TypedConfig));
            }
        }
        foreach (var filter in Resources(feed, TypeUrls.Cluster, Cluster.Parser.ParseFrom).SelectMany(cluster => cluster.Filters))
            yield return ("envoy.filters.upstream_network", TypeOf(filter.TypedConfig));
    }

    private static IEnumerable<Wire.Istio.Stats.PluginConfig> Stats(Listener listener)
    {
        foreach (var filter in Filters(listener))
        {
            if (Plain(filter.TypedConfig).TryRead(out Wire.Istio.Stats.PluginConfig ofTcp)) yield return ofTcp;
            if (!filter.TypedConfig.TryRead(out HttpConnectionManager manager)) continue;
            yield return manager.HttpFilters.Select(http => Plain(http.TypedConfig))
                .Single(config => config.TypeUrl.EndsWith("/stats.PluginConfig", StringComparison.Ordinal)).Unpack<Wire.Istio.Stats.PluginConfig>();
        }
    }

    private static IEnumerable<Wire.Envoy.Listeners.Filter> Filters(Listener listener) =>
        listener.FilterChains.Append(listener.DefaultFilterChain).Where(chain => chain is not null && chain.Name != "virtualInbound-blackhole")
            .SelectMany(chain => chain!.Filters);

    private static IEnumerable<T> Resources<T>(ProxyFeed feed, string type, Func<ByteString, T> parse) =>
        feed.Snapshot!.Types[type].All.Select(resource => parse(resource.Body.Value));

    private static Any Plain(Any any) => TypedConfigs.TryPlain(any, out var plain, out _) ? plain : any;

    private static string TypeOf(Any any) => Plain(any) is var plain ? plain.TypeUrl[(plain.TypeUrl.LastIndexOf('/') + 1)..] : "";
}
