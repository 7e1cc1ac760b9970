using Isthmus.Proxy.Loops;

namespace Isthmus.Proxy.Transports;

/// <summary>
/// The bytes of any transport, without waiting. One buffer holds what has arrived, and another what is on its way out; while neither is the case,
/// it holds none.
/// </summary>
internal sealed class BufferedBytes(Transport inner) : INonBlocking
{
    private const int Most = 16 * 1024;

    private readonly Lock _lock = new();   // guards everything
    private byte[]? _arrived;
    private int _at;
    private int _end;
    private bool _hasEnded;
    private TransportException? _failure;
    private Task _writing = Task.CompletedTask;

    /// <summary>A socket needs no buffers.</summary>
    public static INonBlocking Of(Transport transport) => transport as INonBlocking ?? new BufferedBytes(transport);

    public bool IsQuiet
    {
        get
        {
            lock (_lock)
            {
                if (_arrived is not null || _hasEnded || _failure is not null) return false;
            }
            return inner.IsQuiet;
        }
    }

    public int TryRead(Span<byte> into)
    {
        lock (_lock)
        {
            if (_arrived is null) return _failure is not null ? throw _failure : _hasEnded ? 0 : -1;
            var count = Math.Min(into.Length, _end - _at);
            _arrived.AsSpan(_at, count).CopyTo(into);
            _at += count;
            if (_at < _end) return count;
            Buffers<byte>.Return(_arrived);
            _arrived = null;
            return count;
        }
    }

    public int TryWrite(ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (_failure is not null) throw _failure;
            if (!_writing.IsCompleted) return -1;
            var count = Math.Min(bytes.Length, Most);
            var copy = Buffers<byte>.Rent(count);
            bytes[..count].CopyTo(copy);
            _writing = WriteAsync(copy, count);
            return _failure is not null ? throw _failure : count;
        }
    }

    public async ValueTask<int> WaitToReadAsync()
    {
        lock (_lock)
        {
            if (_arrived is not null || _hasEnded || _failure is not null) return 0;
        }
        byte[]? buffer = null;
        try
        {
            await inner.ReadAsync(Memory<byte>.Empty).ConfigureAwait(false);
            buffer = Buffers<byte>.Rent(Most);
            var count = await inner.ReadAsync(buffer).ConfigureAwait(false);
            lock (_lock)
            {
                _hasEnded = count == 0;
                if (_hasEnded) return 0;
                (_arrived, _at, _end, buffer) = (buffer, 0, count, null);
            }
        }
        catch (TransportException e)
        {
            // The next read says so.
            lock (_lock) _failure ??= e;
        }
        finally
        {
            if (buffer is not null) Buffers<byte>.Return(buffer);
        }
        return 0;
    }

    public ValueTask WaitToWriteAsync()
    {
        lock (_lock) return new(_writing);
    }

    public async ValueTask CloseWriteAsync()
    {
        await WaitToWriteAsync().ConfigureAwait(false);
        lock (_lock)
        {
            if (_failure is not null) throw _failure;
        }
        await inner.CloseWriteAsync().ConfigureAwait(false);
    }

    private async Task WriteAsync(byte[] copy, int count)
    {
        try
        {
            await inner.WriteAsync(copy.AsMemory(0, count)).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // The next write says so, whatever it is: it must not go on after bytes that were lost.
            lock (_lock) _failure ??= e as TransportException ?? new TransportException(TransportFailure.Aborted, e.Message, e);
        }
        finally
        {
            Buffers<byte>.Return(copy);
        }
    }
}
