using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.ControlPlane.Addresses;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Settings;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.ControlPlane.HostNames;

public sealed class AddressAllocatorTests
{
    private static readonly HashSet<Address> Nothing = [];

    [Fact]
    public void Addresses_never_clash_never_change_and_stay_in_the_range()
    {
        var hosts = Gen.Choose(0, 40).Select(i => $"h{i}.shop.svc.cluster.local");
        Prop.ForAll(Arb.From(hosts.ListOf().ListOf()), history =>
        {
            var allocator = new AddressAllocator();
            var ever = new Dictionary<string, ValueList<Address>>();
            var range = Cidr.Parse("240.240.0.0/16");
            foreach (var needed in history)
            {
                var given = allocator.Reconcile(needed, Nothing);
                Assert.Equal(needed.Distinct().Count(), given.Count);
                Assert.Equal(given.Count, given.Values.Distinct().Count());
                foreach (var (host, address) in given)
                {
                    Assert.True(range.Contains(address[0].ToIPAddress()));
                    Assert.Equal(address, ever.TryGetValue(host, out var before) ? before : ever[host] = address);
                }
            }
        }).MustHold();
    }

    [Fact]
    public void A_table_survives_a_restart()
    {
        var first = new AddressAllocator();
        var before = first.Reconcile(Enumerable.Range(0, 500).Select(i => $"h{i}"), Nothing);
        var second = new AddressAllocator();
        Assert.Equal(0, second.Import(first.Export()));
        Assert.Equal(before, second.Reconcile(Enumerable.Range(0, 500).Select(i => $"h{i}"), Nothing));
    }

    [Fact]
    public void A_large_table_is_kept_in_parts_that_come_together_again()
    {
        var allocator = new AddressAllocator();
        allocator.Reconcile(Enumerable.Range(0, 9000).Select(i => $"h{i}.shop.svc.cluster.local"), Nothing);
        var parts = AddressTable.Split(allocator.Export());
        Assert.Equal(["isthmus-addresses", "isthmus-addresses-1", "isthmus-addresses-2"], parts.Keys.Order());
        Assert.Equal(allocator.Export().ToArray(), parts.Values.SelectMany(part => part).OrderBy(item => item.Key, StringComparer.Ordinal).ToArray());
        Assert.All(parts.Values, part => Assert.True(part.Sum(item => item.Key.Length + item.Value.Length + 8) < 1 << 19));
    }

    [Fact]
    public void A_broken_table_is_taken_over_as_far_as_it_makes_sense()
    {
        var allocator = new AddressAllocator();
        var refused = allocator.Import(new Dictionary<string, string>
        {
            ["a"] = "240.240.1.1", ["b"] = "240.240.1.1", ["c"] = "10.0.0.1", ["d"] = "nonsense", ["e"] = "240.240.1.0"
        });
        Assert.Equal(4, refused);
        var given = allocator.Reconcile(["a", "b"], Nothing);
        Assert.Equal("240.240.1.1", Assert.Single(given["a"]).ToString());
        Assert.NotEqual("240.240.1.1", Assert.Single(given["b"]).ToString());
    }

    [Fact]
    public void An_address_that_an_object_names_itself_is_left_to_it()
    {
        var plain = new AddressAllocator().Reconcile(["a"], Nothing)["a"];
        var avoiding = new AddressAllocator().Reconcile(["a"], plain.ToHashSet())["a"];
        Assert.NotEqual(plain, avoiding);
    }

    [Fact]
    public void When_the_range_is_full_the_longest_gone_give_way()
    {
        const int capacity = 256 * 254;
        var allocator = new AddressAllocator();
        allocator.Reconcile(["first"], Nothing);
        var address = allocator.Reconcile(["first"], Nothing)["first"];
        allocator.Reconcile(Enumerable.Range(0, capacity - 1).Select(i => $"h{i}"), Nothing);
        var given = allocator.Reconcile(Enumerable.Range(0, capacity - 1).Select(i => $"h{i}").Append("late"), Nothing);
        Assert.Equal(address, given["late"]);
        Assert.False(allocator.Reconcile(Enumerable.Range(0, capacity + 1).Select(i => $"x{i}"), Nothing).Count > capacity);
    }

