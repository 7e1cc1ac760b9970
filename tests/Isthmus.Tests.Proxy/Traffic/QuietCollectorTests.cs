using Isthmus.Proxy.Programs;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

public sealed class QuietCollectorTests
{
    private readonly ManualClock _clock = new();
    private TimeSpan _cpu;
    private long _allocated;
    private int _collections;

    [Fact]
    public void Collects_once_after_a_burst_when_nothing_happens_any_more()
    {
        using var collector = Begin();
        for (var i = 0; i < 10; i++) Period(work: 500, allocated: 20 << 20);
        Assert.Equal(0, _collections);
        Period(work: 1);
        Assert.Equal(0, _collections);
        Period(work: 1);
        Assert.Equal(1, _collections);
        for (var i = 0; i < 100; i++) Period(work: 1);
        Assert.Equal(1, _collections);
    }

    [Fact]
    public void Does_not_collect_while_there_is_a_steady_load_or_little_garbage()
    {
        using var collector = Begin();
        for (var i = 0; i < 100; i++)
        {
            Period(work: 20, allocated: 1 << 20);
            Period(work: 1, allocated: 1 << 20);
        }
        Assert.Equal(0, _collections);
        _allocated = 0;
        for (var i = 0; i < 100; i++) Period(work: 1, allocated: 1000);
        Assert.Equal(0, _collections);
    }

    [Fact]
    public void Looks_rarely_while_there_is_nothing_to_collect()
    {
        using var collector = Begin();
        Period(work: 1);
        Assert.Equal(TimeSpan.FromSeconds(2), _clock.NextDue);
        for (var i = 0; i < 4; i++) Period(work: 500, allocated: 20 << 20);
        Assert.Equal(TimeSpan.FromSeconds(0.5), _clock.NextDue);
        Period(work: 1);
        Period(work: 1);
        Assert.Equal((1, TimeSpan.FromSeconds(2)), (_collections, _clock.NextDue));
    }

    private QuietCollector Begin() => new(_clock, () => _cpu, () => _allocated, () => _collections++);

    private void Period(int work, long allocated = 0)
    {
        _cpu += TimeSpan.FromMilliseconds(work);
        _allocated += allocated;
        _clock.Advance(TimeSpan.FromMilliseconds(500));
    }
}
