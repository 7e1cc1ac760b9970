namespace Isthmus.Proxy.Clusters;

/// <summary>How many requests have ended within a time, to a tenth of it.</summary>
internal sealed class RecentRequests(TimeSpan span, TimeProvider time)
{
    private const int Slots = 10;

    private readonly Lock _lock = new();   // guards the counts
    private readonly long _slot = Math.Max(1, (long)(span.TotalSeconds * time.TimestampFrequency / Slots));

    // That of the present is not complete.
    private readonly long[] _counts = new long[Slots + 1];
    private long _current = long.MinValue;

    public void Add()
    {
        lock (_lock)
        {
            Move();
            _counts[_current % _counts.Length]++;
        }
    }

    public long Count
    {
        get
        {
            lock (_lock)
            {
                Move();
                return _counts.Sum();
            }
        }
    }

    private void Move()
    {
        var now = time.GetTimestamp() / _slot;
        if (now - _counts.Length >= _current) Array.Clear(_counts);
        else
            for (var slot = _current + 1; slot <= now; slot++) _counts[slot % _counts.Length] = 0;
        _current = Math.Max(_current, now);
    }
}
