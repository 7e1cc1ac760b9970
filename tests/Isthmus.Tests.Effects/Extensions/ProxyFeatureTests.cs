using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Agent;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;

namespace Isthmus.Tests.Effects.Extensions;

/// <summary>While a mesh is upgraded, proxies are older than their control plane: each gets only what it can do.</summary>
public sealed class ProxyFeatureTests
{
    [Theory]
    [InlineData("of this version", true)]
    [InlineData("of an older version", false)]
    [InlineData("of a version without a list", true)]
    [InlineData("Envoy of Istio", true)]
    public void Only_proxies_that_speak_it_are_asked_to_exchange_metadata(string proxy, bool exchanges)
    {
        var rig = new MeshRig("c1");
        rig.AppOn("c1", "ledger", "10.96.0.10", "tcp", 3306, "10.244.0.1");
        rig.AppOn("c1", "client", "10.96.0.11", "tcp", 3306, "10.244.0.7");
        var feed = rig.Connect(Identity(proxy));
        // Both kinds in one mesh share no resources.
        var others = new[] { "of this version", "of an older version" }.Select(other => rig.Connect(Identity(other))).ToList();
        rig.Push();
        Assert.NotEqual(MeshRig.Versions(others[0]), MeshRig.Versions(others[1]));
        var cluster = MeshRig.Cluster(feed, MeshRig.OutboundName("ledger", 3306))!;
        var offered =
            cluster.TransportSocketMatches.Single(
                match => match.Name == "tlsMode-istio").TransportSocket.TypedConfig.Unpack<UpstreamTlsContext>().CommonTlsContext.AlpnProtocols;
        Assert.Equal(exchanges ? ["istio-peer-exchange", "istio"] : ["istio"], offered);
        Assert.Equal(exchanges, cluster.Filters.Any(filter => filter.Name == "istio.metadata_exchange"));
        var chains = MeshRig.Listener(feed, "virtualInbound")!.FilterChains.Where(chain => chain.TransportSocket is not null
            && chain.Filters[^1].Name.EndsWith("tcp_proxy", StringComparison.Ordinal))
            .ToList();
        Assert.NotEmpty(chains);
        Assert.All(chains, chain => Assert.Equal(exchanges, Selected(chain).Contains("istio-peer-exchange")));
        Assert.All(chains, chain => Assert.Equal(exchanges, chain.Filters.Any(filter => filter.Name == "istio.metadata_exchange")));
    }

    /// <summary>As in Istio 1.31, a proxy need not ask for it.</summary>
    [Theory]
    [InlineData("", true)]
    [InlineData("true", true)]
    [InlineData("false", false)]
    public void Hosts_without_addresses_get_some_unless_the_proxy_refuses_them(string value, bool allocates)
    {
        var rig = new MeshRig("c1");
        rig.Config("""
            {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: far, namespace: shop},
             spec: {hosts: [far.example], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 3306, name: tcp, protocol: TCP}]}}
            """);
        (string, string)[] flags = value.Length == 0 ? [] : [("ISTIO_META_DNS_AUTO_ALLOCATE", value)];
        var feed = rig.Connect(Identity("of this version", flags));
        rig.Push();
        Assert.Equal(allocates,
            MeshRig.Names(feed).Table.TryGetValue("far.example", out var entry)
                && entry.Ips.All(address => address.StartsWith("240.240.", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("1", true)]
    [InlineData("true", false)]
    [InlineData("", false)]
    public void Proxies_serve_clients_of_HTTP_1_0_when_their_metadata_say_so(string value, bool accepts)
    {
        var rig = new MeshRig("c1");
        rig.AppOn("c1", "web", "10.96.0.10", "http", 80, "10.244.0.1");
        rig.AppOn("c1", "client", "10.96.0.11", "http", 80, "10.244.0.7");
        var feed = rig.Connect(Identity("of this version", ("ISTIO_META_HTTP10", value)));
        var other = rig.Connect(Identity("of this version"));
        rig.Push();
        List<HttpConnectionManager> managers = [.. Managers(MeshRig.Listener(feed, "virtualInbound")!), .. Managers(MeshRig.Listener(feed, "0.0.0.0_80")!)];
        Assert.InRange(managers.Count, 2, 100);
        Assert.All(managers, manager => Assert.Equal(accepts, manager.HttpProtocolOptions?.AcceptHttp10 ?? false));
        Assert.All(Managers(MeshRig.Listener(other, "0.0.0.0_80")!), manager => Assert.Null(manager.HttpProtocolOptions));
    }

    [Fact]
    public void All_proxies_serve_clients_of_HTTP_1_0_when_the_control_plane_says_so()
    {
        Assert.True(DiscoverySettings.Read([], name => name == "PILOT_HTTP10" ? "true" : null).AcceptHttp10);
        var mesh = MeshConfig.Default with { AcceptHttp10 = true };
        var scope = new GatewayScope(default, default);
        Assert.True(HttpConnections.Gateway("g", "r", mesh, scope, null, 8080).TypedConfig.Unpack<HttpConnectionManager>().HttpProtocolOptions.AcceptHttp10);
        Assert.False(HttpConnections.Gateway("g", "r", MeshConfig.Default, scope, null,
            8080).TypedConfig.Unpack<HttpConnectionManager>().HttpProtocolOptions.AcceptHttp10);
    }

    private static IEnumerable<HttpConnectionManager> Managers(Listener listener) =>
        from chain in listener.FilterChains
        from filter in chain.Filters
        where filter.TypedConfig.Is(HttpConnectionManager.Descriptor)
        select filter.TypedConfig.Unpack<HttpConnectionManager>();

    private static IEnumerable<string> Selected(FilterChain chain) =>
        chain.TransportSocket.TypedConfig.Unpack<DownstreamTlsContext>().CommonTlsContext.AlpnProtocols;

    private static ProxyIdentity Identity(string proxy, params (string Name, string Value)[] more)
    {
        var environment = new Dictionary<string, string>
        {
            ["POD_NAME"] = "client-10.244.0.7", ["POD_NAMESPACE"] = "shop", ["INSTANCE_IP"] = "10.244.0.7", ["SERVICE_ACCOUNT"] = "client",
            ["ISTIO_META_CLUSTER_ID"] = "c1", ["ISTIO_META_NETWORK"] = "net-c1", ["ISTIO_META_DNS_CAPTURE"] = "true",
        };
        foreach (var (name, value) in more) environment[name] = value;
        var settings = AgentSettings.Read("sidecar", "shop.svc.cluster.local", environment);
        var node = AgentNode.Build(settings, new Dictionary<string, string> { ["app"] = "client" }, new Dictionary<string, string>());
        if (proxy != "of this version") node.Extensions.Clear();
        if (proxy is "of an older version" or "Envoy of Istio") Assert.True(node.Metadata.Fields.Remove("ISTHMUS_FEATURES"));
        if (proxy == "Envoy of Istio") Assert.True(node.Metadata.Fields.Remove("ISTHMUS_VERSION"));
        return MeshFeeds.Read(node, out var error) ?? throw new ArgumentException(error);
    }
}
