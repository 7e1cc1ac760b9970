using System.Net;
using System.Runtime.CompilerServices;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http2;

/// <summary>The client side of an HTTP/2 connection to a host, shared by many requests.</summary>
internal sealed class H2Client : H2Connection, IPooledConnection, IPinged
{
    private const int MostSpareHeads = 32;

    private readonly ClusterState _cluster;
    private readonly Host _host;
    private readonly TimeProvider _time;
    private readonly long _expiresAt;
    private readonly ByteReader _reader;
    private readonly H2Keepalive? _keepalive;
    private int _nextId = 1;
    private int _closed;
    private int _requests;
    private int _open;       // guarded by Guard
    private readonly Stack<ResponseHead> _spareHeads = [];      // guarded by Guard

    public H2Client(Transport transport, ClusterState cluster, Host host, TimeProvider time, long expiresAt, BackgroundTasks background, Random random)
        : base(transport, isClient: true)
    {
        _cluster = cluster;
        _host = host;
        _time = time;
        _expiresAt = expiresAt;
        _reader = new ByteReader(transport);
        IdleSince = time.GetTimestamp();
        transport.Suspected += Suspect;
        Interlocked.Increment(ref cluster.Counters.Http2Connects);
        Greet();
        if (cluster.Config.Pings is { } pings) _keepalive = new(pings, time, random, this);
        // Ends with the transport.
        background.Start("HTTP/2 connection to a host", RunAsync);
    }

    public EndPoint? Local => Transport.Local;

    public TlsPeer? Peer => Transport.Peer;

    /// <summary>The event loop of its socket.</summary>
    public EventLoop? Loop => Transport.EventLoop;

    public bool IsQuiet => !IsClosing && _time.GetTimestamp() < _expiresAt;

    public long IdleSince { get; private set; }

    /// <summary>Requests are in progress, so it is not idle no matter when it was last used.</summary>
    public bool IsBusy => Volatile.Read(ref _open) > 0;

    /// <summary>It accepts another request now.</summary>
    public bool HasRoom => Volatile.Read(ref _open) < Math.Min(PeerMaxStreams, _cluster.Config.MaxConcurrentStreams) && !IsSpent;

    /// <summary>It has carried all requests that it may. Half of the stream IDs are for streams that are reserved.</summary>
    public bool IsSpent => _nextId > int.MaxValue / 2 || (_cluster.Config.MaxRequestsPerConnection is > 0 and var limit && _requests >= limit);

    /// <summary>Reserves a stream; null when the connection takes no more.</summary>
    public H2UpstreamStream? TryOpen()
    {
        lock (Guard)
        {
            if (IsClosing || !HasRoom) return null;
            _open++;
            _requests++;
            IdleSince = _time.GetTimestamp();
            return new(this, _requests > 1);
        }
    }

    /// <summary>Opens a stream with its head. Stream IDs must appear on the wire in order, so they are assigned only here.</summary>
    /// <exception cref="TransportException">The connection accepts no more streams.</exception>
    /// <param name="request">What the stream is for.</param>
    /// <param name="method">Its method, as it is sent.</param>
    /// <param name="upgrade">The protocol that it asks for (RFC 8441); empty for none.</param>
    /// <param name="block">The head, encoded.</param>
    /// <param name="isLast">Nothing follows it.</param>
    public H2ClientStream Begin(H2UpstreamStream request, string method, string upgrade, ReadOnlySpan<byte> block, bool isLast)
    {
        lock (Guard)
        {
            if (IsClosing) throw new TransportException(TransportFailure.Refused, "the connection closes");
            var stream = new H2ClientStream(this, _nextId, request, method, upgrade);
            AddStream(stream);
            _nextId += 2;
            SendHeaders(stream, block, isLast);
            return stream;
        }
    }

    /// <summary>Moves the head that a stream has received.</summary>
    public void TakeHead(H2ClientStream stream, ResponseHead into)
    {
        var head = stream.Response ?? throw new InvalidOperationException("The head was taken before.");
        into.Clear();
        into.Status = head.Status;
        into.Version = head.Version;
        into.Headers.CopyFrom(head.Headers);
        into.Body = head.Body;
        into.ContentLength = head.ContentLength;
        (into.IsTunnel, into.Upgrade) = (head.IsTunnel, head.Upgrade);
        into.KeepAlive = true;
        stream.Response = null;
        head.Headers.Release();
        lock (Guard)
        {
            if (_spareHeads.Count < MostSpareHeads) _spareHeads.Push(head);
        }
    }

    // Those whose request can be retried elsewhere act on it.
    private void Suspect()
    {
        foreach (var stream in OpenStreams)
            if (stream is H2ClientStream { Request: { Waiting: { } waiting } request }) waiting.OnSuspected(request);
    }

    /// <summary>Releases the reservation, and the stream if one was opened.</summary>
    public void End(H2ClientStream? stream)
    {
        lock (Guard) _open--;
        if (stream is not null) Close(stream, H2Error.Cancel);
        else OnStreamGone();
    }

