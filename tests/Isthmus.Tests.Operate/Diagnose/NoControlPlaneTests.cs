using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

/// <summary>Whoever names the namespace of a control plane that is in another one is told so, and not that all is well.</summary>
public sealed class NoControlPlaneTests
{
    private static readonly ValueMap<bool> Pods = new([new("istiod-1", true)]);

    [Theory]
    [InlineData("istio-system", "")]
    [InlineData("external", "")]
    [InlineData("nons", "namespace nons: has no control plane in c1, c2: it runs in namespace external and istio-system "
        + "(name that one: --istioNamespace=external, or --istioNamespace=istio-system)")]
    public void A_namespace_that_verify_is_given_must_have_a_control_plane_somewhere(string ns, string told)
    {
        var own = new ClusterFacts("c1", "", HasIstio: true, ControlPlanes: Pods) { SystemNamespace = "istio-system" };
        var host = new ClusterFacts("c2", "") { SystemNamespace = "nons", Hosted = [new("external", "far", Pods)] };
        Assert.Equal(told, $"{NoControlPlane.Elsewhere([own, host], ns)}");
        Assert.Null(NoControlPlane.Elsewhere([own, host, new("c3", "refused")], ns)); // It may be there.
    }

    [Fact]
    public void Without_any_control_plane_verify_goes_on() => Assert.Null(NoControlPlane.Elsewhere([new ClusterFacts("c1", "")], "istio-system"));

    [Theory]
    [InlineData("istio-system", true, "")]
    [InlineData("nons", false, "namespace nons: has no control plane in c1: it runs in namespace istio-system (name that one: --istioNamespace=istio-system)")]
    [InlineData("default", true,
        "namespace default: has no control plane in c1: it runs in namespace istio-system (name that one: --istioNamespace=istio-system)")]
    public void So_must_one_that_certificates_are_read_of(string ns, bool isThere, string told) =>
        Assert.Equal(told, $"{NamespaceOfPlane.Fault([Read(ns, isThere, "istio-system")], ns)}");

    [Fact]
    public void Without_any_control_plane_there_are_no_certificates()
    {
        Assert.Equal("namespace istio-system: has no control plane in c1 (no Pod with label app=istiod) "
            + "(install one with 'isthmus install', or give --istioNamespace)",
            $"{NamespaceOfPlane.Fault([Read("istio-system", false, "")], "istio-system")}");
        // Of another mesh's cluster, that a control plane elsewhere serves.
        Assert.Null(NamespaceOfPlane.Fault([Read("istio-system", true, "")], "istio-system"));
    }

    private static ClusterInventory Read(string ns, bool isThere, string plane)
    {
        var cluster = ClusterInventory.From("c1", plane.Length == 0 ? [] : [(JsonObject)JsonNode.Parse($$"""
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "istiod-1", "namespace": "{{plane}}", "labels": {"app": "istiod"} },
             "spec": {"containers": []} }
            """)!], systemNamespace: ns);
        return isThere ? cluster.WithCertificates([], DateTimeOffset.UnixEpoch) : cluster;
    }
}
