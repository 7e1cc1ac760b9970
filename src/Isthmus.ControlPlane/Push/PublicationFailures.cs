using System.Collections.Concurrent;

namespace Isthmus.ControlPlane.Push;

/// <summary>What is done about a bug that a publication runs into: it does not keep the changes from others, and later publications catch up.</summary>
internal sealed class PublicationFailures
{
    // Those whose scope could not be resolved or made: each publication tries again.
    private readonly HashSet<ProxyFeed> _unfinished = [];
    private bool _isWhole = true;

    /// <summary>Whether a publication did not come to its end, and may have left changes behind: the next one takes everything.</summary>
    public bool LeftChanges => !_isWhole;

    /// <summary>Runs a publication, and throws the bugs that it returns when all others have their changes.</summary>
    /// <param name="catchesUp">Whether it takes what earlier ones left behind.</param>
    public void Publish(bool catchesUp, Func<IReadOnlyCollection<Exception>> publication)
    {
        var isWhole = _isWhole || catchesUp;
        _isWhole = false;
        var bugs = publication();
        _isWhole = isWhole;
        if (bugs.Count > 0) throw new AggregateException(bugs);
    }

    /// <summary>Does for the proxy what a later publication has to repeat if it fails.</summary>
    public void Finish(ProxyFeed proxy, Action action)
    {
        _unfinished.Add(proxy);
        action();
        _unfinished.Remove(proxy);
    }

    public IReadOnlyCollection<ProxyFeed> WithUnfinished(IReadOnlyCollection<ProxyFeed> proxies) =>
        _unfinished.Count == 0 ? proxies : [.. proxies.Union(_unfinished)];

    /// <summary>The proxy is gone.</summary>
    public void Forget(ProxyFeed proxy) => _unfinished.Remove(proxy);

    /// <summary>The bugs of the items for which the action fails.</summary>
    public static ConcurrentQueue<Exception> OfEach<T>(IEnumerable<T> items, Action<T> action)
    {
        var bugs = new ConcurrentQueue<Exception>();
        Parallel.ForEach(items, item =>
        {
            if (Of(() => action(item)) is { } bug) bugs.Enqueue(bug);
        });
        return bugs;
    }

    /// <summary>The bug for which the action fails; null if it does not.</summary>
    public static Exception? Of(Action action)
    {
        try
        {
            action();
            return null;
        }
        catch (Exception bug)
        {
            return bug;
        }
    }
}