    /// <summary>Accepts no more requests, and closes when those in progress are done.</summary>
    public void Close()
    {
        IsClosing = true;
        OnStreamGone();
    }

    /// <summary>Limits how long the host may take until it is known what it allows: as long as for its connection.</summary>
    public ITimer BeginPatience(TimerCallback onEnd, object of) =>
        _time.CreateTimer(onEnd, of, _cluster.Config.ConnectTimeout, Timeout.InfiniteTimeSpan);

    /// <summary>The bytes of a stream whose request was answered with a tunnel.</summary>
    public Transport Tunnel(H2ClientStream stream) => new H2StreamTransport(this, stream, Transport);

    protected override byte[] OwnSettings => H2OwnSettings.Client;

    protected override void OnPingAnswer() => _keepalive?.Answered();

    public void SendPing()
    {
        lock (Guard)
        {
            Output.WriteFrame(H2Frame.Ping, H2Flags.None, 0, "isthmus\0"u8);
            Output.Flush();
        }
    }

    /// <summary>The host no longer answers: the read loop ends, and with it the requests.</summary>
    public void OnSilent()
    {
        Interlocked.Increment(ref _cluster.Counters.PingTimeouts);
        IsClosing = true;
        Transport.Abort();
    }

    // Headers without a stream here are late responses to abandoned requests.
    protected override bool MayOpen(int id) => IsIdle(id) ? throw new H2ConnectionException(H2Error.Protocol, "a stream that the server opened") : false;

    protected override bool IsIdle(int id) => id % 2 == 0 || id >= _nextId;

    protected override bool MayCarryData(H2Stream stream) => stream is H2ClientStream { HasReceivedHead: true };

    protected override void OnGoAway(int last)
    {
        IsClosing = true;
        Refuse(last);
        OnStreamGone();
    }

    protected override void OnHead(int id, H2HeadFields fields, bool isLast)
    {
        // A response to an abandoned request.
    }

    protected override void OnMoreFields(H2Stream stream, H2HeadFields fields, bool isLast)
    {
        var answered = (H2ClientStream)stream;
        if (answered.HasReceivedHead)
        {
            if (!isLast) throw new H2StreamException(stream.Id, H2Error.Protocol, "fields in the middle of a body");
            stream.End(fields.ToTrailers());
            return;
        }
        if (fields.Status is >= 100 and < 200)
        {
            if (++answered.Interim > HttpLimits.InterimHeads) throw new H2StreamException(stream.Id, H2Error.EnhanceYourCalm, "too many interim answers");
            // 101 belongs to HTTP/1.1 (RFC 9113 section 8.6).
            if (isLast || fields.Status == 101) throw new H2StreamException(stream.Id, H2Error.Protocol, "an interim answer that ends the exchange");
            if (fields.Status == 100) stream.ArriveContinue();
            return;
        }
        var head = RentHead();
        fields.ToResponse(head, answered.Method, isLast);
        if (head.Body == BodyKind.Length) stream.Expect(head.ContentLength);
        else if (head.Body == BodyKind.None && !head.IsTunnel) stream.Expect(0);
        if (head.IsTunnel && answered.Upgrade.Length > 0) (head.Status, head.Upgrade) = (101, answered.Upgrade);
        if (isLast) stream.End();
        answered.Response = head;
        answered.HasReceivedHead = true;
        stream.ArriveHead();
    }

    private ResponseHead RentHead()
    {
        lock (Guard) return _spareHeads.TryPop(out var spare) ? spare : new();
    }

    protected override void OnStreamGone()
    {
        IdleSince = _time.GetTimestamp();
        if (!IsClosing && !_host.IsRemoved) return;
        if (IsBusy || IsTellingWhy || Interlocked.Exchange(ref _closed, 1) != 0) return;
        Transport.Abort();
        _cluster.EndConnection();
        UpstreamConnector.Release(_host);
    }

    private async Task RunAsync()
    {
        try
        {
            await ReadAllAsync(_reader).ConfigureAwait(false);
        }
        finally
        {
            _keepalive?.Dispose();
            _reader.Dispose();
        }
    }
}

/// <summary>A stream that carries a request to a host.</summary>
/// <param name="method">The method of the request, which decides whether its response has a body.</param>
/// <param name="upgrade">The protocol that it asks for; empty for none.</param>
internal sealed class H2ClientStream(H2Client connection, int id, H2UpstreamStream request, string method, string upgrade) : H2Stream(connection, id)
{
    public H2UpstreamStream Request => request;

    public string Method => method;

    public string Upgrade => upgrade;

    /// <summary>The head of the response until the request takes it.</summary>
    public ResponseHead? Response { get; set; }

    /// <summary>Used only by the read loop.</summary>
    public bool HasReceivedHead { get; set; }

    /// <summary>How many interim answers have come. Used only by the read loop.</summary>
    public int Interim { get; set; }
}

/// <summary>One request to a host over HTTP/2.</summary>
internal sealed class H2UpstreamStream(H2Client connection, bool isReused) : UpstreamStream
{
    private static readonly HeaderBlock None = new();

