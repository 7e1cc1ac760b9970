using System.Net;
using System.Text;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Balancing;
using Isthmus.Proxy.Tcp;

namespace Isthmus.Proxy.Http.H2;

/// <summary>The client side of an HTTP/2 connection to a host, shared by many requests.</summary>
internal sealed class H2Client : H2Connection, IPooledConnection
{
    private readonly ClusterState _cluster;
    private readonly Host _host;
    private readonly TimeProvider _time;
    private readonly long _expiresAt;
    private readonly ByteReader _reader;
    private int _nextId = 1;
    private int _closed;
    private int _requests;
    private int _open;       // guarded by Guard
    private readonly HashSet<H2UpstreamStream> _waiting = []; // guarded by itself

    public H2Client(Transport transport, ClusterState cluster, Host host, TimeProvider time, long expiresAt, BackgroundTasks background)
        : base(transport, isClient: true)
    {
        _cluster = cluster;
        _host = host;
        _time = time;
        _expiresAt = expiresAt;
        _reader = new ByteReader(transport);
        IdleSince = time.GetTimestamp();
        transport.Suspected += Suspect;
        Greet();
        // Ends with the transport.
        background.Start("HTTP/2 connection to a host", RunAsync);
    }

    public EndPoint? Local => Transport.Local;

    public TlsPeer? Peer => Transport.Peer;

    public bool IsQuiet => !IsClosing && _time.GetTimestamp() < _expiresAt;

    public long IdleSince { get; private set; }

    /// <summary>Requests are in progress, so it is not idle no matter when it was last used.</summary>
    public bool IsBusy => Volatile.Read(ref _open) > 0;

    /// <summary>Reserves a stream; null when the host accepts no more streams.</summary>
    public H2UpstreamStream? TryOpen()
    {
        lock (Guard)
        {
            var limit = _cluster.Config.MaxRequestsPerConnection;
            if (IsClosing || _open >= PeerMaxStreams || _nextId > int.MaxValue - 2 * PeerMaxStreams || (limit > 0 && _requests >= limit)) return null;
            _open++;
            _requests++;
            IdleSince = _time.GetTimestamp();
            return new(this, _requests > 1);
        }
    }

    /// <summary>Opens a stream with its head. Stream IDs must appear on the wire in order, so they are assigned only here.</summary>
    /// <exception cref="TransportException">The connection accepts no more streams.</exception>
    public H2Stream Begin(string method, ReadOnlySpan<byte> block, bool isLast)
    {
        lock (Guard)
        {
            if (IsClosing) throw new TransportException(TransportFailure.Refused, "the connection closes");
            var stream = AddStream(_nextId);
            _nextId += 2;
            stream.Method = method;
            SendHeaders(stream, block, isLast);
            return stream;
        }
    }

    /// <summary>Streams whose request can be retried elsewhere are notified when the host stops acknowledging.</summary>
    public void Await(H2UpstreamStream stream)
    {
        lock (_waiting) _waiting.Add(stream);
    }

    public void Forget(H2UpstreamStream stream)
    {
        lock (_waiting) _waiting.Remove(stream);
    }

    private void Suspect()
    {
        H2UpstreamStream[] told;
        lock (_waiting) told = [.. _waiting];
        foreach (var stream in told) stream.Waiting?.OnSuspected(stream);
    }

    /// <summary>Releases the reservation, and the stream if one was opened.</summary>
    public void End(H2Stream? stream)
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

    // Headers without a stream here are late responses to abandoned requests.
    protected override bool MayOpen(int id) => IsIdle(id) ? throw new H2ConnectionException(H2Error.Protocol, "a stream that the server opened") : false;

    protected override bool IsIdle(int id) => id % 2 == 0 || id >= _nextId;

