using Isthmus.Proxy.Policy;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Policy;

public sealed class TokenBucketTests
{
    [Fact]
    public void A_bucket_is_full_at_first_and_fills_up_at_whole_intervals()
    {
        var clock = new ManualClock();
        var bucket = new TokenBucket(3, 2, TimeSpan.FromSeconds(10));
        Assert.Equal([true, true, true, false], Take(bucket, clock, 4));
        Assert.Equal(new BucketLevel(3, 0, 10), bucket.Level(clock));
        clock.Advance(TimeSpan.FromSeconds(9.5));
        Assert.Equal(new BucketLevel(3, 0, 1), bucket.Level(clock));
        Assert.Equal([false], Take(bucket, clock, 1));
        clock.Advance(TimeSpan.FromSeconds(0.5));
        Assert.Equal([true, true, false], Take(bucket, clock, 3));
        clock.Advance(TimeSpan.FromDays(365));
        Assert.Equal([true, true, true, false], Take(bucket, clock, 4));
    }

    [Fact]
    public async Task No_token_is_taken_twice()
    {
        var bucket = new TokenBucket(1000, 1, TimeSpan.FromDays(1));
        var counts = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Take(bucket, TimeProvider.System, 500).Count(taken => taken))));
        Assert.Equal(1000, counts.Sum());
    }

    private static List<bool> Take(TokenBucket bucket, TimeProvider time, int count) => [.. Enumerable.Range(0, count).Select(_ => bucket.TryTake(time))];
}
