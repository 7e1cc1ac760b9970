using Isthmus.Core.Collections;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Which step of a rotation is due, and for whom, in two clusters of which the second has no CA of its own.</summary>
public sealed class RotationPlanTests
{
    private const string Old = "AAAAAAAAAAAAAAAAAAAAAAAA", New = "BBBBBBBBBBBBBBBBBBBBBBBB";

    private static readonly DateTimeOffset Now = new(2030, 6, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void One_root_everywhere_is_no_rotation()
    {
        Assert.Null(RotationPlan.UnderWay([Primary([Old], Old), Remote([Old])]));
        Assert.Empty(RotationAnalysis.Check([Primary([Old], Old, ("web", Old, [Old])), Remote([Old], ("cart", Old, [Old]))]));
    }

    [Fact]
    public void Clusters_without_a_common_root_are_no_rotation() => Assert.Null(RotationPlan.UnderWay([Primary([Old], Old), Primary([New], New)]));

    [Fact]
    public void Everyone_must_trust_both_before_anything_signs()
    {
        var due = Due([Primary([Old, New], Old, ("web", Old, [Old, New])), Remote([Old], ("cart", Old, [Old]))]);
        Assert.Equal(RotationAction.Trust, due.Action);
        Assert.Equal(["ConfigMap istio-system/istio-ca-root-cert in remote", "Pod shop/cart in remote"], due.Pending);
    }

    [Fact]
    public void Then_control_planes_sign_then_workloads_renew_and_one_that_does_not_answer_holds_up_the_rest()
    {
        var due = Due([Primary([Old, New], Old, ("web", Old, [Old, New])), Remote([Old, New], ("cart", Old, [Old, New]))]);
        Assert.Equal((RotationAction.Sign, "Secret istio-system/cacerts in primary"), (due.Action, Assert.Single(due.Pending)));
        due = Due([Primary([Old, New], New, ("web", New, [Old, New])), Remote([Old, New], ("cart", Old, [Old, New]))]);
        Assert.Equal((RotationAction.Renew, "Pod shop/cart in remote"), (due.Action, Assert.Single(due.Pending)));

        var silent = Remote([Old, New]);
        var proxy = new MeshCertificate("remote", CertificateRole.Workload, "Pod shop/cart", "", null, null) { Fault = "it did not answer: gone" };
        silent = silent.WithCertificates(silent.Certificates.Append(proxy).ToValueList(), Now);
        due = Due([Primary([Old, New], New, ("web", New, [Old, New])), silent]);
        Assert.Equal("Pod shop/cart (it did not answer: gone) in remote", Assert.Single(due.Pending));
    }

    [Fact]
    public void The_old_root_goes_when_nobody_needs_it()
    {
        var due = Due([Primary([Old, New], New, ("web", New, [Old, New])), Remote([Old, New], ("cart", New, [Old, New]))]);
        Assert.Equal(RotationAction.Distrust, due.Action);
        Assert.Equal(4, due.Pending.Count);
        Assert.Null(RotationPlan.Of([Primary([New], New, ("web", New, [New])), Remote([New], ("cart", New, [New]))], New).Due);
    }

    [Fact]
    public void The_way_back_is_the_same_way_to_the_other_root()
    {
        var between = new[] { Primary([Old, New], New, ("web", New, [Old, New])), Remote([Old, New], ("cart", Old, [Old, New])) };
        Assert.Equal(RotationAction.Sign, RotationPlan.Of(between, Old).Due!.Action);
        Assert.Equal(["Pod shop/web in primary"], RotationPlan.Of(between, Old).Steps[(int)RotationAction.Renew].Pending);
    }

    [Fact]
    public void Verify_names_the_step_and_a_leaf_whose_root_went_too_early()
    {
        var found = RotationAnalysis.Check([Primary([Old, New], New, ("web", New, [Old, New])), Remote([Old, New], ("cart", Old, [Old, New]))]).Single();
        Assert.Equal(("remote", "ISM1467"), (found.Cluster, found.Problem.Code));
        Assert.Contains("step 3 of 4 is due (every workload has a certificate of the new root), for Pod shop/cart in remote", found.Problem.Message,
            StringComparison.Ordinal);

        found = RotationAnalysis.Check([Primary([New], New, ("web", Old, [Old, New]))]).Single();
        Assert.Equal(("ISM1468", "Pod shop/web"), (found.Problem.Code, found.Problem.Object));
    }

    [Fact]
    public void Proxies_of_another_mesh_are_left_alone_unless_they_need_a_root_of_this_one()
    {
        const string Other = "DDDDDDDDDDDDDDDDDDDDDDDD";
        // Of this mesh is also who trusts one of its roots, whose certificate leads to one, or of whom that is not known.
        var due = Due([Primary([Old, New], Old, ("web", Old, [Old, New]), ("elsewhere", Other, [Other]), ("both", Other, [Other, Old]),
            ("unknown", "", [Other])), Remote([Old, New])]);
        Assert.Equal((RotationAction.Trust, "Pod shop/both in primary, Pod shop/unknown in primary"), (due.Action, string.Join(", ", due.Pending)));
        Assert.Null(RotationPlan.Of([Primary([New], New, ("web", New, [New]), ("elsewhere", Other, [Other]))], New).Due);
    }

    [Fact]
    public void Control_planes_in_other_namespaces_take_part_if_they_share_a_root()
    {
        ClusterInventory In(string ns, ClusterInventory cluster) =>
            ClusterInventory.From(cluster.Context, [], cluster.Trust, ns).WithCertificates(cluster.Certificates, Now);
        var (named, shares) = (Primary([New], New), In("external", Primary([Old, New], Old)));
        var (served, differs) = (In("external", Remote([Old], ("cart", Old, [Old]))), In("apart", Primary(["D"], "D")));
        Assert.Equal([named, shares, served], RotationScope.Of([named, shares, served, differs], "istio-system"));
        Assert.Equal([differs], RotationScope.Of([named, shares, served, differs], "apart"));
        Assert.Equal(["ConfigMap external/istio-ca-root-cert in remote", "Pod shop/cart in remote"],
            RotationPlan.Of([named, shares, served], New).Due!.Pending);
        // Nobody knows the root of one whose Secrets cannot be read.
        var unknown = In("apart", Cluster("primary", named.Trust, []));
        Assert.Equal([named, unknown], RotationScope.Of([named, unknown], "istio-system"));
    }

    [Fact]
    public void A_control_plane_that_serves_another_cluster_signs_when_its_root_is_given_out_there()
    {
        var host = Hosted([Old, New], New);
        var due = RotationPlan.Of([host, Issued([Old, New], Old)], New).Due!;
        Assert.Equal((RotationAction.Sign, "ConfigMap istio-system/istio-ca-root-cert in remote"), (due.Action, Assert.Single(due.Pending)));
        Assert.Equal(RotationAction.Distrust, RotationPlan.Of([host, Issued([Old, New], New)], New).Due!.Action);
        Assert.Same(host, RotationScope.WithoutServed([host, Primary([Old], Old)]));
        Assert.Null(RotationScope.WithoutServed([host, Issued([Old], Old)]));
    }

    private static RotationStep Due(IReadOnlyList<ClusterInventory> clusters)
    {
        var plan = RotationPlan.UnderWay(clusters)!;
        Assert.Equal(New, plan.Target);
        return plan.Due!;
    }

    private static ClusterInventory Primary(string[] roots, string signing, params (string Name, string Root, string[] Trusts)[] proxies) =>
        Cluster("primary", new TrustFacts(true, Root.None, null, Root.None, null, Root.None, Now, Now, default, default), [.. Roots("primary", roots),
            new MeshCertificate("primary", CertificateRole.Authority, "Secret istio-system/cacerts", "CN=ca", Now,
                Now.AddYears(1)) { Fingerprint = "CA", Root = signing, Signs = true },
            .. Proxies("primary", proxies)]);

    private static ClusterInventory Remote(string[] roots, params (string Name, string Root, string[] Trusts)[] proxies) =>
        Cluster("remote", TrustFacts.None, [.. Roots("remote", roots), .. Proxies("remote", proxies)]);

    private static ClusterInventory Hosted(string[] roots, string signing)
    {
        var primary = Primary(roots, signing);
        return Cluster("host", primary.Trust with { ServesElsewhere = true }, primary.Certificates);
    }

    /// <summary>A remote cluster where the ConfigMap says what signs.</summary>
    private static ClusterInventory Issued(string[] roots, string signing)
    {
        var remote = Remote(roots, ("cart", signing, roots));
        var signs = Primary([], signing).Certificates.Select(one => one with { Owner = "ConfigMap istio-system/istio-ca-root-cert" });
        return remote.WithCertificates([.. remote.Certificates, .. signs], Now);
    }

    private static ClusterInventory Cluster(string context, TrustFacts trust, ValueList<MeshCertificate> certificates) =>
        ClusterInventory.From(context, [], trust).WithCertificates(certificates, Now);

    private static IEnumerable<MeshCertificate> Roots(string cluster, string[] roots) => roots.Select(root =>
        new MeshCertificate(cluster, CertificateRole.Root, "ConfigMap istio-system/istio-ca-root-cert", $"CN={root}",
            root == Old ? Now.AddYears(-5) : Now.AddDays(-1), Now.AddYears(5)) { Fingerprint = root, Root = root });

    private static IEnumerable<MeshCertificate> Proxies(string cluster, (string Name, string Root, string[] Trusts)[] proxies) => proxies.Select(proxy =>
        new MeshCertificate(cluster, CertificateRole.Workload, $"Pod shop/{proxy.Name}", "spiffe://x", Now,
            Now.AddDays(1)) { Fingerprint = proxy.Name, Root = proxy.Root, Trusts = [.. proxy.Trusts] });
}
