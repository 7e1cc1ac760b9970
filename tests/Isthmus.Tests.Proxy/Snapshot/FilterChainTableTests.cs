using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tls;
using Xunit;

namespace Isthmus.Tests.Proxy.Snapshot;

public sealed class FilterChainTableTests
{
    private static readonly FilterChainTable Table = new(
    [
        Chain("blackhole", port: 15006),
        Chain("any-mesh", ranges: ["0.0.0.0/0"], transport: "tls", protocols: ["istio"]),
        Chain("any-http", ranges: ["0.0.0.0/0"], transport: "raw_buffer", protocols: ["http/1.1"]),
        Chain("any-raw", ranges: ["0.0.0.0/0"], transport: "raw_buffer"),
        Chain("narrow", ranges: ["10.1.0.0/16"], transport: "raw_buffer"),
        Chain("port-mesh", port: 5000, transport: "tls", protocols: ["istio", "istio-http/1.1"]),
        Chain("port-raw", port: 5000, transport: "raw_buffer"),
        Chain("named", port: 443, names: ["a.shop.example"]),
        Chain("wild", port: 443, names: ["*.shop.example"]),
        Chain("wilder", port: 443, names: ["*.example"]),
    ], Chain("default"));

    [Theory]
    [InlineData("10.9.9.9", 15006, "", "raw_buffer", "", "blackhole")]
    [InlineData("10.9.9.9", 80, "", "tls", "istio", "any-mesh")]
    [InlineData("10.9.9.9", 80, "", "tls", "h2", "default")]
    [InlineData("10.9.9.9", 80, "", "raw_buffer", "http/1.1", "any-http")]
    [InlineData("10.9.9.9", 80, "", "raw_buffer", "", "any-raw")]
    [InlineData("10.1.9.9", 80, "", "raw_buffer", "http/1.1", "narrow")]
    [InlineData("10.1.9.9", 80, "", "tls", "istio", "default")]
    [InlineData("10.9.9.9", 5000, "", "tls", "x istio-http/1.1", "port-mesh")]
    [InlineData("10.9.9.9", 5000, "", "tls", "h2", "default")]
    [InlineData("10.9.9.9", 5000, "", "raw_buffer", "http/1.1", "port-raw")]
    [InlineData("10.9.9.9", 443, "a.shop.example", "tls", "", "named")]
    [InlineData("10.9.9.9", 443, "b.shop.example", "tls", "", "wild")]
    [InlineData("10.9.9.9", 443, "x.y.example", "tls", "", "wilder")]
    [InlineData("10.9.9.9", 443, "example", "tls", "", "default")]
    public void Chains_are_chosen_in_Envoys_order_without_a_way_back(string address, int port, string name, string transport, string protocols, string expected)
    {
        var facts = new ConnectionFacts(new IPEndPoint(IPAddress.Parse(address), port), new IPEndPoint(IPAddress.Parse("10.0.0.1"), 1), name, transport,
            protocols.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(expected, Table.Find(facts)?.Name);
    }

    private static FilterChainSnapshot Chain(string name, int port = 0, string[]? ranges = null, string[]? names = null, string transport = "",
        string[]? protocols = null) =>
        new(
        name,
        new ChainMatch(port, (ranges ?? []).Select(Cidr.Parse).ToValueList(), (names ?? []).ToValueList(), transport, (protocols ?? []).ToValueList(), [], [],
            [], SourceKind.Any),
        null, new TcpAction("", [new("c", 1)], TimeSpan.Zero, 1, TimeSpan.Zero, []), []);
}
