using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Http;

/// <summary>
/// The time limits of one request after another. Those that need no precision are checked once a second: that takes no timer for each
/// request, and no clock for each byte.
/// </summary>
internal sealed class RequestLimits
{
    private readonly Lock _lock = new();   // guards everything below
    private TaskCompletionSource? _expired;
    private volatile TimeLimit _reached;
    private TimeSpan _whole;
    private TimeSpan _upstream;
    private long _start;
    private long _attempt;
    private long _active;
    private long _seen;
    private bool _isRunning;

    /// <summary>How long the request may go without a byte in either direction; zero: forever.</summary>
    public TimeSpan Idle { get; private set; }

    /// <summary>How long the exchange may take; zero: forever.</summary>
    public TimeSpan Duration { get; private set; }

    /// <summary>Whether reading the request may have to end.</summary>
    public bool LimitReading => Idle > TimeSpan.Zero || Duration > TimeSpan.Zero || _whole > TimeSpan.Zero;

    /// <summary>The first limit that was reached.</summary>
    public TimeLimit Reached => _reached;

    public bool IsReached => _reached != TimeLimit.None;

    /// <summary>Completes when a limit is reached.</summary>
    public Task Expired
    {
        get
        {
            lock (_lock)
            {
                _expired ??= new(TaskCreationOptions.RunContinuationsAsynchronously);
                if (IsReached) _expired.TrySetResult();
                return _expired.Task;
            }
        }
    }

    /// <param name="action">The listener's limits.</param>
    /// <param name="act">The route's, which come before them.</param>
    /// <param name="upstream">The cluster's limit for one attempt.</param>
    /// <param name="start">Timestamp of the request.</param>
    public void Begin(HttpAction action, ForwardAct act, TimeSpan upstream, long start)
    {
        lock (_lock)
        {
            Idle = act.IdleTimeout ?? action.Times.StreamIdle;
            Duration = act.MaxDuration ?? action.Times.Stream;
            _whole = action.Times.Request;
            _upstream = upstream;
            _start = _active = start;
            _attempt = _seen = 0;
            _expired = null;
            _reached = TimeLimit.None;
            _isRunning = true;
        }
    }

    public void End()
    {
        lock (_lock) _isRunning = false;
    }

    /// <summary>Forgets the request before.</summary>
    public void Clear() => _reached = TimeLimit.None;

    /// <summary>Another attempt begins, whatever ended the one before.</summary>
    public void BeginAttempt(TimeProvider time)
    {
        lock (_lock)
        {
            if (IsOfAttempt(_reached)) _reached = TimeLimit.None;
            if (_upstream > TimeSpan.Zero) _attempt = time.GetTimestamp();
        }
    }

    public void Reach(TimeLimit limit)
    {
        lock (_lock)
        {
            // The next attempt forgets what ended one. A limit of the whole request that is reached in between must last: its timer does not come again.
            if (!IsReached || (IsOfAttempt(_reached) && !IsOfAttempt(limit))) _reached = limit;
            _expired?.TrySetResult();
        }
    }

    private static bool IsOfAttempt(TimeLimit limit) => limit is TimeLimit.Try or TimeLimit.UpstreamDuration;

    /// <summary>The limit that the request has reached just now.</summary>
    public TimeLimit Look(DownstreamStream stream, TimeProvider time)
    {
        lock (_lock)
        {
            if (!_isRunning || IsReached) return TimeLimit.None;
            var now = time.GetTimestamp();
            var seen = stream.BytesReceived + stream.BytesSent + (stream.IsResponseStarted ? 1 : 0);
            if (seen != _seen)
            {
                _seen = seen;
                _active = now;
            }
            bool Is(TimeSpan limit, long since) => limit > TimeSpan.Zero && time.GetElapsedTime(since, now) >= limit;
            if (Is(Duration, _start)) return TimeLimit.Duration;
            if (!stream.IsRequestComplete && !stream.IsResponseStarted && Is(_whole, _start)) return TimeLimit.Request;
            if (_attempt != 0 && Is(_upstream, _attempt)) return TimeLimit.UpstreamDuration;
            return Is(Idle, _active) ? TimeLimit.Idle : TimeLimit.None;
        }
    }

    /// <summary>When a limit ended the exchange after the response had begun, only its record tells.</summary>
    public void Record(TrafficRecord record, DownstreamStream stream)
    {
        if (TimeLimits.EndsStream(_reached)) (_, _, record.Details, record.Reason) = TimeLimits.Answer(_reached, stream.IsRequestComplete);
    }
}
