using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Tls;

/// <summary>
/// The bytes below a TLS connection. During its handshake, OpenSSL reads the head and the body of each record by themselves and writes each flight
/// in pieces: here, one read takes all that has arrived, and what is written goes out with one <see cref="TryFlush"/>. Later reads and writes pass
/// through, until <see cref="Gather"/>. Callers take turns.
/// </summary>
internal sealed class GatheredBytes(INonBlocking inner) : IDisposable
{
    private const int AheadSize = 4 * 1024, LeastHeld = 256, MostHeld = 64 * 1024;

    private byte[]? _ahead;
    private int _at;
    private int _end;
    private byte[]? _held;
    private int _heldLength;
    private bool _readsAhead = true;
    private bool _isGathering = true;

    /// <summary>Bytes have arrived that OpenSSL has not asked for.</summary>
    internal bool HasUnread => _ahead is not null;

    /// <summary>Reads what is there; 0 at the end of the peer's stream, -1 when there is nothing now.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    internal int TryRead(Span<byte> into)
    {
        if (_ahead is null)
        {
            if (!_readsAhead || into.Length >= AheadSize) return inner.TryRead(into);
            var buffer = Buffers<byte>.Rent(AheadSize);
            var arrived = -1;
            try
            {
                arrived = inner.TryRead(buffer);
            }
            finally
            {
                if (arrived <= 0) Buffers<byte>.Return(buffer);
            }
            if (arrived <= 0) return arrived;
            (_ahead, _at, _end) = (buffer, 0, arrived);
        }
        var count = Math.Min(into.Length, _end - _at);
        _ahead.AsSpan(_at, count).CopyTo(into);
        _at += count;
        if (_at == _end) ReturnAhead();
        return count;
    }

    /// <summary>Takes some of the bytes; -1 while there is no room for more.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    internal int TryWrite(ReadOnlySpan<byte> bytes)
    {
        if (_isGathering && _heldLength + bytes.Length <= MostHeld)
        {
            Hold(bytes);
            return bytes.Length;
        }
        if (_held is null) return inner.TryWrite(bytes);
        // What is held goes first, in the same packet.
        var held = _heldLength;
        Hold(bytes);
        var sent = inner.TryWrite(_held.AsSpan(0, _heldLength));
        _heldLength = held;
        Drop(Math.Clamp(sent, 0, held));
        return sent > held ? sent - held : -1;
    }

    /// <summary>Sends what is held; false while there is no room for all of it.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    internal bool TryFlush()
    {
        while (_held is not null)
        {
            var sent = inner.TryWrite(_held.AsSpan(0, _heldLength));
            if (sent < 0) return false;
            Drop(sent);
        }
        return true;
    }

    /// <summary>The handshake is complete. What is still held goes with the next bytes that are written.</summary>
    internal void Complete() => _readsAhead = _isGathering = false;

    /// <summary>Holds what is written from now on, because more follows at once.</summary>
    internal void Gather() => _isGathering = true;

    public void Dispose()
    {
        if (_ahead is not null) ReturnAhead();
        Drop(_heldLength);
    }

    private void Hold(ReadOnlySpan<byte> bytes)
    {
        if (_held is null || _held.Length - _heldLength < bytes.Length)
        {
            var larger = Buffers<byte>.Rent(Math.Max(LeastHeld, _heldLength + bytes.Length));
            _held.AsSpan(0, _heldLength).CopyTo(larger);
            if (_held is not null) Buffers<byte>.Return(_held);
            _held = larger;
        }
        bytes.CopyTo(_held.AsSpan(_heldLength));
        _heldLength += bytes.Length;
    }

    private void Drop(int count)
    {
        if (_held is null) return;
        _heldLength -= count;
        _held.AsSpan(count, _heldLength).CopyTo(_held);
        if (_heldLength > 0) return;
        Buffers<byte>.Return(_held);
        _held = null;
    }

    private void ReturnAhead()
    {
        Buffers<byte>.Return(_ahead!);
        _ahead = null;
    }
}
