using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Xunit;

namespace Isthmus.Tests.Proxy.Telemetry;

/// <summary>Against https://istio.io/latest/docs/reference/config/metrics.</summary>
public sealed class MeshMetricsTests
{
    private static readonly ProxyIdentity Self = new("n", "orders-v1", "shop", "orders", "v1", "orders", "v1", "c1", "orders",
        "") { TrustDomain = "corp.example" };
    private static readonly TlsPeer Caller = new(["spiffe://corp.example/ns/web/sa/front"], [], "", "ab", "", "", "");

    private readonly MeshMetrics _metrics = new(Self);

    [Fact]
    public void A_request_that_arrives_is_labelled_with_both_ends_as_the_destination_sees_them()
    {
        var peer = PeerMetadataText.Write(new("n", "front-v2", "web", "front", "v2", "front", "v2", "c2", "front", ""));
        _metrics.Request(Direction.Inbound, Record(record =>
        {
            record.DownstreamPeer = Caller;
            record.PeerMetadata = peer;
            record.Cluster = Cluster("orders.shop.svc.cluster.local", "orders", "shop");
            record.Status = 200;
        }));
        var labels = Labels(Assert.Single(_metrics.Http));
        Assert.Equal("destination", labels["reporter"]);
        Assert.Equal(("front-v2", "web", "spiffe://corp.example/ns/web/sa/front", "front", "v2", "c2"), Party(labels, "source"));
        Assert.Equal(("orders-v1", "shop", "spiffe://corp.example/ns/shop/sa/orders", "orders", "v1", "c1"), Party(labels, "destination"));
        Assert.Equal(("orders.shop.svc.cluster.local", "orders", "shop"),
            (labels["destination_service"], labels["destination_service_name"], labels["destination_service_namespace"]));
        Assert.Equal(("http", "200", "-", "mutual_tls"),
            (labels["request_protocol"], labels["response_code"], labels["response_flags"], labels["connection_security_policy"]));
    }

    [Theory]
    [InlineData("outbound|80|v9|reviews.shop.svc.cluster.local", "reviews.shop.svc.cluster.local", "reviews", "shop")]
    [InlineData("outbound|443||api.example.com", "api.example.com", "api.example.com", "unknown")]
    public void A_request_that_fails_for_want_of_a_cluster_is_one_of_the_service(string cluster, string host, string name, string ns)
    {
        _metrics.Request(Direction.Outbound, Record(record => (record.ClusterName, record.Status, record.Reason) = (cluster, 503, EndReason.ClusterNotFound)));
        var labels = Labels(Assert.Single(_metrics.Http));
        Assert.Equal((host, name, ns), (labels["destination_service"], labels["destination_service_name"], labels["destination_service_namespace"]));
        Assert.Equal(("503", "NC", "unknown"), (labels["response_code"], labels["response_flags"], labels["destination_cluster"]));
    }

    /// <summary>A peer chooses what it says: without a bound, each request would make a series.</summary>
    [Fact]
    public void Peers_that_always_say_something_new_do_not_fill_the_memory()
    {
        const int Tales = PeerClaims.MostOfIdentity + 100;
        for (var i = 0; i < Tales; i++) Connect(Caller, Said(workload: $"w{i}"));
        Assert.Equal(PeerClaims.MostOfIdentity + 1, _metrics.Tcp.Count());
        Assert.Equal(Tales, _metrics.Tcp.Sum(counts => counts.Closed));
        var overflow = _metrics.Tcp.Single(counts => Labels(counts)["source_workload"] == "overflow");
        Assert.Equal(("overflow", "web", Caller.Identity, "overflow", "overflow", "overflow"), Party(Labels(overflow), "source"));
        Assert.Equal((100, 100), (overflow.Closed, _metrics.Overflows));
        // Another identity does not pay for that.
        Connect(new(["spiffe://corp.example/ns/depot/sa/stock"], [], "", "cd", "", "", ""), Said("stock-v1", "depot", "stock"));
        Assert.Contains(_metrics.Tcp, counts => Labels(counts)["source_workload"] == "stock-v1");
    }

