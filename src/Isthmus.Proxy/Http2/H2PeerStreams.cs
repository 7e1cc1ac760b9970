namespace Isthmus.Proxy.Http2;

/// <summary>
/// Which stream numbers a client has used: they only increase (RFC 9113 section 5.1.1). A number that was used before may still
/// appear, because frames cross on their way, so the numbers that the client skipped are remembered instead. Usual clients skip none.
/// </summary>
internal sealed class H2PeerStreams
{
    private const int MostGaps = 100;

    private readonly List<(int First, int Last)> _skipped = [];

    /// <summary>The highest number so far, whether its request was accepted or not.</summary>
    public int Highest { get; private set; } = -1;

    /// <summary>Whether the client used the number for the first time.</summary>
    /// <exception cref="H2ConnectionException">The number is not the client's, or it decreases.</exception>
    public bool TryUse(int id)
    {
        if (id % 2 == 0) throw new H2ConnectionException(H2Error.Protocol, "a stream number that is not the client's");
        if (id > Highest)
        {
            if (id > Highest + 2) Skip(Highest + 2, id - 2);
            Highest = id;
            return true;
        }
        foreach (var (first, last) in _skipped)
            if (id >= first && id <= last) throw new H2ConnectionException(H2Error.Protocol, "a stream number that decreases");
        return false;
    }

    // The oldest gap is forgotten: frames for its numbers are dropped like those of streams that are over.
    private void Skip(int first, int last)
    {
        if (_skipped.Count == MostGaps) _skipped.RemoveAt(0);
        _skipped.Add((first, last));
    }
}
