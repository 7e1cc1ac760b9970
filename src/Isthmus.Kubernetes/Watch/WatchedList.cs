using System.Collections.Concurrent;
using System.Threading.Channels;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Kubernetes.Watch;

/// <summary>An informer for controllers, with a copy that any thread may read. It can have several listeners.</summary>
public sealed class WatchedList<T>(KubeClient client, ResourceKind kind, InformerSettings settings, TimeProvider time) where T : class
{
    private readonly Informer<T> _informer = new(client, kind, settings, time);
    private readonly ConcurrentDictionary<string, T> _items = new(StringComparer.Ordinal);
    private readonly List<Action<Change<T>>> _listeners = [];

    public ICollection<T> Items => _items.Values;

    public Task Synced => _informer.Synced;

    public Informer<T> Informer => _informer;

    public T? Find(string key) => _items.GetValueOrDefault(key);

    public T? Find(string ns, string name) => Find(ns.Length == 0 ? name : $"{ns}/{name}");

    /// <summary>Adds a listener. Add all listeners before <see cref="RunAsync"/>. A listener must not block: it only puts a
    /// key into a queue.</summary>
    public WatchedList<T> Listen(Action<Change<T>> listener)
    {
        _listeners.Add(listener);
        return this;
    }

    public Task RunAsync(CancellationToken stop) => _informer.RunAsync(changes =>
    {
        foreach (var change in changes)
        {
            if (change.Object is { } item) _items[change.Key] = item;
            else _items.TryRemove(change.Key, out _);
        }
        foreach (var change in changes)
        {
            foreach (var listener in _listeners) listener(change);
        }
        return ValueTask.CompletedTask;
    }, stop);
}

/// <summary>A work queue: one worker at a time handles each key, once for any number of requests, and again with back-off
/// after a failure.</summary>
public sealed class WorkQueue<TKey>(TimeProvider time) where TKey : notnull
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(30);

    private readonly Channel<TKey> _ready = Channel.CreateUnbounded<TKey>(new UnboundedChannelOptions { SingleReader = false });
    private readonly Lock _guard = new(); // Guards the three collections below.
    private readonly HashSet<TKey> _waiting = [];
    private readonly HashSet<TKey> _running = [];
    private readonly Dictionary<TKey, int> _failures = [];

    public void Add(TKey key)
    {
        lock (_guard)
        {
            if (!_waiting.Add(key) || _running.Contains(key)) return;
        }
        _ready.Writer.TryWrite(key);
    }

    /// <summary>Adds the key later. The wait ends early when the process stops.</summary>
    public void AddAfter(TKey key, TimeSpan delay)
    {
        var timer = default(ITimer);
        timer = time.CreateTimer(_ =>
        {
            timer?.Dispose();
            Add(key);
        }, null, delay, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Runs workers until stopped. An exception puts the key back with back-off and is reported to <paramref
    /// name="onFailure"/>.</summary>
    public Task RunAsync(int workers, Func<TKey, CancellationToken, Task> handle, Action<TKey, Exception> onFailure, CancellationToken stop) =>
        Task.WhenAll(Enumerable.Range(0, workers).Select(_ => WorkAsync(handle, onFailure, stop)));

    private async Task WorkAsync(Func<TKey, CancellationToken, Task> handle, Action<TKey, Exception> onFailure, CancellationToken stop)
    {
        try
        {
            await foreach (var key in _ready.Reader.ReadAllAsync(stop)) await HandleAsync(key, handle, onFailure, stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    private async Task HandleAsync(TKey key, Func<TKey, CancellationToken, Task> handle, Action<TKey, Exception> onFailure, CancellationToken stop)
    {
        lock (_guard)
        {
            _waiting.Remove(key);
            _running.Add(key);
        }
        try
        {
            await handle(key, stop);
            lock (_guard) _failures.Remove(key);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception e)
        {
            int failures;
            lock (_guard) failures = _failures[key] = _failures.GetValueOrDefault(key) + 1;
            // A conflict means that our copy was stale: retry silently.
            if (e is not KubeException { IsConflict: true }) onFailure(key, e);
            AddAfter(key, TimeSpan.FromTicks(Math.Min(FirstRetry.Ticks << Math.Min(failures - 1, 20), LongestRetry.Ticks)));
        }
        finally
        {
            bool again;
            lock (_guard)
            {
                _running.Remove(key);
                again = _waiting.Contains(key);
            }
            if (again) _ready.Writer.TryWrite(key);
        }
    }
}
