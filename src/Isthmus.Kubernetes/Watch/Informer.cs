using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Kubernetes.Watch;

/// <summary>One change of one object. <see cref="Object"/> is null when it is gone.</summary>
public readonly record struct Change<T>(string Key, T? Object, T? Before) where T : class;

/// <summary>What an informer looks at, and how patient it is.</summary>
public sealed record InformerSettings
{
    /// <summary>Null for every namespace.</summary>
    public string? Namespace { get; init; }
    public string? LabelSelector { get; init; }
    public string? FieldSelector { get; init; }
    public TimeSpan FirstBackoff { get; init; } = TimeSpan.FromMilliseconds(100);
    public TimeSpan LongestBackoff { get; init; } = TimeSpan.FromSeconds(10);
}

/// <summary>
/// Keeps a copy of one kind by list and watch. Callbacks come one at a time, from the task of <see cref="RunAsync"/>.
/// When the API server is away the last known state stays; it is reconciled by a new list once the server is back.
/// </summary>
public sealed class Informer<T>(KubeClient client, ResourceKind kind, InformerSettings settings, TimeProvider time) where T : class
{
    private readonly Dictionary<string, (T Object, string Version)> _items = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _synced = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? _version; // where to go on; also after a watch that broke in the middle, or it would tell again what is long over
    private long _lastContact;

    public ResourceKind Kind => kind;

    /// <summary>Completes after the first list has been delivered.</summary>
    public Task Synced => _synced.Task;

    /// <summary>When the server last told something (event, bookmark or list); null before the first time.</summary>
    public DateTimeOffset? LastContact => Volatile.Read(ref _lastContact) is var ticks and > 0 ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;

    /// <summary>Why the last attempt failed; null while the watch is up.</summary>
    public Exception? LastError { get; private set; }

    /// <summary>Runs until stopped. Each list is delivered as one batch, so that a consumer can commit it at once.</summary>
    public async Task RunAsync(Func<IReadOnlyList<Change<T>>, ValueTask> onChanges, CancellationToken stop)
    {
        var backoff = settings.FirstBackoff;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                _version ??= await ListAsync(onChanges, stop);
                await WatchAsync(_version, onChanges, () => backoff = settings.FirstBackoff, stop);
            }
            catch (KubeException e) when (e.IsExpired)
            {
                _version = null; // compacted: list again at once
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is KubeException or HttpRequestException or IOException or SocketException or AuthenticationException
                or JsonException or InvalidDataException or OperationCanceledException or InvalidOperationException or FormatException or NotSupportedException)
            {
                // The last three: JSON of another shape, from whatever answers at an address that somebody gave.
                LastError = e;
                if (e is KubeException) _version = null;
                try { await Task.Delay(backoff, time, stop); }
                catch (OperationCanceledException) { return; }
                backoff = TimeSpan.FromTicks(Math.Min(backoff.Ticks * 2, settings.LongestBackoff.Ticks));
            }
        }
    }

    private async Task<string> ListAsync(Func<IReadOnlyList<Change<T>>, ValueTask> onChanges, CancellationToken stop)
    {
        var options = new ListOptions { LabelSelector = settings.LabelSelector, FieldSelector = settings.FieldSelector, Limit = 500 };
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var changes = new List<Change<T>>();
        var page = await client.ListAsync<T>(kind, settings.Namespace, options, stop);
        while (true)
        {
            foreach (var item in page.Items)
            {
                seen.Add(KeyOf(item));
                if (Keep(item) is { } change) changes.Add(change);
            }
            if (page.Continue.Length == 0) break;
            page = await client.ListAsync<T>(kind, settings.Namespace, options with { Continue = page.Continue }, stop);
        }
        foreach (var key in _items.Keys.Where(key => !seen.Contains(key)).ToList()) changes.Add(Drop(key)!.Value);
        Connected();
        if (changes.Count > 0 || !_synced.Task.IsCompleted) await onChanges(changes);
        _synced.TrySetResult();
        return page.ResourceVersion;
    }

    private async Task WatchAsync(string version, Func<IReadOnlyList<Change<T>>, ValueTask> onChanges, Action onOpen, CancellationToken stop)
    {
        var options = new ListOptions { LabelSelector = settings.LabelSelector, FieldSelector = settings.FieldSelector, ResourceVersion = version, TimeoutSeconds = 600 };
        await foreach (var change in client.WatchAsync<T>(kind, settings.Namespace, options, stop, () => { Connected(); onOpen(); }))
        {
            Connected();
            var delivered = change.Type switch
            {
                WatchEventType.Bookmark => null,
                WatchEventType.Deleted => Drop(KeyOf(change.Object)),
                _ => Keep(change.Object),
            };
            if (delivered is { } one) await onChanges([one]);
            if (change.ResourceVersion.Length > 0) _version = change.ResourceVersion;
        }
    }

    private Change<T>? Keep(T item)
    {
        var (key, version) = (KeyOf(item), VersionOf(item));
        var had = _items.TryGetValue(key, out var before);
        if (had && before.Version == version) return null;
        _items[key] = (item, version);
        return new(key, item, had ? before.Object : null);
    }

    private Change<T>? Drop(string key) => _items.Remove(key, out var before) ? new(key, null, before.Object) : null;

    private void Connected()
    {
        Volatile.Write(ref _lastContact, time.GetUtcNow().UtcTicks);
        LastError = null;
    }

    private static string KeyOf(T item) => item switch
    {
        KubeObject known => known.Key,
        JsonObject tree => (string?)tree["metadata"]?["namespace"] is { Length: > 0 } ns ? $"{ns}/{tree["metadata"]!["name"]}" : (string?)tree["metadata"]?["name"] ?? "",
        _ => throw new NotSupportedException($"{typeof(T).Name} has no key"),
    };

    private static string VersionOf(T item) => item switch
    {
        KubeObject known => known.Metadata.ResourceVersion,
        JsonObject tree => (string?)tree["metadata"]?["resourceVersion"] ?? "",
        _ => "",
    };
}
