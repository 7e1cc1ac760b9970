using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Snapshot;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.Routes;
using Xunit;

namespace Isthmus.Tests.Proxy.Snapshot;

public sealed class WarmingTests
{
    [Fact]
    public void A_change_of_endpoints_concerns_the_clusters_that_need_them_only()
    {
        var run = new Run();
        run.Send(Cluster("a", 1), Cluster("b", 1));
        run.Send(Endpoints("a", 1), Endpoints("b", 1));
        var result = run.Send(Endpoints("a", 2));
        Assert.Equal("a", Assert.Single(result.Fed).Cluster.Config.Name);
        Assert.Null(result.Next);
    }

    [Fact]
    public void A_cluster_that_replaces_one_with_endpoints_gets_them_at_once_and_the_old_one_ends()
    {
        var run = new Run();
        run.Send(Endpoints("a", 1), Cluster("a", 1));
        var old = run.Current.Clusters["a"];
        var result = run.Send(Cluster("a", 2));
        Assert.NotSame(old, run.Current.Clusters["a"]);
        Assert.Same(run.Current.Clusters["a"], Assert.Single(result.Fed).Cluster);
        Assert.Same(old, Assert.Single(result.Retired));
    }

    [Fact]
    public void A_cluster_of_names_that_goes_in_the_message_that_brought_it_is_never_resolved()
    {
        var run = new Run();
        var result = run.Send(Named("n", 1), Named("n", 2));
        Assert.Equal(TimeSpan.FromSeconds(2), Assert.Single(result.Unresolved).Config.ConnectTimeout);
        Assert.Equal(TimeSpan.FromSeconds(1), Assert.Single(result.Retired).Config.ConnectTimeout);
    }

    [Fact]
    public void A_cluster_whose_hosts_are_checked_is_used_after_the_first_checks_and_the_one_before_until_then()
    {
        var run = new Run();
        run.Send(Cluster("a", 1), Endpoints("a", 1));
        var old = run.Current.Clusters["a"];
        Assert.Single(run.Send(Checked("a", 2)).Unchecked);
        Assert.Same(old, run.Current.Clusters["a"]);
        run.Examine();
        Assert.NotNull(run.Current.Clusters["a"].Health);
    }

    [Fact]
    public void Whatever_happens_nothing_waits_that_could_be_in_use() => Prop.ForAll(Gen.NonEmptyListOf(Step()).ToArbitrary(), steps =>
    {
        var run = new Run();
        foreach (var step in steps)
        {
            step.Do(run);
            run.Check();
        }
    }).MustHold();

    /// <summary>Something that happens, with a name for the report of a failure.</summary>
    private sealed record Event(string Name, Action<Run> Do)
    {
        public override string ToString() => Name;
    }

    private static Gen<Event> Step() => Gen.OneOf(
        from name in Gen.Elements("a", "b")
            from seconds in Gen.Choose(1, 2)
            from tls in Gen.Elements("", "x")
            select new Event($"cluster {name} {seconds} {tls}", run => run.Send(Cluster(name, seconds, tls))),
        from name in Gen.Elements("a", "b")
            from seconds in Gen.Choose(1, 2)
            select new Event($"checked {name} {seconds}", run => run.Send(Checked(name, seconds))),
        from seconds in Gen.Choose(1, 2) select new Event($"names {seconds}", run => run.Send(Named("n", seconds))),
        from name in Gen.Elements("a", "b") from port in Gen.Choose(1, 2) select new Event($"endpoints {name} {port}", run => run.Send(Endpoints(name, port))),
        from name in Gen.Elements("r", "s")
            from prefix in Gen.Elements("/", "/x")
            select new Event($"routes {name} {prefix}", run => run.Send(Routes(name, prefix))),
        from name in Gen.Elements("l", "m")
            from route in Gen.Elements("r", "s")
            from tls in Gen.Elements("", "x", "kubernetes://y")
            select new Event($"listener {name} {route} {tls}", run => run.Send(Listener(name, route, tls))),
        from one in Gen.Elements((TypeUrls.Cluster, "a"), (TypeUrls.Cluster, "n"), (TypeUrls.Endpoints, "a"), (TypeUrls.Route, "r"), (TypeUrls.Listener, "l"),
            (TypeUrls.Listener, "m"))
            select new Event($"without {one.Item2}", run => run.Remove(one.Item1, one.Item2)),
        from secret in Gen.Elements("x", "kubernetes://y")
            from standing in Gen.Elements(SecretStanding.Awaited, SecretStanding.Absent, SecretStanding.There)
            select new Event($"{secret} {standing}", run => run.Set(secret, standing)),
        Gen.Constant(new Event("resolved", run => run.Resolve())),
        Gen.Constant(new Event("checked", run => run.Examine())),
        Gen.Constant(new Event("20 s", run => run.Wait())));

