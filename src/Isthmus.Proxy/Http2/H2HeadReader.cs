using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Http2;

/// <summary>Puts header blocks together from their frames and decodes them (RFC 9113 section 4.3). The decoder's state is that of the
/// connection, so blocks that nobody wants pass through it too.</summary>
internal sealed class H2HeadReader
{
    private readonly HpackDecoder _hpack = new(H2.HeaderTable, H2.MaxHeaderBlock);
    private readonly ByteWriter _block = new();
    private int _stream;

    /// <summary>A block has begun and is not complete; changes at any time.</summary>
    public bool IsReading => Volatile.Read(ref _stream) != 0;

    /// <summary>The fields of the block that was completed last.</summary>
    public H2HeadFields Fields { get; } = new();

    /// <summary>Nothing follows that block on its stream.</summary>
    public bool IsLast { get; private set; }

    /// <summary>Frames of one block follow each other.</summary>
    /// <exception cref="H2ConnectionException">The frame may not come now.</exception>
    public void CheckOrder(H2Frame type, int id)
    {
        if (_stream != 0 && (type != H2Frame.Continuation || id != _stream))
            throw new H2ConnectionException(H2Error.Protocol, "a frame between parts of a header block");
        if (_stream == 0 && type == H2Frame.Continuation) throw new H2ConnectionException(H2Error.Protocol, "a continuation of nothing");
    }

    /// <summary>Takes a HEADERS frame. True: the block is complete.</summary>
    /// <exception cref="H2ConnectionException">The block is too large or can't be decoded.</exception>
    public bool Begin(int id, H2Flags flags, ReadOnlySpan<byte> payload)
    {
        var part = H2FrameRules.HeaderBlock(flags, id, payload);
        _stream = id;
        IsLast = flags.HasFlag(H2Flags.EndStream);
        _block.Clear();
        return Continue(flags, part);
    }

    /// <summary>Takes a CONTINUATION frame. True: the block is complete.</summary>
    /// <exception cref="H2ConnectionException">The block is too large or can't be decoded.</exception>
    public bool Continue(H2Flags flags, ReadOnlySpan<byte> part)
    {
        if (_block.Length + part.Length > H2.MaxHeaderBlock) throw new H2ConnectionException(H2Error.EnhanceYourCalm, "header block too large");
        _block.Write(part);
        if (!flags.HasFlag(H2Flags.EndHeaders)) return false;
        Fields.Begin(_stream);
        _stream = 0;
        _hpack.Decode(_block.Written.Span, Fields.Take);
        return true;
    }
}