    protected override bool MayCarryData(H2Stream stream) => stream.Head.Task.IsCompleted;

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
        if (stream.Head.Task.IsCompleted)
        {
            if (!isLast) throw new H2StreamException(stream.Id, H2Error.Protocol, "fields in the middle of a body");
            fields.ToTrailers(stream.Trailers);
            stream.End();
            return;
        }
        if (fields.Status is >= 100 and < 200)
        {
            // 101 belongs to HTTP/1.1 (RFC 9113 section 8.6).
            if (isLast || fields.Status == 101) throw new H2StreamException(stream.Id, H2Error.Protocol, "an interim answer that ends the exchange");
            return;
        }
        fields.ToResponse(stream.Response, stream.Method, isLast);
        if (stream.Response.Body == BodyKind.Length) stream.Expect(stream.Response.ContentLength);
        else if (stream.Response.Body == BodyKind.None) stream.Expect(0);
        if (isLast) stream.End();
        stream.Head.TrySetResult();
    }

    protected override void OnStreamGone()
    {
        IdleSince = _time.GetTimestamp();
        if (!IsClosing && !_host.IsRemoved) return;
        if (IsBusy || Interlocked.Exchange(ref _closed, 1) != 0) return;
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
            _reader.Dispose();
        }
    }
}

/// <summary>One request to a host over HTTP/2.</summary>
internal sealed class H2UpstreamStream(H2Client connection, bool isReused) : UpstreamStream
{
    private readonly HeaderBlock _none = new();
    private volatile H2Stream? _stream;
    private volatile bool _isAborted;
    private bool _hasBody;

    public override EndPoint? Local => connection.Local;

    public override TlsPeer? Peer => connection.Peer;

    public override bool IsReused => isReused;

    public override HeaderBlock ResponseTrailers => _stream?.Trailers ?? _none;

    public override bool WouldBlock => Stream.WouldBlock;

    public override ValueTask SendHeadAsync(RequestHead head)
    {
        using var block = new ByteWriter();
        HpackEncoder.Write(block, ":method"u8, Encoding.ASCII.GetBytes(head.Method));
        HpackEncoder.Write(block, ":scheme"u8, head.Headers.Get("x-forwarded-proto"u8).SequenceEqual("https"u8) ? "https"u8 : "http"u8);
        HpackEncoder.Write(block, ":authority"u8, Encoding.UTF8.GetBytes(head.Authority));
        HpackEncoder.Write(block, ":path"u8, head.Target);
        for (var i = 0; i < head.Headers.Count; i++)
        {
            var name = head.Headers.Name(i);
            if (name.SequenceEqual("te"u8)) HpackEncoder.Write(block, name, "trailers"u8);
            else HpackEncoder.Write(block, name, head.Headers.Value(i));
        }
        _hasBody = head.Body != BodyKind.None;
        if (_isAborted) throw new TransportException(TransportFailure.Aborted, "given up before it began");
        _stream = connection.Begin(head.Method, block.Written.Span, isLast: !_hasBody);
        if (_isAborted) Abort();
        return ValueTask.CompletedTask;
    }

    public override ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece) =>
        piece.IsEmpty ? ValueTask.CompletedTask : connection.SendDataAsync(Stream, piece, isLast: false);

    public override async ValueTask EndAsync(HeaderBlock? trailers)
    {
        if (_hasBody)
        {
            if (trailers is { Count: > 0 })
            {
                using var block = new ByteWriter();
                H2DownstreamStream.WriteFields(block, trailers);
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

    public override async ValueTask ReceiveHeadAsync(ResponseHead into)
    {
        var waits = Waiting is not null;
        if (waits) connection.Await(this);
        try
        {
            await Stream.Head.Task.ConfigureAwait(false);
        }
        catch (Exception e) when (e is TransportException or H2ConnectionException)
        {
            throw H2Stream.Translate(e);
        }
        finally
        {
            if (waits) connection.Forget(this);
        }
        into.Clear();
        into.Status = Stream.Response.Status;
        into.Version = Stream.Response.Version;
        into.Headers.CopyFrom(Stream.Response.Headers);
        into.Body = Stream.Response.Body;
        into.ContentLength = Stream.Response.ContentLength;
        into.KeepAlive = true;
    }

    public override ValueTask<ReadOnlyMemory<byte>> ReceiveBodyAsync() => Stream.ReadAsync();

    public override void Release() => connection.End(_stream);

    public override void Abort()
    {
        _isAborted = true;
        if (_stream is { } stream) connection.Reset(stream, H2Error.Cancel);
    }

    public override (Transport Transport, ReadOnlyMemory<byte> Extra)? TakeOver() => null;

    private H2Stream Stream => _stream ?? throw new InvalidOperationException("The head must be sent first.");
}
