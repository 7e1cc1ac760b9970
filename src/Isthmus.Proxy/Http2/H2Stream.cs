using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http2;

/// <summary>One stream of a connection: the data that arrived and was not read yet, and what may still be sent.</summary>
internal class H2Stream(H2Connection connection, int id)
{
    private const int SmallPiece = 1024;

    private static readonly HeaderBlock None = new();
    private static readonly TransportException Closed = new(TransportFailure.Aborted, "the stream was closed");

    private readonly Lock _lock = new();   // guards everything below; that the stream is over can be read without it
    private Queue<(byte[] Buffer, int Length)>? _arrived;
    private (byte[]? Buffer, int Length) _newest;   // arrived after those in the queue; small frames are gathered in it
    private readonly LoopSignal _arrival = new();
    private LoopSignal? _sendable;
    private HeaderBlock? _trailers;
    private IWaiting? _told;
    private byte[]? _lent;
    private int _lentLength;
    private bool _hasHead;
    private bool _isContinued;
    private volatile bool _hasEnded;
    private volatile bool _isUnheard;
    private volatile Exception? _failure;
    private H2ReceiveWindow _receiveWindow = new(H2.StreamWindow);
    private long _expected = -1;
    private long _received;

    public int Id => id;

    /// <summary>Guarded by the connection's lock, as all windows are.</summary>
    public long SendWindow { get; set; }

    /// <summary>What the peer may send; guarded by the connection.</summary>
    public ref H2ReceiveWindow ReceiveWindow => ref _receiveWindow;

    /// <summary>The size of the head and the trailers that it holds; -1: it holds them no more. Guarded by the connection.</summary>
    public int HeadSize { get; set; }

    public bool HasSentEnd { get; set; }

    /// <summary>Its request asks for a tunnel: only data may follow.</summary>
    public bool IsTunnel { get; init; }

    /// <summary>Its sender waits; guarded by the connection.</summary>
    public bool IsBlocked { get; set; }

    /// <summary>Set when whoever sends may go on, or the stream is over.</summary>
    public LoopSignal Sendable
    {
        get
        {
            if (Volatile.Read(ref _sendable) is { } existing) return existing;
            lock (_lock)
            {
                if (_sendable is not null) return _sendable;
                var created = new LoopSignal();
                if (_failure is not null) created.Set();
                Volatile.Write(ref _sendable, created);
                return created;
            }
        }
    }

    /// <summary>Either side has reset it: nothing more may be sent on it.</summary>
    public bool IsReset { get; set; }

    /// <summary>The peer wants no more of it, without an error: what is sent from now on is dropped.</summary>
    public bool IsUnheard => _isUnheard;

    /// <summary>The trailers; empty until they have arrived.</summary>
    public HeaderBlock Trailers => Volatile.Read(ref _trailers) ?? None;

    /// <summary>Everything but the trailers was there before.</summary>
    public void End(HeaderBlock trailers)
    {
        Volatile.Write(ref _trailers, trailers);
        End();
    }

    /// <summary>Everything from the peer has arrived.</summary>
    public bool HasReceivedEnd => _hasEnded;

    public bool WouldBlock
    {
        get
        {
            lock (_lock) return _arrived is not { Count: > 0 } && _newest.Buffer is null && !_hasEnded && _failure is null;
        }
    }

    /// <summary>Everything that has arrived, in bytes.</summary>
    public long Received => Volatile.Read(ref _received);

    /// <summary>The length that <c>content-length</c> announced: a body of another length could smuggle a request to the
    /// next hop.</summary>
    public void Expect(long length) => _expected = length;

    public void Arrive(ReadOnlySpan<byte> data, bool isLast)
    {
        _received += data.Length;
        if (_expected >= 0 && (_received > _expected || (isLast && _received != _expected)))
            throw new H2StreamException(id, H2Error.Protocol, "the body is not as long as content-length says");
        lock (_lock)
        {
            if (data.Length > 0) Keep(data);
            if (isLast) _hasEnded = true;
        }
        _arrival.Set();
    }

    public void End() => Arrive(default, isLast: true);

    /// <summary>Notified when the stream fails or has failed; for the server side.</summary>
    public IWaiting? Waiting
    {
        get
        {
            lock (_lock) return _told;
        }
        set
        {
            bool hasFailed;
            lock (_lock)
            {
                _told = value;
                hasFailed = _failure is not null;
            }
            if (hasFailed) value?.OnClientLeft();
        }
    }

