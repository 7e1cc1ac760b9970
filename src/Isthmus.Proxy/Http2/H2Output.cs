using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Text;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http2;

/// <summary>
/// The frames of a connection on their way to the peer. Those that are written in one turn of the event loop leave together at its end.
/// Its users hold the lock of the connection.
/// </summary>
internal sealed class H2Output
{
    private readonly Transport _transport;
    private readonly Lock _lock;    // guards everything but the two that only the flush uses
    private readonly Action<TransportException?> _written;
    private readonly Action _flush;
    private readonly LoopSignal _flushed = new();
    private ByteWriter _waiting = new();
    private ByteWriter _spare = new();
    private Task _flushing = Task.CompletedTask;
    private bool _isFlushing;

    /// <param name="guard">The lock of the connection.</param>
    /// <param name="written">Called with the lock held when bytes have left, or could not.</param>
    public H2Output(Transport transport, Lock guard, Action<TransportException?> written)
    {
        _transport = transport;
        _lock = guard;
        _written = written;
        _flush = () => _flushing = FlushAllAsync();
    }

    /// <summary>The bytes that wait.</summary>
    public int Length => _waiting.Length;

    public void WritePreface() => _waiting.Write(H2.Preface);

    public void WriteFrame(H2Frame type, H2Flags flags, int id, ReadOnlySpan<byte> payload)
    {
        var span = _waiting.Reserve(H2.FrameHeader + payload.Length);
        span[0] = (byte)(payload.Length >> 16);
        span[1] = (byte)(payload.Length >> 8);
        span[2] = (byte)payload.Length;
        span[3] = (byte)type;
        span[4] = (byte)flags;
        BinaryPrimitives.WriteInt32BigEndian(span[5..], id);
        payload.CopyTo(span[H2.FrameHeader..]);
        _waiting.Commit(H2.FrameHeader + payload.Length);
    }

    public void WriteReset(int id, H2Error error) => WriteNumber(H2Frame.Reset, id, (int)error);

    public void WriteWindowUpdate(int id, int more) => WriteNumber(H2Frame.WindowUpdate, id, more);

    public void WriteGoAway(int lastStream, H2Error error, string why)
    {
        var text = Encoding.UTF8.GetBytes(why.Length > 64 ? why[..64] : why);
        var payload = new byte[8 + text.Length];
        BinaryPrimitives.WriteInt32BigEndian(payload, lastStream);
        BinaryPrimitives.WriteInt32BigEndian(payload.AsSpan(4), (int)error);
        text.CopyTo(payload, 8);
        WriteFrame(H2Frame.GoAway, H2Flags.None, 0, payload);
    }

    /// <summary>Sends what waits, at the end of the turn.</summary>
    public void Flush()
    {
        if (_isFlushing || _waiting.Length == 0) return;
        _isFlushing = true;
        if (_transport.EventLoop is { } loop) loop.Post(_flush);
        else ThreadPool.UnsafeQueueUserWorkItem(static flush => flush(), _flush, preferLocal: false);
    }

    /// <summary>Completes when everything so far was written to the transport, or the connection is over. Called without the lock.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask FlushedAsync()
    {
        while (IsFlushing) await _flushed.WaitAsync().ConfigureAwait(false);
        await _flushing.ConfigureAwait(false);
    }

    private bool IsFlushing
    {
        get
        {
            lock (_lock) return _isFlushing;
        }
    }

    private async Task FlushAllAsync()
    {
        try
        {
            while (Take() is { } full)
            {
                TransportException? failure = null;
                try
                {
                    await _transport.WriteAsync(full.Written).ConfigureAwait(false);
                }
                catch (TransportException e)
                {
                    // The read loop sees the end as well, and notifies the streams.
                    failure = e;
                    _transport.Abort();
                }
                full.Dispose();
                lock (_lock)
                {
                    _spare = full;
                    _written(failure);
                }
            }
        }
        catch
        {
            // A bug: whoever ends the connection reports it.
            _transport.Abort();
            End();
            throw;
        }
    }

    private ByteWriter? Take()
    {
        lock (_lock)
        {
            if (_waiting.Length == 0)
            {
                End();
                return null;
            }
            var full = _waiting;
            _waiting = _spare;
            return full;
        }
    }

    private void End()
    {
        lock (_lock) _isFlushing = false;
        _flushed.Set();
    }

    private void WriteNumber(H2Frame type, int id, int number)
    {
        Span<byte> payload = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(payload, number);
        WriteFrame(type, H2Flags.None, id, payload);
    }
}
