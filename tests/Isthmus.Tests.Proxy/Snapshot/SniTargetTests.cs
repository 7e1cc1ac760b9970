using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Listeners;
using Xunit;

namespace Isthmus.Tests.Proxy.Snapshot;

/// <summary>Chains whose cluster is named by the SNI (sni_cluster, tcp_cluster_rewrite).</summary>
public sealed class SniTargetTests
{
    private const string SniCluster =
        """
            {"name": "envoy.filters.network.sni_cluster",
              "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.sni_cluster.v3.SniCluster"} },
            """;

    [Fact]
    public void The_sni_names_the_cluster_after_each_rewrite_in_turn()
    {
        var action = Decode(SniCluster + Rewrite(@"\\.global$", ".svc.cluster.local") + Rewrite("far", "near"));
        Assert.Equal("outbound_.80_._.orders.near.svc.cluster.local", action.BySni!.Cluster("outbound_.80_._.orders.far.global"));
        Assert.Equal("outbound_.80_._.orders.global.shop", action.BySni.Cluster("outbound_.80_._.orders.global.shop"));
    }

    [Fact]
    public void Without_a_name_the_chains_own_cluster_serves()
    {
        var action = Decode(SniCluster);
        Assert.Null(action.BySni!.Cluster(""));
        Assert.Equal("BlackHoleCluster", action.Targets.Single().Cluster);
        Assert.Null(Decode("").BySni);
    }

    [Fact]
    public void A_pattern_that_is_none_is_refused() =>
        Assert.Contains("regular expression '('", Assert.Throws<ResourceException>(() => Decode(SniCluster + Rewrite("(", ""))).Message,
            StringComparison.Ordinal);

    private static string Rewrite(string pattern, string replacement) => $$"""
        {"name": "envoy.filters.network.tcp_cluster_rewrite", "typed_config": {
          "@type": "type.googleapis.com/istio.envoy.config.filter.network.tcp_cluster_rewrite.v2alpha1.TcpClusterRewrite",
          "cluster_pattern": "{{pattern}}", "cluster_replacement": "{{replacement}}"} },
        """;

    private static TcpAction Decode(string filters) => (TcpAction)ListenerDecoder.Decode(WireTypes.Strict.Parse<Listener>($$$"""
        {"name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1} }, "filter_chains": [{"filters": [{{{filters}}}
          {"name": "t", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "x",
            "cluster": "BlackHoleCluster"} }] }] }
        """)).Chains.All.Single().Action;
}
