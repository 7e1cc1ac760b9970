using System.Runtime;

namespace Isthmus.ControlPlane.Running;

/// <summary>
/// Returns memory to the operating system after a burst of work. The runtime collects only when somebody allocates, so a control plane
/// that is quiet after all its proxies have connected would keep what they needed for as long as it is quiet.
/// </summary>
/// <param name="allocated">How many bytes the process has allocated since its start.</param>
/// <param name="collect">Frees what nobody uses, and returns it.</param>
public sealed class IdleMemory(TimeProvider time, Func<long> allocated, Action collect)
{
    internal static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>A collection pauses the process: for less than this it is not worth it.</summary>
    internal const long Worth = 48L << 20;

    /// <summary>What a quiet process allocates in an interval at most.</summary>
    internal const long Quiet = 4L << 20;

    private long _last;
    private long _collected;

    public IdleMemory(TimeProvider time) : this(time, () => GC.GetTotalAllocatedBytes(), Collect)
    {
    }

    public async Task RunAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false)) Look();
    }

    internal void Look()
    {
        var now = allocated();
        var isQuiet = now - _last <= Quiet;
        _last = now;
        if (!isQuiet || now - _collected < Worth) return;
        _collected = now;
        collect();
    }

    private static void Collect()
    {
        GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }
}
