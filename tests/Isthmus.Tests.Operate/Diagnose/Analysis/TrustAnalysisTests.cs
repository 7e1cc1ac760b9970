using Isthmus.Core.Collections;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>How roots come to differ, as users experience it.</summary>
public sealed class TrustAnalysisTests
{
    private static readonly DateTimeOffset Noon = new(2030, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly Root Ours = new("AAAA"), Made = new("BBBB"), Before = new("CCCC");

    private static readonly TrustFacts Good = new(true, Ours, Noon, Root.None, null, Ours, Noon.AddMinutes(1), Noon.AddMinutes(1),
        new Dictionary<string, Root> { ["shop"] = Ours }.ToValueMap(), [new ProxyTrust("shop", "orders-0", Noon.AddMinutes(2), Ours)]);

    [Fact]
    public void One_root_everywhere_is_well() => Assert.Empty(Run(Good, Good));

    [Fact]
    public void A_control_plane_that_was_installed_before_cacerts_is_named()
    {
        var finding = Run(Good with
        {
            GivenAt = Noon.AddMinutes(5), Own = Made, OwnAt = Noon.AddMinutes(1), InForce = Made, Namespaces = default, Proxies = default
        })
            .Single();
        Assert.Equal("ISM1451", finding.Problem.Code);
        Assert.Contains("was created after the control plane started", finding.Problem.Message, StringComparison.Ordinal);
        Assert.Contains("that it made itself", finding.Problem.Message, StringComparison.Ordinal);
        Assert.Contains("rollout restart deployment istiod", finding.Problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_secret_whose_root_no_other_cluster_has_must_not_come_into_force()
    {
        var odd = Good with { Given = Made, GivenAt = Noon.AddMinutes(5) };
        var finding = Run(Good, odd).Single();
        Assert.Equal(("c2", "ISM1451", "Secret istio-system/cacerts"), (finding.Cluster, finding.Problem.Code, finding.Problem.Object));
        Assert.DoesNotContain("rollout restart", finding.Problem.Remedy, StringComparison.Ordinal);
        Assert.Contains("do not restart the control plane of c2: first replace the Secret with one whose root is that of c1", finding.Problem.Remedy,
            StringComparison.Ordinal);
        // Where the others have the Secret's root, or are about to have it, the restart is right.
        var changed = Good with { Given = Made, Own = Root.None, InForce = Made, Namespaces = default, Proxies = default };
        Assert.Contains("rollout restart", Run(changed, odd).Single(found => found.Problem.Code == "ISM1451").Problem.Remedy, StringComparison.Ordinal);
        Assert.All(Run(odd, odd).Where(found => found.Problem.Code == "ISM1451"),
            found => Assert.Contains("rollout restart", found.Problem.Remedy, StringComparison.Ordinal));
        Assert.Contains("rollout restart", Run(odd).Single().Problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void The_root_that_most_clusters_share_counts_as_right()
    {
        var odd = Good with { Given = Made, InForce = Made, Namespaces = default, Proxies = default };
        Assert.Equal([("c1", "ISM1454")], Run(odd, Good, Good).Select(finding => (finding.Cluster, finding.Problem.Code)));
    }

    [Fact]
    public void A_root_that_an_old_istio_system_left_is_named()
    {
        var finding = Run(Good with
        {
            Given = Root.None, GivenAt = null, Own = Made, OwnAt = Noon.AddDays(-3), InForce = Made, Namespaces = default, Proxies = default
        })
            .Single();
        Assert.Equal("ISM1452", finding.Problem.Code);
        Assert.Contains("left over from an earlier istio-system", finding.Problem.Message, StringComparison.Ordinal);
        // A root that this installation created itself is not left over.
        Assert.Empty(Run(Good with { Given = Root.None, Own = Made, OwnAt = Noon.AddMinutes(1), InForce = Made, Namespaces = default, Proxies = default }));
    }

    [Fact]
    public void Pods_and_namespaces_of_before_are_named_one_by_one()
    {
        var findings = Run(Good with
        {
            Namespaces = new Dictionary<string, Root> { ["shop"] = Before }.ToValueMap(),
            Proxies = [new ProxyTrust("shop", "orders-0", Noon.AddDays(-1), Before), new ProxyTrust("shop", "stock-0", Noon, Ours),
                new ProxyTrust("shop", "silent-0", Noon, Root.None), new ProxyTrust("shop", "both-0", Noon, new("AAAA+CCCC"))],
        });
        Assert.Equal([("ISM1453", "ConfigMap shop/istio-ca-root-cert"), ("ISM1455", "Pod shop/orders-0")],
            findings.Select(finding => (finding.Problem.Code, finding.Problem.Object)));
    }

    [Fact]
    public void Clusters_of_different_roots_are_told_where_each_root_comes_from()
    {
        var finding = Run(Good,
            Good with { Given = Root.None, Own = Made, OwnAt = Noon.AddMinutes(1), InForce = Made, Namespaces = default, Proxies = default })
            .Single();
        Assert.Equal(("c2", "ISM1454"), (finding.Cluster, finding.Problem.Code));
        Assert.Contains("c1: from Secret cacerts; c2: made by the control plane itself", finding.Problem.Message, StringComparison.Ordinal);
    }

    private static List<Finding> Run(params TrustFacts[] trust) =>
        [.. TrustAnalysis.Check([.. trust.Select((facts, index) => ClusterInventory.From($"c{index + 1}", [], facts))])];
}
