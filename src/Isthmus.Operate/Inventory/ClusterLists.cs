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

    /// <summary>What is listed, and in which form.</summary>
    private readonly record struct Wanted(KindDescriptor Kind, string? Namespace, string Selector, Type Form)
    {
        public string Path => Kind.In(Kind.ReadVersion).Path(Namespace);
    }

    /// <summary>For whatever else is asked of the cluster.</summary>
    public KubeClient Client { get; }

    /// <summary>The same lists for a reader with less patience, which waits so long for each page.</summary>
    public ClusterLists Within(TimeSpan patience) => new(this, patience);

    /// <summary>Lists of their own that begin with the objects that these have: what failed is asked for again, as is what has not arrived.</summary>
    /// <param name="limit">The time limit of their requests; null: the same.</param>
    public ClusterLists Again(TimeSpan? limit = null)
    {
        var next = new ClusterLists(limit is { } other ? _requests.Within(other) : _requests, _end);
        foreach (var (wanted, listing) in _lists)
            if (listing is { IsValueCreated: true, Value.Arrived.IsCompletedSuccessfully: true }) next._lists[wanted] = listing;
        return next;
    }

    /// <summary>All objects of a kind, in the version that the cluster serves.</summary>
    /// <param name="ns">Their namespace; null: all.</param>
    /// <exception cref="KubeException">The API server refuses, or serves no version of the kind.</exception>
    /// <exception cref="HttpRequestException">It does not answer.</exception>
    public Task<IReadOnlyList<JsonObject>> ListAsync(KindDescriptor kind, CancellationToken stop, string? ns = null) =>
        ReadAsync<JsonObject>(kind, ns, "", stop);

    /// <summary>The same; none where the cluster does not define the kind, as a remote cluster does not define Istio's.</summary>
    /// <exception cref="KubeException">The API server refuses.</exception>
    /// <exception cref="HttpRequestException">It does not answer.</exception>
    public async Task<IReadOnlyList<JsonObject>> ListIfDefinedAsync(KindDescriptor kind, CancellationToken stop)
    {
        try
        {
            return await ListAsync(kind, stop);
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return [];
        }
    }

    /// <summary>All objects of a kind in their form. Trees that were asked for before are turned into it; otherwise, only the form is kept.</summary>
    /// <inheritdoc cref="ListAsync(KindDescriptor, CancellationToken, string?)"/>
    public async Task<IReadOnlyList<T>> ListAsync<T>(KindDescriptor kind, CancellationToken stop, string? ns = null) where T : class =>
        await AskedForAsync(kind, ns, stop) is { } trees ? Typed<T>(trees) : await FormedAsync<T>(kind, ns, stop) ?? await ReadAsync<T>(kind, ns, "", stop);

    /// <summary>The objects of a kind with a label. Where all objects were asked for, they are selected here.</summary>
    /// <param name="ns">Their namespace; null: all.</param>
    /// <param name="value">The value of the label; null: any.</param>
    /// <inheritdoc cref="ListAsync(KindDescriptor, CancellationToken, string?)"/>
    public async Task<IReadOnlyList<JsonObject>> SelectAsync(KindDescriptor kind, string? ns, string label, string? value, CancellationToken stop)
    {
        if (await AskedForAsync(kind, ns, stop) is not { } all)
            return await ReadAsync<JsonObject>(kind, ns, value is null ? label : $"{label}={value}", stop);
        return [.. all.Where(item => item["metadata"]?["labels"]?[label]?.ToString() is { } found && found == (value ?? found))];
    }

    /// <inheritdoc cref="SelectAsync(KindDescriptor, string?, string, string?, CancellationToken)"/>
    public async Task<IReadOnlyList<T>> SelectAsync<T>(KindDescriptor kind, string? ns, string label, string? value, CancellationToken stop) where T : class =>
        await FormedAsync<T>(kind, ns, stop) is { } all
            ? [.. all.Where(item => item is KubeObject known && known.Metadata.Labels.TryGetValue(label, out var found) && found == (value ?? found))]
            : Typed<T>(await SelectAsync(kind, ns, label, value, stop));

    /// <summary>The objects of a namespace with all of some labels, in their form.</summary>
    /// <param name="labels">Each with its value.</param>
    /// <inheritdoc cref="ListAsync(KindDescriptor, CancellationToken, string?)"/>
    public async Task<IReadOnlyList<T>> SelectAsync<T>(KindDescriptor kind, string ns, IReadOnlyDictionary<string, string> labels, CancellationToken stop)
        where T : class
    {
        if (await FormedAsync<T>(kind, ns, stop) is { } formed)
            return [.. formed.Where(item => item is KubeObject known && LabelSelector.Selects(labels, known.Metadata.Labels))];
        if (await AskedForAsync(kind, ns, stop) is { } trees)
            return Typed<T>([.. trees.Where(item => labels.All(label => item["metadata"]?["labels"]?[label.Key]?.ToString() == label.Value))]);
        return await ReadAsync<T>(kind, ns, string.Join(',', labels.Select(label => $"{label.Key}={label.Value}")), stop);
    }

    /// <summary>The objects of a namespace that do not have a value of a label.</summary>
    /// <inheritdoc cref="ListAsync(KindDescriptor, CancellationToken, string?)"/>
    public Task<IReadOnlyList<T>> WithoutAsync<T>(KindDescriptor kind, string ns, string label, string value, CancellationToken stop) where T : class =>
        ReadAsync<T>(kind, ns, $"{label}!={value}", stop);

    /// <summary>The objects that have a value of a label, in their form alone.</summary>
    /// <inheritdoc cref="ListAsync(KindDescriptor, CancellationToken, string?)"/>
    public Task<IReadOnlyList<T>> WithAsync<T>(KindDescriptor kind, string? ns, string label, string value, CancellationToken stop) where T : class =>
        ReadAsync<T>(kind, ns, $"{label}={value}", stop);

    /// <summary>The objects of a kind in their form, if somebody asked for that, or got those of all namespaces in it; null otherwise.</summary>
    private async Task<IReadOnlyList<T>?> FormedAsync<T>(KindDescriptor kind, string? ns, CancellationToken stop) where T : class
    {
        if (_lists.ContainsKey(new(kind, ns, "", typeof(T)))) return await ReadAsync<T>(kind, ns, "", stop);
        if (ns is null || !_lists.ContainsKey(new(kind, null, "", typeof(T)))) return null;
        try
        {
            return [.. (await ReadAsync<T>(kind, null, "", stop)).Where(item => item is KubeObject known && known.Metadata.Namespace == ns)];
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return null; // Who may not read all, or not in time, may read one namespace.
        }
    }

    private static Wanted Trees(KindDescriptor kind, string? ns) => new(kind, ns, "", typeof(JsonObject));

    /// <summary>The trees of a kind, if somebody asked for them, or got those of all namespaces; null otherwise.</summary>
    private async Task<IReadOnlyList<JsonObject>?> AskedForAsync(KindDescriptor kind, string? ns, CancellationToken stop)
    {
        if (_lists.ContainsKey(Trees(kind, ns))) return await ListAsync(kind, stop, ns);
        if (ns is null || !_lists.ContainsKey(Trees(kind, null))) return null;
        try
        {
            return [.. (await ListAsync(kind, stop)).Where(item => item["metadata"]?["namespace"]?.ToString() == ns)];
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return null; // Who may not read all, or not in time, may read one namespace.
        }
    }

    private async Task<IReadOnlyList<T>> ReadAsync<T>(KindDescriptor kind, string? ns, string selector, CancellationToken stop) where T : class
    {
        var listing = _lists.GetOrAdd(new(kind, ns, selector, typeof(T)), wanted => new(() => Ask<T>(wanted))).Value;
        await WaitAsync(listing, stop);
        return await (Task<IReadOnlyList<T>>)listing.Arrived;
    }

    private Listing Ask<T>(Wanted wanted) where T : class
    {
        var listing = new Listing(wanted);
        listing.Arrived = ServedLists.ListAsync<T>(_requests, wanted.Kind, wanted.Namespace, new() { LabelSelector = wanted.Selector }, _end, listing.TurnPage);
        return listing;
    }

    /// <summary>Waits for each page as long as this reader has patience; without a limit, as long as the requests take.</summary>
    private async Task WaitAsync(Listing listing, CancellationToken stop)
    {
        if (_patience is not { } limit)
        {
            await listing.Arrived.WaitAsync(stop);
            return;
        }
        for (var since = Environment.TickCount64; !listing.Arrived.IsCompleted; since = Math.Max(since, listing.Turned))
        {
            var left = limit - TimeSpan.FromMilliseconds(Environment.TickCount64 - since);
            if (left <= TimeSpan.Zero)
                throw new HttpRequestException($"{_requests.Access.Server} did not answer within {limit.TotalSeconds:0} s (GET {listing.Wanted.Path})",
                    new TimeoutException());
            await Task.WhenAny(listing.Arrived, Task.Delay(left, stop));
            stop.ThrowIfCancellationRequested();
        }
    }

    private static IReadOnlyList<T> Typed<T>(IReadOnlyList<JsonObject> items) =>
        items as IReadOnlyList<T> ?? [.. items.Select(item => item.Deserialize(KubeJson.Of<T>())!)];

    /// <summary>A list that was asked for.</summary>
    private sealed class Listing(Wanted wanted)
    {
        private long _turned;

        public Wanted Wanted => wanted;

        /// <summary>Its objects in the form that was wanted, or why they could not be read.</summary>
        public Task Arrived { get; set; } = Task.CompletedTask;

        /// <summary>When the last page but one arrived.</summary>
        public long Turned => Volatile.Read(ref _turned);

        public void TurnPage() => Volatile.Write(ref _turned, Environment.TickCount64);
    }
}
