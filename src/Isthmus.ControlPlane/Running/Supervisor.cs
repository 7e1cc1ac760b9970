using System.Collections.Concurrent;
using Isthmus.Core.Time;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Running;

/// <summary>
/// Owns the background tasks of a control plane. A task that fails is logged, counted and restarted after a wait, so that
/// no input can end a part of the control plane permanently.
/// </summary>
public sealed partial class Supervisor(TimeProvider time, Random random, ILogger<Supervisor> log) : IAsyncDisposable
{
    private static readonly TimeSpan FirstWait = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, long> _failures = new(StringComparer.Ordinal);
    private readonly HashSet<RunningTask> _running = [];
    private readonly Lock _guard = new(); // Guards _running, _stopped and random.
    private bool _stopped;

    /// <summary>How often each task has failed. From any thread.</summary>
    public IReadOnlyDictionary<string, long> Failures => _failures;

    /// <summary>Runs work that lasts until it is stopped. If it returns earlier, that counts as a failure.</summary>
    public RunningTask Keep(string name, Func<CancellationToken, Task> work) => Begin(name, async stop =>
    {
        await work(stop);
        if (!stop.IsCancellationRequested) throw new InvalidOperationException("The task ended by itself.");
    });

    /// <summary>Runs work that is done when it returns.</summary>
    public RunningTask Start(string name, Func<CancellationToken, Task> work) => Begin(name, work);

    /// <summary>Counts and logs a failure that the task itself survived.</summary>
    public void Failed(string name, Exception e)
    {
        _failures.AddOrUpdate(name, 1, (_, count) => count + 1);
        LogFailed(e, name);
    }

    /// <summary>Stops all tasks and waits until they end. A task that is started later does not run.</summary>
    public async ValueTask DisposeAsync()
    {
        List<RunningTask> running;
        lock (_guard)
        {
            _stopped = true;
            running = [.. _running];
        }
        await Task.WhenAll(running.Select(task => task.StopAsync()));
    }

    private RunningTask Begin(string name, Func<CancellationToken, Task> work)
    {
        lock (_guard)
        {
            var task = new RunningTask();
            if (_stopped) return task;
            _running.Add(task);
            task.Completion = Task.Run(() => RunAsync(name, work, task, new Backoff(FirstWait, LongestWait, new Random(random.Next()))));
            return task;
        }
    }

    private async Task RunAsync(string name, Func<CancellationToken, Task> work, RunningTask task, Backoff backoff)
    {
        try
        {
            while (!await TryAsync(name, work, task.Stop, backoff)) await Task.Delay(backoff.Next(), time, task.Stop);
        }
        catch (OperationCanceledException) when (task.Stop.IsCancellationRequested)
        {
        }
        finally
        {
            lock (_guard) _running.Remove(task);
        }
    }

    private async Task<bool> TryAsync(string name, Func<CancellationToken, Task> work, CancellationToken stop, Backoff backoff)
    {
        var begun = time.GetTimestamp();
        try
        {
            await work(stop);
            return true;
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            if (time.GetElapsedTime(begun) >= LongestWait) backoff.Reset();
            Failed(name, e);
            return false;
        }
        catch (Exception)
        {
            return true; // Failures during a stop do not matter.
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Task '{Task}' failed; restarting it")]
    private partial void LogFailed(Exception e, string task);
}

/// <summary>A task of a <see cref="Supervisor"/>.</summary>
public sealed class RunningTask
{
#pragma warning disable CA2213, CA1001 // It has neither a timer nor a link, so there is nothing to release.
    private readonly CancellationTokenSource _stop = new();
#pragma warning restore CA2213, CA1001

    internal CancellationToken Stop => _stop.Token;

    /// <summary>Completes when the work is done or stopped; never fails.</summary>
    public Task Completion { get; internal set; } = Task.CompletedTask;

    /// <summary>Stops the task and waits for its end.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Completion;
    }
}
