namespace Isthmus.Wire.Xds;

/// <summary>
/// Admits only some streams at a time to their first answers, which are the largest: when every proxy connects at once, the first of them
/// are complete early, and the memory for answers on their way is that of a few. Earlier streams go first.
/// </summary>
/// <param name="places">How many streams may have first answers outstanding.</param>
/// <param name="patience">How long a stream keeps its place without accepting or rejecting the answer.</param>
public sealed class FirstStates(int places, TimeSpan patience, TimeProvider time)
{
    private readonly TimeSpan _patience = patience;
    private readonly TimeProvider _time = time;
    private readonly Lock _guard = new(); // Guards the fields below.
    private readonly PriorityQueue<TaskCompletionSource, long> _waiting = new();
    private int _free = places;
    private long _streams;

    /// <summary>A stream has begun.</summary>
    internal Turn Join()
    {
        lock (_guard) return new(this, ++_streams);
    }

    /// <summary>One stream's turn.</summary>
    internal sealed class Turn(FirstStates all, long order) : IDisposable
    {
        private Place? _place;

        /// <summary>Waits for a place; returns at once if the stream has one.</summary>
        public async ValueTask EnterAsync(CancellationToken stop)
        {
            if (_place is { IsTaken: true }) return;
            var granted = all.Ask(order);
            await using (stop.Register(() => granted.TrySetCanceled(stop)).ConfigureAwait(false)) await granted.Task.ConfigureAwait(false);
            _place = new(all);
        }

        /// <summary>Gives the place to the next stream, if this one has a place.</summary>
        public void Leave() => _place?.Leave();

        public void Dispose() => Leave();
    }

    /// <summary>A place that ends by itself.</summary>
    private sealed class Place
    {
        private readonly FirstStates _all;
        private readonly ITimer _patience;
        private int _left;

        public Place(FirstStates all)
        {
            _all = all;
            _patience = all._time.CreateTimer(place => ((Place)place!).Leave(), this, all._patience, Timeout.InfiniteTimeSpan);
        }

        public bool IsTaken => Volatile.Read(ref _left) == 0;

        public void Leave()
        {
            if (Interlocked.Exchange(ref _left, 1) != 0) return;
            // A timer that fires at once does so before its field is set.
            _patience?.Dispose();
            _all.Next();
        }
    }

    private TaskCompletionSource Ask(long order)
    {
        var granted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_guard)
        {
            if (_free == 0) _waiting.Enqueue(granted, order);
            else
            {
                _free--;
                granted.SetResult();
            }
        }
        return granted;
    }

    private void Next()
    {
        lock (_guard)
        {
            while (_waiting.TryDequeue(out var next, out _))
                if (next.TrySetResult()) return;
            _free++;
        }
    }
}
