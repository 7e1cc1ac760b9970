using System.Net;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Listeners;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.Routes;
using Xunit;

namespace Isthmus.Tests.Proxy.Snapshot;

public sealed class SnapshotStateTests
{
    private const string Http = """
        {"name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}, "filter_chains": [{"filters": [{"name": "h", "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "rds": {"route_config_name": "r"},
          "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}
        """;

    private readonly WaitingSecrets _secrets = new();
    private readonly Resolver _resolver = new();
    private readonly SnapshotState _state;

    public SnapshotStateTests() =>
        _state = new(new ProxyPorts(TimeProvider.System, new Random(1), new ProcessSockets(), _resolver), _secrets, (_, _, _) => Task.CompletedTask,
            new((_, _) => { }));

    [Fact]
    public void A_cluster_waits_for_its_endpoints_and_keeps_its_hosts_while_they_change()
    {
        Apply<Cluster>(TypeUrls.Cluster, Eds("a"));
        Assert.Empty(_state.Current.Clusters);
        Assert.Equal(["a"], _state.WantedEndpoints);
        Apply<ClusterLoadAssignment>(TypeUrls.Endpoints, Endpoints("a", 1, 2));
        var cluster = _state.Current.Clusters["a"];
        var kept = cluster.Hosts.All[1];
        var version = _state.Current.Version;
        Apply<ClusterLoadAssignment>(TypeUrls.Endpoints, Endpoints("a", 2, 3));
        Assert.Equal(["127.0.0.1:2", "127.0.0.1:3"], cluster.Hosts.All.Select(h => h.Endpoint.AddressText));
        Assert.Same(kept, cluster.Hosts.All[0]);
        // New endpoints alone do not change a snapshot, so code that holds one need not read it again.
        Assert.Equal(version, _state.Current.Version);
    }

    /// <summary>Envoy keeps statistics by the name of the cluster. What is in use of a limit is that of each version.</summary>
    [Fact]
    public void Counters_go_on_when_the_resource_changes_and_begin_anew_when_it_comes_back()
    {
        Apply<ClusterLoadAssignment>(TypeUrls.Endpoints, Endpoints("a", 1));
        Apply<Cluster>(TypeUrls.Cluster, Eds("a"));
        var first = _state.Current.Clusters["a"];
        first.Counters.Count(200);
        Assert.True(first.TryBeginRequest(canQueue: false));
        Apply<Cluster>(TypeUrls.Cluster, Eds("a", """, "connect_timeout": "3s" """));
        var second = _state.Current.Clusters["a"];
        // A request that began before ends now.
        first.Counters.Count(200);
        first.EndRequest();
        Assert.Equal((2, 0), (second.Counters.Completed2xx, second.Use.ActiveRequests));
        _state.Apply(new(TypeUrls.Cluster, [], ["a"], "2"));
        Apply<Cluster>(TypeUrls.Cluster, Eds("a"));
        Assert.Equal(0, _state.Current.Clusters["a"].Counters.Completed2xx);
    }

    [Fact]
    public void An_equal_resource_changes_nothing_and_a_changed_one_replaces_its_cluster()
    {
        Apply<ClusterLoadAssignment>(TypeUrls.Endpoints, Endpoints("a", 1));
        Apply<Cluster>(TypeUrls.Cluster, Eds("a"));
        var before = _state.Current;
        Apply<Cluster>(TypeUrls.Cluster, Eds("a"));
        Assert.Same(before, _state.Current);
        Apply<Cluster>(TypeUrls.Cluster, Eds("a", """, "connect_timeout": "3s" """));
        Assert.NotSame(before.Clusters["a"], _state.Current.Clusters["a"]);
        Assert.True(before.Clusters["a"].Hosts.All[0].IsRemoved);
        _state.Apply(new(TypeUrls.Cluster, [], ["a"], "2"));
        Assert.Empty(_state.Current.Clusters);
        Assert.Empty(_state.WantedEndpoints);
    }

    [Fact]
    public void A_bad_resource_is_refused_alone_and_its_last_good_version_stays()
    {
        Apply<RouteConfiguration>(TypeUrls.Route, Route("r", "x"), Route("s", "x"));
        var good = _state.Current.Routes["r"];
        var rejected = _state.Apply(Update<RouteConfiguration>(TypeUrls.Route, Route("r", "("), Route("s", "y")));
        var one = Assert.Single(rejected);
        Assert.Equal("r", one.Name);
        Assert.Contains("regular expression '('", one.Message, StringComparison.Ordinal);
        Assert.Same(good, _state.Current.Routes["r"]);
        Assert.Single(_state.Rejections);
        Apply<RouteConfiguration>(TypeUrls.Route, Route("r", "z"));
        Assert.Empty(_state.Rejections);
    }