    private static NamedResource Cluster(string name, int seconds, string secret = "") => Resource<Cluster>(TypeUrls.Cluster, name,
        $$"""
        {"name": "{{name}}", "type": "EDS", "connect_timeout": "{{seconds}}s",
         "eds_cluster_config": {"eds_config": {"ads": {} } } {{(secret.Length > 0 ? $", {Tls("Upstream", secret)}" : "")}} }
        """);

    private static NamedResource Checked(string name, int seconds) => Resource<Cluster>(TypeUrls.Cluster, name,
        $$"""
        {"name": "{{name}}", "type": "EDS", "connect_timeout": "{{seconds}}s", "eds_cluster_config": {"eds_config": {"ads": {} } },
         "health_checks": [{"timeout": "1s", "interval": "1s", "unhealthy_threshold": 1, "healthy_threshold": 1, "tcp_health_check": {} }] }
        """);

    private static NamedResource Named(string name, int seconds) => Resource<Cluster>(TypeUrls.Cluster, name,
        $$"""
        {"name": "{{name}}", "type": "STRICT_DNS", "connect_timeout": "{{seconds}}s",
         "load_assignment": {"endpoints": [{"lb_endpoints": [
           {"endpoint": {"address": {"socket_address": {"address": "shop.example", "port_value": 80} } } }]}]} }
        """);

    private static NamedResource Endpoints(string name, int port) => Resource<ClusterLoadAssignment>(TypeUrls.Endpoints, name,
        $$"""
            {"cluster_name": "{{name}}",
              "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{port}} } } } }]}]}
            """);

    private static NamedResource Routes(string name, string prefix) => Resource<RouteConfiguration>(TypeUrls.Route, name,
        $$"""
            {"name": "{{name}}", "virtual_hosts": [{"name": "v", "domains": ["*"],
              "routes": [{"match": {"prefix": "{{prefix}}"}, "route": {"cluster": "a"} }] }] }
            """);

    private static NamedResource Listener(string name, string route, string secret) => Resource<Listener>(TypeUrls.Listener, name,
        $$"""
        {"name": "{{name}}", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1} },
          "filter_chains": [{"filters": [{"name": "h", "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "rds": {"route_config_name": "{{route}}"},
          "http_filters": [{"name": "router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"} }]} }]
          {{(secret.Length > 0 ? $", {Tls("Downstream", secret)}" : "")}} }]}
        """);

    private static string Tls(string side, string secret) => $$"""
        "transport_socket": {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{{side}}TlsContext",
          "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "{{secret}}"}]} } }
        """;

    private static NamedResource Resource<T>(string typeUrl, string name, string json)
        where T : IMessage<T>, new() => new(name, "1", new Any { TypeUrl = typeUrl, Value = WireTypes.Strict.Parse<T>(json).ToByteString() });

