using Isthmus.ControlPlane.Push;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Graph.Intake;
using Isthmus.Graph.Settings;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.FilterStates;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Rbac;
using Xunit;
using HttpRbac = Isthmus.Wire.Envoy.HttpFilters.RBAC;
using InternalUpstream = Isthmus.Wire.Envoy.InternalUpstreamTransport;
using NetworkRbac = Isthmus.Wire.Envoy.NetworkFilters.RBAC;
using TypeUrls = Isthmus.Wire.Xds.TypeUrls;

namespace Isthmus.Tests.ControlPlane.Traffic;

/// <summary>HBONE: who opens tunnels to whom, who accepts them, and what comes out of them.</summary>
public sealed class TunnelTests
{
    private const string Transport = "envoy.transport_sockets.internal_upstream", Upstream = "envoy.transport_sockets.upstream";

    private static readonly TunnelSettings Sending = TunnelSettings.Default with { Sends = true };

    [Theory]
    [InlineData("http", false, false, true)]
    [InlineData("http,other", false, false, true)]
    [InlineData("http", true, false, false)]
    [InlineData("http", true, true, true)]
    [InlineData("other", false, true, false)]
    [InlineData("", false, true, false)]
    public void Workloads_that_accept_tunnels_are_called_through_them(string label, bool hasMtls, bool prefers, bool isTunnelled)
    {
        var rig = Rig(Sending with { Prefers = prefers });
        App(rig, label, hasMtls);
        var feed = rig.Sidecar("c1");
        rig.Push();
        var endpoint = Endpoint(feed);
        Assert.Equal(isTunnelled, endpoint.Endpoint.Address.EnvoyInternalAddress is not null);
        var match = endpoint.Metadata.FilterMetadata.GetValueOrDefault("envoy.transport_socket_match")?.ToString() ?? "";
        if (!isTunnelled)
        {
            Assert.Equal("10.244.0.1", endpoint.Endpoint.Address.SocketAddress.Address);
            Assert.Equal(hasMtls ? "{ \"tlsMode\": \"istio\" }" : "", match);
            return;
        }
        var address = endpoint.Endpoint.Address.EnvoyInternalAddress!;
        Assert.Equal(("connect_originate", "10.244.0.1:8080"), (address.ServerListenerName, address.EndpointId));
        Assert.Equal("{ \"tunnel\": \"http\" }", match);
        Assert.Equal("{ \"local\": \"10.244.0.1:8080\" }", endpoint.Metadata.FilterMetadata["envoy.filters.listener.original_dst"].ToString());
        Assert.StartsWith("web-10.244.0.1;shop;", endpoint.Metadata.FilterMetadata["istio"].Fields["workload"].StringValue, StringComparison.Ordinal);
    }

