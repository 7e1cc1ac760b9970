using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Listeners;
using Xunit;

namespace Isthmus.Tests.Libraries.Traffic;

public sealed class InboundGeneratorTests
{
    private const string AllAlpns = "istio,istio-peer-exchange,istio-http/1.0,istio-http/1.1,istio-h2";
    private const string HttpAlpns = "istio-http/1.0,istio-http/1.1,istio-h2";

    [Theory]
    [InlineData(MtlsMode.Permissive, Protocol.Http, "tls[" + AllAlpns + "] mtls http", "raw_buffer[] plain http")]
    [InlineData(MtlsMode.Permissive, Protocol.Tcp, "tls[" + AllAlpns + "] mtls tcp", "tls[] plain tcp", "raw_buffer[] plain tcp")]
    [InlineData(MtlsMode.Permissive, Protocol.Auto, "tls[" + HttpAlpns + "] mtls http", "raw_buffer[http/1.1,h2c] plain http",
        "tls[istio-peer-exchange,istio] mtls tcp", "raw_buffer[] plain tcp", "tls[] plain tcp")]
    [InlineData(MtlsMode.Strict, Protocol.Http, "tls[] mtls http")]
    [InlineData(MtlsMode.Strict, Protocol.Tcp, "tls[] mtls tcp")]
    [InlineData(MtlsMode.Strict, Protocol.Auto, "tls[" + HttpAlpns + "] mtls http", "tls[] mtls tcp")]
    [InlineData(MtlsMode.Disable, Protocol.Http, "raw_buffer[] plain http")]
    [InlineData(MtlsMode.Disable, Protocol.Tcp, "raw_buffer[] plain tcp")]
    public void The_chains_of_a_port_follow_its_protocol_and_mode(MtlsMode mode, Protocol protocol, params string[] expected)
    {
        var listener = InboundGenerator.Listener(new([new(8080, protocol, mode, [new("orders.shop.svc.cluster.local", "orders", "shop", 80)])],
            MtlsMode.Permissive),
            MeshConfig.Default);
        Assert.Equal(expected, listener.FilterChains.Where(chain => chain.FilterChainMatch.DestinationPort == 8080).Select(Describe));
    }

    [Fact]
    public void Ports_that_no_service_names_have_a_catch_all_of_their_own()
    {
        var listener = InboundGenerator.Listener(new(default, MtlsMode.Permissive), MeshConfig.Default);
        Assert.Equal(
            ["virtualInbound-blackhole", "virtualInbound-catchall-http", "virtualInbound-catchall-http", "virtualInbound", "virtualInbound", "virtualInbound"],
            listener.FilterChains.Select(chain => chain.Name));
    }

    [Fact]
    public void Clients_of_an_aliased_trust_domain_are_accepted()
    {
        var mesh = MeshConfig.Default with { TrustDomain = "new.example", TrustDomainAliases = ["old.example"] };
        var listener = InboundGenerator.Listener(new([new(8080, Protocol.Tcp, MtlsMode.Strict, default)], MtlsMode.Strict), mesh);
        var tls = listener.FilterChains[^1].TransportSocket.TypedConfig.Unpack<DownstreamTlsContext>();
        Assert.Equal(["spiffe://new.example/", "spiffe://old.example/"],
            tls.CommonTlsContext.CombinedValidationContext.DefaultValidationContext.MatchTypedSubjectAltNames.Select(name => name.Matcher.Prefix));
        Assert.True(tls.RequireClientCertificate);
    }

    [Theory]
    [InlineData(Protocol.Http)]
    [InlineData(Protocol.Tcp)]
    [InlineData(Protocol.Auto)]
    public void Chains_of_TCP_in_mesh_TLS_exchange_metadata_and_no_others(Protocol protocol)
    {
        var listener = InboundGenerator.Listener(new([new(8080, protocol, MtlsMode.Permissive, default)], MtlsMode.Permissive), MeshConfig.Default);
        foreach (var chain in listener.FilterChains)
        {
            var speaks = chain.TransportSocket is not null && chain.Filters[^1].Name.EndsWith("tcp_proxy", StringComparison.Ordinal);
            Assert.Equal(speaks, chain.Filters[0].Name == "istio.metadata_exchange");
            if (chain.TransportSocket is not { } tls) continue;
            string[] alpns = speaks ? ["istio-peer-exchange", "h2", "http/1.1"] : ["h2", "http/1.1"];
            Assert.Equal(alpns, tls.TypedConfig.Unpack<DownstreamTlsContext>().CommonTlsContext.AlpnProtocols);
        }
    }

    [Fact]
    public void Where_the_server_may_speak_first_nobody_waits_for_http()
    {
        var listener = InboundGenerator.Listener(new([new(3306, Protocol.Tcp, MtlsMode.Permissive, default),
            new(9000, Protocol.Auto, MtlsMode.Permissive, default)],
            MtlsMode.Permissive),
            MeshConfig.Default);
        var http = listener.ListenerFilters.Single(filter => filter.Name == "envoy.filters.listener.http_inspector");
        Assert.Equal([3306, 15006], http.FilterDisabled.OrMatch.Rules.Select(rule => rule.DestinationPortRange.Start));
    }

    private static string Describe(FilterChain chain)
    {
        var match = chain.FilterChainMatch;
        var kind = chain.Filters[^1].Name.EndsWith("tcp_proxy", StringComparison.Ordinal) ? "tcp" : "http";
        return $"{match.TransportProtocol}[{string.Join(',', match.ApplicationProtocols)}] {(chain.TransportSocket is null ? "plain" : "mtls")} {kind}";
    }
}
