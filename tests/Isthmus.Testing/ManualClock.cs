namespace Isthmus.Testing;

/// <summary>Time that passes only when a test advances it. Timers fire inside <see cref="Advance"/>, in the order in which
/// they are due.</summary>
public sealed class ManualClock : TimeProvider
{
    private readonly Lock _guard = new(); // Guards all fields below.
    private readonly List<ManualTimer> _armed = [];
    private DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>How long until the next timer fires; null while none is set.</summary>
    public TimeSpan? NextDue
    {
        get
        {
            lock (_guard) return _armed.Count == 0 ? null : _armed.Min(timer => timer.Due) - _now;
        }
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_guard) return _now;
    }

    public override long GetTimestamp() => GetUtcNow().UtcTicks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    public void Advance(TimeSpan by)
    {
        DateTimeOffset end;
        lock (_guard) end = _now + by;
        while (TakeDue(end) is { } timer) timer.Fire();
        lock (_guard) _now = end;
    }

    /// <summary>Like <see cref="Advance"/>, but each timer that is due fires once, at the end, as on a machine that was suspended. Whatever looks again
    /// and again, each few milliseconds, looks once.</summary>
    public void Jump(TimeSpan by)
    {
        ManualTimer[] due;
        lock (_guard)
        {
            _now += by;
            due = [.. _armed.Where(timer => timer.Due <= _now)];
            foreach (var timer in due)
            {
                if (timer.Period > TimeSpan.Zero) timer.Due = _now + timer.Period;
                else _armed.Remove(timer);
            }
        }
        foreach (var timer in due) timer.Fire();
    }

    private ManualTimer? TakeDue(DateTimeOffset end)
    {
        lock (_guard)
        {
            if (_armed.Where(timer => timer.Due <= end).MinBy(timer => timer.Due) is not { } next) return null;
            if (next.Due > _now) _now = next.Due;
            if (next.Period > TimeSpan.Zero) next.Due += next.Period;
            else _armed.Remove(next);
            return next;
        }
    }

    private sealed class ManualTimer(ManualClock clock, TimerCallback callback, object? state) : ITimer
    {
        internal DateTimeOffset Due { get; set; }

        internal TimeSpan Period { get; private set; }

        internal void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (clock._guard)
            {
                clock._armed.Remove(this);
                if (dueTime == Timeout.InfiniteTimeSpan) return true;
                (Due, Period) = (clock._now + dueTime, period);
                clock._armed.Add(this);
                return true;
            }
        }

        public void Dispose()
        {
            lock (clock._guard) clock._armed.Remove(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
