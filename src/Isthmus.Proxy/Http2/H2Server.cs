using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http2;

/// <summary>The server side of an HTTP/2 connection. It handles each request when the frames that arrived with it were read.</summary>
/// <param name="streams">How many requests may be in progress.</param>
/// <param name="mayUpgrade">Whether clients may ask for other protocols (RFC 8441).</param>
/// <param name="refused">Hears of fields that do not form a request, and what is wrong with them; their stream is reset.</param>
internal sealed class H2Server(
    Transport transport, Func<H2DownstreamStream, ValueTask> handle, int streams = H2.MaxStreams, bool mayUpgrade = false,
    Action<H2DownstreamStream, string>? refused = null)
    : H2Connection(transport, isClient: false)
{
    private const int MostSpare = 32;

    private readonly H2PeerStreams _used = new();
    private readonly Stack<H2DownstreamStream> _spare = [];      // guarded by Guard
    private readonly LoopSignal _settled = new();
    private long _headSince, _askedAt;
    private int _running;
    private int _held;          // what all requests hold of heads and trailers; guarded by Guard, increased by the read loop only
    private Exception? _fault;  // guarded by Guard

    /// <summary>Reads until the client closes or breaks the protocol, then waits for requests in progress.</summary>
    public async Task RunAsync(ByteReader reader)
    {
        Greet();
        await ReadAllAsync(reader).ConfigureAwait(false);
        while (Volatile.Read(ref _running) > 0) await _settled.WaitAsync().ConfigureAwait(false);
        await FlushedAsync().ConfigureAwait(false);
        if (_fault is not null) ExceptionDispatchInfo.Throw(_fault);
    }

    /// <summary>
    /// Asks the client to open no more streams. Those that it opens before it learns of that are served (RFC 9113, 6.8); later ones are not, and the
    /// connection closes when none is left. Called repeatedly.
    /// </summary>
    /// <param name="lastCall">How long it may take to learn of that.</param>
    /// <param name="time">The clock.</param>
    public void Drain(TimeSpan lastCall, TimeProvider time)
    {
        if (_askedAt == 0)
        {
            _askedAt = time.GetTimestamp();
            // After an error, the last stream is known already and must not rise again (RFC 9113, 6.8).
            if (!IsClosing) Announce();
        }
        else if (time.GetElapsedTime(_askedAt) >= lastCall) Close();
    }

    /// <summary>Takes no more streams, and closes when none is left.</summary>
    public void Close()
    {
        if (!IsClosing) SendGoAway(H2Error.None, "");
        if (StreamCount == 0) Transport.Abort();
    }

    /// <summary>A number that changes with each request.</summary>
    public int Requests => LastPeerStream;

    /// <summary>Once a second.</summary>
    /// <param name="headTime">How long a client may take for a head; zero: no limit.</param>
    /// <param name="time">The clock.</param>
    public void OnSecond(TimeSpan headTime, TimeProvider time)
    {
        foreach (var stream in OpenStreams) stream.Waiting?.OnSecond();
        if (headTime <= TimeSpan.Zero || !IsReadingHead) _headSince = 0;
        else if (_headSince == 0) _headSince = time.GetTimestamp();
        else if (time.GetElapsedTime(_headSince) >= headTime) Transport.Abort();
    }

    protected override byte[] OwnSettings => H2OwnSettings.Server(streams, mayUpgrade);

    protected override void OnPingAnswer()
    {
        // It sends none.
    }

    protected override bool MayOpen(int id)
    {
        // Frames on a stream that is over, or after our GOAWAY, are dropped.
        if (!_used.TryUse(id) || IsClosing) return false;
        LastPeerStream = id;
        if (StreamCount >= streams) throw new H2StreamException(id, H2Error.RefusedStream, "too many streams");
        return true;
    }

    protected override bool IsIdle(int id) => id % 2 == 0 || id > _used.Highest;

    protected override void OnHead(int id, H2HeadFields fields, bool isLast)
    {
        CheckHeads(id, fields, H2Error.RefusedStream);
        var request = Rent();
        try
        {
            fields.ToRequest(request.Request, isLast, mayUpgrade);
        }
        catch (H2StreamException e)
        {
            fields.ToRefused(request.Request);
            refused?.Invoke(request, e.Message);
            Return(request);
            throw;
        }
        var stream = new H2Stream(this, id) { IsTunnel = request.Request.IsTunnel };
        AddStream(stream);
        Hold(stream, fields.Size);
        if (request.Request.Body == BodyKind.Length) stream.Expect(request.Request.ContentLength);
        else if (request.Request.Body == BodyKind.None && !stream.IsTunnel) stream.Expect(0);
        if (isLast) stream.End();
        request.Begin(stream, Transport);
        Interlocked.Increment(ref _running);
        if (Transport.EventLoop is { } loop) loop.Post(request.Run);
        else ThreadPool.UnsafeQueueUserWorkItem(static run => run(), request.Run, preferLocal: false);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask HandleAsync(H2DownstreamStream request)
    {
        try
        {
            await handle(request).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // The connection goes on with its other requests, and reports the fault in the end.
            lock (Guard) _fault ??= e;
        }
        request.End();
        lock (Guard) _held -= request.LetGo();
        Return(request);
        Interlocked.Decrement(ref _running);
        _settled.Set();
    }

    private H2DownstreamStream Rent()
    {
        lock (Guard)
        {
            if (_spare.TryPop(out var spare)) return spare;
        }
        return new(this, HandleAsync);
    }

    private void Return(H2DownstreamStream request)
    {
        request.Rest();
        lock (Guard)
        {
            if (_spare.Count < MostSpare) _spare.Push(request);
        }
    }

    protected override void OnMoreFields(H2Stream stream, H2HeadFields fields, bool isLast)
    {
        if (!isLast) throw new H2StreamException(stream.Id, H2Error.Protocol, "fields in the middle of a body");
        if (stream.IsTunnel) throw new H2StreamException(stream.Id, H2Error.Protocol, "fields in a tunnel");
        CheckHeads(stream.Id, fields, H2Error.EnhanceYourCalm);
        Hold(stream, fields.Size);
        stream.End(fields.ToTrailers());
    }

    private void Hold(H2Stream stream, int size)
    {
        lock (Guard)
        {
            // Trailers may come when the answer is complete.
            if (stream.HeadSize < 0) return;
            stream.HeadSize += size;
            _held += size;
        }
    }

    // Streams that are over count until their requests are handled.
    private void CheckHeads(int id, H2HeadFields fields, H2Error error)
    {
        if (Volatile.Read(ref _held) + fields.Size > H2.HeldHeads) throw new H2StreamException(id, error, "more bytes of heads than the connection may hold");
    }
}

/// <summary>One request of an HTTP/2 client, and later another one: its buffers are reused.</summary>
internal sealed class H2DownstreamStream : DownstreamStream
{
    private readonly H2Connection _connection;
    private H2Stream _stream = null!;
    private Transport _below = null!;
    private ValueTask _running;
    private bool _hasBody;

    public H2DownstreamStream(H2Connection connection, Func<H2DownstreamStream, ValueTask> handle)
    {
        _connection = connection;
        Run = () =>
        {
            // Taking the result gives the frame of the method back. Only an event loop runs one request of this stream after another.
            if (EventLoop.Current is not null && _running.IsCompletedSuccessfully) _running.GetAwaiter().GetResult();
            _running = handle(this);
        };
    }

    /// <summary>Handles the request that has begun.</summary>
    public Action Run { get; }

    /// <summary>What handles the requests, reused with them.</summary>
    public IExchange? Exchange { get; set; }

    /// <summary>Takes the stream of the request whose head is in <see cref="DownstreamStream.Request"/>.</summary>
    /// <param name="below">What the connection runs on.</param>
    public void Begin(H2Stream stream, Transport below)
    {
        (_stream, _below) = (stream, below);
        _hasBody = IsResponseStarted = MustClose = false;
        BeginRequest();
        BeginCounts();
    }

    /// <summary>Gives up the memory of the request.</summary>
    public void Rest()
    {
        Request.Release();
        Exchange?.Rest();
    }

    public void End() => _connection.Close(_stream, _stream.HasSentEnd ? H2Error.None : H2Error.Internal);

    /// <summary>The request is handled. The size of what it held; call it with the connection's lock.</summary>
    public int LetGo()
    {
        var size = _stream.HeadSize;
        _stream.HeadSize = -1;
        return size;
    }

    public override bool HasClientLeft => _stream.Failure is not null;

    public override long ArrivedLength => _stream.HasReceivedEnd ? _stream.Received : -1;

    public override IWaiting? Waiting { get => _stream.Waiting; set => _stream.Waiting = value; }

    public override HeaderBlock RequestTrailers => _stream.Trailers;

    public override bool IsRequestComplete => _stream.HasReceivedEnd;

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public override async ValueTask<ReadOnlyMemory<byte>> ReadBodyAsync()
    {
        if (OwesContinue) await PayContinueAsync().ConfigureAwait(false);
        var piece = await _stream.ReadAsync().ConfigureAwait(false);
        CountReceived(piece.Span);
        return piece;
    }

    public override ValueTask ContinueAsync()
    {
        using var block = new ByteWriter();
        HpackEncoder.Write(block, ":status"u8, "100"u8);
        _connection.SendHeaders(_stream, block.Written.Span, isLast: false);
        return FlushAsync();
    }

    public override ValueTask SendHeadAsync(ResponseHead head)
    {
        IsResponseStarted = true;
        using var block = new ByteWriter();
        Span<byte> status = stackalloc byte[3];
        System.Buffers.Text.Utf8Formatter.TryFormat(head.Status == 101 ? 200 : head.Status, status, out _);
        HpackEncoder.Write(block, ":status"u8, status);
        HeadWriter.Response<HpackFields>(block, head, head.Body is BodyKind.None or BodyKind.Length ? head.ContentLength : -1);
        // A head without a body ends the stream: trailers can follow only a body.
        _hasBody = head.Body != BodyKind.None || head.IsTunnel;
        _connection.SendHeaders(_stream, block.Written.Span, isLast: !_hasBody);
        return ValueTask.CompletedTask;
    }

    public override ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece)
    {
        if (piece.IsEmpty || !_hasBody) return ValueTask.CompletedTask;
        CountSent(piece.Span);
        return _connection.SendDataAsync(_stream, piece, isLast: false);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask EndAsync(HeaderBlock? trailers)
    {
        if (_hasBody)
        {
            if (trailers is { Count: > 0 })
            {
                using var block = new ByteWriter();
                HeadWriter.Trailers<HpackFields>(block, trailers);
                _connection.SendHeaders(_stream, block.Written.Span, isLast: true);
            }
            else
            {
                await _connection.SendDataAsync(_stream, default, isLast: true).ConfigureAwait(false);
            }
        }
        _connection.RequestFlush();
    }

    public override ValueTask FlushAsync()
    {
        _connection.RequestFlush();
        return ValueTask.CompletedTask;
    }

    public override void Reset() => _connection.Reset(_stream, H2Error.Internal);

    public override Transport TakeOver() => new H2StreamTransport(_connection, _stream, _below);

    public override ValueTask AbandonRequestAsync(Task reading, TimeProvider time)
    {
        // The response is complete: the client may stop sending (RFC 9113 section 8.1).
        _connection.Reset(_stream, H2Error.None);
        return new(reading);
    }
}

/// <summary>What handles one request after another of a stream.</summary>
internal interface IExchange
{
    /// <summary>Handles the request whose head was just read.</summary>
    ValueTask RunAsync(HttpAction action);

    /// <summary>Reports a request whose head is malformed, and which gets no answer.</summary>
    /// <param name="action">What the listener does.</param>
    /// <param name="fault">What is wrong.</param>
    void Report(HttpAction action, string fault);

    /// <summary>Gives up memory between requests.</summary>
    void Rest();
}