    private volatile H2ClientStream? _stream;
    private volatile bool _isAborted;
    private TaskCompletionSource<TransportException>? _givenUp;     // while the settings of the host are awaited
    private bool _hasBody;
    private bool _expects;

    public override EndPoint? Local => connection.Local;

    public override TlsPeer? Peer => connection.Peer;

    public override bool IsReused => isReused;

    public override HeaderBlock ResponseTrailers => _stream?.Trailers ?? None;

    public override bool WouldBlock => Stream.WouldBlock;

    public override ValueTask SendHeadAsync(RequestHead head)
    {
        if (head.Upgrade.Length > 0) return AskForUpgradeAsync(head);
        SendHead(head);
        return ValueTask.CompletedTask;
    }

    private async ValueTask AskForUpgradeAsync(RequestHead head)
    {
        var givenUp = new TaskCompletionSource<TransportException>(TaskCreationOptions.RunContinuationsAsynchronously);
        // Either this sees that it was aborted, or whoever aborts it sees what waits.
        Interlocked.Exchange(ref _givenUp, givenUp);
        if (_isAborted) GiveUp();
        using (connection.BeginPatience(static of => ((TaskCompletionSource<TransportException>)of!).TrySetResult(Late), givenUp))
        {
            // Clients choose what to ask for: a host that does not take it is not at fault.
            if (!await connection.AllowsUpgradesAsync(givenUp.Task).ConfigureAwait(false))
                throw new HttpMessageException(502, "http2.upgrades_are_not_allowed_by_the_host") { BlamesHost = false };
        }
        SendHead(head);
    }

    private static TransportException Late => new(TransportFailure.TimedOut, "no SETTINGS within the connect timeout");

    private static TransportException Abandoned => new(TransportFailure.Aborted, "given up before it began");

    private void GiveUp() => Volatile.Read(ref _givenUp)?.TrySetResult(Abandoned);

    private void SendHead(RequestHead head)
    {
        using var block = new ByteWriter();
        var isUpgrade = head.Upgrade.Length > 0;
        var method = isUpgrade ? "CONNECT" : HeadWriter.Method(head);
        HpackEncoder.Write(block, ":method"u8, method);
        if (isUpgrade) HpackEncoder.Write(block, ":protocol"u8, HeadWriter.Upgrade(head));
        if (!head.IsConnect) HpackEncoder.Write(block, ":scheme"u8, IsHttps(head) ? "https"u8 : "http"u8);
        HpackEncoder.Write(block, ":authority"u8, HeadWriter.Authority(head));
        if (!head.IsConnect) HpackEncoder.Write(block, ":path"u8, head.Target);
        // A client of HTTP/1.1 may say that its request for another protocol has no body.
        HeadWriter.Request<HpackFields>(block, head, head.IsTunnel ? -1 : head.ContentLength);
        _expects = head.ExpectsContinue;
        _hasBody = head.Body != BodyKind.None;
        if (_isAborted) throw Abandoned;
        _stream = connection.Begin(this, method, head.Upgrade, block.Written.Span, isLast: !_hasBody && !head.IsTunnel);
        if (_isAborted) Abort();
    }

    private static bool IsHttps(RequestHead head) =>
        head.Scheme.Length > 0 ? head.Scheme == "https" : head.Headers.Get("x-forwarded-proto"u8).SequenceEqual("https"u8);

    public override ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece) =>
        piece.IsEmpty ? ValueTask.CompletedTask : connection.SendDataAsync(Stream, piece, isLast: false);

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask EndAsync(HeaderBlock? trailers)
    {
        if (_hasBody)
        {
            if (trailers is { Count: > 0 })
            {
                using var block = new ByteWriter();
                HeadWriter.Trailers<HpackFields>(block, trailers);
                connection.SendHeaders(Stream, block.Written.Span, isLast: true);
            }
            else
            {
                await connection.SendDataAsync(Stream, default, isLast: true).ConfigureAwait(false);
            }
        }
        connection.RequestFlush();
    }

    public override ValueTask FlushAsync()
    {
        connection.RequestFlush();
        return ValueTask.CompletedTask;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask ReceiveHeadAsync(ResponseHead into)
    {
        if (await Stream.ReceiveHeadAsync(_expects).ConfigureAwait(false))
        {
            connection.TakeHead(Stream, into);
            return;
        }
        _expects = false;
        into.Clear();
        into.Status = 100;
    }

    public override ValueTask<ReadOnlyMemory<byte>> ReceiveBodyAsync() => Stream.ReadAsync();

    public override void Release() => connection.End(_stream);

    public override void Abort()
    {
        _isAborted = true;
        Interlocked.MemoryBarrier();
        GiveUp();
        if (_stream is { } stream) connection.Reset(stream, H2Error.Cancel);
    }

    public override Transport TakeOver() => connection.Tunnel(Stream);

    private H2ClientStream Stream => _stream ?? throw new InvalidOperationException("The head must be sent first.");
}
