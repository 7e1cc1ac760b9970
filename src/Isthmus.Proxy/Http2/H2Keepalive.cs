using Isthmus.Proxy.Clusters;

namespace Isthmus.Proxy.Http2;

/// <summary>Sends PINGs on a connection, and ends it when the peer is silent after one.</summary>
internal sealed class H2Keepalive : IDisposable
{
    private readonly Lock _lock = new();   // guards what follows
    private readonly PingSettings _settings;
    private readonly Random _random;
    private readonly IPinged _connection;
    private readonly ITimer _timer;
    private int _framesBefore;
    private bool _isAwaiting;
    private bool _isOver;

    public H2Keepalive(PingSettings settings, TimeProvider time, Random random, IPinged connection)
    {
        (_settings, _random, _connection) = (settings, random, connection);
        _timer = time.CreateTimer(_ => Tick(), null, Next(), Timeout.InfiniteTimeSpan);
    }

    /// <summary>A PING was answered.</summary>
    public void Answered()
    {
        lock (_lock)
        {
            if (!_isAwaiting || _isOver) return;
            _isAwaiting = false;
            _timer.Change(Next(), Timeout.InfiniteTimeSpan);
        }
    }

    public void Dispose()
    {
        lock (_lock) _isOver = true;
        _timer.Dispose();
    }

    private void Tick()
    {
        lock (_lock)
        {
            if (_isOver) return;
            // As in Envoy, each frame is a sign of life: the answer may be behind a long body.
            if (!_isAwaiting || _connection.FramesRead != _framesBefore)
            {
                if (!_isAwaiting) _connection.SendPing();
                (_isAwaiting, _framesBefore) = (true, _connection.FramesRead);
                _timer.Change(_settings.Timeout, Timeout.InfiniteTimeSpan);
                return;
            }
            _isOver = true;
        }
        _connection.OnSilent();
    }

    private TimeSpan Next() => _settings.Interval * (1 + (_settings.Jitter * _random.NextDouble()));
}

/// <summary>A connection whose peer is asked for signs of life.</summary>
internal interface IPinged
{
    /// <summary>A number that changes with each frame from the peer.</summary>
    int FramesRead { get; }

    void SendPing();

    /// <summary>The peer is gone.</summary>
    void OnSilent();
}
