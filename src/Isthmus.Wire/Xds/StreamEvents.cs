using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;

namespace Isthmus.Wire.Xds;

/// <summary>
/// What one stream has to do next: requests of its client in their order, and after each of them the newest snapshot. The stream waits for both at once,
/// without a task or an object for each wait: a change of the mesh wakes every stream. Told from any thread; one reader.
/// </summary>
/// <param name="most">How many requests may wait, so that a flooding client is held back by its own socket.</param>
internal sealed class StreamEvents<TRequest>(int most) : IValueTaskSource<bool>
    where TRequest : class
{
    private readonly Lock _guard = new(); // Guards the fields below.
    private readonly Queue<(TRequest Request, long Weight)> _requests = new();
    private ManualResetValueTaskSourceCore<bool> _wake = new() { RunContinuationsAsynchronously = true };
    private bool _isWaiting, _isOffered, _isEnded, _tookRequest;
    private ExceptionDispatchInfo? _failure;
    private TaskCompletionSource? _room;

    /// <summary>There is a newer snapshot.</summary>
    public void Offered()
    {
        lock (_guard)
        {
            _isOffered = true;
            if (!Wakes()) return;
        }
        _wake.SetResult(true);
    }

    /// <summary>A request has come; completes when there is room for another one.</summary>
    /// <param name="request">The request.</param>
    /// <param name="weight">What it weighs until it is answered.</param>
    /// <param name="stop">Ends the wait.</param>
    public ValueTask AddAsync(TRequest request, long weight, CancellationToken stop)
    {
        Task? room;
        lock (_guard)
        {
            _requests.Enqueue((request, weight));
            room = _requests.Count < most ? null : (_room ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            if (!Wakes()) return room is null ? default : new(room.WaitAsync(stop));
        }
        _wake.SetResult(true);
        return room is null ? default : new(room.WaitAsync(stop));
    }

    /// <summary>Nothing more comes.</summary>
    /// <param name="failure">The reason for those who wait; null: the client has ended its side.</param>
    public void End(Exception? failure)
    {
        lock (_guard)
        {
            if (_isEnded) return;
            (_isEnded, _failure) = (true, failure is null ? null : ExceptionDispatchInfo.Capture(failure));
            if (!Wakes()) return;
        }
        _wake.SetResult(true);
    }

    /// <summary>Waits until <see cref="TryTake"/> has something; false: nothing more comes.</summary>
    public ValueTask<bool> WaitAsync()
    {
        lock (_guard)
        {
            _failure?.Throw();
            if (_isOffered || _requests.Count > 0) return new(true);
            if (_isEnded) return new(false);
            _wake.Reset();
            _isWaiting = true;
            return new(this, _wake.Version);
        }
    }

    /// <param name="request">The next one; null: there is a newer snapshot.</param>
    /// <param name="weight">That of the request.</param>
    /// <returns>False: there is nothing to do.</returns>
    public bool TryTake(out TRequest? request, out long weight)
    {
        (request, weight) = (null, 0);
        TaskCompletionSource? room = null;
        lock (_guard)
        {
            // A client that asks all the time gets snapshots as well.
            if (!(_isOffered && _tookRequest) && _requests.TryDequeue(out var next))
            {
                (_tookRequest, (request, weight)) = (true, next);
                if (_requests.Count < most) (room, _room) = (_room, null);
            }
            else if (!_isOffered) return false;
            else (_isOffered, _tookRequest) = (false, false);
        }
        room?.SetResult();
        return true;
    }

    /// <summary>Whether somebody waits, and is to be woken. Only under the guard.</summary>
    private bool Wakes()
    {
        var wakes = _isWaiting;
        _isWaiting = false;
        return wakes;
    }

    bool IValueTaskSource<bool>.GetResult(short token)
    {
        _wake.GetResult(token);
        lock (_guard)
        {
            _failure?.Throw();
            return _isOffered || _requests.Count > 0;
        }
    }

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _wake.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _wake.OnCompleted(continuation, state, token, flags);
}
