using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>The time that the containers of a terminating Pod have left. A second deletion may shorten it.</summary>
internal sealed class PodGrace(TimeProvider time) : IDisposable
{
    private const long DefaultSeconds = 30;

    private readonly CancellationTokenSource _over = new(Timeout.InfiniteTimeSpan, time);
    private readonly CancellationTokenSource _forced = new();

    /// <summary>Whether the Pod is terminating: its containers are not restarted.</summary>
    internal bool HasBegun { get; private set; }

    /// <summary>Cancelled when everything that still runs must be killed.</summary>
    internal CancellationToken Over => _over.Token;

    /// <summary>Cancelled when the object is gone, so that nothing may run any longer.</summary>
    internal CancellationToken Forced => _forced.Token;

    internal static long Seconds(Pod pod) => pod.Spec.TerminationGracePeriodSeconds ?? DefaultSeconds;

    /// <summary>Has no effect once a grace period has begun.</summary>
    internal void Begin(TimeSpan period)
    {
        if (!HasBegun) EndAt(time.GetUtcNow() + period);
    }

    internal void EndAt(DateTimeOffset at)
    {
        HasBegun = true;
        _over.CancelAfter(PodLoop.ToTimer(at - time.GetUtcNow()));
    }

    internal void EndNow()
    {
        HasBegun = true;
        _forced.Cancel();
        _over.Cancel();
    }

    public void Dispose()
    {
        _over.Dispose();
        _forced.Dispose();
    }
}
