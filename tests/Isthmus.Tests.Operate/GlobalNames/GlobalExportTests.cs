using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.GlobalNames;
using Isthmus.Operate.Inventory;
using Xunit;
using static Isthmus.Tests.Operate.GlobalNames.ReplicatedClusters;

namespace Isthmus.Tests.Operate.GlobalNames;

public sealed class GlobalExportTests
{
    [Fact]
    public void Both_clusters_get_an_entry_with_one_address_and_the_call_arrives()
    {
        var (one, two) = (One(Rule), Two(Rule, Orders));
        var plan = GlobalExport.Plan(two, two.Service("shop", "orders")!, [one], "global");
        Assert.Equal(["two", "one"], plan.Select(item => item.Cluster));
        Assert.Single(plan.Select(item => item.Object["spec"]!["addresses"]![0]!.ToString()).Distinct());
        Assert.Equal("""[{"address":"172.18.202.1","ports":{"http":15443}}]""", plan[1].Object["spec"]!["endpoints"]!.ToJsonString());
        Assert.Empty(Analysis.Run([one.With(plan[1].Object), two.With(plan[0].Object)]));
        Assert.All(plan, item => Assert.Empty(Isthmus.Mesh.Config.Validation.Check(item.Object)));
    }

    [Fact]
    public void A_second_export_changes_nothing()
    {
        var (one, two) = (One(Rule), Two(Rule, Orders));
        var first = GlobalExport.Plan(two, two.Service("shop", "orders")!, [one], "global");
        Assert.Equal(first, GlobalExport.Plan(two.With(first[0].Object), two.Service("shop", "orders")!, [one.With(first[1].Object)], "global"));
    }

    [Fact]
    public void Hundreds_of_hosts_have_addresses_of_their_own_whatever_others_took()
    {
        // Each object is read once: a cluster with one more would read all of them again.
        var known = One(Rule).Istio<ServiceEntry>().ToList();
        Address Choose(string host) => GlobalAddresses.Choose(host, [ClusterInventory.Of("one", [], known)]);
        void Add(string host, string name, Address address) =>
            known.Add(One(Entry("{address: 203.0.113.7}", host, vip: address.ToString(), name: name)).Istio<ServiceEntry>()
                .Single(entry => entry.Hosts.Contains(host)));
        var taken = new HashSet<Address>();
        for (var i = 0; i < 300; i++)
        {
            // Another host already has the address where the search begins.
            if (i % 3 == 0)
            {
                var wanted = Choose($"s{i}.shop.global");
                Add($"other{i}.example", $"o{i}", wanted);
                taken.Add(wanted);
            }
            var address = Choose($"s{i}.shop.global");
            Assert.True(taken.Add(address), $"{address} was given twice");
            Add($"s{i}.shop.global", $"s{i}", address);
        }
    }

    [Fact]
    public void An_address_that_another_cluster_gave_to_somebody_else_is_not_kept()
    {
        var kept = GlobalAddresses.Choose("orders.shop.global", [Two(Orders)]);
        var one = One(Rule, Entry("{address: 203.0.113.7}", "else.shop.global", vip: kept.ToString(), name: "else"));
        Assert.NotEqual(kept, GlobalAddresses.Choose("orders.shop.global", [Two(Orders, Entry(vip: kept.ToString())), one]));
    }

    [Fact]
    public void A_cluster_without_a_gateway_for_the_zone_is_told_what_to_install()
    {
        var two = Two(Orders);
        var problem = Assert.Throws<ProblemException>(() => GlobalExport.Plan(two, two.Service("shop", "orders")!, [], "everywhere"));
        Assert.Contains("values-istio-multicluster-gateways.yaml", problem.Message, StringComparison.Ordinal);
    }
}
