using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Inventory;

/// <summary>The lists of objects of one cluster for the readers of one command. Each is asked for when its first reader wants it, and never again: all
/// readers get the same objects, which none of them changes, or the same failure, of which each makes its own.</summary>
public sealed class ClusterLists
{
    private readonly ConcurrentDictionary<Wanted, Lazy<Listing>> _lists;
    private readonly KubeClient _requests;
    private readonly CancellationToken _end;
    private readonly TimeSpan? _patience;

    /// <param name="client">Its time limit is that of the requests. Whoever made it disposes of it.</param>
    /// <param name="end">Ends the requests. A reader that gives up earlier leaves them to the others.</param>
    public ClusterLists(KubeClient client, CancellationToken end) => (Client, _requests, _end, _lists) = (client, client, end, []);

    private ClusterLists(ClusterLists other, TimeSpan patience) => (Client, _requests, _end, _lists, _patience) =
        (other._requests.Within(patience), other._requests, other._end, other._lists, patience);

    /// <summary>What is listed.</summary>
    private readonly record struct Wanted(KindDescriptor Kind, string? Namespace, string Selector)
    {
        public string Path => Kind.In(Kind.ReadVersion).Path(Namespace);
    }

    /// <summary>For whatever else is asked of the cluster.</summary>
    public KubeClient Client { get; }

    /// <summary>The same lists for a reader with less patience, which waits so long for each page.</summary>
    public ClusterLists Within(TimeSpan patience) => new(this, patience);

    /// <summary>Lists of their own that begin with the objects that these have: what failed is asked for again, as is what has not arrived.</summary>
    /// <param name="limit">The time limit of their requests.</param>
    public ClusterLists Again(TimeSpan limit)
    {
        var next = new ClusterLists(_requests.Within(limit), _end);
        foreach (var (wanted, listing) in _lists)
            if (listing is { IsValueCreated: true, Value.HasArrived: true }) next._lists[wanted] = listing;
        return next;
    }

    /// <summary>All objects of a kind, in the version that the cluster serves.</summary>
    /// <param name="ns">Their namespace; null: all.</param>
    /// <exception cref="KubeException">The API server refuses, or serves no version of the kind.</exception>
    /// <exception cref="HttpRequestException">It does not answer.</exception>
    public Task<IReadOnlyList<JsonObject>> ListAsync(KindDescriptor kind, CancellationToken stop, string? ns = null) => ReadAsync(new(kind, ns, ""), stop);

    /// <inheritdoc cref="ListAsync(KindDescriptor, CancellationToken, string?)"/>
    public async Task<IReadOnlyList<T>> ListAsync<T>(KindDescriptor kind, CancellationToken stop) where T : class => Typed<T>(await ListAsync(kind, stop));

    /// <summary>The objects of a kind with a label. Where all objects were asked for, they are selected here.</summary>
    /// <param name="ns">Their namespace; null: all.</param>
    /// <param name="value">The value of the label; null: any.</param>
    /// <inheritdoc cref="ListAsync(KindDescriptor, CancellationToken, string?)"/>
    public async Task<IReadOnlyList<JsonObject>> SelectAsync(KindDescriptor kind, string? ns, string label, string? value, CancellationToken stop)
    {
        var all = new Wanted(kind, ns, "");
        if (!_lists.ContainsKey(all)) return await ReadAsync(new(kind, ns, value is null ? label : $"{label}={value}"), stop);
        return [.. (await ReadAsync(all, stop)).Where(item => item["metadata"]?["labels"]?[label]?.ToString() is { } found && found == (value ?? found))];
    }

    /// <inheritdoc cref="SelectAsync(KindDescriptor, string?, string, string?, CancellationToken)"/>
    public async Task<IReadOnlyList<T>> SelectAsync<T>(KindDescriptor kind, string? ns, string label, string? value, CancellationToken stop) where T : class =>
        Typed<T>(await SelectAsync(kind, ns, label, value, stop));

    private Task<IReadOnlyList<JsonObject>> ReadAsync(Wanted wanted, CancellationToken stop) =>
        _lists.GetOrAdd(wanted, asked => new(() => new(_requests, asked, _end))).Value.WaitAsync(_patience, stop);

    private static IReadOnlyList<T> Typed<T>(IReadOnlyList<JsonObject> items) => [.. items.Select(item => item.Deserialize(KubeJson.Of<T>())!)];

    /// <summary>A list that was asked for.</summary>
    private sealed class Listing
    {
        private readonly KubeClient _client;
        private readonly Wanted _wanted;
        private readonly Task<IReadOnlyList<JsonObject>> _objects;
        private long _arrived;

        public Listing(KubeClient client, Wanted wanted, CancellationToken end)
        {
            (_client, _wanted) = (client, wanted);
            _objects = ServedLists.ListAsync<JsonObject>(client, wanted.Kind, wanted.Namespace, new() { LabelSelector = wanted.Selector }, end,
                () => Volatile.Write(ref _arrived, Environment.TickCount64));
        }

        public bool HasArrived => _objects.IsCompletedSuccessfully;

        /// <param name="patience">How long to wait for each page; null: as long as the requests take.</param>
        public async Task<IReadOnlyList<JsonObject>> WaitAsync(TimeSpan? patience, CancellationToken stop)
        {
            if (patience is not { } limit) return await _objects.WaitAsync(stop);
            for (var since = Environment.TickCount64; !_objects.IsCompleted; since = Math.Max(since, Volatile.Read(ref _arrived)))
            {
                var left = limit - TimeSpan.FromMilliseconds(Environment.TickCount64 - since);
                if (left <= TimeSpan.Zero)
                    throw new HttpRequestException($"{_client.Access.Server} did not answer within {limit.TotalSeconds:0} s (GET {_wanted.Path})",
                        new TimeoutException());
                await Task.WhenAny(_objects, Task.Delay(left, stop));
                stop.ThrowIfCancellationRequested();
            }
            return await _objects;
        }
    }
}
