using System.Runtime.CompilerServices;

namespace Isthmus.Proxy.Loops;

/// <summary>
/// Builds async methods whose state machines are used again. Differs from the runtime's own pooling builder in what a proxy needs: a thread keeps
/// as many state machines of a method as requests usually wait at once, not one; no execution context flows; and the code is compiled ahead
/// of time, because all of it belongs to this assembly.
/// </summary>
internal struct PooledMethodBuilder<T>
{
    private T _result;

    /// <summary>What the caller waits for, once the method has waited for something.</summary>
    internal Frame<T>? Frame { get; private set; }

    /// <summary>The exception of a method that never had to wait.</summary>
    internal Exception? Failure { get; private set; }

    public static PooledMethodBuilder<T> Create() => default;

    public readonly ValueTask<T> Task =>
        Frame is { } frame ? new(frame, frame.Version) : Failure is { } failure ? ValueTask.FromException<T>(failure) : new(_result);

    public void Start<TStateMachine>(ref TStateMachine machine) where TStateMachine : IAsyncStateMachine
    {
        if (Frames.AreNamed) Frame<T, TStateMachine>.Use(FrameOf(ref machine));
        machine.MoveNext();
    }

    /// <summary>For machines that are objects (Debug builds), which need nothing.</summary>
    public readonly void SetStateMachine(IAsyncStateMachine machine)
    {
    }

    public void SetResult(T result)
    {
        if (Frame is { } frame) frame.SetResult(result);
        else _result = result;
    }

    public void SetException(Exception exception)
    {
        if (Frame is { } frame) frame.SetException(exception);
        else Failure = exception;
    }

    public void AwaitOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine machine)
        where TAwaiter : INotifyCompletion where TStateMachine : IAsyncStateMachine => awaiter.OnCompleted(FrameOf(ref machine).Continue);

    public void AwaitUnsafeOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine machine)
        where TAwaiter : ICriticalNotifyCompletion where TStateMachine : IAsyncStateMachine => awaiter.UnsafeOnCompleted(FrameOf(ref machine).Continue);

    private Frame<T, TStateMachine> FrameOf<TStateMachine>(ref TStateMachine machine) where TStateMachine : IAsyncStateMachine
    {
        if (Frame is { } frame) return Unsafe.As<Frame<T, TStateMachine>>(frame);
        var rented = Frame<T, TStateMachine>.Rent();
        // This builder is part of the machine: the copy must know its frame.
        Frame = rented;
        rented.Machine = machine;
        return rented;
    }
}

/// <inheritdoc cref="PooledMethodBuilder{T}"/>
internal struct PooledMethodBuilder
{
    private PooledMethodBuilder<bool> _inner;

    public static PooledMethodBuilder Create() => default;

    public readonly ValueTask Task =>
        _inner.Frame is { } frame ? new(frame, frame.Version) : _inner.Failure is { } failure ? ValueTask.FromException(failure) : default;

    public void Start<TStateMachine>(ref TStateMachine machine) where TStateMachine : IAsyncStateMachine => _inner.Start(ref machine);

    /// <inheritdoc cref="PooledMethodBuilder{T}.SetStateMachine"/>
    public readonly void SetStateMachine(IAsyncStateMachine machine)
    {
    }

    public void SetResult() => _inner.SetResult(true);

    public void SetException(Exception exception) => _inner.SetException(exception);

    public void AwaitOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine machine)
        where TAwaiter : INotifyCompletion where TStateMachine : IAsyncStateMachine => _inner.AwaitOnCompleted(ref awaiter, ref machine);

    public void AwaitUnsafeOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine machine)
        where TAwaiter : ICriticalNotifyCompletion where TStateMachine : IAsyncStateMachine => _inner.AwaitUnsafeOnCompleted(ref awaiter, ref machine);
}
