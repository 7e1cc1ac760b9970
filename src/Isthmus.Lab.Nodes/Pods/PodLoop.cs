using System.Threading.Channels;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>
/// The concurrency of one Pod. Messages run one at a time on the Pod's loop, so the state that they touch needs no lock.
/// Tasks run in parallel to it. A task that fails is reported and restarts after a pause: it never ends unnoticed.
/// </summary>
/// <param name="report">Called with what failed and why, on any thread.</param>
internal sealed class PodLoop(TimeProvider time, Action<string, Exception> report)
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(10);

    /// <summary>The longest time of a timer. A longer wait wakes up in between.</summary>
    internal static readonly TimeSpan LongestWait = TimeSpan.FromDays(20);

    private readonly Channel<Action> _letters = Channel.CreateUnbounded<Action>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _closed = new();
    private readonly Lock _guard = new(); // guards the set of tasks: they end on any thread
    private readonly HashSet<Task> _tasks = [];

    /// <summary>A valid time for a timer: not negative, and not too long.</summary>
    internal static TimeSpan ToTimer(TimeSpan wait) => wait <= TimeSpan.Zero ? TimeSpan.Zero : wait < LongestWait ? wait : LongestWait;

    /// <summary>Runs a message on the loop, some time later. A failed message is reported.</summary>
    internal void Post(Action letter) => _letters.Writer.TryWrite(letter);

    /// <summary>Runs a message on the loop and waits for it. Its exceptions are rethrown here.</summary>
    /// <exception cref="OperationCanceledException">The loop has ended, or <paramref name="stop"/> came first.</exception>
    internal async Task InvokeAsync(Action letter, CancellationToken stop)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var isPosted = _letters.Writer.TryWrite(() =>
        {
            try
            {
                letter();
                done.TrySetResult();
            }
            catch (Exception e)
            {
                done.TrySetException(e);
            }
        });
        if (!isPosted) throw new OperationCanceledException("the Pod's loop has ended");
        await done.Task.WaitAsync(stop);
    }

    /// <summary>Queries a value on the loop; null when the loop has ended.</summary>
    internal async Task<T?> AskAsync<T>(Func<T?> question) where T : class
    {
        T? answer = null;
        try
        {
            await InvokeAsync(() => answer = question(), _closed.Token);
        }
        catch (OperationCanceledException)
        {
            return null;
        }
        return answer;
    }

    /// <summary>Waits for a message or until a time, and runs the messages that have arrived.</summary>
    /// <param name="wake">Null to wait only for a message.</param>
    internal async Task ReadAsync(DateTimeOffset? wake, CancellationToken stop)
    {
        if (!_letters.Reader.TryPeek(out _) && !await WaitAsync(wake, stop)) return;
        while (_letters.Reader.TryRead(out var letter))
        {
            try
            {
                letter();
            }
            catch (Exception e)
            {
                report("handling a change", e);
            }
        }
    }

    /// <summary>Runs <paramref name="work"/> in parallel to the loop until it succeeds, <paramref name="until"/> is
    /// cancelled, or the loop ends.</summary>
    /// <param name="what">Names the work in reports, such as <c>watching container x</c>.</param>
    internal void Start(string what, Func<CancellationToken, Task> work, CancellationToken until = default)
    {
        var task = RunAsync(what, work, until);
        lock (_guard)
        {
            _tasks.RemoveWhere(one => one.IsCompleted);
            if (!task.IsCompleted) _tasks.Add(task);
        }
    }

    /// <summary>Cancels all tasks and waits for them. No message runs afterwards.</summary>
    internal async Task CloseAsync()
    {
        _letters.Writer.TryComplete();
        await _closed.CancelAsync();
        Task[] left;
        lock (_guard) left = [.. _tasks];
        await Task.WhenAll(left);
    }

    private async Task<bool> WaitAsync(DateTimeOffset? wake, CancellationToken stop)
    {
        if (wake is not { } at) return await _letters.Reader.WaitToReadAsync(stop);
        var wait = at - time.GetUtcNow();
        if (wait <= TimeSpan.Zero) return true;
        using var timer = new CancellationTokenSource(ToTimer(wait), time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, timer.Token);
        try
        {
            return await _letters.Reader.WaitToReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return false;
        }
    }

    private async Task RunAsync(string what, Func<CancellationToken, Task> work, CancellationToken until)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(until, _closed.Token);
        var pause = new RetryPause(FirstRetry, LongestRetry);
        while (!over.IsCancellationRequested)
        {
            try
            {
                await work(over.Token);
                return;
            }
            catch (Exception) when (over.IsCancellationRequested)
            {
                // What it worked on is gone. Its failure is a consequence of that.
                return;
            }
            catch (Exception e)
            {
                report(what, e);
            }
            await Task.Delay(pause.Next(), time, over.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
