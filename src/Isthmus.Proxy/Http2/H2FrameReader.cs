using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Http2;

/// <summary>Reads one frame after another.</summary>
internal sealed class H2FrameReader(ByteReader reader)
{
    private int _length;

    /// <summary>The frame with its header, until the next is read.</summary>
    public ReadOnlySpan<byte> Frame => reader.Span[.._length];

    /// <summary>Reads the next frame. False: the connection has ended.</summary>
    /// <exception cref="H2ConnectionException">The frame is larger than we allow.</exception>
    public ValueTask<bool> ReadAsync()
    {
        reader.Consume(_length);
        _length = 0;
        return IsWhole() ? new(true) : FillAsync();
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<bool> FillAsync()
    {
        while (!IsWhole())
            if (await reader.FillAsync().ConfigureAwait(false) == 0) return false;
        return true;
    }

    private bool IsWhole()
    {
        if (reader.Buffered < H2.FrameHeader) return false;
        var header = reader.Span;
        var length = (header[0] << 16) | (header[1] << 8) | header[2];
        if (length > H2.MaxFrame) throw new H2ConnectionException(H2Error.FrameSize, $"a frame of {length} bytes");
        if (reader.Buffered < H2.FrameHeader + length) return false;
        _length = H2.FrameHeader + length;
        return true;
    }
}
