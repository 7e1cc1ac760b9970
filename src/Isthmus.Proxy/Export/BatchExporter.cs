using Isthmus.Core.Tasks;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Own;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Reports;

namespace Isthmus.Proxy.Export;

/// <summary>What is exported, and how.</summary>
/// <param name="Stats">The counters of this kind of export.</param>
/// <param name="Unit">What counters call the items.</param>
/// <param name="Done">What counters call that a collector has taken them.</param>
/// <param name="Write">The request for a batch.</param>
internal sealed record Export<T>(Collector Collector, StatFamily Stats, string Unit, string Done,
    Func<IReadOnlyList<T>, (RequestHead Head, ReadOnlyMemory<byte> Body)> Write)
{
    /// <summary>How many items a collector refuses that took the request. Collectors are not trusted to say a number that can be.</summary>
    public Func<OwnAnswer, long> Refused { get; init; } = _ => 0;

    /// <summary>What is lost when the collector does not take it.</summary>
    public LostFlow Flow
    {
        get;
    } = new(Unit == "spans" ? TelemetryLoss.Types.Kind.Spans : TelemetryLoss.Types.Kind.Logs, Stats.Name(Stats.Family, $"{Unit}_dropped"), Collector.Cluster);
}

/// <summary>What all exports of a proxy share.</summary>
/// <param name="Wait">How long items wait for others.</param>
internal sealed record ExportParts(OwnRequests Requests, AccessCounts Counts, TelemetryLosses Losses, BackgroundTasks Background, TimeProvider Time,
    TimeSpan Wait);

/// <summary>Sends spans or access logs to one collector in batches. Nobody waits for it: what does not fit into its queue, or a collector does not take,
/// is dropped and counted. While there is nothing to send, it has no task.</summary>
internal sealed class BatchExporter<T>(Export<T> export, ExportParts parts, CancellationToken stop)
{
    private const int BatchSize = 512, MostWaiting = 4096;

    private readonly Lock _guard = new(); // guards the fields below
    private readonly Queue<T> _waiting = new();
    private TaskCompletionSource _due = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _running = Task.CompletedTask;
    private bool _isRunning;
    private int _overflows; // since the last batch

    public void Add(T item)
    {
        lock (_guard)
        {
            if (_waiting.Count < MostWaiting)
            {
                _waiting.Enqueue(item);
                if (_waiting.Count == BatchSize) _due.TrySetResult();
                if (_isRunning) return;
                _isRunning = true;
                var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _running = ended.Task;
                parts.Background.Start($"export of {export.Unit}", () => RunAsync(ended));
                return;
            }
        }
        // Requests must not wait for each other here: only the first in a while tells it.
        if (Interlocked.Exchange(ref _overflows, 1) == 0) parts.Losses.Lost(export.Flow, TelemetryLoss.Types.Reason.TooSlow);
        Count($"{export.Unit}_dropped");
    }

    /// <summary>Sends what is waiting, and completes when it is sent.</summary>
    public Task FlushAsync()
    {
        lock (_guard)
        {
            _due.TrySetResult();
            return _running;
        }
    }

    private async Task RunAsync(TaskCompletionSource ended)
    {
        try
        {
            while (!stop.IsCancellationRequested)
            {
                await WaitAsync().ConfigureAwait(false);
                if (Take() is not { Count: > 0 } batch) return;
                await SendAsync(batch).ConfigureAwait(false);
            }
        }
        finally
        {
            ended.SetResult();
        }
    }

    private async Task WaitAsync()
    {
        Task due;
        lock (_guard) due = _waiting.Count >= BatchSize ? Task.CompletedTask : _due.Task;
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        await Task.WhenAny(due, Task.Delay(parts.Wait, parts.Time, over.Token)).ConfigureAwait(false);
        await over.CancelAsync().ConfigureAwait(false);
    }

    /// <summary>Empty: nothing came for a while, and the task ends.</summary>
    private List<T> Take()
    {
        var batch = new List<T>();
        lock (_guard)
        {
            while (batch.Count < BatchSize && _waiting.TryDequeue(out var item)) batch.Add(item);
            if (_waiting.Count < BatchSize && _due.Task.IsCompleted) _due = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _isRunning = batch.Count > 0;
        }
        return batch;
    }

    private async Task SendAsync(List<T> batch)
    {
        var collector = export.Collector;
        var (head, body) = export.Write(batch);
        var answer = await parts.Requests.SendAsync(collector.Cluster, head, body, collector.Timeout).ConfigureAwait(false);
        var taken = answer.Failure == OwnFailure.None && (collector.IsGrpc ? GrpcMessages.IsOk(answer) : answer.Head.Status is >= 200 and < 300);
        if (taken)
        {
            var refused = Math.Clamp(export.Refused(answer), 0, batch.Count);
            // Losses come first: who sees a counter change finds its reason.
            if (refused > 0) parts.Losses.Lost(export.Flow, TelemetryLoss.Types.Reason.PartlyRefused);
            if (Interlocked.Exchange(ref _overflows, 0) > 0) parts.Losses.Lost(export.Flow, TelemetryLoss.Types.Reason.TooSlow);
            parts.Losses.Taken(export.Flow);
            Count("reports_sent");
            if (refused < batch.Count) Count($"{export.Unit}_{export.Done}", batch.Count - refused);
            if (refused > 0) Count($"{export.Unit}_dropped", refused);
            return;
        }
        Volatile.Write(ref _overflows, 0);
        var (reason, status) = Reason(answer, collector.IsGrpc);
        parts.Losses.Lost(export.Flow, reason, status);
        Count(answer.Failure switch { OwnFailure.None => "reports_dropped", OwnFailure.NoHost => "reports_skipped_no_cluster", _ => "reports_failed" });
        Count($"{export.Unit}_dropped", batch.Count);
    }

    private static (TelemetryLoss.Types.Reason Reason, int Status) Reason(OwnAnswer answer, bool isGrpc) => answer.Failure switch
    {
        OwnFailure.NoHost => (TelemetryLoss.Types.Reason.NoEndpoint, 0),
        OwnFailure.TimedOut => (TelemetryLoss.Types.Reason.Timeout, 0),
        OwnFailure.Malformed => (TelemetryLoss.Types.Reason.Nonsense, 0),
        OwnFailure.Failed => (TelemetryLoss.Types.Reason.Unreachable, 0),
        _ when !isGrpc || answer.Head.Status != 200 => (TelemetryLoss.Types.Reason.Refused, answer.Head.Status),
        _ => GrpcMessages.StatusOf(answer) is { } status ? (TelemetryLoss.Types.Reason.Refused, status) : (TelemetryLoss.Types.Reason.Nonsense, 0),
    };

    private void Count(string end, long count = 1) => parts.Counts.Add(export.Stats.Name(export.Stats.Family, end), count);
}
