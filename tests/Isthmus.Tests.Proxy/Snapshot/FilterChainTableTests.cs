using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tls;
using Isthmus.Testing;
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

    // The most specific entry of each step wins, and the steps after it only choose among what is left.
    [Theory]
    [InlineData("10.1.2.3", 1000, "", "narrow")]
    [InlineData("10.1.9.9", 1000, "", "wide")]
    [InlineData("10.1.9.9", 7000, "", "wide-port")]
    [InlineData("10.1.2.3", 7000, "", "narrow")]
    [InlineData("192.0.2.1", 1000, "", "outside")]
    [InlineData("127.0.0.1", 1000, "", "local")]
    [InlineData("10.5.5.5", 1000, "", "local")]
    [InlineData("10.1.2.3", 1000, "172.16.0.9", "proxied")]
    [InlineData("192.0.2.1", 1000, "172.16.0.9", null)]
    [InlineData("10.1.2.3", 1000, "172.17.0.9", "narrow")]
    public void Sources_are_chosen_in_Envoys_order_without_a_way_back(string source, int port, string direct, string? expected)
    {
        var table = new FilterChainTable(
        [
            From("outside", kind: SourceKind.External),
            From("local", kind: SourceKind.Local),
            From("wide", kind: SourceKind.External, sources: ["10.1.0.0/16"]),
            From("wide-port", kind: SourceKind.External, sources: ["10.1.0.0/16"], ports: [7000]),
            From("narrow", kind: SourceKind.External, sources: ["10.0.0.0/8", "10.1.2.0/24"]),
            From("proxied", direct: ["172.16.0.0/16"], sources: ["10.0.0.0/8"]),
        ], null);
        var facts = new ConnectionFacts(new IPEndPoint(IPAddress.Parse("10.5.5.5"), 80), new IPEndPoint(IPAddress.Parse(source), port), "", "raw_buffer", [])
        {
            DirectSource = direct.Length > 0 ? IPAddress.Parse(direct) : null,
        };
        Assert.Equal(expected, table.Find(facts)?.Name);
    }

    [Fact]
    public void A_choice_allocates_nothing()
    {
        var facts = new ConnectionFacts(new IPEndPoint(IPAddress.Parse("10.9.9.9"), 5000), new IPEndPoint(IPAddress.Parse("10.0.0.1"), 1), "", "tls",
            ["x", "istio"]);
        Assert.Equal(0, Allocations.Least(() => Table.Find(facts)));
    }

    private static FilterChainSnapshot From(string name, SourceKind kind = SourceKind.Any, string[]? direct = null, string[]? sources = null,
        int[]? ports = null) =>
        new(name, new ChainMatch(0, [], [], "", [], Ranges(direct), Ranges(sources), (ports ?? []).ToValueList(), kind), null,
            new TcpAction("", [new("c", 1)], TimeSpan.Zero, 1, TimeSpan.Zero, []), []);

    private static ValueList<Cidr> Ranges(string[]? ranges) => (ranges ?? []).Select(Cidr.Parse).ToValueList();

    private static FilterChainSnapshot Chain(string name, int port = 0, string[]? ranges = null, string[]? names = null, string transport = "",
        string[]? protocols = null) =>
        new(
        name,
        new ChainMatch(port, (ranges ?? []).Select(Cidr.Parse).ToValueList(), (names ?? []).ToValueList(), transport, (protocols ?? []).ToValueList(), [], [],
            [], SourceKind.Any),
        null, new TcpAction("", [new("c", 1)], TimeSpan.Zero, 1, TimeSpan.Zero, []), []);
}
