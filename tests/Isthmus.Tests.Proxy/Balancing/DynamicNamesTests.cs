using System.Net;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy;
using Xunit;
using Cluster = Isthmus.Wire.Envoy.Clusters.Cluster;

namespace Isthmus.Tests.Proxy.Balancing;

public sealed class DynamicNamesTests
{
    private readonly ManualClock _clock = new();
    private readonly Answers _answers = new();

    [Fact]
    public async Task An_answer_counts_for_its_time_and_is_then_asked_for_again()
    {
        var cluster = Cluster();
        _answers.Add("a.dyn.example", "192.0.2.1", TimeSpan.FromSeconds(10));
        Assert.Equal("192.0.2.1:8443", await PickAsync(cluster, "a.dyn.example"));
        _answers.Add("a.dyn.example", "192.0.2.2", TimeSpan.FromSeconds(10));
        Assert.Equal("192.0.2.1:8443", await PickAsync(cluster, "A.dyn.example:99"));
        _clock.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal("192.0.2.2:8443", await PickAsync(cluster, "a.dyn.example."));
        Assert.Equal(2, _answers.Count);
    }

    [Fact]
    public async Task Without_an_answer_the_last_addresses_stay_and_a_name_that_is_gone_is_gone()
    {
        var cluster = Cluster();
        _answers.Add("a.dyn.example", "192.0.2.1", TimeSpan.FromSeconds(10));
        await PickAsync(cluster, "a.dyn.example");
        _answers.IsAway = true;
        _clock.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal("192.0.2.1:8443", await PickAsync(cluster, "a.dyn.example"));
        (_answers.IsAway, _) = (false, _answers.Remove("a.dyn.example"));
        _clock.Advance(TimeSpan.FromSeconds(11));
        Assert.Null(await PickAsync(cluster, "a.dyn.example"));
    }

    [Fact]
    public async Task Names_beyond_the_limit_are_refused_until_others_expire()
    {
        var cluster = Cluster(most: 2);
        foreach (var name in (string[])["a", "b", "c"]) _answers.Add($"{name}.dyn.example", "192.0.2.1", TimeSpan.FromSeconds(10));
        Assert.NotNull(await PickAsync(cluster, "a.dyn.example"));
        Assert.NotNull(await PickAsync(cluster, "b.dyn.example"));
        Assert.Null(await PickAsync(cluster, "c.dyn.example"));
        Assert.NotNull(await PickAsync(cluster, "a.dyn.example"));
        _clock.Advance(TimeSpan.FromSeconds(11));
        Assert.NotNull(await PickAsync(cluster, "c.dyn.example"));
    }

    [Theory]
    [InlineData("a.other.example")]
    [InlineData("dyn.example")]
    [InlineData(".dyn.example")]
    [InlineData("a.dyn.example/x")]
    [InlineData("a b.dyn.example")]
    [InlineData("192.0.2.9")]
    [InlineData("[2001:db8::1]:80")]
    [InlineData("")]
    public async Task Names_outside_the_domain_are_not_resolved(string name)
    {
        Assert.Null(await PickAsync(Cluster(), name));
        Assert.Equal(0, _answers.Count);
    }

    [Fact]
    public async Task Another_address_is_tried_after_one_that_failed()
    {
        var cluster = Cluster();
        _answers.Add("a.dyn.example", "192.0.2.1 192.0.2.2", TimeSpan.FromSeconds(10));
        var first = (await cluster.Names!.PickAsync("a.dyn.example", Ports(), null))!;
        Assert.Equal("192.0.2.2:8443", (await cluster.Names.PickAsync("a.dyn.example", Ports(), [first]))!.Address.ToString());
    }

    [Fact]
    public async Task Where_the_cluster_has_no_port_the_request_names_it()
    {
        var resource = Resource(10);
        resource.Metadata = null;
        var cluster = new ClusterState(ClusterDecoder.Decode(resource), _clock, new Random(1));
        _answers.Add("a.example", "192.0.2.1", TimeSpan.FromSeconds(10));
        Assert.Equal("192.0.2.1:80", await PickAsync(cluster, "a.example"));
        Assert.Equal("192.0.2.1:8080", await PickAsync(cluster, "a.example:8080"));
        foreach (var wrong in (string[])["a.example:", "a.example:0", "a.example:65536", "a.example:+80", "a.example:http", "a.example: 80"])
            Assert.Null(await PickAsync(cluster, wrong));
        resource.TransportSocket = new() { Name = "envoy.transport_sockets.tls", TypedConfig = Any.Pack(new UpstreamTlsContext { CommonTlsContext = new() }) };
        Assert.Equal("192.0.2.1:443", await PickAsync(new(ClusterDecoder.Decode(resource), _clock, new Random(1)), "a.example"));
    }

    [Fact]
    public void What_has_a_wrong_port_or_another_form_is_refused()
    {
        var cluster = Resource(1);
        cluster.Metadata.FilterMetadata["istio"].Fields["default_original_port"] = Value.ForNumber(65536);
        Assert.Contains("default_original_port", Assert.Throws<ResourceException>(() => ClusterDecoder.Decode(cluster)).Message, StringComparison.Ordinal);
        cluster = Resource(1);
        cluster.ClusterType.TypedConfig = Any.Pack(new ClusterConfig { SubClustersConfig = new() });
        Assert.Contains("dns_cache_config", Assert.Throws<ResourceException>(() => ClusterDecoder.Decode(cluster)).Message, StringComparison.Ordinal);
    }

    private async Task<string?> PickAsync(ClusterState cluster, string name) => (await cluster.Names!.PickAsync(name, Ports(), null))?.Address.ToString();

    private ProxyPorts Ports() => new(_clock, new Random(1), new ProcessSockets(), _answers);

    private ClusterState Cluster(uint most = 10) => new(ClusterDecoder.Decode(Resource(most)), _clock, new Random(1));

    private static Cluster Resource(uint most)
    {
        var service = Value.ForStruct(new() { Fields = { ["host"] = Value.ForString("*.dyn.example") } });
        return new()
        {
            Name = "outbound|8443||*.dyn.example",
            ClusterType = new()
            {
                Name = "envoy.clusters.dynamic_forward_proxy",
                TypedConfig = Any.Pack(new ClusterConfig
                {
                    DnsCacheConfig = new() { Name = "x", MaxHosts = most, DnsRefreshRate = Duration.FromTimeSpan(TimeSpan.FromMinutes(1)) }
                })
            },
            Metadata = new()
            {
                FilterMetadata = { ["istio"] = new() { Fields = { ["default_original_port"] = Value.ForNumber(8443), ["services"] = Value.ForList(service) } } }
            },
        };
    }

    private sealed class Answers : INameResolver
    {
        private readonly Dictionary<string, (string Addresses, TimeSpan Life)> _all = new(StringComparer.Ordinal);

        internal int Count { get; private set; }

        internal bool IsAway { get; set; }

        internal void Add(string name, string addresses, TimeSpan life) => _all[name] = (addresses, life);

        internal bool Remove(string name) => _all.Remove(name);

        public ValueTask<(IReadOnlyList<IPAddress> Addresses, TimeSpan TimeToLive)> ResolveAsync(string name, CancellationToken stop)
        {
            Count++;
            if (IsAway) throw new TimeoutException();
            return ValueTask.FromResult<(IReadOnlyList<IPAddress>, TimeSpan)>(
                _all.TryGetValue(name.ToLowerInvariant(), out var known)
                    ? ([.. known.Addresses.Split(' ').Select(IPAddress.Parse)], known.Life)
                    : ([], TimeSpan.Zero));
        }
    }
}
