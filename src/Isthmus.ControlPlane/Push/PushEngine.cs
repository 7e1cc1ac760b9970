using System.Threading.Channels;
using Isthmus.ControlPlane.Derive;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Push;

/// <param name="Quiet">Configuration is pushed when nothing came for this long…</param>
/// <param name="Longest">…and at most so long after the first change.</param>
public sealed record PushSettings(TimeSpan Quiet, TimeSpan Longest)
{
    /// <summary>Istio's PILOT_DEBOUNCE_AFTER and PILOT_DEBOUNCE_MAX.</summary>
    public static readonly PushSettings Default = new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(10));
}

/// <summary>
/// The mesh's heart: one writer, fed by one channel, commits whatever has come as one batch. Endpoints go to the proxies at once,
/// configuration when it is quiet. Making and encoding resources happens on a second thread, so that the writer never waits for it;
/// what piles up meanwhile is merged.
/// </summary>
public sealed partial class PushEngine(MeshWriter writer, PushSettings settings, TimeProvider time, ILogger<PushEngine> log)
{
    private const int LargestBatch = 10_000;

    // Watches wait when the writer is this far behind: memory stays bounded, and the API server holds the rest.
    private readonly Channel<Action<MeshWriter>> _inbox = Channel.CreateBounded<Action<MeshWriter>>(new BoundedChannelOptions(100_000) { SingleReader = true });
    private readonly Channel<bool> _work = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Lock _guard = new(); // guards the mailbox below and _proxies
    private readonly HashSet<ProxyFeed> _proxies = [];
    private List<Action<Publisher>> _requests = [];
    private MeshView? _view;
    private HashSet<string>? _endpoints;
    private bool _allEndpoints;
    private bool _full;
    private MeshChanges _fullChanges = new();
    private bool _ready;

    /// <summary>Failures of staged actions: bugs, counted and logged; the batch goes on.</summary>
    public long Failures { get; private set; }

    public MeshGraph Mesh => writer.Mesh;

    /// <summary>Connected proxies. From any thread.</summary>
    public IReadOnlyList<ProxyFeed> Proxies
    {
        get { lock (_guard) return [.. _proxies]; }
    }

    /// <summary>Stages something; waits when the writer is far behind. From any thread.</summary>
    public ValueTask PostAsync(Action<MeshWriter> change, CancellationToken stop) => _inbox.Writer.WriteAsync(change, stop);

