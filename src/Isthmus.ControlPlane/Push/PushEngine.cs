using System.Threading.Channels;
using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Graph.Intake;
using Isthmus.Graph.Metrics;
using Isthmus.Core.Tasks;
using Isthmus.Mesh.Losses;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Push;

/// <param name="Quiet">A change of configuration that follows another within this time is pushed after no change has arrived for this long…</param>
/// <param name="Longest">…and at most this long after the first that waits.</param>
public sealed record PushSettings(TimeSpan Quiet, TimeSpan Longest)
{
    /// <summary>Istio's PILOT_DEBOUNCE_AFTER and PILOT_DEBOUNCE_MAX.</summary>
    public static readonly PushSettings Default = new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(10));
}

/// <summary>
/// The single writer of the mesh: it takes changes from one channel and commits all that are waiting as one batch. Endpoints go to the
/// proxies at once, and so does a change of configuration that stands alone; those that follow wait for a quiet period. A second loop
/// builds and encodes resources, so that the writer never waits for it; changes that arrive meanwhile are merged (<see cref="PublisherWork"/>).
/// </summary>
public sealed partial class PushEngine(MeshWriter writer, PushSettings settings, TimeProvider time, ILogger<PushEngine> log)
{
    private const int LargestBatch = 10_000;

    // Watches wait when the writer is this far behind: memory stays bounded, and the API server holds the rest.
    private readonly Channel<Posted> _inbox = Channel.CreateBounded<Posted>(new BoundedChannelOptions(100_000) { SingleReader = true });
    private readonly Signal _work = new();
    private readonly Lock _guard = new(); // Guards _waiting and _proxies.
    private readonly HashSet<ProxyFeed> _proxies = [];
    private PublisherWork _waiting = new();
    private long _failures;

    // The writer's thread only.
    private MeshChanges _pending = new();
    private Debounce _debounce = new(settings);
    private bool _ready;
    private bool _published;
    private Task<bool>? _more;

    /// <param name="IsQuestion">Whether it changes nothing, so that it needs no commit.</param>
    private readonly record struct Posted(Action<MeshWriter> Run, bool IsQuestion);

    /// <summary>Failed closures: bugs, which are counted and logged. The other closures still run.</summary>
    public long Failures => Interlocked.Read(ref _failures);

    public MeshGraph Mesh => writer.Mesh;

    /// <summary>Every watch has listed its objects once. Only for questions (<see cref="AskAsync"/>).</summary>
    internal bool IsReady => _ready;

    /// <summary>Changes were committed; on the writer's thread.</summary>
    internal event Action? Committed;

    /// <summary>Proxies connected or left, or are offered something else; on the publisher's thread.</summary>
    internal event Action? Published;

    /// <summary>Proxies lose other telemetry than before; on any thread.</summary>
    internal event Action? LossesChanged;

    /// <summary>What this control plane counts.</summary>
    public ControlMetrics Metrics { get; } = new();

    /// <summary>Connected proxies. From any thread.</summary>
    public IReadOnlyList<ProxyFeed> Proxies
    {
        get { lock (_guard) return [.. _proxies]; }
    }

    /// <summary>The connected proxies that lose telemetry. From any thread.</summary>
    internal IReadOnlyList<LosingProxy> Losing() => [.. Proxies.Select(feed => new LosingProxy(feed.Proxy, feed.Losses)).Where(proxy => !proxy.Losses.IsEmpty)];

    /// <summary>Stages a change; waits when the writer is far behind. From any thread.</summary>
    public ValueTask PostAsync(Action<MeshWriter> change, CancellationToken stop) => _inbox.Writer.WriteAsync(new(change, false), stop);

    /// <summary>Stages a change that has a result.</summary>
    public Task<T> ChangeAsync<T>(Func<MeshWriter, T> change, CancellationToken stop) => SendAsync(change, isQuestion: false, stop);

    /// <summary>
    /// Reads the mesh on the writer's thread between batches, while the graph does not change. The answer includes every change that was
    /// posted before the question; the question itself must not stage anything.
    /// </summary>
    public Task<T> AskAsync<T>(Func<MeshWriter, T> question, CancellationToken stop) => SendAsync(question, isQuestion: true, stop);

