namespace Isthmus.Proxy.Agent;

/// <summary>The application's metrics in a merged scrape: what each of its paths answers, one after another.</summary>
internal sealed class AppMetricsSource(IReadOnlyList<AppMetrics> targets, AppProber prober)
{
    private long _scrapes;
    private long _failures;

    /// <summary>Merged scrapes so far.</summary>
    public long Scrapes => Interlocked.Read(ref _scrapes);

    /// <summary>Paths that gave nothing, or not all.</summary>
    public long Failures => Interlocked.Read(ref _failures);

    /// <summary>Asks all paths at once, so that those which are away cost the time of one; each that fails costs only its own metrics.</summary>
    public async ValueTask CopyAsync(Func<ReadOnlyMemory<byte>, ValueTask> send, CancellationToken stop)
    {
        Interlocked.Increment(ref _scrapes);
        var scrapes = targets.Select(target => prober.Scrape(target, stop)).ToList();
        try
        {
            foreach (var scrape in scrapes)
                if (!await scrape.CopyLinesAsync(send, stop).ConfigureAwait(false)) Interlocked.Increment(ref _failures);
        }
        finally
        {
            foreach (var scrape in scrapes) scrape.Dispose();
        }
    }
}
