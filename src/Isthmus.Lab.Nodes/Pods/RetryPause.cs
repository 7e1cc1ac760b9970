namespace Isthmus.Lab.Nodes.Pods;

/// <summary>The pause before the next attempt: doubles from attempt to attempt up to a limit, until one succeeds.</summary>
internal sealed class RetryPause(TimeSpan first, TimeSpan longest)
{
    private TimeSpan? _next;

    internal TimeSpan Next()
    {
        var pause = _next ?? first;
        _next = pause * 2 < longest ? pause * 2 : longest;
        return pause;
    }

    internal void Reset() => _next = null;
}
