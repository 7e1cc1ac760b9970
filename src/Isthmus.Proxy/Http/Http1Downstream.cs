using System.Runtime.CompilerServices;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http;

/// <summary>The server side of an HTTP/1.x connection: one request after another, including pipelined ones.</summary>
internal sealed class Http1Downstream : DownstreamStream, IDisposable
{
    private const int LargePiece = 8 * 1024;
    private const int FlushAt = 32 * 1024;

    private static readonly byte[] GoOn = [.. "HTTP/1.1 100 Continue\r\n\r\n"u8];

    private static readonly TimeSpan LingerTime = TimeSpan.FromSeconds(1);

    private readonly Transport _transport;
    private readonly HttpLimits _limits;
    private readonly ByteReader _reader;
    private readonly BodyReader _body;
    private readonly ByteWriter _writer = new();
    private BodyKind _sending;
    private IWaiting? _waiting;
    private volatile bool _hasPeerLeft;
    private volatile bool _wasReset;
    private volatile bool _isTunnel;
    private volatile TaskCompletionSource? _lateHead;   // while a head has begun and is not complete
    private TaskCompletionSource? _timedHead;           // the one whose time runs; used by the watch
    private long _headSince;
    private Task<int>? _filling;

    public Http1Downstream(Transport transport, HttpLimits limits)
    {
        _transport = transport;
        _limits = limits;
        _reader = new ByteReader(transport);
        _body = new BodyReader(_reader, limits);
    }

    public override HeaderBlock RequestTrailers => _body.Trailers;

    public override bool IsRequestComplete => _body.IsDone;

    /// <summary>The last that the client gets was sent: what is left is to close the connection.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Only a tunnel outlives the end of the client's direction.</summary>
    public override bool HasClientLeft => !_isTunnel || _wasReset;

    public override IWaiting? Waiting
    {
        get => Volatile.Read(ref _waiting);
        set
        {
            // Either this sees that the client has left, or the loop that learns of it sees who waits.
            Interlocked.Exchange(ref _waiting, value);
            if (_hasPeerLeft) value?.OnClientLeft();
        }
    }

    /// <summary>Waits until the next head begins, or the client closes. An idle connection holds neither buffers nor the last message.</summary>
    public ValueTask<int> IdleAsync()
    {
        if (_reader.Buffered > 0 || !_transport.IsQuiet) return default;
        Dispose();
        Request.Release();
        RequestTrailers.Release();
        return _transport.ReadAsync(Memory<byte>.Empty);
    }

    /// <summary>Reads the next head; false when the client closed instead.</summary>
    /// <exception cref="HttpMessageException">The head breaks the protocol.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<bool> ReadHeadAsync()
    {
        IsResponseStarted = false;
        BeginCounts();
        while (true)
        {
            // An empty line before a request is ignored (RFC 9112 section 2.2).
            while (_reader.Span.StartsWith("\r\n"u8)) _reader.Consume(2);
            var end = HeadParser.FindEnd(_reader.Span);
            if (end > _limits.HeadBytes || (end < 0 && _reader.Buffered > _limits.HeadBytes)) throw Refused(431, "http1.headers_too_large");
            if (end > 0)
            {
                HeadParser.ParseRequest(_reader.Span[..end], Request, _limits);
                _reader.Consume(end);
                break;
            }
            if (!HeadParser.CanBeRequest(_reader.Span)) throw Refused(400, HeadParser.NoHttp);
            if (_reader.Buffered == 0) _reader.Dispose();
            if (await FillAsync().ConfigureAwait(false) == 0) return false;
        }
        _lateHead = null;
        _body.Begin(Request.Body, Request.ContentLength);
        BeginRequest();
        MustClose = !Request.KeepAlive;
        return true;
    }

    /// <summary>The client has ended its direction or reset the connection: nobody waits for the response of a request that is forwarded.</summary>
    public void OnPeerLeft(bool wasReset)
    {
        if (wasReset) _wasReset = true;
        _hasPeerLeft = true;
        Interlocked.MemoryBarrier();
        if (Waiting is not { } waiting) return;
        waiting.OnClientLeft();
        // A response that has begun may wait for the client to read.
        if (IsResponseStarted && HasClientLeft) Reset();
    }

    /// <summary>Once a second: ends the wait for a head that takes too long.</summary>
    public void LookForHead(TimeProvider time)
    {
        if (_lateHead is not { } late) return;
        if (!ReferenceEquals(late, _timedHead))
        {
            _timedHead = late;
            _headSince = time.GetTimestamp();
        }
        else if (time.GetElapsedTime(_headSince) >= _limits.HeadTime)
        {
            late.TrySetResult();
        }
    }

    /// <summary>After the answer to a head that took too long: ends the read that still waits for its rest.</summary>
    public ValueTask AbandonHeadAsync(TimeProvider time) =>
        _filling is { IsCompleted: false } filling ? AbandonRequestAsync(IgnoreAsync(filling), time) : default;

    /// <summary>The unconsumed bytes, for another protocol.</summary>
    public ByteReader Reader => _reader;

    /// <summary>The connection starts with the preface of HTTP/2; reads until that is certain, and past it.</summary>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<bool> TryTakePrefaceAsync()
    {
        while (true)
        {
            var seen = _reader.Span;
            if (seen.StartsWith(H2.Preface))
            {
                _reader.Consume(H2.Preface.Length);
                return true;
            }
            if (!H2.Preface.StartsWith(seen)) return false;
            if (await _reader.FillAsync().ConfigureAwait(false) == 0) return false;
        }
    }

