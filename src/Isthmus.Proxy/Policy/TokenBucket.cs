namespace Isthmus.Proxy.Policy;

/// <summary>What is left in a bucket.</summary>
/// <param name="Seconds">Until the next tokens arrive, rounded up.</param>
internal readonly record struct BucketLevel(long Most, long Left, long Seconds);

/// <summary>A token bucket: full at first, and with more tokens after each interval. Safe to use from any thread.</summary>
internal sealed class TokenBucket(long most, long perFill, TimeSpan interval)
{
    private readonly Lock _guard = new(); // Guards the fields below.
    private long _taken;
    private long _since;
    private bool _begun;

    public long Most => most;

    public long PerFill => perFill;

    public TimeSpan Interval => interval;

    /// <summary>Takes a token; false when there is none.</summary>
    public bool TryTake(TimeProvider time)
    {
        lock (_guard)
        {
            Fill(time);
            if (_taken == most) return false;
            _taken++;
            return true;
        }
    }

    public BucketLevel Level(TimeProvider time)
    {
        lock (_guard)
        {
            Fill(time);
            var left = interval - time.GetElapsedTime(_since);
            return new(most, most - _taken, (long)Math.Ceiling(Math.Max(0, left.TotalSeconds)));
        }
    }

    private void Fill(TimeProvider time)
    {
        var now = time.GetTimestamp();
        if (!_begun) (_begun, _since) = (true, now);
        var step = Math.Max(1, (long)(interval.TotalSeconds * time.TimestampFrequency));
        var fills = (now - _since) / step;
        if (fills <= 0) return;
        _since += fills * step;
        _taken = fills > _taken / perFill ? 0 : _taken - (fills * perFill);
    }
}