    [Fact]
    public void Ranges_of_any_family_and_number_give_one_address_of_each_family()
    {
        var ranges = ((string[])["10.9.0.0/29", "2001:2::/48", "240.240.0.0/30", "fd00::/126"]).Select(Cidr.Parse).ToValueList();
        var hosts = Gen.Choose(0, 12).Select(i => $"h{i}");
        Prop.ForAll(Arb.From(hosts.ListOf().ListOf()), history =>
        {
            var allocator = new AddressAllocator(ranges);
            foreach (var needed in history)
            {
                var given = allocator.Reconcile(needed, Nothing);
                Assert.Equal(needed.Distinct().Count(), given.Count);
                var all = given.Values.SelectMany(addresses => addresses).ToList();
                Assert.Equal(all.Count, all.Distinct().Count());
                Assert.All(all, address => Assert.True(ranges.Any(range => range.Contains(address.ToIPAddress())) && allocator.Covers(address)));
                Assert.All(given.Values, addresses => Assert.Equal(addresses.Count, addresses.Select(address => address.Family).Distinct().Count()));
                Assert.All(given.Values, addresses => Assert.Contains(addresses, address => !address.IsV4));
                Assert.True(all.Count(address => address.IsV4) == Math.Min(10, given.Count));
                var second = new AddressAllocator(ranges);
                Assert.Equal(0, second.Import(allocator.Export()));
                Assert.Equal(given, second.Reconcile(needed, Nothing));
            }
        }).MustHold();
    }

    /// <summary>An object may declare an address that a host has already, or one that is not to be given.</summary>
    [Fact]
    public void A_range_is_full_only_when_every_address_is_given_or_declared()
    {
        var allocator = new AddressAllocator([Cidr.Parse("240.240.0.0/29")]);
        var six = Enumerable.Range(0, 6).Select(i => $"h{i}").ToList();
        var given = allocator.Reconcile(six, Nothing);
        HashSet<Address> taken = [.. given.Values.Take(2).Select(addresses => addresses[0]), Address.Of(IPAddress.Parse("240.240.0.0"))];
        Assert.Equal(7, allocator.Reconcile([.. six, "late"], taken).Count);
        Assert.Equal(7, allocator.Reconcile([.. six, "late", "later"], taken).Count);
    }

    [Fact]
    public void A_host_that_found_the_range_full_leaves_nothing_behind_and_gets_an_address_when_one_is_free()
    {
        var allocator = new AddressAllocator([Cidr.Parse("10.9.0.1/32")]);
        Assert.Equal(["a"], allocator.Reconcile(["a", "b"], Nothing).Keys);
        Assert.Equal(["a"], allocator.Reconcile(["a"], Nothing).Keys);
        Assert.Equal(["a"], allocator.Reconcile(["a", "c"], Nothing).Keys);
        Assert.Equal(["c"], allocator.Reconcile(["c"], Nothing).Keys);
    }

    [Fact]
    public void A_host_keeps_its_address_when_a_family_is_added()
    {
        var old = new AddressAllocator();
        var before = old.Reconcile(["web"], Nothing)["web"];
        var both = new AddressAllocator([.. AddressAllocator.DefaultRanges, Cidr.Parse("2001:2::/48")]);
        Assert.Equal(0, both.Import(old.Export()));
        var after = both.Reconcile(["web"], Nothing)["web"];
        Assert.Equal((before[0], 2), (after[0], after.Count));
        Assert.Equal($"{after[0]},{after[1]}", both.Export()["web"]);
        // Taken back, the other family's addresses are not ours any more.
        var again = new AddressAllocator();
        Assert.Equal(1, again.Import(both.Export()));
        Assert.Equal(before, again.Reconcile(["web"], Nothing)["web"]);
    }