    [Fact]
    public void Many_identities_that_always_say_something_new_share_a_bound()
    {
        for (var identity = 0; identity < 20; identity++)
            for (var i = 0; i < PeerClaims.MostOfIdentity; i++)
                Connect(new([$"spiffe://corp.example/ns/web/sa/a{identity}"], [], "", "ab", "", "", ""), Said($"w{i}", account: $"a{identity}"));
        // The bound, and a series for the rest of each identity.
        Assert.InRange(_metrics.Tcp.Count(), MeshMetrics.MostToldSeries, MeshMetrics.MostToldSeries + 20);
    }

    [Fact]
    public void What_is_more_than_all_series_is_one()
    {
        const int Hosts = MeshMetrics.MostSeries + 50;
        for (var i = 0; i < Hosts; i++) _metrics.Request(Direction.Outbound, Record(record => record.ClusterName = $"outbound|80||host-{i}.example"));
        Assert.Equal(MeshMetrics.MostSeries + 1, _metrics.Http.Count());
        var overflow = Labels(_metrics.Http.Single(counts => counts.Requests == 50));
        Assert.Equal("source", overflow["reporter"]);
        Assert.All(overflow.Where(label => label.Key != "reporter"), label => Assert.Equal("overflow", label.Value));
    }

    [Theory]
    [InlineData("", "web", "front")] // in plain text
    [InlineData("spiffe://corp.example/ns/web/sa/front", "bank", "front")] // another's namespace
    [InlineData("spiffe://corp.example/ns/web/sa/front", "web", "vault")] // another's account
    [InlineData("https://corp.example/front", "web", "front")] // no identity of a mesh
    public void What_a_peer_cannot_prove_is_not_counted(string identity, string ns, string account)
    {
        Connect(identity.Length > 0 ? new([identity], [], "", "ab", "", "", "") : null, Said("front-v2", ns, account));
        var labels = Labels(Assert.Single(_metrics.Tcp));
        Assert.Equal(("unknown", "unknown", "unknown"), (labels["source_workload"], labels["source_app"], labels["source_cluster"]));
        Assert.Equal(identity.StartsWith("spiffe:", StringComparison.Ordinal) ? "web" : "unknown", labels["source_workload_namespace"]);
    }

    /// <summary>Istio's proxies do not name their account.</summary>
    [Fact]
    public void A_peer_that_names_no_account_is_counted()
    {
        Connect(Caller, Said(account: ""));
        Assert.Equal("front-v2", Labels(Assert.Single(_metrics.Tcp))["source_workload"]);
    }

    [Fact]
    public void A_host_outside_of_the_mesh_says_nothing_that_counts()
    {
        var passthrough = new ClusterState(
            ClusterDecoder.Decode(
                WireTypes.Strict.Parse<Cluster>("""{"name": "PassthroughCluster", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED"}""")),
            TimeProvider.System, new Random(1));
        _metrics.Request(Direction.Outbound,
            Record(record => (record.Cluster, record.ClusterName, record.UpstreamPeer,
                record.PeerMetadata) = (passthrough, "PassthroughCluster", Caller, Said())));
        Assert.Equal("unknown", Labels(Assert.Single(_metrics.Http))["destination_workload"]);
    }

    [Fact]
    public void What_a_peer_says_is_cut_and_stays_on_its_line()
    {
        Connect(Caller, Said($"a\u001b[31m\n\u0085{new string('x', 5000)}"));
        var workload = Labels(Assert.Single(_metrics.Tcp))["source_workload"];
        Assert.StartsWith("a\\x1b[31m\\n\\x85xxx", workload, StringComparison.Ordinal);
        Assert.InRange(workload.Length, 100, 2 * PeerMetadataText.MostOfText);
    }

