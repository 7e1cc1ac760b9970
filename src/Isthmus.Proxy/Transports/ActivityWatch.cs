using System.Collections.Concurrent;

namespace Isthmus.Proxy.Transports;

/// <summary>Something with a last sign of activity.</summary>
internal interface IActivity
{
    void Touch();
}

/// <summary>
/// Ends what has been idle for too long. One timer checks all once a second, because a timer per connection, reset for each
/// byte, would cost more than the bytes.
/// </summary>
internal sealed class ActivityWatch : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<Entry, byte> _entries = new();
    private readonly ITimer _timer;
    private readonly List<Action> _each = [];

    public ActivityWatch(TimeProvider time)
    {
        _time = time;
        _timer = time.CreateTimer(_ => Look(), null, Period, Period);
    }

    /// <summary>Watches until the entry is disposed of; <paramref name="expired"/> runs at most once.</summary>
    /// <param name="idle">Zero: never.</param>
    /// <param name="life">Longest life however busy; zero: no bound.</param>
    public Entry Add(TimeSpan idle, TimeSpan life, Action<bool> expired)
    {
        var entry = new Entry(this, _time.GetTimestamp(), idle, life, expired);
        if (idle > TimeSpan.Zero || life > TimeSpan.Zero) _entries.TryAdd(entry, 0);
        return entry;
    }

    /// <summary>Runs an action at each check, for slow housekeeping.</summary>
    public void Each(Action action)
    {
        lock (_each) _each.Add(action);
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        var now = _time.GetTimestamp();
        foreach (var (entry, _) in _entries) entry.Check(now);
        Action[] each;
        lock (_each) each = [.. _each];
        foreach (var action in each) action();
    }

    internal sealed class Entry(ActivityWatch watch, long start, TimeSpan idle, TimeSpan life, Action<bool> expired) : IActivity, IDisposable
    {
        private readonly long _start = start;
        private long _last = start;

        /// <summary>The watch ended it for being idle or too old.</summary>
        public bool IsExpired { get; private set; }

        public void Touch() => Volatile.Write(ref _last, watch._time.GetTimestamp());

        public void Dispose() => watch._entries.TryRemove(this, out _);

        internal void Check(long now)
        {
            var isIdle = idle > TimeSpan.Zero && watch._time.GetElapsedTime(Volatile.Read(ref _last), now) >= idle;
            var isOld = life > TimeSpan.Zero && watch._time.GetElapsedTime(_start, now) >= life;
            if (!isIdle && !isOld) return;
            if (!watch._entries.TryRemove(this, out _)) return;
            IsExpired = true;
            expired(isOld);
        }
    }
}