    [Theory]
    [InlineData("""{"name": "c", "cluster_type": {"name": "envoy.clusters.aggregate"}}""", "cluster type 'envoy.clusters.aggregate' has no configuration")]
    [InlineData(
        """{"name": "c", "cluster_type": {"name": "envoy.clusters.aggregate", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"}}}""",
        "cluster type 'envoy.clusters.aggregate' is not supported")]
    [InlineData("""{"name": "c", "transport_socket": {"name": "quic"}}""", "transport socket 'quic'")]
    [InlineData(
        """{"name": "c", "type": "STATIC", "load_assignment": {"endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "name"}}}}]}]}}""",
        "'name' is not an IP address")]
    [InlineData("""{"name": "c", "upstream_bind_config": {"source_address": {"address": "x"}}}""", "upstream_bind_config")]
    public void What_cannot_be_done_is_refused_with_its_reason(string json, string reason) =>
        Assert.Contains(reason, Assert.Single(_state.Apply(Update<Cluster>(TypeUrls.Cluster, json))).Message, StringComparison.Ordinal);

    [Fact]
    public void Bytes_that_are_no_resource_are_refused() =>
        Assert.Single(_state.Apply(new(TypeUrls.Cluster, [new("c", "1", new Any { TypeUrl = TypeUrls.Cluster, Value = ByteString.CopyFrom(255, 255, 255) })],
            [], "1")));

    [Fact]
    public void The_first_listeners_wait_for_the_first_clusters_and_later_ones_do_not()
    {
        Apply<RouteConfiguration>(TypeUrls.Route, Route("r", "x"));
        Apply<Listener>(TypeUrls.Listener, Http);
        Assert.Empty(_state.Current.Listeners);
        Apply<Cluster>(TypeUrls.Cluster, Eds("a"), Eds("b"));
        Apply<ClusterLoadAssignment>(TypeUrls.Endpoints, Endpoints("a", 1));
        Assert.Empty(_state.Current.Listeners);
        Assert.False(_state.HasListeners);
        Apply<ClusterLoadAssignment>(TypeUrls.Endpoints, Endpoints("b"));
        Assert.Single(_state.Current.Listeners);
        Assert.True(_state.HasListeners);

        Apply<Cluster>(TypeUrls.Cluster, Eds("c"));
        Apply<Listener>(TypeUrls.Listener, Http.Replace("\"l\"", "\"other\"", StringComparison.Ordinal));
        Assert.Equal(2, _state.Current.Listeners.Count);
    }

    [Fact]
    public void Clusters_whose_endpoints_never_come_do_not_hold_listeners_forever()
    {
        var time = new ManualClock();
        using var state = new SnapshotState(new ProxyPorts(time, new Random(1), new ProcessSockets(), _resolver), _secrets, (_, _, _) => Task.CompletedTask,
            new((_, _) => { }));
        state.Apply(Update<Cluster>(TypeUrls.Cluster, Eds("a")));
        state.Apply(Update<RouteConfiguration>(TypeUrls.Route, Route("r", "x")));
        state.Apply(Update<Listener>(TypeUrls.Listener, Http));
        time.Advance(TimeSpan.FromSeconds(14));
        state.Look();
        Assert.Empty(state.Current.Listeners);
        time.Advance(TimeSpan.FromSeconds(1));
        state.Look();
        Assert.Single(state.Current.Listeners);
    }

    [Fact]
    public void A_listener_waits_for_its_routes_and_certificates()
    {
        Apply<Cluster>(TypeUrls.Cluster);
        Apply<Listener>(TypeUrls.Listener, Http);
        Assert.Equal(["r"], _state.WantedRoutes);
        Assert.Empty(_state.Current.Listeners);
        Apply<RouteConfiguration>(TypeUrls.Route, Route("r", "x"));
        Assert.Single(_state.Current.Listeners);
        Apply<Listener>(TypeUrls.Listener, """
            {"name": "t", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 2}}, "filter_chains": [{"filters": [{"name": "t", "typed_config": {
              "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "cluster": "c"}}],
              "transport_socket": {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "default"}]}}}}]}
            """);
        Assert.False(_state.Current.Listeners.ContainsKey("t"));
        _secrets.Come();
        Assert.True(_state.Current.Listeners.ContainsKey("t"));
    }

    [Fact]
    public void A_proxy_has_its_listeners_once_the_first_are_all_in_use()
    {
        Assert.False(_state.HasListeners);
        Apply<Cluster>(TypeUrls.Cluster);
        Apply<Listener>(TypeUrls.Listener, Http);
        Assert.False(_state.HasListeners);
        Apply<RouteConfiguration>(TypeUrls.Route, Route("r", "x"));
        Assert.True(_state.HasListeners);
        Apply<Listener>(TypeUrls.Listener,
            Http.Replace("\"l\"", "\"later\"", StringComparison.Ordinal).Replace("\"r\"", "\"missing\"", StringComparison.Ordinal));
        Assert.True(_state.HasListeners);
    }

    [Fact]
    public void A_gateway_without_listeners_has_them_all()
    {
        Apply<Cluster>(TypeUrls.Cluster);
        Apply<Listener>(TypeUrls.Listener);
        Assert.True(_state.HasListeners);
    }

