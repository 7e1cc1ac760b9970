using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Xunit;

namespace Isthmus.Tests.Libraries.Discovery;

/// <summary>Hosts that are local to each cluster, unless configured otherwise.</summary>
public sealed class ClusterLocalTests
{
    [Theory]
    [InlineData("istiod.istio-system.svc.cluster.local", true)]
    [InlineData("istiod-blue.istio-system.svc.cluster.local", true)]
    [InlineData("istiodblue.istio-system.svc.cluster.local", false)]
    [InlineData("istiod-blue.shop.svc.cluster.local", false)]
    [InlineData("kube-dns.kube-system.svc.cluster.local", true)]
    [InlineData("kubernetes.default.svc.cluster.local", true)]
    [InlineData("orders.shop.svc.cluster.local", false)]
    public void Control_planes_of_all_revisions_and_what_belongs_to_the_cluster_itself_are_local(string host, bool local) =>
        Assert.Equal(local, ServiceAgreement.IsClusterLocal(host, new MeshConfig()));
}
