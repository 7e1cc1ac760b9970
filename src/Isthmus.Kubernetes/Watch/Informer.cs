using System.Text.Json.Nodes;
using Isthmus.Core.Time;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Kubernetes.Watch;

/// <summary>One change of one object. <see cref="Object"/> is null when it is gone.</summary>
public readonly record struct Change<T>(string Key, T? Object, T? Before) where T : class;

/// <summary>An informer that keeps the objects unchanged.</summary>
public sealed class Informer<T>(KubeClient client, ResourceKind kind, InformerSettings settings, TimeProvider time)
    : Informer<T, T>(client, kind, item => item, settings, time) where T : class;

/// <summary>
/// Follows one kind by list and watch, and keeps what the projection makes of each object. Callbacks come one at a time,
/// from the task of <see cref="RunAsync"/>. While the API server is away, the last known state stays.
/// </summary>
/// <remarks>
/// Three kinds of failures are handled separately. If the connection fails, the watch resumes where it was. If the API
/// server rejects the request, the watch resumes after a wait when the server is only busy, and lists again otherwise. If
/// the consumer fails, <see cref="ConsumerError"/> is set and the change is delivered again; this affects neither the watch
/// nor <see cref="LastError"/>.
/// </remarks>
/// <typeparam name="TObject">The parsed object.</typeparam>
/// <typeparam name="T">What is kept of it.</typeparam>
public class Informer<TObject, T> where TObject : class where T : class
{
    /// <summary>The longest wait that a server may request: a server that requests years must not end a watch.</summary>
    private static readonly TimeSpan LongestRetryAfter = TimeSpan.FromMinutes(1);

    private readonly KubeClient _client;
    private readonly Func<TObject, T?> _project;
    private readonly InformerSettings _settings;
    private readonly TimeProvider _time;
    private readonly Backoff _backoff;
    private readonly Dictionary<string, (T Object, string Version)> _items = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _synced = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<Exception> _firstFailure = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? _version; // Where to resume, also after a broken watch; null to list first.
    private long _lastContact;
    private bool _expired;

    /// <param name="project">What to keep of an object; null to keep nothing, as if the object did not exist.</param>
    public Informer(KubeClient client, ResourceKind kind, Func<TObject, T?> project, InformerSettings settings, TimeProvider time)
    {
        (_client, Kind, _project, _settings, _time) = (client, kind, project, settings, time);
        _backoff = NewBackoff();
    }

    public ResourceKind Kind { get; }

    /// <summary>Completes when the consumer has accepted the first list.</summary>
    public Task Synced => _synced.Task;

    /// <summary>Completes with <see cref="Synced"/>, or when the API server reports that the kind does not exist or must
    /// not be read.</summary>
    public Task Answered => _answered.Task;

    /// <summary>Completes when the API server could not be read for the first time.</summary>
    public Task<Exception> FirstFailure => _firstFailure.Task;

    /// <summary>When the server last sent something (list, event or bookmark); null before the first time.</summary>
    public DateTimeOffset? LastContact => Volatile.Read(ref _lastContact) is var ticks and > 0 ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;

    /// <summary>The resource version up to which changes were delivered; null before the first list, and while a new one is due.</summary>
    public string? Version => Volatile.Read(ref _version);

    /// <summary>Why the API server could not be read; null while the watch is up. A <see cref="KubeException"/> is the
    /// server's own response; all other exceptions are about the connection.</summary>
    public Exception? LastError { get; private set; }

    /// <summary>Why the consumer failed on a change that it has not accepted yet; null when it has accepted
    /// everything.</summary>
    public Exception? ConsumerError { get; private set; }

