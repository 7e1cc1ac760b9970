using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Supervisor;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Supervisor;

public sealed class ClusterPlanTests
{
    [Fact]
    public void The_first_clusters_have_the_addresses_that_people_know()
    {
        var clusters = Plan(new("cluster1"), new("cluster2"));
        Assert.Equal(["172.18.0.2", "172.18.0.3"], clusters.Select(cluster => cluster.Address.ToString()));
        Assert.All(clusters, cluster => Assert.Equal("10.244.0.0/16", cluster.PodRange.ToString()));
        Assert.Equal(["172.18.201.0/24", "172.18.202.0/24"], clusters.Select(cluster => cluster.LoadBalancerPool.ToString()));
        Assert.Equal("10.96.0.10", clusters[0].DnsAddress.ToString());
        Assert.Equal("10.96.0.1", clusters[0].KubernetesAddress.ToString());
        Assert.Equal("10.244.0.0/24", clusters[0].NodePodRange.ToString());
        Assert.Equal("cluster1-control-plane", clusters[0].NodeName);
    }

    [Fact]
    public void Clusters_of_one_network_have_different_Pod_ranges_and_are_each_others_peers()
    {
        var clusters = Plan(new("a", Network: "n"), new("b", Network: "n"), new("c"));
        Assert.Equal(["10.244.0.0/16", "10.245.0.0/16", "10.244.0.0/16"], clusters.Select(cluster => cluster.PodRange.ToString()));
        Assert.Equal([new NodePeer(clusters[1].Address, clusters[1].PodRange)], ClusterPlan.Peers(clusters[0], clusters));
        Assert.Empty(ClusterPlan.Peers(clusters[2], clusters));
    }

    [Fact]
    public void However_clusters_come_and_go_nothing_clashes()
    {
        Prop.ForAll(ArbMap.Default.ArbFor<(byte Name, byte Network, bool Delete)[]>(), history =>
        {
            ValueList<ClusterSettings> clusters = [];
            foreach (var (name, network, delete) in history)
            {
                var wanted = $"c{name % 80}";
                if (delete) clusters = clusters.Where(cluster => cluster.Name != wanted).ToValueList();
                else if (clusters.Count < ClusterSettings.MaxClusters && clusters.All(cluster => cluster.Name != wanted))
                {
                    clusters = [.. clusters, ClusterPlan.Plan(new(wanted, Network: network % 3 == 0 ? "" : $"n{network % 3}"), clusters)];
                }
            }
            Assert.Equal(clusters.Count, clusters.Select(cluster => cluster.Address).Distinct().Count());
            Assert.Equal(clusters.Count, clusters.Select(cluster => cluster.LoadBalancerPool).Distinct().Count());
            foreach (var network in clusters.GroupBy(cluster => cluster.Network))
            {
                Assert.Equal(network.Count(), network.Select(cluster => cluster.PodRange).Distinct().Count());
            }
            Assert.All(clusters, cluster => Assert.False(cluster.PodRange.Overlaps(cluster.ServiceRange)));
            Assert.All(clusters, cluster => Assert.Equal(cluster, ClusterSettings.FromJson(cluster.ToJson(), "test")));
        }).MustHold();
    }

    [Theory]
    [InlineData("")]
    [InlineData("Upper")]
    [InlineData("-a")]
    [InlineData("a.b")]
    [InlineData("../../etc")]
    [InlineData("a234567890123456789012345678901234567890123456789x")]
    public void Names_that_cannot_name_a_node_are_refused(string name) =>
        Assert.Contains("not a valid name", Assert.ThrowsAny<ProblemException>(() => ClusterPlan.Plan(new(name), [])).Message);

    [Fact]
    public void A_name_or_context_that_is_taken_is_refused()
    {
        var clusters = Plan(new("a"), new("b", Context: "kind-b"));
        Assert.Contains("already exists", Assert.Throws<ProblemException>(() => ClusterPlan.Plan(new("a"), clusters)).Message);
        Assert.Contains("kind-b", Assert.Throws<ProblemException>(() => ClusterPlan.Plan(new("x", Context: "kind-b"), clusters)).Message);
    }

    private static ValueList<ClusterSettings> Plan(params ClusterRequest[] requests)
    {
        ValueList<ClusterSettings> clusters = [];
        foreach (var request in requests) clusters = [.. clusters, ClusterPlan.Plan(request, clusters)];
        return clusters;
    }
}
