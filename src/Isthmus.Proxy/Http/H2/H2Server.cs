using Isthmus.Proxy.Tcp;

namespace Isthmus.Proxy.Http.H2;

/// <summary>The server side of an HTTP/2 connection: handles each request in its own task.</summary>
internal sealed class H2Server(Transport transport, Func<H2DownstreamStream, Task> handle) : H2Connection(transport, isClient: false)
{
    private readonly H2PeerStreams _used = new();
    private long _headSince;
    private readonly List<Task> _running = [];   // guarded by Guard

    /// <summary>Reads until the client closes or breaks the protocol, then waits for requests in progress.</summary>
    public async Task RunAsync(ByteReader reader)
    {
        Greet();
        await ReadAllAsync(reader).ConfigureAwait(false);
        Task[] left;
        lock (Guard) left = [.. _running];
        await Task.WhenAll(left).ConfigureAwait(false);
        await Flushed.ConfigureAwait(false);
    }

    /// <summary>Tells the client to open no more streams, and closes when none is left.</summary>
    public void Drain()
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

    protected override bool MayOpen(int id)
    {
        // Frames on a stream that is over, or after our GOAWAY, are dropped.
        if (!_used.TryUse(id) || IsClosing) return false;
        LastPeerStream = id;
        if (StreamCount >= H2.MaxStreams) throw new H2StreamException(id, H2Error.RefusedStream, "too many streams");
        return true;
    }

    protected override bool IsIdle(int id) => id % 2 == 0 || id > _used.Highest;

    protected override void OnHead(int id, H2HeadFields fields, bool isLast)
    {
        var head = new RequestHead();
        fields.ToRequest(head, isLast);
        var stream = AddStream(id);
        if (head.Body == BodyKind.Length) stream.Expect(head.ContentLength);
        else if (head.Body == BodyKind.None) stream.Expect(0);
        if (isLast) stream.End();
        var exchange = new H2DownstreamStream(this, stream, head);
        var task = Task.Run(async () =>
        {
            try
            {
                await handle(exchange).ConfigureAwait(false);
            }
            finally
            {
                Close(stream, stream.HasSentEnd ? H2Error.None : H2Error.Internal);
            }
        });
        lock (Guard)
        {
            _running.RemoveAll(static t => t.IsCompletedSuccessfully);
            _running.Add(task);
        }
    }

    protected override void OnMoreFields(H2Stream stream, H2HeadFields fields, bool isLast)
    {
        if (!isLast) throw new H2StreamException(stream.Id, H2Error.Protocol, "fields in the middle of a body");
        fields.ToTrailers(stream.Trailers);
        stream.End();
    }
}

/// <summary>One request of an HTTP/2 client.</summary>
internal sealed class H2DownstreamStream : DownstreamStream
{
    private readonly H2Connection _connection;
    private readonly H2Stream _stream;
    private bool _hasBody;

    public H2DownstreamStream(H2Connection connection, H2Stream stream, RequestHead head)
    {
        _connection = connection;
        _stream = stream;
        Request.CopyFrom(head);
    }

    public override IWaiting? Waiting { get => _stream.Waiting; set => _stream.Waiting = value; }

    public override HeaderBlock RequestTrailers => _stream.Trailers;

    public override bool IsRequestComplete => _stream.HasReceivedEnd;

    public override async ValueTask<ReadOnlyMemory<byte>> ReadBodyAsync()
    {
        var piece = await _stream.ReadAsync().ConfigureAwait(false);
        BytesReceived += piece.Length;
        return piece;
    }

    public override ValueTask SendHeadAsync(ResponseHead head)
    {
        IsResponseStarted = true;
        using var block = new ByteWriter();
        Span<byte> status = stackalloc byte[3];
        System.Buffers.Text.Utf8Formatter.TryFormat(head.Status, status, out _);
        HpackEncoder.Write(block, ":status"u8, status);
        WriteFields(block, head.Headers);
        // A head without a body ends the stream: trailers can follow only a body.
        _hasBody = head.Body != BodyKind.None;
        _connection.SendHeaders(_stream, block.Written.Span, isLast: !_hasBody);
        return ValueTask.CompletedTask;
    }

    public override ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece)
    {
        if (piece.IsEmpty || !_hasBody) return ValueTask.CompletedTask;
        BytesSent += piece.Length;
        return _connection.SendDataAsync(_stream, piece, isLast: false);
    }

    public override async ValueTask EndAsync(HeaderBlock? trailers)
    {
        if (_hasBody)
        {
            if (trailers is { Count: > 0 })
            {
                using var block = new ByteWriter();
                WriteFields(block, trailers);
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

    public override (Transport Transport, ReadOnlyMemory<byte> Extra)? TakeOver() => null;

    public override ValueTask AbandonRequestAsync(Task reading, TimeProvider time)
    {
        // The response is complete: the client may stop sending (RFC 9113 section 8.1).
        _connection.Reset(_stream, H2Error.None);
        return new(reading);
    }

    internal static void WriteFields(ByteWriter block, HeaderBlock fields)
    {
        for (var i = 0; i < fields.Count; i++) HpackEncoder.Write(block, fields.Name(i), fields.Value(i));
    }
}
