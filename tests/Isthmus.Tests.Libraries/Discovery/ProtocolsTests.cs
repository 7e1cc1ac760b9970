using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Xunit;

namespace Isthmus.Tests.Libraries.Discovery;

public sealed class ProtocolsTests
{
    [Theory]
    [InlineData("TCP", "", "http", 8080, Protocol.Http)]
    [InlineData("TCP", "", "http-web", 8080, Protocol.Http)]
    [InlineData("TCP", "", "httpx", 8080, Protocol.Auto)]
    [InlineData("TCP", "", "grpc-web-x", 8080, Protocol.GrpcWeb)]
    [InlineData("TCP", "", "grpc-api", 8080, Protocol.Grpc)]
    [InlineData("TCP", "", "status-port", 8080, Protocol.Auto)]
    [InlineData("TCP", "", "", 3306, Protocol.Tcp)]
    [InlineData("TCP", "http", "tcp-db", 3306, Protocol.Http)]
    [InlineData("TCP", "kubernetes.io/h2c", "x", 80, Protocol.Http2)]
    [InlineData("UDP", "http", "http", 53, Protocol.Udp)]
    public void The_protocol_comes_from_appProtocol_then_the_name_then_known_ports(string transport, string appProtocol, string name, int port,
        Protocol expected) =>
        Assert.Equal(expected, Protocols.Of(transport, appProtocol, name, port));

    [Theory]
    [InlineData("outbound|80|v1|a.b", 80, "v1", "a.b", false)]
    [InlineData("outbound_.443_._.a.b.svc", 443, "", "a.b.svc", true)]
    public void Names_of_clusters_are_read_back(string name, int port, string subset, string host, bool sni)
    {
        Assert.True(ResourceNames.TryParseOutbound(name, out var readPort, out var readSubset, out var readHost, out var readSni));
        Assert.Equal((port, subset, host, sni), (readPort, readSubset, readHost, readSni));
        Assert.Equal(name, sni ? ResourceNames.Sni(port, subset, host) : ResourceNames.Outbound(port, subset, host));
    }

    [Theory]
    [InlineData("inbound|80||")]
    [InlineData("outbound|x||a")]
    [InlineData("outbound_.80")]
    [InlineData("")]
    public void Other_names_are_not(string name) => Assert.False(ResourceNames.TryParseOutbound(name, out _, out _, out _, out _));

    [Fact]
    public void A_port_beats_the_workload_which_beats_the_namespace_which_beats_the_mesh()
    {
        ValueMap<string> labels = new([KeyValuePair.Create("app", "a")]);
        var mesh = Policy("istio-system", default, MtlsMode.Strict);
        var ns = Policy("shop", default, MtlsMode.Disable);
        var workload = Policy("shop", labels, MtlsMode.Unset) with { Ports = new([KeyValuePair.Create("9000", MtlsMode.Strict)]) };
        Assert.Equal(MtlsMode.Permissive, MtlsPolicy.Resolve([], [], labels).Mode);
        Assert.Equal(MtlsMode.Strict, MtlsPolicy.Resolve([mesh], [], labels).Mode);
        Assert.Equal(MtlsMode.Disable, MtlsPolicy.Resolve([mesh], [ns], labels).Mode);
        var resolved = MtlsPolicy.Resolve([mesh], [ns, workload], labels);
        Assert.Equal((MtlsMode.Disable, MtlsMode.Strict), (resolved.ForPort(80), resolved.ForPort(9000)));
    }

    private static PeerAuthentication Policy(string ns, ValueMap<string> selector, MtlsMode mode) =>
        new(new("c1", "PeerAuthentication", ns, "x"), selector, mode, default, 0);
}