    // A client that sends nothing may be idle, but once it has begun a head it has to complete it.
    private ValueTask<int> FillAsync()
    {
        var isLimited = _limits.HeadTime > TimeSpan.Zero && _reader.Buffered > 0;
        var fill = _reader.FillAsync();
        return isLimited && !fill.IsCompleted ? FillInTimeAsync(fill) : fill;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<int> FillInTimeAsync(ValueTask<int> fill)
    {
        _filling = fill.AsTask();
        _lateHead ??= new(TaskCreationOptions.RunContinuationsAsynchronously);
        await Task.WhenAny(_filling, _lateHead.Task).ConfigureAwait(false);
        return _filling.IsCompleted ? await _filling.ConfigureAwait(false) : throw Refused(408, _limits.LateHead);
    }

    // What is answered and logged has nothing of the request before.
    private HttpMessageException Refused(int status, string detail)
    {
        Request.Clear();
        return new(status, detail);
    }

    private static async Task IgnoreAsync(Task<int> reading)
    {
        try
        {
            await reading.ConfigureAwait(false);
        }
        catch (TransportException)
        {
            // It ends like that when the transport is aborted.
        }
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public override async ValueTask<ReadOnlyMemory<byte>> ReadBodyAsync()
    {
        if (OwesContinue) await PayContinueAsync().ConfigureAwait(false);
        var piece = await _body.ReadAsync().ConfigureAwait(false);
        CountReceived(piece.Span);
        return piece;
    }

    public override ValueTask ContinueAsync() => _transport.WriteAsync(GoOn);

    public override ValueTask SendHeadAsync(ResponseHead head)
    {
        IsResponseStarted = true;
        // A client that did not get 100 Continue may or may not send the body: what the next bytes are is unknown.
        if (!_body.IsDone) MustClose = true;
        _sending = head.Body switch
        {
            BodyKind.UntilClose or BodyKind.Stream or BodyKind.Chunked => Request.Version == HttpVersions.Http11 ? BodyKind.Chunked : BodyKind.UntilClose,
            _ => head.Body,
        };
        // What a client sends for another protocol before it hears that it is refused must not be read as a request.
        if (_sending == BodyKind.UntilClose || Request.IsTunnel) MustClose = true;
        _writer.Write("HTTP/1.1 "u8);
        _writer.WriteNumber(head.Status);
        _writer.Write(" "u8);
        _writer.Write(ReasonPhrases.Get(head.Status));
        _writer.Write("\r\n"u8);
        HeadWriter.Response<Http1Fields>(_writer, head, LengthOf(head));
        if (head.Status == 101)
        {
            _writer.Write("connection: Upgrade\r\nupgrade: "u8);
            _writer.Write(head.Upgrade);
            _writer.Write("\r\n"u8);
        }
        else if (!head.IsTunnel)
        {
            if (_sending == BodyKind.Chunked) _writer.Write("transfer-encoding: chunked\r\n"u8);
            if (MustClose) _writer.Write("connection: close\r\n"u8);
            else if (Request.Version == HttpVersions.Http10) _writer.Write("connection: keep-alive\r\n"u8);
        }
        _writer.Write("\r\n"u8);
        return ValueTask.CompletedTask;
    }

    // Where no other rule ends the response, its length must.
    private long LengthOf(ResponseHead head) => _sending switch
    {
        _ when head.IsTunnel => -1,
        BodyKind.None when head.ContentLength < 0 => Request.Method != "HEAD" && head.Status != 304 ? 0 : -1,
        BodyKind.None or BodyKind.Length => head.ContentLength,
        _ => -1,
    };

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece)
    {
        if (piece.IsEmpty || _sending == BodyKind.None) return;
        CountSent(piece.Span);
        if (_sending == BodyKind.Chunked)
        {
            _writer.WriteHex(piece.Length);
            _writer.Write("\r\n"u8);
        }
        if (piece.Length < LargePiece)
        {
            _writer.Write(piece.Span);
            if (_writer.Length >= FlushAt) await FlushAsync().ConfigureAwait(false);
        }
        else
        {
            await FlushAsync().ConfigureAwait(false);
            await _transport.WriteAsync(piece).ConfigureAwait(false);
        }
        if (_sending == BodyKind.Chunked) _writer.Write("\r\n"u8);
    }

    public override ValueTask EndAsync(HeaderBlock? trailers)
    {
        if (_sending == BodyKind.Chunked)
        {
            _writer.Write("0\r\n"u8);
            if (trailers is not null) HeadWriter.Trailers<Http1Fields>(_writer, trailers);
            _writer.Write("\r\n"u8);
        }
        if (!MustClose || !IsRequestComplete) return FlushAsync();
        HasEnded = true;
        return SendLastAsync();
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask SendLastAsync()
    {
        await _transport.WriteLastAsync(_writer.Written).ConfigureAwait(false);
        _writer.Clear();
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask FlushAsync()
    {
        if (_writer.Length == 0) return;
        await _transport.WriteAsync(_writer.Written).ConfigureAwait(false);
        _writer.Clear();
    }

    public override void Reset() => _transport.Abort(reset: true);

    // Closing with unread bytes sends a reset, which may overtake the response: give the client a moment to read it.
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask AbandonRequestAsync(Task reading, TimeProvider time)
    {
        try
        {
            await _transport.CloseWriteAsync().ConfigureAwait(false);
        }
        catch (TransportException)
        {
            // The client is gone already.
        }
        await Task.WhenAny(reading, Task.Delay(LingerTime, time)).ConfigureAwait(false);
        _transport.Abort();
        await reading.ConfigureAwait(false);
    }

    public override Transport TakeOver()
    {
        _isTunnel = true;
        var rest = _reader.Available.ToArray();
        _reader.Consume(rest.Length);
        return PrecededTransport.Of(_transport, rest);
    }

    public void Dispose()
    {
        _reader.Dispose();
        _writer.Dispose();
    }
}
