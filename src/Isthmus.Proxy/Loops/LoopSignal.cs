using System.Threading.Tasks.Sources;

namespace Isthmus.Proxy.Loops;

/// <summary>
/// Wakes one waiter, now or when it begins to wait. The waiter continues on the event loop where it began to wait, never inside
/// <see cref="Set"/>; outside of loops, on the thread pool. It may wake without a reason, so it checks what it waits for and waits again.
/// </summary>
internal sealed class LoopSignal : IValueTaskSource
{
    private const int Idle = 0, IsSet = 1, Waiting = 2;

    private readonly Action _continue;
    private ManualResetValueTaskSourceCore<bool> _source;
    private EventLoop? _loop;
    private int _state;

    internal LoopSignal() => _continue = () => _source.SetResult(true);

    /// <summary>Completes when the signal is set; that unsets it. Only one may wait at a time.</summary>
    internal ValueTask WaitAsync()
    {
        if (Interlocked.CompareExchange(ref _state, Idle, IsSet) == IsSet) return default;
        _source.Reset();
        _loop = EventLoop.Current;
        if (Interlocked.CompareExchange(ref _state, Waiting, Idle) == Idle) return new(this, _source.Version);
        // Set meanwhile.
        Volatile.Write(ref _state, Idle);
        return default;
    }

    /// <summary>Wakes whoever waits, or who waits next. May be called on any thread, and inside locks.</summary>
    internal void Set()
    {
        while (true)
        {
            var state = Volatile.Read(ref _state);
            if (state == IsSet) return;
            if (Interlocked.CompareExchange(ref _state, state == Waiting ? Idle : IsSet, state) != state) continue;
            if (state == Waiting) Continue();
            return;
        }
    }

    private void Continue()
    {
        if (_loop is { } loop) loop.Post(_continue);
        else ThreadPool.UnsafeQueueUserWorkItem(static next => next(), _continue, preferLocal: false);
    }

    void IValueTaskSource.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}
