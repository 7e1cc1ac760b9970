using Isthmus.Core.Problems;
using Xunit;

namespace Isthmus.Tests.Libraries.Problems;

/// <summary>One Pod is not 1 Pods.</summary>
public sealed class CountedTests
{
    [Theory]
    [InlineData(0, "0 Pods")]
    [InlineData(1, "1 Pod")]
    [InlineData(1234, "1234 Pods")]
    public void A_number_has_the_form_of_its_word(long number, string text) => Assert.Equal(text, Counted.Of(number, "Pod"));

    [Fact]
    public void A_plural_of_its_own_is_used() => Assert.Equal(("1 proxy", "2 proxies"), (Counted.Of(1, "proxy", "proxies"), Counted.Of(2, "proxy", "proxies")));
}