    /// <summary>One that does what follows, as <see cref="SnapshotState"/> does, but by itself and at once.</summary>
    private sealed class Run
    {
        private readonly Warming _warming = new((config, before) => new ClusterState(config, TimeProvider.System, new Random(1), before));
        private readonly Dictionary<string, SecretStanding> _secrets = new(StringComparer.Ordinal);
        private readonly HashSet<ClusterState> _resolving = [], _checking = [];
        private DateTimeOffset _now = DateTimeOffset.UnixEpoch;

        internal ProxySnapshot Current { get; private set; } = ProxySnapshot.Empty;

        private Surroundings Around => new(_now, secret => _secrets.GetValueOrDefault(secret, SecretStanding.Awaited));

        internal Consequences Send(params NamedResource[] resources)
        {
            Consequences? last = null;
            foreach (var type in resources.GroupBy(resource => resource.Value.TypeUrl)) last = Do(_warming.Apply(new(type.Key, [.. type], [], "1"), Around));
            Assert.Empty(last!.Rejected);
            return last;
        }

        internal void Remove(string typeUrl, string name) => Do(_warming.Apply(new(typeUrl, [], [name], "1"), Around));

        internal void Set(string secret, SecretStanding standing)
        {
            _secrets[secret] = standing;
            Do(_warming.Look(Around));
        }

        internal void Wait()
        {
            _now += TimeSpan.FromSeconds(20);
            Do(_warming.Look(Around));
        }

        internal void Resolve()
        {
            foreach (var cluster in _resolving.ToArray()) Do(_warming.Resolve(cluster, Around));
        }

        internal void Examine()
        {
            foreach (var cluster in _checking.ToArray()) Do(_warming.Check(cluster, Around));
        }

        internal void Check()
        {
            var books = _warming.Books;
            Assert.Equal(books.Clusters.Where(entry => entry.Value.Active is not null).Select(entry => entry.Value.Active), Current.Clusters.Values);
            Assert.Equal(books.Listeners.Where(entry => entry.Value.Active is not null).Select(entry => entry.Value.Active), Current.Listeners.Values);
            Assert.Equal(books.Routes.Values.Select(entry => entry.Active), Current.Routes.Values);

            var clusters = books.Clusters.Values.SelectMany(entry => new[] { entry.Active, entry.Waiting }).OfType<ClusterState>()
                .Where(cluster => cluster.Config.Kind == ClusterKind.Eds).ToList();
            Assert.Equal(clusters.Select(cluster => cluster.Config.AssignmentName).Distinct().Order(StringComparer.Ordinal), _warming.WantedEndpoints);
            foreach (var cluster in clusters)
                if (books.Assignments.TryGetValue(cluster.Config.AssignmentName, out var known)) Assert.Same(known.Active, cluster.Assignment);
            var chains = books.Listeners.Values.SelectMany(entry => new[] { entry.Active, entry.Waiting }).OfType<ListenerSnapshot>()
                .SelectMany(listener => listener.Chains.All).ToList();
            Assert.Equal(chains.Select(chain => ((HttpAction)chain.Action).RouteName).Distinct().Order(StringComparer.Ordinal), _warming.WantedRoutes);
            Assert.Equal(chains.SelectMany(chain => chain.Tls?.Secrets ?? []).Where(secret => secret != "x").Distinct(), _warming.WantedSecrets);

            var more = _warming.Look(Around);
            Assert.Null(more.Next);
            Assert.Empty(more.Fed);
            Assert.Empty(more.Unresolved);
            Assert.Empty(more.Unchecked);
            Assert.All(Current.Clusters.Values, cluster => Assert.True(cluster.Health is null || _checking.Contains(cluster)));
        }

        private Consequences Do(Consequences result)
        {
            foreach (var (cluster, assignment) in result.Fed) cluster.Update(assignment);
            if (result.Next is { } next) Current = next;
            _resolving.ExceptWith(result.Retired);
            _resolving.UnionWith(result.Unresolved);
            _checking.ExceptWith(result.Retired);
            _checking.UnionWith(result.Unchecked);
            return result;
        }
    }
}
