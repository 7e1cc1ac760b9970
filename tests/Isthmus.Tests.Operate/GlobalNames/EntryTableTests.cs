using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.GlobalNames;
using Isthmus.Wire.Dns;
using Xunit;

namespace Isthmus.Tests.Operate.GlobalNames;

public sealed class EntryTableTests
{
    private readonly List<string> _log = [];

    [Fact]
    public void An_entry_answers_for_its_hosts_in_the_askers_spelling()
    {
        var answers = Answers("hosts: [orders.shop.global]\nresolution: DNS\naddresses: [240.0.0.2, 240.0.0.3/32, 10.0.0.0/8, '::1']");
        var answer = Ask(answers, "Orders.shop.Global");
        Assert.Equal((DnsCode.NoError, true), (answer.Header.Code, answer.Header.IsAuthoritative));
        Assert.Equal(["240.0.0.2", "240.0.0.3"], answer.Answers.Select(record => ((AddressContent)record.Content).Address.ToString()));
        Assert.All(answer.Answers, record => Assert.Equal("Orders.shop.Global", record.Name));
        Assert.Equal(["adding DNS mapping: orders.shop.global.->[240.0.0.2 240.0.0.3]", "Query A record: Orders.shop.Global.->[240.0.0.2 240.0.0.3]"], _log);
    }

    [Fact]
    public void Another_type_of_a_known_name_is_empty_and_an_unknown_name_does_not_exist()
    {
        var answers = Answers("hosts: [orders.shop.global]\nresolution: STATIC\naddresses: [240.0.0.2]");
        var v6 = Ask(answers, "orders.shop.global", DnsType.AAAA);
        Assert.Equal((DnsCode.NoError, 0, 1), (v6.Header.Code, v6.Answers.Count, v6.Authorities.Count));
        Assert.Equal(DnsCode.NameError, Ask(answers, "stock.shop.global").Header.Code);
        Assert.Equal("Could not find the service requested", _log[^1]);
    }

    [Theory]
    [InlineData("a.shop.global", "240.0.0.1")]
    [InlineData("b.shop.global", "240.0.0.2")]
    [InlineData("x.y.shop.global", "240.0.0.2")]
    [InlineData("x.deep.shop.global", "240.0.0.3")]
    [InlineData("shop.global", null)]
    public void A_name_has_its_own_address_before_the_longest_wildcards(string name, string? address)
    {
        var answers = Answers(
            "hosts: [a.shop.global]\nresolution: DNS\naddresses: [240.0.0.1]", "hosts: ['*.shop.global']\nresolution: DNS\naddresses: [240.0.0.2]",
            "hosts: ['*.deep.shop.global']\nresolution: DNS\naddresses: [240.0.0.3]");
        Assert.Equal(address, Ask(answers, name).Answers.Select(record => ((AddressContent)record.Content).Address.ToString()).FirstOrDefault());
    }

    [Theory]
    [InlineData("hosts: [a.global]\nresolution: NONE\naddresses: [240.0.0.2]")]
    [InlineData("hosts: [a.global]\naddresses: [240.0.0.2]")]
    [InlineData("hosts: [a.global]\nresolution: DNS")]
    [InlineData("hosts: 5\nresolution: DNS\naddresses: {a: b}")]
    [InlineData("hosts: ['*']\nresolution: DNS\naddresses: [240.0.0.2]")]
    public void What_names_no_address_has_no_record(string spec) => Assert.Equal(DnsCode.NameError, Ask(Answers(spec), "a.global").Header.Code);

    [Fact]
    public void A_default_address_serves_entries_without_any()
    {
        var table = EntryTable.Of([Entry("hosts: [a.global]\nresolution: DNS")], IPAddress.Parse("10.0.0.1"));
        Assert.Equal([IPAddress.Parse("10.0.0.1")], table.Find("a.global")!.Value);
    }

    [Fact]
    public void Nothing_is_denied_before_the_entries_are_known() =>
        Assert.Equal(DnsCode.ServerFailure, Ask(new EntryAnswers(_log.Add), "a.global").Header.Code);

    [Fact]
    public void What_goes_is_told_as_well()
    {
        var answers = Answers("hosts: [a.global]\nresolution: DNS\naddresses: [240.0.0.2]");
        answers.Update(EntryTable.Empty);
        Assert.Equal("removing DNS mapping: a.global.", _log[^1]);
    }

    private EntryAnswers Answers(params string[] specs)
    {
        var answers = new EntryAnswers(_log.Add);
        answers.Update(EntryTable.Of(specs.Select(Entry), null));
        return answers;
    }

    private static JsonObject Entry(string spec) => new() { ["spec"] = YamlText.Parse(spec, "test")!.DeepClone() };

    private static DnsMessage Ask(EntryAnswers answers, string name, DnsType type = DnsType.A) =>
        answers.Answer(DnsMessage.Query(7, new DnsQuestion(name, type)));
}