    public void Fail(Exception failure)
    {
        IWaiting? told;
        lock (_lock)
        {
            told = _failure is null ? _told : null;
            _failure ??= failure;
            _sendable?.Set();
        }
        _arrival.Set();
        told?.OnClientLeft();
    }

    /// <summary>The peer has reset the stream.</summary>
    public void OnReset(H2Error error, bool byServer)
    {
        // A server that has answered completely does not want the rest of the request. Its answer counts (RFC 9113 section 8.1).
        if (byServer && error == H2Error.None && _hasEnded)
        {
            _isUnheard = true;
            Sendable.Set();
            return;
        }
        Fail(new TransportException(error == H2Error.RefusedStream ? TransportFailure.Refused : TransportFailure.Reset, $"reset by peer: {error}"));
    }

    /// <summary>Nobody uses the stream any more.</summary>
    public void Close()
    {
        Fail(Closed);
        Discard();
        Volatile.Read(ref _trailers)?.Release();
    }

    /// <summary>The head of the response has arrived.</summary>
    public void ArriveHead()
    {
        lock (_lock)
        {
            // What comes after the stream failed belongs to nobody.
            _hasHead = _failure is null;
        }
        _arrival.Set();
    }

    /// <summary>The server wants the body of the request.</summary>
    public void ArriveContinue()
    {
        lock (_lock) _isContinued = true;
        _arrival.Set();
    }

    /// <summary>Waits for the head of the response.</summary>
    /// <param name="orContinue">Waits only until the server wants the body.</param>
    /// <returns>False: the server wants the body, and its response is not there.</returns>
    /// <exception cref="TransportException">The stream or its connection ended first.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<bool> ReceiveHeadAsync(bool orContinue)
    {
        while (true)
        {
            lock (_lock)
            {
                if (_hasHead) return true;
                if (orContinue && _isContinued) return false;
                if (_failure is not null) throw Translate(_failure);
            }
            await _arrival.WaitAsync().ConfigureAwait(false);
        }
    }

    public Exception? Failure => _failure;

    /// <summary>The next piece, valid until the next call; empty at the end.</summary>
    /// <exception cref="TransportException">The stream or its connection ended first.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync()
    {
        GiveBack();
        while (true)
        {
            lock (_lock)
            {
                if (TryTake(out var piece))
                {
                    _lent = piece.Buffer;
                    _lentLength = piece.Length;
                    return piece.Buffer.AsMemory(0, piece.Length);
                }
                if (_failure is not null) throw Translate(_failure);
                if (_hasEnded) return default;
            }
            await _arrival.WaitAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Discards unread data and returns its flow-control window to the peer.</summary>
    public void Discard()
    {
        GiveBack();
        var bytes = 0;
        lock (_lock)
        {
            while (TryTake(out var piece))
            {
                bytes += piece.Length;
                Buffers<byte>.Return(piece.Buffer);
            }
        }
        if (bytes > 0) connection.Consumed(null, bytes);
    }

    public static TransportException Translate(Exception failure) =>
        failure as TransportException ?? new TransportException(TransportFailure.Reset, failure.Message, failure);

    // A window full of tiny frames must not take many times its size in buffers.
    private void Keep(ReadOnlySpan<byte> data)
    {
        if (_newest.Buffer is null || _newest.Buffer.Length - _newest.Length < data.Length)
        {
            if (_newest.Buffer is not null) (_arrived ??= new()).Enqueue((_newest.Buffer, _newest.Length));
            _newest = (Buffers<byte>.Rent(Math.Max(data.Length, SmallPiece)), 0);
        }
        data.CopyTo(_newest.Buffer.AsSpan(_newest.Length));
        _newest.Length += data.Length;
    }

    private bool TryTake(out (byte[] Buffer, int Length) piece)
    {
        if (_arrived is not null && _arrived.TryDequeue(out piece)) return true;
        piece = default;
        if (_newest.Buffer is null) return false;
        piece = (_newest.Buffer, _newest.Length);
        _newest = default;
        return true;
    }

    private void GiveBack()
    {
        if (Interlocked.Exchange(ref _lent, null) is not { } lent) return;
        Buffers<byte>.Return(lent);
        connection.Consumed(this, _lentLength);
    }
}
