using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Proxy.Dns;
using Isthmus.Testing;
using Isthmus.Wire.Dns;
using Isthmus.Wire.Istio;
using Xunit;

namespace Isthmus.Tests.Proxy.Dns;

public sealed class DnsResponderTests
{
    private static readonly NameTables Table = NameTables.Build(
        new()
        {
            Table =
            {
                ["shop.sample.svc.cluster.local"] = Info("Kubernetes", "shop", "sample", "10.96.0.7"),
                ["db.other.svc.cluster.local"] = Info("Kubernetes", "db", "other", "10.96.0.8", "fd00::8"),
                ["many.sample.svc.cluster.local"] = Info("Kubernetes", "many", "sample", "10.1.0.1", "10.1.0.2", "10.1.0.3"),
                ["many-0.many.sample.svc.cluster.local"] = Info("Kubernetes", "many", "sample", "10.1.0.1"),
                ["1web.sample.svc.cluster.local"] = Info("Kubernetes", "1web", "sample", "10.96.0.9"),
                ["shop.bar.global"] = Info("External", "", "", "240.0.0.2"),
                ["*.wild.example"] = Info("External", "", "", "240.0.0.3"),
            },
        },
        "sample", "sample.svc.cluster.local", ["sample.svc.cluster.local", "svc.cluster.local", "cluster.local"]);

    [Theory]
    [InlineData("shop.sample.svc.cluster.local", "10.96.0.7")]
    [InlineData("SHOP.Sample.svc.cluster.local", "10.96.0.7")]
    [InlineData("shop.sample.svc", "10.96.0.7")]
    [InlineData("shop.sample", "10.96.0.7")]
    [InlineData("shop", "10.96.0.7")]
    [InlineData("1web", "10.96.0.9")]
    [InlineData("1web.sample.svc", "10.96.0.9")]
    [InlineData("db.other", "10.96.0.8")]
    [InlineData("many-0.many", "10.1.0.1")]
    [InlineData("shop.bar.global", "240.0.0.2")]
    [InlineData("a.b.wild.example", "240.0.0.3")]
    public void Known_name_is_answered_in_all_its_forms(string name, string address)
    {
        var answer = Ask(name, DnsType.A)!;
        Assert.Equal((DnsCode.NoError, name), (answer.Header.Code, answer.Questions[0].Name));
        Assert.Equal([new DnsRecord(name, 30, new AddressContent(IPAddress.Parse(address)))], answer.Answers);
    }

    [Theory]
    [InlineData("db")]
    [InlineData("wild.example")]
    [InlineData("shop.other")]
    [InlineData("bar.global")]
    [InlineData("example.com")]
    public void Unknown_name_and_the_bare_name_of_another_namespace_are_passed_on(string name) => Assert.Null(Ask(name, DnsType.A));

    [Fact]
    public void Name_below_the_first_search_domain_is_answered_with_an_alias()
    {
        var answer = Ask("shop.bar.global.sample.svc.cluster.local", DnsType.A)!;
        Assert.Equal(
            [
                new DnsRecord("shop.bar.global.sample.svc.cluster.local", 30, new NameContent(DnsType.CNAME, "shop.bar.global")),
                new DnsRecord("shop.bar.global", 30, new AddressContent(IPAddress.Parse("240.0.0.2"))),
            ],
            answer.Answers);
        Assert.Null(Ask("shop.bar.global.svc.cluster.local", DnsType.A));
    }

    [Fact]
    public void Name_without_an_address_of_that_family_exists_and_is_empty()
    {
        var answer = Ask("shop", DnsType.AAAA)!;
        Assert.Equal((DnsCode.NoError, 0), (answer.Header.Code, answer.Answers.Count));
        Assert.Equal("fd00::8", ((AddressContent)Ask("db.other", DnsType.AAAA)!.Answers[0].Content).Address.ToString());
    }

    [Fact]
    public void Several_addresses_come_in_changing_order()
    {
        var firsts = Enumerable.Range(0, 50).Select(i => Ask("many", DnsType.A, i)!.Answers).ToArray();
        Assert.All(firsts, a => Assert.Equal(3, a.Count));
        Assert.Equal(3, firsts.Select(a => a[0]).Distinct().Count());
    }

    [Fact]
    public void Before_the_first_table_nothing_is_known()
    {
        var query = DnsMessage.Query(5, new("shop", DnsType.A)).ToBytes();
        var output = new byte[512];
        Assert.Equal(DnsDecision.Answered, DnsResponder.Answer(query, null, true, new(1), output, out var length));
        var answer = DnsMessage.TryRead(output.AsSpan(0, length))!;
        Assert.Equal((5, DnsCode.ServerFailure, "shop"), (answer.Header.Id, answer.Header.Code, answer.Questions[0].Name));
    }

    [Fact]
    public void Other_types_of_a_known_name_are_passed_on() => Assert.Null(Ask("shop", DnsType.SRV));

    [Fact]
    public void Answer_does_not_allocate()
    {
        var query = DnsMessage.Query(5, new("shop.bar.global.sample.svc.cluster.local", DnsType.A), new(1232)).ToBytes();
        var output = new byte[512];
        var random = new Random(1);
        DnsResponder.Answer(query, Table, true, random, output, out _);
        Assert.Equal(0, Allocations.Least(() =>
        {
            for (var i = 0; i < 1000; i++) DnsResponder.Answer(query, Table, true, random, output, out _);
        }));
    }

    [Fact]
    public void Any_bytes_are_answered_passed_on_or_dropped() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            var random = new Random(seed);
            var query = DnsMessage.Query(5, new("shop.bar.global", DnsType.A), new(1232)).ToBytes();
            for (var i = random.Next(4); i > 0; i--) query[random.Next(query.Length)] = (byte)random.Next(256);
            var output = new byte[4096];
            if (DnsResponder.Answer(query.AsSpan(0, random.Next(query.Length + 1)), Table, true, random, output, out var length) == DnsDecision.Answered)
                Assert.InRange(length, DnsHeader.Size, output.Length);
        }).MustHold(1000);

    private static DnsMessage? Ask(string name, DnsType type, int seed = 1)
    {
        var output = new byte[512];
        var decision = DnsResponder.Answer(DnsMessage.Query(7, new(name, type)).ToBytes(), Table, true, new(seed), output, out var length);
        return decision == DnsDecision.Answered ? DnsMessage.TryRead(output.AsSpan(0, length)) : null;
    }

    private static NameTable.Types.NameInfo Info(string registry, string shortName, string @namespace, params string[] addresses) =>
        new() { Registry = registry, Shortname = shortName, Namespace = @namespace, Ips = { addresses } };
}
