using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Clusters;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Traffic;

/// <summary>The annotation <c>istio.io/connect-strategy</c>: how callers choose among the addresses of a name.</summary>
public sealed class ConnectStrategyTests
{
    [Theory]
    [InlineData("RACE_FIRST_TCP_CONNECT", "DNS", Cluster.Types.DiscoveryType.LogicalDns, Cluster.Types.DnsLookupFamily.All)]
    [InlineData("race_first_tcp_connect", "DNS_ROUND_ROBIN", Cluster.Types.DiscoveryType.LogicalDns, Cluster.Types.DnsLookupFamily.All)]
    [InlineData("DEFAULT", "DNS", Cluster.Types.DiscoveryType.StrictDns, Cluster.Types.DnsLookupFamily.V4Only)]
    [InlineData("", "DNS_ROUND_ROBIN", Cluster.Types.DiscoveryType.LogicalDns, Cluster.Types.DnsLookupFamily.V4Only)]
    [InlineData("RACE_FIRST_TCP_CONNECT", "STATIC", Cluster.Types.DiscoveryType.Eds, Cluster.Types.DnsLookupFamily.Auto)]
    public void A_name_is_one_host_whose_addresses_are_raced(string strategy, string resolution, Cluster.Types.DiscoveryType type,
        Cluster.Types.DnsLookupFamily family)
    {
        var rig = new MeshRig("c1");
        rig.Config($$"""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: there, namespace: shop, annotations: {istio.io/connect-strategy: '{{strategy}}'} }
            spec: {hosts: [a.example], ports: [{name: tcp, number: 80, protocol: TCP}], resolution: {{resolution}},
              endpoints: [{address: {{(resolution == "STATIC" ? "192.0.2.1" : "b.example")}} }]}
            """);
        var caller = rig.Sidecar("c1");
        rig.Push();
        var cluster = MeshRig.Cluster(caller, "outbound|80||a.example")!;
        Assert.Equal((type, family), (cluster.Type, cluster.DnsLookupFamily));
    }
}
