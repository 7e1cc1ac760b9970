using System.Diagnostics.CodeAnalysis;

namespace Isthmus.Lab.ApiServer.Storage;

internal sealed class ObjectWatch(ChangeLog log, ChangeLog.Node start, long after, Func<long> published) : IObjectWatch
{
    private ChangeLog.Node _at = start;
    private long _seen;

    public long SeenRevision => Math.Max(_seen, after);

    public bool TryRead([NotNullWhen(true)] out ObjectChange change)
    {
        // Read this first: a change published by now that is not found below does not concern this resource.
        var upTo = published();
        while (Volatile.Read(ref _at.Next) is { } next)
        {
            _at = next;
            if (next.Change!.Revision <= after) continue;
            change = next.Change;
            _seen = change.Revision;
            return true;
        }
        _seen = Math.Max(_seen, upTo);
        change = null!;
        return false;
    }

    public async Task WaitAsync(CancellationToken stop)
    {
        var appended = log.Appended;
        if (Volatile.Read(ref _at.Next) is not null) return;
        await appended.WaitAsync(stop);
    }
}