    /// <summary>Runs until stopped. Each list is delivered as one batch, so that a consumer can commit it at
    /// once.</summary>
    public async Task RunAsync(Func<IReadOnlyList<Change<T>>, ValueTask> onChanges, CancellationToken stop)
    {
        var delivery = new Delivery<T>(onChanges, NewBackoff(), Consumed);
        try
        {
            while (true)
            {
                if (_settings.Outage is { } outage) await outage.WaitAsync(this, Failed, stop);
                if (_synced.Task.IsCompleted) await delivery.RetryAsync(stop); // The first list is delivered as a whole.
                await Task.Delay(await AttemptAsync(delivery, stop), _time, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        finally
        {
            _settings.Outage?.Left(this);
        }
    }

    /// <summary>Lists if necessary, and watches until the watch ends. Returns how long to wait before the next
    /// attempt.</summary>
    private async Task<TimeSpan> AttemptAsync(Delivery<T> delivery, CancellationToken stop)
    {
        var begun = _time.GetTimestamp();
        try
        {
            if (_version is null)
            {
                var (version, isTaken) = await ListAsync(delivery, stop);
                // Until the consumer has accepted the first list, later changes would make no sense.
                if (!isTaken && !_synced.Task.IsCompleted) return delivery.Wait();
                _version = version;
            }
            await WatchAsync(_version, delivery, stop);
            _expired = false;
            return Pause(begun); // API servers end every watch after a while.
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            throw;
        }
        catch (KubeException e) when (e.IsExpired && !_expired)
        {
            (_version, _expired) = (null, true); // The version was compacted: list again at once.
            return TimeSpan.Zero;
        }
        catch (KubeException e)
        {
            Failed(e);
            _settings.Outage?.Failed(this, e);
            if (!e.IsBusy) _version = null;
            if (e.Code is 403 or 404) _answered.TrySetResult();
            var asked = e.RetryAfter ?? TimeSpan.Zero;
            return (asked < LongestRetryAfter ? asked : LongestRetryAfter) + Pause(begun);
        }
        catch (Exception e)
        {
            // A connection failure, or a response that no API server would send: whatever it throws, the next attempt may
            // succeed.
            Failed(e);
            _settings.Outage?.Failed(this, e);
            return Pause(begun);
        }
    }

    /// <summary>Attempts that bring nothing become less frequent. An attempt that lasted counts as successful, however
    /// quiet it was.</summary>
    private TimeSpan Pause(long begun)
    {
        if (_time.GetElapsedTime(begun) >= _settings.LongestBackoff) _backoff.Reset();
        return _backoff.Next();
    }

    private async Task<(string Version, bool IsTaken)> ListAsync(Delivery<T> delivery, CancellationToken stop)
    {
        var options = new ListOptions { LabelSelector = _settings.LabelSelector, FieldSelector = _settings.FieldSelector, Limit = 500 };
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var read = new List<(string Key, string Version, T? Kept)>();
        ListEnd end;
        do
        {
            // An object is reduced as soon as it arrives: neither it nor its page stays in memory.
            end = await _client.ReadPageAsync<TObject>(Kind, _settings.Namespace, options, item =>
            {
                seen.Add(KeyOf(item));
                if (Read(item) is { } one) read.Add(one);
            }, stop);
            options = options with { Continue = end.Continue };
        }
        while (end.Continue.Length > 0);
        // Only a list that is complete has an effect: the next one would not repeat what this one brought.
        var changes = new List<Change<T>>();
        foreach (var (key, version, kept) in read)
        {
            if (Keep(key, version, kept) is { } change) changes.Add(change);
        }
        foreach (var key in _items.Keys.Where(key => !seen.Contains(key)).ToList()) changes.Add(Drop(key)!.Value);
        Connected();
        if (changes.Count == 0 && _synced.Task.IsCompleted) return (end.ResourceVersion, true);
        var isTaken = await delivery.TryAllAsync(changes, stop);
        if (isTaken)
        {
            _synced.TrySetResult();
            _answered.TrySetResult();
        }
        return (end.ResourceVersion, isTaken);
    }

    private async Task WatchAsync(string version, Delivery<T> delivery, CancellationToken stop)
    {
        var options = new ListOptions
        {
            LabelSelector = _settings.LabelSelector, FieldSelector = _settings.FieldSelector, ResourceVersion = version, TimeoutSeconds = 600
        };
        await using var events = _client.WatchAsync<TObject>(Kind, _settings.Namespace, options, stop, Connected).GetAsyncEnumerator(stop);
        while (await NextAsync(events, delivery, stop))
        {
            Connected();
            _backoff.Reset();
            _expired = false;
            var change = events.Current;
            var delivered = change.Type switch
            {
                WatchEventType.Bookmark => null,
                WatchEventType.Deleted => Drop(KeyOf(change.Object)),
                _ => Keep(change.Object),
            };
            if (delivered is { } one) await delivery.TryAsync([one], stop);
            if (change.ResourceVersion.Length > 0) _version = change.ResourceVersion;
        }
    }

    /// <summary>Waits for the next event. Meanwhile, it delivers failed changes again.</summary>
    private async ValueTask<bool> NextAsync(IAsyncEnumerator<WatchEvent<TObject>> events, Delivery<T> delivery, CancellationToken stop)
    {
        var next = events.MoveNextAsync();
        if (!delivery.IsBehind || next.IsCompleted) return await next;
        var waiting = next.AsTask();
        while (delivery.IsBehind && await Task.WhenAny(waiting, Task.Delay(delivery.Wait(), _time, stop)) != waiting && !stop.IsCancellationRequested)
            await delivery.RetryAsync(stop);
        return await waiting;
    }

    private Change<T>? Keep(TObject item) => Read(item) is { } read ? Keep(read.Key, read.Version, read.Kept) : null;

    /// <summary>What to keep of an object; null when that stays what it is.</summary>
    private (string Key, string Version, T? Kept)? Read(TObject item)
    {
        var (key, version) = (KeyOf(item), VersionOf(item));
        if (_items.TryGetValue(key, out var before) && before.Version == version) return null;
        try
        {
            return (key, version, _project(item));
        }
        catch (Exception e)
        {
            // The same object would fail again, so its earlier state stays until it changes.
            _settings.ConsumerFailed?.Invoke(e);
            return null;
        }
    }

    private Change<T>? Keep(string key, string version, T? kept)
    {
        if (kept is null) return Drop(key);
        var before = _items.TryGetValue(key, out var known) ? known.Object : null;
        _items[key] = (kept, version);
        return new(key, kept, before);
    }

    private Change<T>? Drop(string key) => _items.Remove(key, out var before) ? new(key, null, before.Object) : null;

    private void Connected()
    {
        Volatile.Write(ref _lastContact, _time.GetUtcNow().UtcTicks);
        LastError = null;
        _settings.Outage?.Over();
    }

    private void Failed(Exception e)
    {
        LastError = e;
        _firstFailure.TrySetResult(e);
    }

    private void Consumed(Exception? e)
    {
        ConsumerError = e;
        if (e is not null) _settings.ConsumerFailed?.Invoke(e);
    }

    private Backoff NewBackoff() => new(_settings.FirstBackoff, _settings.LongestBackoff, new Random());

    private static string KeyOf(TObject item) => item switch
    {
        KubeObject known => known.Key,
        JsonObject tree => (string?)tree["metadata"]?["namespace"] is { Length: > 0 } ns
            ? $"{ns}/{tree["metadata"]!["name"]}"
            : (string?)tree["metadata"]?["name"] ?? "",
        _ => throw new NotSupportedException($"{typeof(TObject).Name} has no key"),
    };

    private static string VersionOf(TObject item) => item switch
    {
        KubeObject known => known.Metadata.ResourceVersion,
        JsonObject tree => (string?)tree["metadata"]?["resourceVersion"] ?? "",
        _ => "",
    };
}
