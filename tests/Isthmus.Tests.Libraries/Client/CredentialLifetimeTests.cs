using System.Buffers.Text;
using System.Text;
using Isthmus.Kubernetes.Client;
using Xunit;

namespace Isthmus.Tests.Libraries.Client;

public sealed class CredentialLifetimeTests
{
    private static readonly DateTimeOffset Start = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);

    [Fact]
    public void A_token_that_expires_says_so_when_a_fifth_of_its_life_is_left()
    {
        var lifetime = CredentialLifetime.Of(Token("""{"iat":1700000000,"exp":1700100000}"""))!.Value;
        Assert.Equal(Start.AddSeconds(100_000), lifetime.Expires);
        Assert.False(lifetime.IsEnding(Start.AddSeconds(79_000)));
        Assert.True(lifetime.IsEnding(Start.AddSeconds(81_000)));
        Assert.True(lifetime.IsEnding(Start.AddSeconds(200_000)));
    }

    [Fact]
    public void A_token_that_does_not_tell_when_it_was_made_warns_a_week_before()
    {
        var lifetime = CredentialLifetime.Of(Token("""{"exp":1701000000}"""))!.Value;
        Assert.False(lifetime.IsEnding(lifetime.Expires.AddDays(-8)));
        Assert.True(lifetime.IsEnding(lifetime.Expires.AddDays(-6)));
    }

    [Theory]
    [InlineData("""{"sub":"reader"}""")]
    [InlineData("""{"exp":"soon"}""")]
    [InlineData("""{"exp":1e300}""")]
    [InlineData("""{"exp":-5}""")]
    [InlineData("[1]")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("")]
    public void A_token_without_a_sensible_end_tells_nothing(string claims) => Assert.Null(CredentialLifetime.Of(Token(claims)));

    [Theory]
    [InlineData(null)]
    [InlineData("opaque")]
    [InlineData("a.%%%.c")]
    [InlineData("a.b")]
    public void What_is_no_web_token_tells_nothing(string? token) =>
        Assert.Null(CredentialLifetime.Of(new() { Server = new("https://10.0.0.1"), Token = token }));

    private static ClusterAccess Token(string claims) =>
        new() { Server = new("https://10.0.0.1"), Token = $"head.{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(claims))}.signature" };
}