    /// <summary>Runs on the writer's thread between batches, where the graph stands still: debug pages, exports.</summary>
    public async Task<T> AskAsync<T>(Func<MeshWriter, T> question, CancellationToken stop)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        await PostAsync(mesh =>
        {
            mesh.Mesh.Graph.Commit();
            try { answer.SetResult(question(mesh)); }
            catch (Exception e) { answer.SetException(e); }
        }, stop).ConfigureAwait(false);
        return await answer.Task.WaitAsync(stop).ConfigureAwait(false);
    }

    /// <summary>The objects that shaped a resource of a proxy, with the resourceVersions they have now.</summary>
    public async Task<IReadOnlyList<(ObjectRef Source, string Version)>?> OriginsAsync(ProxyFeed proxy, string typeUrl, string name, CancellationToken stop)
    {
        var answer = new TaskCompletionSource<ValueList<ObjectRef>?>(TaskCreationOptions.RunContinuationsAsynchronously);
        Request(publisher => answer.SetResult(publisher.OriginsOf(proxy, typeUrl, name)));
        var origins = await answer.Task.WaitAsync(stop).ConfigureAwait(false);
        return origins is { } found ? [.. found.Select(source => (source, writer.VersionOf(source)))] : null;
    }

    /// <summary>Every watch has told its first list: proxies may be answered from now on.</summary>
    public ValueTask MarkReadyAsync(CancellationToken stop) => PostAsync(_ => _ready = true, stop);

    /// <summary>The feed of a proxy that has proved who it is. It gets its first snapshot once the mesh is known.</summary>
    public ProxyFeed Connect(ProxyIdentity proxy)
    {
        var feed = new ProxyFeed(proxy, time, Disconnect);
        lock (_guard) _proxies.Add(feed);
        Request(publisher => publisher.Join(feed));
        return feed;
    }

    private void Disconnect(ProxyFeed feed)
    {
        lock (_guard) _proxies.Remove(feed);
        Request(publisher => publisher.Leave(feed));
    }

    public Task RunAsync(CancellationToken stop) => Task.WhenAll(WriteAsync(stop), PublishAsync(stop));

    private async Task WriteAsync(CancellationToken stop)
    {
        var pending = new MeshChanges();
        var debounce = new Debounce(settings);
        var published = false;
        try
        {
            while (true)
            {
                if (!await WaitAsync(debounce.Due, stop).ConfigureAwait(false)) return;
                var batch = 0;
                while (batch < LargestBatch && _inbox.Reader.TryRead(out var change))
                {
                    Stage(change);
                    batch++;
                }
                var changes = batch > 0 ? writer.Commit() : new();
                if (!changes.IsEmpty)
                {
                    pending.Add(changes);
                    debounce = debounce.Changed(time.GetUtcNow());
                    if (published && (changes.Endpoints.Count > 0 || changes.Gateways)) Hand(changes, full: false);
                    if (published && changes.IsEndpointsOnly && !NeedsMore(changes) && pending.IsEndpointsOnly) (pending, debounce) = (new(), new(settings));
                }
                if (!_ready || (published && !debounce.IsDue(time.GetUtcNow()))) continue;
                if (published && pending.IsEmpty) continue;
                Hand(pending, full: true);
                (pending, debounce, published) = (new(), new(settings), true);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    /// <summary>Headless hosts have their endpoints' addresses in listeners and names too.</summary>
    private bool NeedsMore(MeshChanges changes) =>
        changes.Endpoints.Any(host => writer.Mesh.Services.Items.TryGetValue(host, out var service) && (service.Headless || service.Pod is not null));

    private void Stage(Action<MeshWriter> change)
    {
        try
        {
            change(writer);
        }
        catch (Exception bug)
        {
            Failures++;
            LogStagingFailed(bug);
        }
    }

    /// <summary>Waits for a change, or until <paramref name="due"/>; false when there will be none any more.</summary>
    private async Task<bool> WaitAsync(DateTimeOffset? due, CancellationToken stop)
    {
        var more = _inbox.Reader.WaitToReadAsync(stop).AsTask();
        if (due is not { } at) return await more.ConfigureAwait(false);
        var left = at - time.GetUtcNow();
        if (left <= TimeSpan.Zero && !more.IsCompleted) return true;
        using var passed = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var timer = Task.Delay(left > TimeSpan.Zero ? left : TimeSpan.Zero, time, passed.Token);
        if (await Task.WhenAny(more, timer).ConfigureAwait(false) == timer) return true;
        await passed.CancelAsync().ConfigureAwait(false);
        return await more.ConfigureAwait(false);
    }

    private void Hand(MeshChanges changes, bool full)
    {
        lock (_guard)
        {
            _view = MeshView.Of(writer.Mesh);
            if (full)
            {
                _full = true;
                _fullChanges.Add(changes);
            }
            else
            {
                _allEndpoints |= changes.Gateways;
                (_endpoints ??= new(StringComparer.Ordinal)).UnionWith(changes.Endpoints);
            }
        }
        _work.Writer.TryWrite(true);
    }

    private void Request(Action<Publisher> request)
    {
        lock (_guard) _requests.Add(request);
        _work.Writer.TryWrite(true);
    }

    private async Task PublishAsync(CancellationToken stop)
    {
        var publisher = new Publisher(time);
        try
        {
            while (await _work.Reader.WaitToReadAsync(stop).ConfigureAwait(false))
            {
                _work.Reader.TryRead(out _);
                PublishOnce(publisher);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    private void PublishOnce(Publisher publisher)
    {
        MeshView? view;
        (HashSet<string>? endpoints, bool all, bool full, MeshChanges changes, List<Action<Publisher>> requests) work;
        lock (_guard)
        {
            view = _view;
            work = (_endpoints, _allEndpoints, _full, _fullChanges, _requests);
            (_endpoints, _allEndpoints, _full, _fullChanges, _requests) = (null, false, false, new(), []);
        }
        if (work.full)
        {
            work.changes.Gateways |= work.all;
            work.changes.Endpoints.UnionWith(work.endpoints ?? []);
        }
        Guarded(() =>
        {
            if (view is not null && work.full) publisher.PublishAll(view, work.changes);
            if (view is not null && !work.full && work.endpoints is not null) publisher.PublishEndpoints(view, work.all ? null : work.endpoints);
        });
        foreach (var request in work.requests) Guarded(() => request(publisher));
    }

    /// <summary>A failure here is a bug: proxies keep what they have, and the mesh goes on.</summary>
    private void Guarded(Action publish)
    {
        try
        {
            publish();
        }
        catch (Exception bug)
        {
            Failures++;
            LogPublishFailed(bug);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "a change could not be staged; the others of its batch were")]
    private partial void LogStagingFailed(Exception bug);

    [LoggerMessage(Level = LogLevel.Error, Message = "a push failed; proxies keep what they have")]
    private partial void LogPublishFailed(Exception bug);
}

/// <summary>When what is pending is pushed: after some quiet, at the latest some time after the first change.</summary>
internal readonly record struct Debounce(PushSettings Settings, DateTimeOffset? First, DateTimeOffset? Last)
{
    public Debounce(PushSettings settings) : this(settings, null, null)
    {
    }

    public DateTimeOffset? Due => First is { } first && Last is { } last
        ? last + Settings.Quiet < first + Settings.Longest ? last + Settings.Quiet : first + Settings.Longest
        : null;

    public Debounce Changed(DateTimeOffset now) => this with { First = First ?? now, Last = now };

    public bool IsDue(DateTimeOffset now) => Due is not { } due || now >= due;
}
