namespace Isthmus.Proxy.Http;

/// <summary>For how long a client's connection has been open and without requests; asked once a second.</summary>
internal sealed class ConnectionAge(TimeProvider time)
{
    private readonly long _opened = time.GetTimestamp();
    private long _idleSince = time.GetTimestamp();
    private int _seen;

    /// <summary>Whether it is older than a limit; zero: no limit.</summary>
    public bool IsOld(TimeSpan limit) => limit > TimeSpan.Zero && time.GetElapsedTime(_opened) >= limit;

    /// <summary>Whether it was without requests for longer than a limit; zero: no limit.</summary>
    /// <param name="limit">The limit.</param>
    /// <param name="isBusy">A request is in progress.</param>
    /// <param name="requests">A number that changes with each request.</param>
    public bool IsIdle(TimeSpan limit, bool isBusy, int requests)
    {
        if (isBusy || requests != _seen)
        {
            _seen = requests;
            _idleSince = time.GetTimestamp();
            return false;
        }
        return limit > TimeSpan.Zero && time.GetElapsedTime(_idleSince) >= limit;
    }
}