    private void Connect(TlsPeer? peer, string told) =>
        _metrics.Connection(Direction.Inbound, Record(record => (record.DownstreamPeer, record.PeerMetadata) = (peer, told)));

    private static string Said(string workload = "front-v2", string ns = "web", string account = "front") =>
        PeerMetadataText.Write(new("n", workload, ns, "front", "v2", "front", "v2", "c2", account, ""));

    [Fact]
    public void The_principal_of_this_proxy_has_the_trust_domain_of_its_mesh_and_is_told_under_TLS_only()
    {
        _metrics.Request(Direction.Inbound, Record(record => record.DownstreamPeer = Caller));
        _metrics.Request(Direction.Inbound, Record(_ => { }));
        Assert.Equal(["spiffe://corp.example/ns/shop/sa/orders", "unknown"],
            _metrics.Http.Select(counts => Labels(counts)["destination_principal"]).Order(StringComparer.Ordinal));
        Assert.Equal(["mutual_tls", "none"], _metrics.Http.Select(counts => Labels(counts)["connection_security_policy"]).Order(StringComparer.Ordinal));
    }

    /// <summary>A caller that came through a tunnel has proved itself at its beginning; the connection within has no certificate.</summary>
    [Theory]
    [InlineData("spiffe://corp.example/ns/web/sa/front", "spiffe://corp.example/ns/web/sa/front", "mutual_tls")]
    [InlineData("-", "unknown", "none")]
    [InlineData("", "unknown", "none")]
    [InlineData("front", "unknown", "none")]
    [InlineData("spiffe://corp.example", "unknown", "none")]
    [InlineData("https://corp.example/ns/web/sa/front", "unknown", "none")]
    public void The_caller_of_a_tunnel_is_who_proved_it_at_its_beginning(string told, string principal, string policy)
    {
        _metrics.Request(Direction.Inbound, Record(record =>
        {
            record.State = FilterState.Empty.With(FilterState.PeerPrincipal, new(told));
            record.PeerMetadata = Said();
        }));
        var labels = Labels(Assert.Single(_metrics.Http));
        var own = policy == "none" ? "unknown" : "spiffe://corp.example/ns/shop/sa/orders";
        Assert.Equal((principal, policy, own), (labels["source_principal"], labels["connection_security_policy"], labels["destination_principal"]));
        // What a caller without a proof says of itself is worth nothing.
        Assert.Equal(policy == "none" ? "unknown" : "front-v2", labels["source_workload"]);
    }

    [Fact]
    public void The_certificate_of_a_connection_counts_for_more_than_what_filters_said()
    {
        _metrics.Request(Direction.Inbound, Record(record => (record.DownstreamPeer, record.State) =
            (Caller, FilterState.Empty.With(FilterState.PeerPrincipal, new("spiffe://corp.example/ns/evil/sa/other")))));
        Assert.Equal("spiffe://corp.example/ns/web/sa/front", Labels(Assert.Single(_metrics.Http))["source_principal"]);
    }

    [Fact]
    public void A_request_that_leaves_is_labelled_by_the_endpoint_where_the_peer_says_nothing()
    {
        var host = new Host(new(new IPEndPoint(IPAddress.Loopback, 1), 1, EndpointHealth.Healthy, ValueMap<string>.Empty,
            new("stock-v3", "depot", "stock", "v3", "c2"), false));
        _metrics.Request(Direction.Outbound, Record(record => (record.Host, record.ClusterName, record.UpstreamPeer) = (host, "outbound|80||stock", Caller)));
        var labels = Labels(Assert.Single(_metrics.Http));
        Assert.Equal("source", labels["reporter"]);
        Assert.Equal("spiffe://corp.example/ns/shop/sa/orders", labels["source_principal"]);
        Assert.Equal(("stock-v3", "depot", "spiffe://corp.example/ns/web/sa/front", "stock", "v3", "c2"), Party(labels, "destination"));
        Assert.Equal("unknown", labels["connection_security_policy"]);
    }

