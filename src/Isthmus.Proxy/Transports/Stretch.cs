using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;

namespace Isthmus.Proxy.Transports;

/// <summary>
/// One direction of a relay. Short transfers are copied; long ones between plain sockets pass through a pipe of the kernel. While nothing
/// arrives, it holds neither a buffer nor a pipe.
/// </summary>
internal sealed class Stretch(Transport from, Transport to) : IDisposable
{
    private const int FirstBuffer = 4 * 1024;
    private const int BulkBuffer = 64 * 1024;

    /// <summary>From this size on, a pipe costs less than a copy.</summary>
    private const int Large = 16 * 1024;

    /// <summary>So many small transfers in a row end the use of a pipe.</summary>
    private const int SmallInRow = 4;

    private readonly SocketTransport? _source = to is SocketTransport ? from as SocketTransport : null;
    private byte[]? _buffer;
    private Pipe? _pipe;
    private int _size = FirstBuffer;
    private int _count;
    private int _small;
    private bool _isLong;
    private bool _lacksPipes;

    /// <summary>Takes what has arrived, or waits for it: how many bytes, or 0 at the end.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<int> TakeAsync()
    {
        while (true)
        {
            if (from.IsQuiet)
            {
                Rest();
                await from.ReadAsync(Memory<byte>.Empty).ConfigureAwait(false);
            }
            if (!TryUsePipe()) return Adapt(await from.ReadAsync(Buffer()).ConfigureAwait(false));
            var moved = await _source!.ReadAsync(_pipe!).ConfigureAwait(false);
            // Nothing was there, so the source is quiet now.
            if (moved < 0) continue;
            _small = moved < Large ? _small + 1 : 0;
            if (_small >= SmallInRow) _isLong = false;
            return moved;
        }
    }

    /// <summary>Sends some of what was taken; false when nothing is left.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<bool> GiveAsync()
    {
        if (_pipe is { Count: > 0 } pipe)
        {
            await ((SocketTransport)to).WriteAsync(pipe).ConfigureAwait(false);
            return pipe.Count > 0;
        }
        await to.WriteAsync(_buffer.AsMemory(0, _count)).ConfigureAwait(false);
        return false;
    }

    public void Dispose() => Rest();

    private bool TryUsePipe()
    {
        if (!_isLong || _source is not { HasUnread: false }) return false;
        if (_pipe is not null) return true;
        Rest();
        _pipe = Pipe.Rent();
        // There may be none left: this direction then copies until its end.
        _lacksPipes = _pipe is null;
        _isLong = !_lacksPipes;
        return _isLong;
    }

    private byte[] Buffer()
    {
        if (_pipe is not null || _buffer?.Length < _size) Rest();
        return _buffer ??= Buffers<byte>.Rent(_size);
    }

    /// <summary>Full reads mean a bulk transfer, which larger pieces make cheaper.</summary>
    private int Adapt(int count)
    {
        _count = count;
        if (count >= _size) _size = BulkBuffer;
        if (count >= Large && !_lacksPipes) (_isLong, _small) = (true, 0);
        return count;
    }

    private void Rest()
    {
        if (_buffer is { } buffer)
        {
            _buffer = null;
            Buffers<byte>.Return(buffer);
        }
        if (_pipe is { } pipe)
        {
            _pipe = null;
            pipe.Dispose();
        }
    }
}
