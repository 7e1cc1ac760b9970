namespace Isthmus.Proxy.Programs;

/// <summary>
/// Gives the memory of a burst back to the system once the proxy is quiet. The collector alone runs only when enough is allocated again: after
/// a burst that may be never, and sidecars, of which a node has many, are quiet most of the time.
/// </summary>
internal sealed class QuietCollector : IDisposable
{
    /// <summary>Less than this is not worth the pause.</summary>
    private const long LeastGarbage = 8 << 20;

    /// <summary>Quiet periods before a collection, so that pauses of a load count as load.</summary>
    private const int QuietPeriods = 2;

    /// <summary>Who has less work than this in a period is quiet.</summary>
    private static readonly TimeSpan LittleWork = TimeSpan.FromMilliseconds(10);

    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(500);

    /// <summary>Between two looks while there is nothing to collect: an idle sidecar should not wake its CPU.</summary>
    private static readonly TimeSpan IdlePeriod = TimeSpan.FromSeconds(2);

    private readonly Func<TimeSpan> _cpu;
    private readonly Func<long> _allocated;
    private readonly Action _collect;
    private readonly ITimer _timer;
    private TimeSpan _cpuBefore;
    private long _collectedAt;
    private int _quiet;

    /// <param name="time">The clock.</param>
    /// <param name="cpu">CPU time of the process so far.</param>
    /// <param name="allocated">Bytes that the process has allocated so far.</param>
    /// <param name="collect">Collects garbage, and returns memory to the system.</param>
    public QuietCollector(TimeProvider time, Func<TimeSpan> cpu, Func<long> allocated, Action collect)
    {
        (_cpu, _allocated, _collect) = (cpu, allocated, collect);
        _cpuBefore = cpu();
        _timer = time.CreateTimer(static c => ((QuietCollector)c!).Look(), this, Period, Timeout.InfiniteTimeSpan);
    }

    /// <summary>For this process.</summary>
    public static QuietCollector Start(TimeProvider time) => new(
        time,
        static () => Environment.CpuUsage.TotalTime,
        static () => GC.GetTotalAllocatedBytes(),
        static () => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true));

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        var used = _cpu();
        _quiet = used - _cpuBefore < LittleWork ? _quiet + 1 : 0;
        _cpuBefore = used;
        var isWorthIt = _allocated() - _collectedAt >= LeastGarbage;
        if (isWorthIt && _quiet >= QuietPeriods)
        {
            _collect();
            _collectedAt = _allocated();
            _cpuBefore = _cpu();
            isWorthIt = false;
        }
        _timer.Change(isWorthIt ? Period : IdlePeriod, Timeout.InfiniteTimeSpan);
    }
}
