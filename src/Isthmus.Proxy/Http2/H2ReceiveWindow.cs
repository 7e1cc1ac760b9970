namespace Isthmus.Proxy.Http2;

/// <summary>What a peer may send before we have consumed it, on one stream or on the whole connection (RFC 9113 section 5.2). Guarded by
/// the connection's lock.</summary>
internal struct H2ReceiveWindow(int size)
{
    private readonly int _worthAFrame = size / 4;
    private int _left = size;
    private int _consumed;

    /// <summary>Counts bytes that arrived. False: the peer has sent more than it may.</summary>
    public bool TryTake(int bytes) => (_left -= bytes) >= 0;

    /// <summary>Counts bytes that were consumed. Returns how many more to allow the peer now; 0 until they are worth a frame.</summary>
    public int Consume(int bytes)
    {
        _consumed += bytes;
        if (_consumed < _worthAFrame) return 0;
        var more = _consumed;
        _left += more;
        _consumed = 0;
        return more;
    }
}
