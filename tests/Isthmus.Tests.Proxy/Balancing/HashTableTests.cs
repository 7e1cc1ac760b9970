using System.Net;
using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Balancing;

public sealed class HashTableTests
{
    [Theory]
    [InlineData("", 0, 0xEF46DB3751D8E999)]
    [InlineData("a", 0, 0xD24EC4F1A98C6E5B)]
    [InlineData("abc", 0, 0x44BC2CF5AD770999)]
    [InlineData("Nobody inspects the spammish repetition", 0, 0xFBCEA83C8A378BF1)]
    public void Hashes_are_those_of_the_published_algorithm(string text, ulong seed, ulong hash)
    {
        Assert.Equal(hash, XxHash64.Of(text, seed));
        Assert.Equal(hash, XxHash64.Of(Encoding.UTF8.GetBytes(text), seed));
        Assert.NotEqual(hash, XxHash64.Of(text, seed + 1));
    }

    [Theory]
    [InlineData("10.0.0.1")]
    [InlineData("2001:db8::1")]
    [InlineData("fe80::1%4294967295")]
    public void The_hash_of_an_address_is_that_of_its_text(string address) => Assert.Equal(XxHash64.Of(address), XxHash64.Of(IPAddress.Parse(address)));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_pick_allocates_nothing(bool maglev)
    {
        var hosts = Hosts(90, 91, 92);
        var table = maglev ? HashTable.Maglev(hosts, 1009) : HashTable.Ring(hosts, 1024, 10000);
        var client = IPAddress.Parse("203.0.113.7");
        Assert.Equal(0, Allocations.Least(() =>
        {
            for (var i = 0; i < 1000; i++) Pick();
        }));

        void Pick()
        {
            Assert.NotNull(table.Pick(XxHash64.Of(client), new(0, null, null), false, false));
            Assert.NotNull(table.PickAny(XxHash64.Of("a key"), new(0, null, null)));
        }
    }

    /// <summary>The positions are those of Envoy's own tests.</summary>
    [Theory]
    [InlineData(0, 94)]
    [InlineData(833437586790550860, 94)]
    [InlineData(833437586790550861, 92)]
    [InlineData(1033482794131418490, 90)]
    [InlineData(3551244743356806947, 95)]
    [InlineData(3551244743356806948, 93)]
    [InlineData(6311230543546372928, 91)]
    [InlineData(16117243373044804889, 90)]
    [InlineData(16117243373044804890, 94)]
    public void A_ring_is_the_same_as_Envoys(ulong key, int port) =>
        Assert.Equal(port, Port(HashTable.Ring(Hosts(90, 91, 92, 93, 94, 95), 12, 1000).Pick(key, new(0, null, null), false, false)));

    [Fact]
    public void A_Maglev_table_is_the_same_as_Envoys()
    {
        var table = HashTable.Maglev(Hosts(95, 90, 91, 92, 93, 94), 7);
        Assert.Equal([92, 94, 90, 91, 95, 90, 93], Enumerable.Range(0, 7).Select(key => Port(table.Pick((ulong)key, new(0, null, null), false, false))));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Weights_decide_the_share_of_the_keys(bool maglev)
    {
        var hosts = Hosts(90, 91);
        (Host, double)[] shares = [(hosts[0].Host, 0.25), (hosts[1].Host, 0.75)];
        var table = maglev ? HashTable.Maglev(shares, 65537) : HashTable.Ring(shares, 1024, 10000);
        var first = Enumerable.Range(0, 10000).Count(key => table.Pick(XxHash64.Of($"{key}"), new(0, null, null), false, false) == hosts[0].Host);
        Assert.InRange(first, 2200, 2800);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_host_that_may_not_be_used_leaves_the_keys_of_others_alone(bool maglev)
    {
        var hosts = Hosts(90, 91, 92);
        var table = maglev ? HashTable.Maglev(hosts, 1009) : HashTable.Ring(hosts, 1024, 10000);
        foreach (var key in Enumerable.Range(0, 300).Select(key => XxHash64.Of($"{key}")))
        {
            var host = table.Pick(key, new(0, null, null), false, false)!;
            var next = table.Pick(key, new(0, [hosts[0].Host], null), false, false)!;
            Assert.True(host == hosts[0].Host ? next != host : next == host);
        }
        Assert.Null(table.Pick(1, new(0, [.. hosts.Select(host => host.Host)], null), true, false));
        Assert.Contains(table.PickAny(1, new(0, [.. hosts.Select(host => host.Host)], null)), hosts.Select(host => host.Host));
    }

    private static (Host Host, double Share)[] Hosts(params int[] ports) =>
        [.. ports.Select(
            port => (new Host(new Endpoint(new IPEndPoint(IPAddress.Loopback, port), 1, EndpointHealth.Healthy, ValueMap<string>.Empty, Workload.Unknown,
                false)),
            1.0 / ports.Length))];

    private static int Port(Host? host) => ((IPEndPoint)host!.Address).Port;
}
