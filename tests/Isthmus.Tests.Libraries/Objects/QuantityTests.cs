using Isthmus.Kubernetes.Objects;
using Xunit;

namespace Isthmus.Tests.Libraries.Objects;

public sealed class QuantityTests
{
    [Theory]
    [InlineData("100m", 0.1)]
    [InlineData("2", 2)]
    [InlineData("1.5", 1.5)]
    [InlineData("64Mi", 67108864)]
    [InlineData("1Gi", 1073741824)]
    [InlineData("1e3", 1000)]
    [InlineData("5k", 5000)]
    public void Quantities_are_read(string text, double expected)
    {
        Assert.True(Quantity.TryParse(text, out var value));
        Assert.Equal((decimal)expected, value);
    }

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("1Zi")]
    [InlineData("99999999999999999999999999Ei")]
    public void What_is_none_is_refused(string text) => Assert.False(Quantity.TryParse(text, out _));

    [Theory]
    [InlineData("1000m", "1")]
    [InlineData("0.5", "500m")]
    [InlineData("1024Mi", "1Gi")]
    [InlineData("1.5Gi", "1536Mi")]
    [InlineData("100k", "100k")]
    [InlineData("2e3", "2e3")]
    [InlineData("0", "0")]
    [InlineData("-1500m", "-1500m")]
    public void Quantities_are_kept_in_canonical_form(string text, string canonical) => Assert.Equal(canonical, Quantity.Canonical(text));
}