    [Theory]
    [InlineData("", "there is none")]
    [InlineData("240.240.0.0/16 240.240.128.0/17", "240.240.128.0/17 overlaps 240.240.0.0/16")]
    [InlineData("127.0.0.0/16", "127.0.0.0/16 overlaps 127.0.0.0/8")]
    [InlineData("0.0.0.0/0", "0.0.0.0/0 overlaps 0.0.0.0/8")]
    [InlineData("224.0.0.0/24", "224.0.0.0/24 overlaps 224.0.0.0/4")]
    [InlineData("fe80::/64", "fe80::/64 overlaps fe80::/10")]
    [InlineData("::/0", "::/0 overlaps ::/8")]
    [InlineData("::ffff:10.9.0.0/112", "is a range of IPv4 addresses in the form of IPv6")]
    [InlineData("10.0.0.255/32", "10.0.0.255/32 has no address")]
    [InlineData("2001:2::/128", "2001:2::/128 has no address")]
    public void A_range_that_cannot_be_used_is_refused(string ranges, string reason)
    {
        var list = ranges.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Cidr.Parse).ToValueList();
        Assert.Contains(reason, Assert.Throws<ProblemException>(() => new AddressAllocator(list)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "", "240.240.0.0/16")]
    [InlineData("10.9.0.0/16", "", "10.9.0.0/16")]
    [InlineData("", "2001:2::/48", "240.240.0.0/16 2001:2::/48")]
    public void The_ranges_are_those_of_Istios_variables(string v4, string v6, string expected) =>
        Assert.Equal(expected, string.Join(' ', Settings(v4, v6).AllocatedRanges));

    [Theory]
    [InlineData("2001:2::/48", "", "PILOT_IP_AUTOALLOCATE_IPV4_PREFIX")]
    [InlineData("", "10.9.0.0/16", "PILOT_IP_AUTOALLOCATE_IPV6_PREFIX")]
    [InlineData("240.240", "", "PILOT_IP_AUTOALLOCATE_IPV4_PREFIX")]
    [InlineData("127.0.0.0/8", "", "ranges of allocated addresses")]
    public void A_variable_that_is_no_range_of_its_family_is_refused_by_name(string v4, string v6, string place) =>
        Assert.Equal(place, Assert.Throws<ProblemException>(() => Settings(v4, v6)).Problem.Object);

    /// <summary>A proxy of one family is not told of addresses that its applications cannot dial.</summary>
    [Theory]
    [InlineData("10.244.0.7", 1, 0)]
    [InlineData("fd00::7", 0, 1)]
    [InlineData("10.244.0.7 fd00::7", 1, 1)]
    public void A_proxy_gets_the_addresses_of_its_families(string own, int v4, int v6)
    {
        var rig = new MeshRig(MultiClusterSettings.Default, "c1", ["c1", "c2"], new([.. AddressAllocator.DefaultRanges, Cidr.Parse("2001:2::/48")]));
        rig.AppOn("c2", "db", "10.96.0.20", "tcp", 443, "10.244.0.1");
        var client = rig.Connect(new(ProxyKind.Sidecar, "client", "shop", "shop.svc.cluster.local", "c1", "net-c1", default,
            own.Split(' ').Select(text => Address.Parse(text)).ToValueList(),
            default, "default", "client", "node", "REDIRECT", true, false, "", "", Locality.Unknown));
        rig.Push();
        var ips = MeshRig.Names(client).Table["db.shop.svc.cluster.local"].Ips;
        int Of(string range) => ips.Count(ip => Cidr.Parse(range).Contains(Address.Parse(ip).ToIPAddress()));
        Assert.Equal((v4, v6), (Of("240.240.0.0/16"), Of("2001:2::/48")));
        Assert.All(ips, ip => Assert.NotNull(MeshRig.Listener(client, $"{ip}_443")));
    }

    private static DiscoverySettings Settings(string v4, string v6) => DiscoverySettings.Read([], name => name switch
    {
        "PILOT_IP_AUTOALLOCATE_IPV4_PREFIX" => v4,
        "PILOT_IP_AUTOALLOCATE_IPV6_PREFIX" => v6,
        _ => null,
    });
}