    [Fact]
    public void A_WorkloadEntry_is_called_through_a_tunnel_at_its_IPv6_address()
    {
        var rig = Rig(Sending);
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: there, namespace: shop}
            spec: {hosts: [there.example], ports: [{name: tcp, number: 80, protocol: TCP}], resolution: STATIC, location: MESH_INTERNAL,
              workloadSelector: {labels: {app: vm}}}
            ---
            apiVersion: networking.istio.io/v1
            kind: WorkloadEntry
            metadata: {name: vm, namespace: shop}
            spec: {address: '2001:db8::7', labels: {app: vm, networking.istio.io/tunnel: http} }
            """);
        var feed = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal("[2001:db8::7]:80", Endpoint(feed, "outbound|80||there.example").Endpoint.Address.EnvoyInternalAddress.EndpointId);
    }

    [Theory]
    [InlineData("", "hbone tunnel=http internal, tlsMode-istio tlsMode=istio tls, tlsMode-disabled raw_buffer")]
    [InlineData("tls: {mode: DISABLE}", "hbone tunnel=http internal, tlsMode-disabled raw_buffer")]
    [InlineData("tls: {mode: ISTIO_MUTUAL}", "hbone tunnel=http internal, tlsMode-istio tls")]
    [InlineData("tls: {mode: SIMPLE}", "hbone tunnel=http internal(tls), user tls")]
    public void Clusters_offer_tunnels_beside_what_rules_say(string policy, string sockets)
    {
        var rig = Rig(Sending);
        App(rig, "http", hasMtls: false);
        if (policy.Length > 0) rig.Config($$"""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: web, namespace: shop}
            spec: {host: web, trafficPolicy: { {{policy}} } }
            """);
        var feed = rig.Sidecar("c1");
        rig.Push();
        var cluster = MeshRig.Cluster(feed, MeshRig.OutboundName("web"))!;
        Assert.Null(cluster.TransportSocket);
        Assert.Equal(sockets, string.Join(", ", cluster.TransportSocketMatches.Select(Text)));
        Assert.NotNull(MeshRig.Listener(feed, "connect_originate")!.InternalListener);
        var ends = MeshRig.Cluster(feed, "connect_originate")!;
        Assert.Equal((Cluster.Types.DiscoveryType.OriginalDst, 15008u), (ends.Type, ends.OriginalDstLbConfig.UpstreamPortOverride));
    }

    public static readonly TheoryData<string> Without = ["not set", "DISABLE_HBONE_SEND", "without the transport"];

    [Theory]
    [MemberData(nameof(Without))]
    public void Nothing_is_tunnelled_by_a_proxy_that_does_not_send(string why)
    {
        var rig = Rig(why == "not set" ? TunnelSettings.Default : Sending);
        App(rig, "http", hasMtls: false);
        var proxy = rig.Sidecar("c1").Proxy with { SendsNoTunnels = why == "DISABLE_HBONE_SEND" };
        var feed = rig.Connect(why == "without the transport" ? proxy with { Software = ProxySoftware.Of("envoy", [new("a", "b", default)]) } : proxy);
        rig.Push();
        Assert.NotNull(Endpoint(feed).Endpoint.Address.SocketAddress);
        Assert.Null(MeshRig.Listener(feed, "connect_originate"));
        Assert.Null(MeshRig.Cluster(feed, "connect_originate"));
        Assert.DoesNotContain(MeshRig.Cluster(feed, MeshRig.OutboundName("web"))!.TransportSocketMatches, match => match.Name == "hbone");
    }

    [Fact]
    public void Gateways_open_tunnels_too()
    {
        var rig = Rig(Sending);
        App(rig, "http", hasMtls: false);
        var feed = rig.Router("c1", "door");
        rig.Push();
        Assert.NotNull(Endpoint(feed).Endpoint.Address.EnvoyInternalAddress);
        Assert.NotNull(MeshRig.Listener(feed, "connect_originate"));
        Assert.NotNull(MeshRig.Cluster(feed, "connect_originate"));
    }

    /// <summary>The bytes that it passes on are mesh TLS already.</summary>
    [Fact]
    public void A_gateway_to_a_network_opens_no_tunnels_for_what_passes_through()
    {
        var rig = Rig(Sending with { Prefers = true });
        App(rig, "http", hasMtls: true);
        rig.EastWest("c1", "192.0.2.1");
        var feed = rig.Router("c1", "eastwest", sniDnat: true);
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: cross, namespace: shop}
            spec: {selector: {app: eastwest}, servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.local']}]}
            """);
        rig.Push();
        Assert.NotNull(Endpoint(feed, "outbound_.80_._.web.shop.svc.cluster.local").Endpoint.Address.SocketAddress);
        Assert.NotNull(Endpoint(feed).Endpoint.Address.EnvoyInternalAddress);
    }

    [Fact]
    public void Localities_that_labels_choose_count_at_the_end_of_tunnels()
    {
        var rig = Rig(Sending);
        rig.Service("c1", "web", "10.96.0.10");
        rig.Pod("c1", "web", "near", "10.244.0.1", mtls: false, new() { ["networking.istio.io/tunnel"] = "http", ["room"] = "a" });
        rig.Pod("c1", "web", "far", "10.244.0.2", mtls: false, new() { ["networking.istio.io/tunnel"] = "http", ["room"] = "b" });
        rig.Slice("c1", "web", 8080, "http", ("near", "10.244.0.1"), ("far", "10.244.0.2"));
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: web, namespace: shop}
            spec:
              host: web
              trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}, loadBalancer: {localityLbSetting: {failoverPriority: [room=a]}}}
            """);
        var feed = rig.Sidecar("c1");
        rig.Push();
        var groups = Assignment(feed, MeshRig.OutboundName("web")).Endpoints;
        Assert.Equal(["10.244.0.1:8080 at 0", "10.244.0.2:8080 at 1"],
            groups.Select(group => $"{group.LbEndpoints.Single().Endpoint.Address.EnvoyInternalAddress.EndpointId} at {group.Priority}"));
    }

    [Fact]
    public void A_sidecar_that_accepts_tunnels_has_the_chains_of_its_ports_behind_them()
    {
        var rig = Rig(TunnelSettings.Default);
        App(rig, "http", hasMtls: true);
        rig.Service("c1", "raw", "10.96.0.11", "tcp", 90, 9090);
        rig.Config("""
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: web, namespace: shop}
            spec: {action: ALLOW, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/client]}}]}]}
            """);
        var feed = rig.Connect(Web(rig));
        rig.Push();
        var terminate = MeshRig.Listener(feed, "connect_terminate")!;
        Assert.Equal(("0.0.0.0", 15008u), (terminate.Address.SocketAddress.Address, terminate.Address.SocketAddress.PortValue));
        var manager = terminate.FilterChains.Single().Filters.Single().TypedConfig.Unpack<HttpConnectionManager>();
        Assert.Equal("main_internal", manager.RouteConfig.VirtualHosts.Single().Routes.Single().Route_.Cluster);
        Assert.Equal("main_internal", MeshRig.Cluster(feed, "main_internal")!.LoadAssignment.Endpoints.Single().LbEndpoints.Single().Endpoint.Address
            .EnvoyInternalAddress.ServerListenerName);
        var main = MeshRig.Listener(feed, "main_internal")!;
        Assert.NotNull(main.InternalListener);
        Assert.Equal(["0.0.0.0_8080 8080", "virtualInbound-catchall-http  http/1.1,h2c", "virtualInbound "],
            main.FilterChains.Select(chain => $"{chain.Name} {chain.FilterChainMatch.DestinationPort}"
                + (chain.FilterChainMatch.ApplicationProtocols.Count > 0 ? $" {string.Join(',', chain.FilterChainMatch.ApplicationProtocols)}" : "")));
        Assert.All(main.FilterChains, chain =>
        {
            var range = chain.FilterChainMatch.PrefixRanges.Single();
            Assert.Equal(("10.244.0.1", 32u), (range.AddressPrefix, range.PrefixLen));
            Assert.Null(chain.TransportSocket);
        });
        Assert.All(Principals(main).ToList(), principal => Assert.Equal(("io.istio.peer_principal", "spiffe://cluster.local/ns/shop/sa/client"),
            (principal.FilterState?.Key, principal.FilterState?.StringMatch.Exact)));
        Assert.All(Principals(MeshRig.Listener(feed, "virtualInbound")!).ToList(), principal =>
            Assert.Equal("spiffe://cluster.local/ns/shop/sa/client", principal.Authenticated?.PrincipalName.Exact));
        Assert.Equal(3, Principals(main).Count());
    }

    /// <summary>A tunnel is mutual TLS, and what is in it is plain or the application's own.</summary>
    [Theory]
    [InlineData("mtls: {mode: STRICT}")]
    [InlineData("mtls: {mode: DISABLE}")]
    [InlineData("selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}, 7070: {mode: PERMISSIVE}}")]
    public void Modes_of_mutual_TLS_make_no_difference_in_tunnels(string policy)
    {
        var rig = Rig(TunnelSettings.Default);
        App(rig, "http", hasMtls: true);
        var feed = rig.Connect(Web(rig));
        rig.Push();
        var before = MeshRig.Listener(feed, "main_internal");
        rig.Config($$"""
            apiVersion: security.istio.io/v1
            kind: PeerAuthentication
            metadata: {name: web, namespace: shop}
            spec: { {{policy}} }
            """);
        var outside = MeshRig.Listener(feed, "virtualInbound");
        rig.Push();
        Assert.NotEqual(outside, MeshRig.Listener(feed, "virtualInbound"));
        Assert.Equal(before, MeshRig.Listener(feed, "main_internal"));
    }

    [Theory]
    [InlineData(false, true, true)]
    [InlineData(true, false, true)]
    [InlineData(true, true, false)]
    public void A_sidecar_accepts_no_tunnels_unless_all_agree(bool listens, bool asks, bool hasTransport)
    {
        var rig = Rig(TunnelSettings.Default with { Listens = listens });
        App(rig, "http", hasMtls: true);
        var software = ProxySoftware.Of("envoy", hasTransport ? [new(Transport, Upstream, default)] : [new("a", "b", default)]);
        var feed = rig.Connect(Web(rig) with { AcceptsTunnels = asks, Software = software });
        rig.Push();
        Assert.Null(MeshRig.Listener(feed, "connect_terminate"));
        Assert.Null(MeshRig.Listener(feed, "main_internal"));
        Assert.Null(MeshRig.Cluster(feed, "main_internal"));
    }

    [Theory]
    [InlineData(null, "istio.hashable_string")]
    [InlineData("istio.hashable_string", "istio.hashable_string")]
    [InlineData("envoy.hashable_string", "envoy.hashable_string")]
    public void The_state_of_connections_has_a_kind_that_the_proxy_knows(string? listed, string used)
    {
        var rig = Rig(TunnelSettings.Default);
        App(rig, "http", hasMtls: true);
        var feed = rig.Connect(Web(rig) with
        {
            Software = ProxySoftware.Of("envoy", listed is null ? [] : [new(Transport, Upstream, default), new(listed, "filter_state.object", default)]),
        });
        rig.Push();
        var manager = MeshRig.Listener(feed, "connect_terminate")!.FilterChains.Single().Filters.Single().TypedConfig.Unpack<HttpConnectionManager>();
        var states = manager.HttpFilters.First(filter => filter.Name == "connect_authority").TypedConfig.Unpack<Config>().OnRequestHeaders;
        Assert.Equal(
            ["envoy.filters.listener.original_dst.local_ip:", $"io.istio.connect_authority:{used}", "envoy.filters.listener.original_dst.remote_ip:",
                $"io.istio.peer_principal:{used}", $"io.istio.local_principal:{used}"],
            states.Select(state => $"{state.ObjectKey}:{state.FactoryKey}"));
        Assert.All(states, state => Assert.Equal(FilterStateValue.Types.SharedWithUpstream.Once, state.SharedWithUpstream));
    }

    [Fact]
    public void The_environment_of_the_control_plane_says_who_sends_and_who_listens()
    {
        Assert.Equal(TunnelSettings.Default, Read());
        Assert.Equal(new(true, true, false), Read(("PILOT_ENABLE_SENDING_HBONE", "true"), ("PILOT_PREFER_SENDING_HBONE", "1"),
            ("PILOT_ENABLE_SIDECAR_LISTENING_HBONE", "false")));
        var wrong = Assert.Throws<ProblemException>(() => Read(("PILOT_PREFER_SENDING_HBONE", "true")));
        Assert.StartsWith("PILOT_PREFER_SENDING_HBONE", wrong.Problem.ToString(), StringComparison.Ordinal);
        Assert.Contains("PILOT_ENABLE_SENDING_HBONE", wrong.Problem.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Proxies_say_of_themselves_whether_they_accept_and_send()
    {
        Assert.Equal((false, false), Said());
        Assert.Equal((true, false), Said(("ENABLE_HBONE", "true")));
        Assert.Equal((false, true), Said(("DISABLE_HBONE_SEND", "1")));
    }

    private static (bool Accepts, bool SendsNot) Said(params (string Name, string Value)[] metadata)
    {
        var fields = new Google.Protobuf.WellKnownTypes.Struct();
        foreach (var (name, value) in metadata) fields.Fields[name] = Google.Protobuf.WellKnownTypes.Value.ForString(value);
        var proxy = ProxyIdentity.TryRead("sidecar~10.0.0.1~a.shop~shop.svc.cluster.local", fields, Locality.Unknown, out _)!;
        return (proxy.AcceptsTunnels, proxy.SendsNoTunnels);
    }

    private static TunnelSettings Read(params (string Name, string Value)[] environment) =>
        DiscoverySettings.Read([], name => environment.FirstOrDefault(variable => variable.Name == name).Value).Tunnels;

    private static MeshRig Rig(TunnelSettings tunnels)
    {
        var rig = new MeshRig("c1");
        var settings = SettingsKind.Of("c1", null, null);
        rig.Writer.Put(rig.Writer.Kinds.Settings,
            settings with { Settings = settings.Settings with { Mesh = settings.Settings.Mesh with { Tunnels = tunnels } } });
        return rig;
    }

    private static void App(MeshRig rig, string label, bool hasMtls)
    {
        rig.Service("c1", "web", "10.96.0.10");
        rig.Pod("c1", "web", "web-10.244.0.1", "10.244.0.1", hasMtls, label.Length > 0 ? new() { ["networking.istio.io/tunnel"] = label } : []);
        rig.Slice("c1", "web", 8080, "http", ("web-10.244.0.1", "10.244.0.1"));
    }

    /// <summary>The sidecar of <see cref="App"/>.</summary>
    private static ProxyIdentity Web(MeshRig rig) => rig.Sidecar("c1", "web-10.244.0.1", "10.244.0.1").Proxy with
    {
        AcceptsTunnels = true, Addresses = [Address.Parse("10.244.0.1")], Labels = new([new("app", "web")]),
    };

    private static LbEndpoint Endpoint(ProxyFeed feed, string? cluster = null) =>
        Assignment(feed, cluster ?? MeshRig.OutboundName("web")).Endpoints.Single().LbEndpoints.Single();

    private static ClusterLoadAssignment Assignment(ProxyFeed feed, string cluster)
    {
        Assert.True(feed.Snapshot!.Types[TypeUrls.Endpoints].TryGet(cluster, out var resource));
        return ClusterLoadAssignment.Parser.ParseFrom(resource.Body.Value);
    }

    private static string Text(Cluster.Types.TransportSocketMatch match)
    {
        var fields = string.Concat(match.Match?.Fields.Select(field => $" {field.Key}={field.Value.StringValue}") ?? []);
        var inner = match.TransportSocket.TypedConfig.Is(InternalUpstream.Descriptor)
            ? match.TransportSocket.TypedConfig.Unpack<InternalUpstream>().TransportSocket.Name : "";
        return $"{match.Name}{fields} "
            + (inner.Length == 0 ? Short(match.TransportSocket.Name) : Short(inner) == "raw_buffer" ? "internal" : $"internal({Short(inner)})");
    }

    private static string Short(string name) => name[(name.LastIndexOf('.') + 1)..];

    /// <summary>The callers that the rules of a listener name.</summary>
    private static IEnumerable<Principal> Principals(Listener listener) =>
        from chain in listener.FilterChains
        from filter in chain.Filters
        from rules in filter.TypedConfig.Is(NetworkRbac.Descriptor) ? [filter.TypedConfig.Unpack<NetworkRbac>().Rules]
            : filter.TypedConfig.Is(HttpConnectionManager.Descriptor)
            ? filter.TypedConfig.Unpack<HttpConnectionManager>().HttpFilters.Where(item => item.TypedConfig.Is(HttpRbac.Descriptor))
                .Select(item => item.TypedConfig.Unpack<HttpRbac>().Rules)
            : []
        from policy in rules.Policies.Values
        from principal in policy.Principals
        from all in principal.AndIds.Ids
        from any in all.OrIds.Ids
        select any;
}
