using Isthmus.Proxy.Http;
using Isthmus.Proxy.Messages;
using Xunit;

namespace Isthmus.Tests.Proxy.Http;

public sealed class RequestLimitsTests
{
    /// <summary>The limit of an attempt and that of its request can be reached at the same time.</summary>
    [Fact]
    public void A_limit_of_the_request_that_is_reached_between_two_attempts_lasts()
    {
        var limits = new RequestLimits();
        limits.BeginAttempt(TimeProvider.System);
        limits.Reach(TimeLimit.Try);
        limits.Reach(TimeLimit.Response);
        limits.BeginAttempt(TimeProvider.System);
        Assert.Equal(TimeLimit.Response, limits.Reached);
    }

    [Fact]
    public void A_limit_of_an_attempt_is_forgotten_with_it_and_takes_no_other_ones_place()
    {
        var limits = new RequestLimits();
        limits.Reach(TimeLimit.Try);
        limits.BeginAttempt(TimeProvider.System);
        Assert.False(limits.IsReached);
        limits.Reach(TimeLimit.Idle);
        limits.Reach(TimeLimit.Try);
        Assert.Equal(TimeLimit.Idle, limits.Reached);
    }
}
