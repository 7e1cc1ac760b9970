namespace Isthmus.Proxy.Http2;

/// <summary>Ends connections of peers that make work without a use: streams that end in a reset, and frames without content.</summary>
internal sealed class H2Floods
{
    private const int MaxResets = 500;
    private const int MaxEmpty = 10;

    private int _resets;
    private int _empty;
    private int _frames;

    /// <summary>How many frames there were, modulo 2^32; written by the read loop.</summary>
    public int Frames => Volatile.Read(ref _frames);

    /// <summary>Another stream ended in a reset: by the peer, or because of what it sent. Opening such streams costs the client little
    /// and the server much more.</summary>
    /// <param name="opened">How many streams there were so far.</param>
    /// <exception cref="H2ConnectionException">Most streams end like that.</exception>
    public void Reset(int opened)
    {
        if (++_resets > MaxResets && _resets > opened / 2) throw new H2ConnectionException(H2Error.EnhanceYourCalm, "too many resets");
    }

    /// <summary>Counts frames in a row that carry nothing and end nothing.</summary>
    /// <exception cref="H2ConnectionException">There are too many.</exception>
    public void Frame(H2Frame type, H2Flags flags, int length)
    {
        Volatile.Write(ref _frames, _frames + 1);
        var isEmpty = length == 0 && type switch
        {
            H2Frame.Data => !flags.HasFlag(H2Flags.EndStream),
            H2Frame.Headers or H2Frame.Continuation => !flags.HasFlag(H2Flags.EndHeaders),
            _ => false,
        };
        _empty = isEmpty ? _empty + 1 : 0;
        if (_empty > MaxEmpty) throw new H2ConnectionException(H2Error.EnhanceYourCalm, "too many empty frames");
    }
}