    [Fact]
    public async Task Nobody_who_reads_the_configuration_waits_for_sockets()
    {
        var answers = new List<int>();
        // Opening sockets takes time: meanwhile, dumps must be answered.
        _state.Published += _ => answers.Add(Task.Run(() => _state.Read(books => books.Routes.Count) + _state.Rejections.Count)
            .WaitAsync(TimeSpan.FromMinutes(1)).GetAwaiter().GetResult());
        await Task.Run(() => Apply<RouteConfiguration>(TypeUrls.Route, Route("r", "x")), TestContext.Current.CancellationToken);
        Assert.Equal([1], answers);
    }

    [Fact]
    public async Task A_cluster_of_names_waits_for_their_addresses_and_keeps_the_last_ones()
    {
        var published = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _state.Published += _ => published.TrySetResult();
        Apply<Cluster>(TypeUrls.Cluster, """
            {"name": "d", "type": "STRICT_DNS", "dns_refresh_rate": "60s", "load_assignment": {"endpoints": [{"lb_endpoints": [
              {"endpoint": {"address": {"socket_address": {"address": "shop.example", "port_value": 80}}}},
              {"endpoint": {"address": {"socket_address": {"address": "10.9.9.9", "port_value": 81}}}}]}]}}
            """);
        Assert.Empty(_state.Current.Clusters);
        _resolver.Answer.SetResult();
        await published.Task.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["10.1.1.1:80", "10.1.1.2:80", "10.9.9.9:81"], _state.Current.Clusters["d"].Hosts.All.Select(h => h.Endpoint.AddressText).Order());
    }

    [Theory]
    [InlineData("ORIGINAL_DST", """, "lb_policy": "CLUSTER_PROVIDED" """, 10)] // on to where the client wanted to go, outside the mesh
    [InlineData("STATIC", "", 10)] // nowhere
    [InlineData("STATIC",
        """, "load_assignment": {"endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "10.9.9.9", "port_value": 81}}}}]}]} """,
        1)]
    public void A_silent_client_gets_more_time_where_going_on_means_leaving_the_mesh(string type, string more, int seconds)
    {
        Apply<Cluster>(TypeUrls.Cluster, $$"""{"name": "any-name", "type": "{{type}}" {{more}} }""");
        Apply<Listener>(TypeUrls.Listener, """
            {"name": "l", "traffic_direction": "OUTBOUND", "listener_filters_timeout": "0s",
             "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}, "filter_chains": [{"filters": [{"name": "t", "typed_config": {
              "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": "any-name"}}]}]}
            """);
        Assert.Equal(TimeSpan.FromSeconds(seconds), new Inspector(_state, TimeProvider.System).Patience(_state.Current.Listeners["l"]));
    }

    private void Apply<T>(string typeUrl, params string[] resources)
        where T : IMessage<T>, new() => Assert.Empty(_state.Apply(Update<T>(typeUrl, resources)));

    private static ResourceUpdate Update<T>(string typeUrl, params string[] resources)
        where T : IMessage<T>, new() => new(typeUrl, [.. resources.Select(json =>
        {
            var message = WireTypes.Strict.Parse<T>(json);
            var name = message switch
            {
                Cluster c => c.Name,
                Listener l => l.Name,
                RouteConfiguration r => r.Name,
                ClusterLoadAssignment a => a.ClusterName,
                _ => ""
            };
            return new NamedResource(name, "1", new Any { TypeUrl = typeUrl, Value = message.ToByteString() });
        })], [], "1");

    private static string Eds(string name, string more = "") =>
        $$"""{"name": "{{name}}", "type": "EDS", "eds_cluster_config": {"eds_config": {"ads": {} } } {{more}} }""";

    private static string Endpoints(string name, params int[] ports)
    {
        var hosts = ports.Select(port => $$"""{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{port}} } } } }""");
        return $$"""{"cluster_name": "{{name}}", "endpoints": [{"lb_endpoints": [{{string.Join(',', hosts)}}] }] }""";
    }

    private static string Route(string name, string regex) =>
        $$"""{"name": "{{name}}", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"match": {"safe_regex": {"regex": "{{regex}}"} }, "route": {"cluster": "c"} }] }] }""";

    private sealed class WaitingSecrets : ISecretSource
    {
        private CertificateSecret? _certificate;

        public event Action<string>? Changed;

        internal void Come()
        {
            using var key = System.Security.Cryptography.ECDsa.Create();
            var request = new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=x", key,
                System.Security.Cryptography.HashAlgorithmName.SHA256);
            using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            _certificate = CertificateSecret.Load("default", certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
            Changed?.Invoke("default");
        }

        public CertificateSecret? FindCertificate(string name) => name == "default" ? _certificate : null;

        public RootSecret? FindRoots(string name) => null;

        public IReadOnlyList<SecretView> View() => [];
    }

    private sealed class Resolver : INameResolver
    {
        internal TaskCompletionSource Answer { get; } = new();

        public async ValueTask<(IReadOnlyList<IPAddress> Addresses, TimeSpan TimeToLive)> ResolveAsync(string name, CancellationToken stop)
        {
            await Answer.Task.WaitAsync(stop);
            return ([IPAddress.Parse("10.1.1.1"), IPAddress.Parse("10.1.1.2")], TimeSpan.Zero);
        }
    }
}
