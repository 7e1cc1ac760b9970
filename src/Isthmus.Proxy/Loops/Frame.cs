using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;

namespace Isthmus.Proxy.Loops;

/// <summary>
/// An async method that waits, as the task of its only caller. The caller must await it once, and at once: taking the result gives the frame
/// back for another call.
/// </summary>
internal abstract class Frame<T> : IValueTaskSource<T>, IValueTaskSource
{
    private static readonly Action<object?> Done = static _ => { };

    // Who waits, or Done. Whichever of the end and the wait comes second continues the caller.
    private Action<object?>? _continuation;
    private object? _state;
    private ExceptionDispatchInfo? _failure;
    private T? _result;

    private protected Frame() => Continue = MoveNext;

    /// <summary>Goes on with the method; what it waits for calls this.</summary>
    internal Action Continue { get; }

    /// <summary>Tells a frame from its next use.</summary>
    internal short Version { get; private set; }

    internal void SetResult(T result)
    {
        _result = result;
        End();
    }

    internal void SetException(Exception exception)
    {
        _failure = ExceptionDispatchInfo.Capture(exception);
        End();
    }

    public ValueTaskSourceStatus GetStatus(short token)
    {
        Check(token);
        return !ReferenceEquals(Volatile.Read(ref _continuation), Done) ? ValueTaskSourceStatus.Pending
            : _failure is null ? ValueTaskSourceStatus.Succeeded
            : _failure.SourceException is OperationCanceledException ? ValueTaskSourceStatus.Canceled
            : ValueTaskSourceStatus.Faulted;
    }

    /// <summary>Scheduling contexts and execution contexts do not flow: the thread that ends the method continues its caller.</summary>
    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        Check(token);
        _state = state;
        if (Interlocked.CompareExchange(ref _continuation, continuation, null) is null) return;
        _state = null;
        // It ended meanwhile, on another thread. Continuing here could nest without an end.
        ThreadPool.UnsafeQueueUserWorkItem(continuation, state, preferLocal: true);
    }

    public T GetResult(short token)
    {
        Check(token);
        if (!ReferenceEquals(_continuation, Done)) throw new InvalidOperationException("the method has not ended");
        var (failure, result) = (_failure, _result);
        Version++;
        _continuation = null;
        _failure = null;
        _result = default;
        Return();
        failure?.Throw();
        return result!;
    }

    void IValueTaskSource.GetResult(short token) => GetResult(token);

    private protected abstract void MoveNext();

    /// <summary>Forgets the machine, and keeps the frame for another call.</summary>
    private protected abstract void Return();

    private void End()
    {
        if (Interlocked.Exchange(ref _continuation, Done) is not { } continuation) return;
        var state = _state;
        _state = null;
        continuation(state);
    }

    private void Check(short token)
    {
        if (token != Version) throw new InvalidOperationException("the result was taken before");
    }
}

/// <summary>What frames of all methods share.</summary>
internal static class Frames
{
    /// <summary>
    /// False, but only the running program knows, and leaves out what depends on it. The compiler ahead of time finds all frames there and
    /// nowhere else, because it leaves calls to the runtime's awaiters to the runtime.
    /// </summary>
    internal static readonly bool AreNamed = bool.Parse(bool.FalseString);
}

/// <summary>Frames of one method.</summary>
internal sealed class Frame<T, TStateMachine> : Frame<T> where TStateMachine : IAsyncStateMachine
{
    /// <summary>How many a thread keeps. Those of more requests at once are left to the collector.</summary>
    private const int MostKept = 128;

    [ThreadStatic] private static Frame<T, TStateMachine>? _free;

    private Frame<T, TStateMachine>? _next;
    private int _kept;      // frames in the list from here on

    internal TStateMachine Machine = default!;

    /// <summary>Calls what an awaiter would call; see <see cref="Frames.AreNamed"/>.</summary>
    internal static void Use(Frame<T, TStateMachine> frame)
    {
        frame.MoveNext();
        frame.Return();
    }

    internal static Frame<T, TStateMachine> Rent()
    {
        if (_free is not { } frame) return new();
        _free = frame._next;
        frame._next = null;
        return frame;
    }

    private protected override void MoveNext() => Machine.MoveNext();

    private protected override void Return()
    {
        Machine = default!;
        var kept = _free?._kept ?? 0;
        if (kept == MostKept) return;
        _next = _free;
        _kept = kept + 1;
        _free = this;
    }
}
