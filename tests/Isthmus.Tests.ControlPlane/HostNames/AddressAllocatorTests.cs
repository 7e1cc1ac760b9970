using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.ControlPlane.Addresses;
using Isthmus.ControlPlane.Derive;
using Isthmus.Core.Net;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.ControlPlane.HostNames;

public sealed class AddressAllocatorTests
{
    private static readonly HashSet<IPAddress> Nothing = [];

    [Fact]
    public void Addresses_never_clash_never_change_and_stay_in_the_range()
    {
        var hosts = Gen.Choose(0, 40).Select(i => $"h{i}.shop.svc.cluster.local");
        Prop.ForAll(Arb.From(hosts.ListOf().ListOf()), history =>
        {
            var allocator = new AddressAllocator();
            var ever = new Dictionary<string, string>();
            var range = Cidr.Parse("240.240.0.0/16");
            foreach (var needed in history)
            {
                var given = allocator.Reconcile(needed, Nothing);
                Assert.Equal(needed.Distinct().Count(), given.Count);
                Assert.Equal(given.Count, given.Values.Distinct().Count());
                foreach (var (host, address) in given)
                {
                    Assert.True(range.Contains(IPAddress.Parse(address)));
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
        Assert.Equal("240.240.1.1", given["a"]);
        Assert.NotEqual("240.240.1.1", given["b"]);
    }

    [Fact]
    public void An_address_that_an_object_names_itself_is_left_to_it()
    {
        var plain = new AddressAllocator().Reconcile(["a"], Nothing)["a"];
        var avoiding = new AddressAllocator().Reconcile(["a"], new HashSet<IPAddress> { IPAddress.Parse(plain) })["a"];
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
}
