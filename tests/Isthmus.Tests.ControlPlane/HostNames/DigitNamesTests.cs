using Isthmus.Rigs.Mesh;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.HostNames;

/// <summary>Names of Services may begin with a digit since Kubernetes 1.37.</summary>
public sealed class DigitNamesTests
{
    [Fact]
    public void A_Service_whose_name_begins_with_a_digit_is_one_host_over_the_clusters()
    {
        var rig = new MeshRig("c1");
        rig.Join("c2");
        rig.EastWest("c2", "172.18.202.1");
        rig.App("c1", "1web", "10.96.0.1", "10.244.0.1");
        rig.App("c2", "1web", "10.96.0.1", "10.244.0.1");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: web, namespace: shop}
            spec: {hosts: [1web], http: [{route: [{destination: {host: 1web}}], timeout: 3s}]}
            """);
        var client = rig.Sidecar("c1");
        rig.Push();
        const string cluster = "outbound|80||1web.shop.svc.cluster.local";
        Assert.Equal(["10.244.0.1:8080=1", "172.18.202.1:15443=1"], Endpoints(client, cluster).Order());
        var host = Route(client, "80")!.VirtualHosts.Single(host => host.Name == "1web.shop.svc.cluster.local:80");
        Assert.Contains("1web", host.Domains);
        Assert.Equal((cluster, 3), (host.Routes[0].Route_.Cluster, (int)host.Routes[0].Route_.Timeout.Seconds));
        Assert.Equal(["10.96.0.1"], Names(client).Table["1web.shop.svc.cluster.local"].Ips);
    }
}
