using FsCheck;
using FsCheck.Fluent;
using Isthmus.Proxy.Snapshot;
using Isthmus.Testing;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Proxy.Matching;
using Xunit;

namespace Isthmus.Tests.Proxy.Snapshot;

/// <summary>The virtual host of a name: the exact domain, the longest suffix, the longest prefix, then all names.</summary>
public sealed class DomainTableTests
{
    private static readonly string[] Labels = ["a", "b", "ab", "b.a", "a.b", "a.b.a", ":80"];

    [Fact]
    public void The_domain_is_the_one_that_a_search_through_all_finds() => Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
    {
        var random = new Random(seed);
        string Text() => string.Concat(Enumerable.Range(0, random.Next(1, 4)).Select(_ => Labels[random.Next(Labels.Length)]));
        string Domain() => random.Next(8) switch { < 3 => Text(), < 5 => $"*{Text()}", < 7 => $"{Text()}*", _ => "*" };
        var domains = Enumerable.Range(0, random.Next(12)).Select(_ => Domain()).Distinct().ToList();
        var table = RouteDecoder.Decode(Table(domains));
        for (var i = 0; i < 20; i++)
        {
            var name = Text();
            Assert.Equal(Searched(domains, name), table.Find(random.Next(2) == 0 ? name : name.ToUpperInvariant())?.Name);
        }
    }).MustHold(300);

    [Theory]
    [InlineData("*.example")]
    [InlineData("host:*")]
    [InlineData("*")]
    [InlineData("host")]
    public void A_domain_that_two_hosts_have_is_refused(string domain) =>
        Assert.EndsWith($"duplicate entry of domain {domain}", Assert.Throws<ResourceException>(() => RouteDecoder.Decode(Table([domain, domain]))).Message,
            StringComparison.Ordinal);

    private static string? Searched(List<string> domains, string name) =>
        domains.Find(domain => domain == name && !domain.Contains('*', StringComparison.Ordinal))
        ?? domains.Where(domain => domain.Length > 1 && domain.StartsWith('*') && name.Length >= domain.Length
            && name.EndsWith(domain[1..], StringComparison.Ordinal))
            .MaxBy(domain => domain.Length)
        ?? domains.Where(domain => domain.Length > 1 && domain.EndsWith('*') && name.Length >= domain.Length
            && name.StartsWith(domain[..^1], StringComparison.Ordinal))
            .MaxBy(domain => domain.Length)
        ?? domains.Find(domain => domain == "*");

    private static RouteConfiguration Table(IEnumerable<string> domains) => new()
    {
        Name = "t",
        VirtualHosts = { domains.Select(domain => new VirtualHost { Name = domain, Domains = { domain } }) },
    };
}
