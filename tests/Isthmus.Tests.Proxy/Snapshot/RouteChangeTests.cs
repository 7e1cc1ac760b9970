using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Testing;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.Proxy.Snapshot;

/// <summary>A route table that changed is decoded as far as it changed.</summary>
public sealed class RouteChangeTests
{
    private const int Field = RouteConfiguration.VirtualHostsFieldNumber;

    [Fact]
    public void A_changed_table_decides_as_if_it_were_decoded_anew() => Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
    {
        var random = new Random(seed);
        RouteTable? live = null;
        XdsParts? last = null;
        for (var step = 0; step < 30; step++)
        {
            var table = new RouteConfiguration { Name = "t", IgnorePortInHostMatching = random.Next(10) == 0 };
            foreach (var number in Enumerable.Range(0, 8).Where(_ => random.Next(4) > 0))
                table.VirtualHosts.Add(Host(number, $"to-{random.Next(3)}", random.Next(3) == 0));
            var next = Kept(XdsParts.Split(table.ToByteString(), Field), last);
            live = RouteDecoder.Decode(next, live);
            var fresh = RouteDecoder.Decode(table);
            foreach (var name in (string[])["h0.example", "H3.EXAMPLE", "x.h4.example", "h5.example:80", "also-h6.example", "other"])
                Assert.Equal(Target(fresh, name), Target(live, name));
            Assert.Equal(table, live.Resource);
            last = next;
        }
    }).MustHold(200);

    [Fact]
    public void Hosts_that_did_not_change_are_not_decoded_again()
    {
        var table = new RouteConfiguration { Name = "t", VirtualHosts = { Enumerable.Range(0, 100).Select(number => Host(number, "before", false)) } };
        var before = XdsParts.Split(table.ToByteString(), Field);
        var live = RouteDecoder.Decode(before, null);
        var next = RouteDecoder.Decode(before with { Items = before.Items.SetItem(7, XdsPart.Of(Host(7, "after", false))) }, live);
        Assert.Same(live.Domains, next.Domains);
        Assert.Equal("after", Target(next, "h7.example"));
        Assert.Equal("before", Target(live, "h7.example"));
        for (var number = 0; number < 100; number++)
            Assert.Equal(number != 7, ReferenceEquals(live.Find($"h{number}.example"), next.Find($"h{number}.example")));
        // One that goes moves the places of those after it.
        var shorter = RouteDecoder.Decode(before with { Items = before.Items.RemoveAt(3) }, next);
        Assert.Null(shorter.Find("h3.example"));
        Assert.Same(live.Find("h99.example"), shorter.Find("h99.example"));
    }

    [Fact]
    public void What_a_table_says_of_all_hosts_decodes_them_anew()
    {
        var table = new RouteConfiguration { Name = "t", VirtualHosts = { Host(1, "a", false) } };
        var parts = XdsParts.Split(table.ToByteString(), Field);
        var live = RouteDecoder.Decode(parts, null);
        var next = RouteDecoder.Decode(parts with { Head = new RouteConfiguration { Name = "t", IgnorePortInHostMatching = true }.ToByteString() }, live);
        Assert.Null(live.Find("h1.example:81"));
        Assert.NotNull(next.Find("h1.example:81"));
    }

    [Fact]
    public void A_change_that_gives_a_domain_twice_is_refused()
    {
        var table = new RouteConfiguration { Name = "t", VirtualHosts = { Host(1, "a", false), Host(2, "a", false) } };
        var parts = XdsParts.Split(table.ToByteString(), Field);
        var live = RouteDecoder.Decode(parts, null);
        var changed = parts with { Items = parts.Items.SetItem(1, XdsPart.Of(Host(1, "b", false))) };
        var error = Assert.Throws<ResourceException>(() => RouteDecoder.Decode(changed, live));
        Assert.Equal("route 't': only unique values for domains are permitted; duplicate entry of domain h1.example", error.Message);
    }

    [Fact]
    public void A_table_of_a_file_whose_hosts_would_come_from_discovery_is_refused()
    {
        var error = Assert.Throws<ResourceException>(() => RouteDecoder.Decode(new RouteConfiguration { Name = "t", Vhds = new() }));
        Assert.Equal("route 't': vhds: works only in tables that come from discovery", error.Message);
    }

    /// <summary>The same objects for parts that are equal, as a client has them.</summary>
    private static XdsParts Kept(XdsParts parts, XdsParts? last) =>
        last is null ? parts : parts with { Items = [.. parts.Items.Select(item => last.Items.FirstOrDefault(item.Equals) ?? item)] };

    private static VirtualHost Host(int number, string cluster, bool isWide) => new()
    {
        Name = $"h{number}",
        Domains = { isWide ? [$"h{number}.example", $"*.h{number}.example"] : [$"h{number}.example"] },
        Routes = { new Route { Match = new() { Prefix = "/" }, Route_ = new() { Cluster = cluster } } },
    };

    private static string? Target(RouteTable table, string name) => (table.Find(name)?.Routes[0].Act as ForwardAct)?.Targets[0].Cluster;
}
