namespace Isthmus.Core.Tasks;

/// <summary>Owns tasks that nobody awaits: counts and reports each failure, and knows when all have ended. Stopping them is
/// up to the caller.</summary>
/// <param name="failed">Called with the name of the task. It must not throw.</param>
public sealed class BackgroundTasks(Action<string, Exception> failed)
{
    private readonly Lock _lock = new();   // guards _running and _ended
    private int _running;
    private TaskCompletionSource? _ended;
    private long _failures;

    /// <summary>How many tasks have failed so far.</summary>
    public long Failures => Interlocked.Read(ref _failures);

    /// <summary>Runs the work on the thread pool.</summary>
    /// <param name="name">What a report of its failure calls it.</param>
    public void Start(string name, Func<Task> work)
    {
        lock (_lock) _running++;
        // RunAsync catches everything, and counts until its end.
        _ = Task.Run(() => RunAsync(name, work));
    }

    /// <summary>Completes when no task is running; never fails.</summary>
    public Task WhenEndedAsync()
    {
        lock (_lock) return _running == 0 ? Task.CompletedTask : (_ended ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
    }

    private async Task RunAsync(string name, Func<Task> work)
    {
        try
        {
            await work().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Interlocked.Increment(ref _failures);
            failed(name, e);
        }
        finally
        {
            lock (_lock)
            {
                if (--_running == 0)
                {
                    _ended?.SetResult();
                    _ended = null;
                }
            }
        }
    }
}
