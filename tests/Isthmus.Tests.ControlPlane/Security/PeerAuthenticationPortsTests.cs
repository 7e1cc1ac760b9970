using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Security;

/// <summary>PeerAuthentications for single ports.</summary>
public sealed class PeerAuthenticationPortsTests
{
    [Theory]
    [InlineData("STRICT", "DISABLE", "raw_buffer tls")]
    [InlineData("STRICT", "PERMISSIVE", "raw_buffer tls")]
    [InlineData("PERMISSIVE", "STRICT", "tls")]
    [InlineData("DISABLE", "STRICT", "tls")]
    [InlineData("STRICT", "STRICT", "")]
    public void A_port_that_no_Service_names_has_its_own_mode(string workload, string port, string transports)
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        var orders = rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1");
        rig.Config($$"""
            apiVersion: security.istio.io/v1
            kind: PeerAuthentication
            metadata: {name: modes, namespace: shop}
            spec: {selector: {matchLabels: {app: orders} }, mtls: {mode: {{workload}} }, portLevelMtls: {9090: {mode: {{port}} } } }
            """);
        rig.Push();
        var listener = MeshRig.Listener(orders, "virtualInbound")!;
        var own = listener.FilterChains.Where(chain => chain.FilterChainMatch.DestinationPort == 9090).ToList();
        Assert.Equal(transports, string.Join(' ', own.Select(chain => chain.FilterChainMatch.TransportProtocol).Distinct().Order()));
        // TLS of the application's own passes without being terminated.
        Assert.Equal(port != workload && port != "DISABLE", own.Any(chain => chain.TransportSocket is not null));
        Assert.All(own, chain => Assert.StartsWith("virtualInbound", chain.Name, StringComparison.Ordinal));
        Assert.All(own.Where(chain => chain.Filters[^1].TypedConfig.TypeUrl.EndsWith(".TcpProxy", StringComparison.Ordinal)), chain =>
            Assert.Equal("InboundPassthroughClusterIpv4", chain.Filters[^1].TypedConfig.Unpack<TcpProxy>().Cluster));
    }
}
