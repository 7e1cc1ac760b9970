using System.Net;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Http;

/// <summary>Sends spans to one collector in batches. Nobody waits for it: what does not fit into its queue, or a collector does not take, is dropped
/// and counted. While there are no spans, it has no task.</summary>
internal sealed class SpanExporter(
    Collector collector, OwnRequests requests, AccessCounts counts, BackgroundTasks background, TimeProvider time, IPAddress? address, CancellationToken stop)
{
    public const int MostWaiting = 4096;

    private const int BatchSize = 512;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Lock _guard = new(); // guards the fields below
    private readonly Queue<FinishedSpan> _waiting = new();
    private readonly string _stats = collector.Format == SpanFormat.Zipkin ? "tracing.zipkin." : "tracing.opentelemetry.";
    private TaskCompletionSource _due = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _running = Task.CompletedTask;
    private bool _isRunning;

    public void Add(FinishedSpan span)
    {
        lock (_guard)
        {
            if (_waiting.Count < MostWaiting)
            {
                _waiting.Enqueue(span);
                if (_waiting.Count == BatchSize) _due.TrySetResult();
                if (_isRunning) return;
                _isRunning = true;
                var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _running = ended.Task;
                background.Start("export of spans", () => RunAsync(ended));
                return;
            }
        }
        counts.Add($"{_stats}spans_dropped");
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
        await Task.WhenAny(due, Task.Delay(Interval, time, over.Token)).ConfigureAwait(false);
        await over.CancelAsync().ConfigureAwait(false);
    }

    /// <summary>Empty: nothing came for a while, and the task ends.</summary>
    private List<FinishedSpan> Take()
    {
        var batch = new List<FinishedSpan>();
        lock (_guard)
        {
            while (batch.Count < BatchSize && _waiting.TryDequeue(out var span)) batch.Add(span);
            if (_waiting.Count < BatchSize && _due.Task.IsCompleted) _due = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _isRunning = batch.Count > 0;
        }
        return batch;
    }

    private async Task SendAsync(List<FinishedSpan> batch)
    {
        var (head, body) = collector.Format == SpanFormat.Zipkin ? ZipkinReport.Request(collector, batch, address) : OtlpReport.Request(collector, batch);
        var answer = await requests.SendAsync(collector.Cluster, head, body, collector.Timeout).ConfigureAwait(false);
        var taken = answer.Failure == OwnFailure.None && (collector.Format == SpanFormat.OtlpGrpc ? OtlpReport.IsTaken(answer) : answer.Head.Status is >= 200 and < 300);
        if (taken)
        {
            counts.Add($"{_stats}reports_sent");
            counts.Add($"{_stats}spans_sent", batch.Count);
            return;
        }
        counts.Add(_stats + answer.Failure switch { OwnFailure.None => "reports_dropped", OwnFailure.NoHost => "reports_skipped_no_cluster", _ => "reports_failed" });
        counts.Add($"{_stats}spans_dropped", batch.Count);
    }
}
