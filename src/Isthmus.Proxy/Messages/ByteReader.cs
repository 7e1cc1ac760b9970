using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Messages;

/// <summary>Bytes read from a transport and not yet consumed, in one pooled buffer. While it waits without any, it holds no buffer.</summary>
internal sealed class ByteReader(Transport transport) : IDisposable
{
    private const int SmallBuffer = 4096;
    private const int LargeBuffer = 32 * 1024;

    private byte[]? _buffer;
    private int _start;
    private int _end;
    private int _size = SmallBuffer;

    public int Buffered => _end - _start;

    public ReadOnlyMemory<byte> Available => _buffer is null ? default : _buffer.AsMemory(_start, _end - _start);

    public ReadOnlySpan<byte> Span => _buffer is null ? default : _buffer.AsSpan(_start, _end - _start);

    public void Consume(int count) => _start += count;

    /// <summary>Reads more after the buffered bytes; 0 at the end of the stream.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<int> FillAsync()
    {
        if (_start == _end && transport.IsQuiet)
        {
            Return();
            await transport.ReadAsync(Memory<byte>.Empty).ConfigureAwait(false);
        }
        MakeRoom();
        var count = await transport.ReadAsync(_buffer.AsMemory(_end)).ConfigureAwait(false);
        _end += count;
        return count;
    }

    public void Dispose()
    {
        Return();
        _size = SmallBuffer;
    }

    private void Return()
    {
        if (_buffer is null) return;
        // A full small buffer suggests a bulk transfer: read it in larger pieces.
        if (_end == _buffer.Length && _size < LargeBuffer) _size = LargeBuffer;
        Buffers<byte>.Return(_buffer);
        _buffer = null;
        _start = _end = 0;
    }

    private void MakeRoom()
    {
        if (_buffer is null)
        {
            _buffer = Buffers<byte>.Rent(_size);
            return;
        }
        if (_start == _end)
        {
            if (_end == _buffer.Length && _buffer.Length < LargeBuffer)
            {
                Return();
                _buffer = Buffers<byte>.Rent(_size);
            }
            _start = _end = 0;
            return;
        }
        if (_end < _buffer.Length) return;
        if (_start > 0 && _buffer.Length < LargeBuffer)
        {
            // A part of the next message behind whole ones: a bulk transfer.
            Replace(LargeBuffer);
            return;
        }
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
            return;
        }
        Replace(_buffer.Length * 2);
    }

    private void Replace(int size)
    {
        var next = Buffers<byte>.Rent(size);
        _buffer.AsSpan(_start, _end - _start).CopyTo(next);
        Buffers<byte>.Return(_buffer!);
        _buffer = next;
        _end -= _start;
        _start = 0;
    }
}