    private async Task<T> SendAsync<T>(Func<MeshWriter, T> run, bool isQuestion, CancellationToken stop)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        await _inbox.Writer.WriteAsync(new(mesh =>
        {
            try { answer.SetResult(run(mesh)); }
            catch (Exception e) { answer.SetException(e); }
        }, isQuestion), stop).ConfigureAwait(false);
        return await answer.Task.WaitAsync(stop).ConfigureAwait(false);
    }

    /// <summary>Whether proxies are offered everything that was posted before; false: the quiet period before the push is not over.</summary>
    public async Task<bool> IsPublishedAsync(CancellationToken stop)
    {
        if (!await AskAsync(_ => _published && _pending.IsEmpty, stop).ConfigureAwait(false)) return false;
        var published = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        // Requests are answered after what was handed to the publisher before them.
        Request(_ => published.SetResult());
        await published.Task.WaitAsync(stop).ConfigureAwait(false);
        return true;
    }

    /// <summary>Every watch has listed its objects once: proxies can be served from now on.</summary>
    public ValueTask MarkReadyAsync(CancellationToken stop) => PostAsync(_ =>
    {
        _ready = true;
        writer.History?.Start(writer.Mesh.Endpoints.Items);
    }, stop);

    /// <summary>The feed of an authenticated proxy. It gets its first snapshot once the mesh is known.</summary>
    public ProxyFeed Connect(ProxyIdentity proxy)
    {
        var feed = new ProxyFeed(proxy, time, Disconnect, Metrics) { LossesChanged = () => LossesChanged?.Invoke() };
        lock (_guard) _proxies.Add(feed);
        Request(publisher => publisher.Join(feed));
        return feed;
    }

    private void Disconnect(ProxyFeed feed)
    {
        lock (_guard) _proxies.Remove(feed);
        Request(publisher => publisher.Leave(feed));
        if (!feed.Losses.IsEmpty) LossesChanged?.Invoke();
    }

    public Task RunAsync(CancellationToken stop) => Task.WhenAll(WriteAsync(stop), PublishAsync(stop));

    private async Task WriteAsync(CancellationToken stop)
    {
        try
        {
            // Before the mesh is known nothing is pushed, so nothing is due either.
            while (await WaitAsync(_ready ? _debounce.Due : null, stop).ConfigureAwait(false))
            {
                var (staged, questions) = Stage();
                if (staged) Guard(Commit, LogCommitFailed);
                foreach (var question in questions) Guard(() => question(writer), LogStagingFailed);
                Guard(PushWhenQuiet, LogCommitFailed);
                if (staged) Committed?.Invoke();
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    /// <summary>Stages the waiting changes, and returns the questions among them, which are answered after the commit.</summary>
    private (bool Staged, List<Action<MeshWriter>> Questions) Stage()
    {
        var staged = false;
        var questions = new List<Action<MeshWriter>>();
        for (var i = 0; i < LargestBatch && _inbox.Reader.TryRead(out var posted); i++)
        {
            if (posted.IsQuestion)
            {
                questions.Add(posted.Run);
                continue;
            }
            Guard(() => posted.Run(writer), LogStagingFailed);
            staged = true;
        }
        return (staged, questions);
    }

    private void Commit()
    {
        var changes = writer.Commit();
        if (changes.IsEmpty)
        {
            // What was staged with it changed nothing for proxies, and must not be taken for a cause of the next push.
            if (_pending.IsEmpty) writer.History?.Pushed(writer.History.Take(), effect: null);
            return;
        }
        Metrics.Changed(changes);
        var before = _debounce.Before;
        _pending.Add(changes);
        _debounce = _debounce.Changed(time.GetUtcNow());
        if (!_published) return;
        var isOver = changes.IsEndpointsOnly && _pending.IsEndpointsOnly;
        if (changes.Endpoints.Count > 0) Hand(changes, full: false, isOver ? writer.History?.Take() : null);
        if (isOver) (_pending, _debounce) = (new(), new(settings) { Before = before });
    }

    private void PushWhenQuiet()
    {
        if (!_ready || (_published && (_pending.IsEmpty || !_debounce.IsDue(time.GetUtcNow())))) return;
        var (pending, first) = (_pending, _debounce.First);
        (_pending, _debounce) = (new(), _debounce.Pushed()); // Before anything can throw: a failed push must not be due again at once.
        Hand(pending, full: true, writer.History?.Take(), first);
        _published = true;
    }

    /// <summary>A failure here is a bug in one closure. It is counted and logged, and the rest still runs.</summary>
    private void Guard(Action run, Action<Exception> log)
    {
        try
        {
            run();
        }
        catch (Exception bug)
        {
            Interlocked.Increment(ref _failures);
            log(bug);
        }
    }

    /// <summary>Waits for a change, or until <paramref name="due"/>; false when the channel is closed.</summary>
    private async Task<bool> WaitAsync(DateTimeOffset? due, CancellationToken stop)
    {
        // Each waiter stays with the channel until something is posted: one is enough.
        var more = _more is { IsCompleted: false } waiting ? waiting : _more = _inbox.Reader.WaitToReadAsync(stop).AsTask();
        if (due is not { } at) return await more.ConfigureAwait(false);
        var left = at - time.GetUtcNow();
        if (left <= TimeSpan.Zero && !more.IsCompleted) return true;
        using var passed = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var timer = Task.Delay(left > TimeSpan.Zero ? left : TimeSpan.Zero, time, passed.Token);
        if (await Task.WhenAny(more, timer).ConfigureAwait(false) == timer) return true;
        await passed.CancelAsync().ConfigureAwait(false);
        return await more.ConfigureAwait(false);
    }

    /// <param name="causes">The changes whose effect the push shows.</param>
    private void Hand(MeshChanges changes, bool full, PendingChanges? causes, DateTimeOffset? since = null)
    {
        since ??= time.GetUtcNow();
        Metrics.Triggered(changes);
        lock (_guard) _waiting.Add(writer.Mesh.View(), changes, full, causes, since.Value);
        _work.Tell();
    }

    private void Request(Action<Publisher> request)
    {
        lock (_guard) _waiting.Requests.Add(request);
        _work.Tell();
    }

    private async Task PublishAsync(CancellationToken stop)
    {
        var publisher = new Publisher(time);
        var problems = new ProxyProblems(log);
        try
        {
            while (true)
            {
                await _work.NextAsync(stop).ConfigureAwait(false);
                PublishOnce(publisher);
                problems.Tell(Proxies);
                Published?.Invoke();
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    private void PublishOnce(Publisher publisher)
    {
        PublisherWork work;
        lock (_guard) (work, _waiting) = (_waiting, new());
        publisher.ChangedAt = work.ChangedAt;
        publisher.Effects = work.Causes.Slots is null ? null : new();
        if (work.View is { } view)
        {
            Guard(() =>
            {
                if (work.IsFull) publisher.PublishAll(view, work.Changes);
                else publisher.PublishEndpoints(view, work.Changes.Endpoints);
            }, LogPublishFailed);
        }
        if (publisher.Effects is { } effects) writer.History?.Pushed(work.Causes, effects.Sum());
        publisher.Effects = null;
        foreach (var request in work.Requests) Guard(() => request(publisher), LogPublishFailed);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Internal error: one change could not be staged; the rest of its batch was")]
    private partial void LogStagingFailed(Exception bug);

    [LoggerMessage(Level = LogLevel.Error, Message = "Internal error: a batch could not be committed completely; later batches are not affected")]
    private partial void LogCommitFailed(Exception bug);

    [LoggerMessage(Level = LogLevel.Error, Message = "Internal error: a push failed; proxies keep their configuration")]
    private partial void LogPublishFailed(Exception bug);
}

/// <summary>When pending changes are pushed: one that stands alone at once, a burst after a quiet time, and at most some time after the
/// first that waits.</summary>
internal readonly record struct Debounce(PushSettings Settings, DateTimeOffset? First, DateTimeOffset? Last)
{
    public Debounce(PushSettings settings) : this(settings, null, null)
    {
    }

    /// <summary>The last change that was pushed after it waited, or alone; null if none was.</summary>
    public DateTimeOffset? Before { get; init; }

    public DateTimeOffset? Due => First is not { } first || Last is not { } last ? null
        : Before is not { } before || first - before >= Settings.Quiet ? first
        : last + Settings.Quiet < first + Settings.Longest ? last + Settings.Quiet : first + Settings.Longest;

    public Debounce Changed(DateTimeOffset now) => this with { First = First ?? now, Last = now };

    public Debounce Pushed() => new(Settings) { Before = Last ?? Before };

    public bool IsDue(DateTimeOffset now) => Due is not { } due || now >= due;
}
