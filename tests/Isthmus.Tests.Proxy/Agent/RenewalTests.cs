using Isthmus.Proxy.Agent;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

public sealed class RenewalTests
{
    [Fact]
    public void Certificate_is_renewed_at_half_of_its_life_and_never_after()
    {
        var day = TimeSpan.FromHours(24);
        Assert.Equal(TimeSpan.FromHours(12), Renewal.Pause(day, 0.5, 0));
        Assert.InRange(Renewal.Pause(day, 0.5, 0.999), TimeSpan.FromHours(10.5), TimeSpan.FromHours(12));
        Assert.Equal(TimeSpan.FromHours(6), Renewal.Pause(day, 0.75, 0));
    }

    /// <summary>The CA ends in two minutes, and each certificate with it.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(0.5)]
    [InlineData(0.999)]
    public void A_CA_that_is_about_to_expire_is_asked_a_few_times(double chance)
    {
        var (left, requests) = (TimeSpan.FromMinutes(2), 0);
        for (; left > TimeSpan.Zero; requests++)
        {
            var pause = Renewal.Pause(left, 0.5, chance);
            Assert.InRange(pause, Renewal.ShortestPause, TimeSpan.FromMinutes(1));
            left -= pause;
        }
        Assert.InRange(requests, 3, 6);
    }

    [Fact]
    public void A_certificate_that_has_expired_is_not_asked_for_in_a_loop() =>
        Assert.Equal(Renewal.ShortestPause, Renewal.Pause(TimeSpan.FromMinutes(-5), 0.5, 0));
}
