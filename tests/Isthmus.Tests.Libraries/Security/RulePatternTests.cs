using Isthmus.Mesh.Model;
using Xunit;

namespace Isthmus.Tests.Libraries.Security;

/// <summary>Which stars of a rule's values are wildcards.</summary>
public sealed class RulePatternTests
{
    private const string Header = $"{RuleKeys.Header}[x-tenant]", Claim = $"{RuleKeys.Claims}[groups]", Metadata = $"{RuleKeys.Metadata}a.b[c]";

    [Theory]
    [InlineData(Header, "*", "a", "")]
    [InlineData(Header, "*red", "dark-red", "red-1")]
    [InlineData(Header, "red*", "red-1", "dark-red")]
    [InlineData(Header, "*red*", "dark-red*", "dark-red-1")]
    [InlineData(Header, "r*d", "r*d", "red")]
    [InlineData(Header, "a.c", "a.c", "abc")]
    [InlineData(RuleKeys.Namespace, "s*p", "shop", "shops")]
    [InlineData(RuleKeys.Namespace, "*ho*", "shop", "stop")]
    [InlineData(RuleKeys.TrustDomain, "*.example", "one.example", "one/two.example")]
    [InlineData(RuleKeys.Path, "/a/{*}/b/{**}", "/a/x/b/c/d", "/a/x/y/b/c")]
    [InlineData(RuleKeys.Path, "/a/{*}", "/a/b", "/a/b/c")]
    [InlineData(RuleKeys.Path, "/a/{**", "/a/{**", "/a/b")]
    [InlineData(RuleKeys.Path, "{*}", "a", "a/b")]
    [InlineData(RuleKeys.Path, "/a/*/b", "/a/*/b", "/a/x/b")]
    [InlineData(RuleKeys.ServiceAccount, "shop/*", "shop/*", "shop/web")]
    [InlineData(Metadata, "[a*]", "ab", "[ab]")]
    [InlineData(Claim, "[a*]", "[a*]", "ab")]
    public void It_covers_what_proxies_match(string key, string value, string covered, string other)
    {
        var pattern = RulePattern.Of(key, value);
        Assert.True(pattern.Covers(covered));
        Assert.False(pattern.Covers(other));
    }

    [Theory]
    [InlineData(RuleKeys.Path, "{**}")]
    [InlineData(RuleKeys.Namespace, "*")]
    public void It_may_cover_everything(string key, string value) =>
        Assert.All((string[])["", "/", "/a/b"], text => Assert.True(RulePattern.Of(key, value).Covers(text)));

    [Fact]
    public void Only_metadata_has_values_for_items_of_lists() =>
        Assert.Equal([true, false, false], ((string[])[Metadata, Claim, Header]).Select(key => RulePattern.Of(key, "[a]").IsOfItem));

    /// <summary>Proxies refuse such expressions.</summary>
    [Fact]
    public void An_expression_that_is_too_long_matches_nothing() =>
        Assert.False(RulePattern.Of(RuleKeys.Namespace, $"a*{new string('b', 5000)}").Covers($"a{new string('b', 5000)}"));
}