    [Theory]
    [InlineData("PassthroughCluster", "PassthroughCluster")]
    [InlineData("BlackHoleCluster", "BlackHoleCluster")]
    [InlineData("InboundPassthroughClusterIpv4", "InboundPassthroughClusterIpv4")]
    [InlineData("something", "unknown")]
    public void Traffic_of_no_service_is_named_after_its_cluster(string cluster, string service)
    {
        _metrics.Connection(Direction.Outbound, Record(record => (record.Request, record.ClusterName) = (null, cluster)));
        Assert.Equal(service, Labels(Assert.Single(_metrics.Tcp))["destination_service"]);
    }

    [Fact]
    public void Equal_requests_are_counted_together_and_others_apart()
    {
        for (var i = 0; i < 3; i++)
            _metrics.Request(Direction.Inbound, Record(record => (record.Status, record.BytesSent, record.Duration) = (200, 10, TimeSpan.FromMilliseconds(7))));
        _metrics.Request(Direction.Inbound, Record(record => record.Status = 503));
        var counts = Assert.Single(_metrics.Http, counts => counts.Requests == 3);
        Assert.Equal((21.0, 30.0), (counts.Duration.Sum, counts.ResponseBytes.Sum));
        Assert.Equal(2, _metrics.Http.Count());
        Assert.Empty(_metrics.Tcp);
    }

    [Fact]
    public void A_connection_counts_its_beginning_its_end_and_its_bytes()
    {
        _metrics.Connection(Direction.Inbound, Record(record => (record.Request, record.BytesReceived, record.BytesSent) = (null, 5, 7)));
        _metrics.Connection(Direction.Inbound, Record(record => (record.Request, record.BytesReceived, record.BytesSent) = (null, 1, 2)));
        var counts = Assert.Single(_metrics.Tcp);
        Assert.Equal((2, 2, 6, 9), (counts.Opened, counts.Closed, counts.ReceivedBytes, counts.SentBytes));
        Assert.Equal("tcp", Labels(counts)["request_protocol"]);
        Assert.DoesNotContain("response_code", Labels(counts).Keys);
    }

    [Fact]
    public void An_answer_with_a_gRPC_status_is_gRPC()
    {
        var response = new ResponseHead();
        response.Headers.Add("grpc-status"u8, "14"u8);
        _metrics.Request(Direction.Inbound, Record(record => (record.Response, record.Status) = (response, 200)));
        var labels = Labels(Assert.Single(_metrics.Http));
        Assert.Equal(("grpc", "14"), (labels["request_protocol"], labels["grpc_response_status"]));
    }

    private static TrafficRecord Record(Action<TrafficRecord> fill)
    {
        var record = new TrafficRecord { Request = new RequestHead { Method = "GET", Version = 11 } };
        fill(record);
        return record;
    }

    private static ClusterState Cluster(string host, string name, string ns) => new(ClusterDecoder.Decode(WireTypes.Strict.Parse<Cluster>($$$$$"""
        {"name": "inbound|80||", "type": "STATIC",
          "metadata": {"filter_metadata": {"istio": {"services": [{"host": "{{{{{host}}}}}", "name": "{{{{{name}}}}}", "namespace": "{{{{{ns}}}}}"}]}}}}
        """)), TimeProvider.System, new Random(1));

    private static Dictionary<string, string> Labels(MeshCounts counts) => counts.Labels.Pairs.ToDictionary();

    private static (string, string, string, string, string, string) Party(Dictionary<string, string> labels, string end) =>
        (labels[$"{end}_workload"], labels[$"{end}_workload_namespace"], labels[$"{end}_principal"], labels[$"{end}_app"], labels[$"{end}_version"],
            labels[$"{end}_cluster"]);
}
