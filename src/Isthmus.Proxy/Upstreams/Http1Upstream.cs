using System.Net;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Upstreams;

/// <summary>The client side of an HTTP/1.1 connection to a host, kept in the host's pool between requests.</summary>
internal sealed class Http1Upstream : UpstreamStream, IPooledConnection
{
    private const int LargePiece = 8 * 1024;

    private readonly Transport _transport;
    private readonly ClusterState _cluster;
    private readonly Host _host;
    private readonly PoolKey _key;
    private readonly TimeProvider _time;
    private readonly long _expiresAt;
    private readonly ByteReader _reader;
    private readonly BodyReader _body;
    private readonly ByteWriter _writer = new();
    private string _method = "";
    private BodyKind _sending;
    private int _requests;
    private int _closed;
    private bool _isRequestDone;
    private bool _hasHead;
    private bool _keepAlive;
    private bool _expects;
    private int _interim;
    private volatile bool _isAborted;

    public Http1Upstream(Transport transport, ClusterState cluster, Host host, PoolKey key, TimeProvider time, long expiresAt)
    {
        _transport = transport;
        _cluster = cluster;
        _host = host;
        _key = key;
        _time = time;
        _expiresAt = expiresAt;
        _reader = new ByteReader(transport);
        _body = new BodyReader(_reader, HttpLimits.Default);
        transport.Suspected += () => Waiting?.OnSuspected(this);
        Interlocked.Increment(ref cluster.Counters.Http1Connects);
    }

    public override EndPoint? Local => _transport.Local;

    public override TlsPeer? Peer => _transport.Peer;

    public override bool IsReused => _requests > 1;

    public override HeaderBlock ResponseTrailers => _body.Trailers;

    public override bool WouldBlock => !_body.IsDone && !_body.HasBuffered;

    public bool IsQuiet => _reader.Buffered == 0 && _time.GetTimestamp() < _expiresAt && _transport.IsQuiet;

    public long IdleSince { get; private set; }

    /// <summary>Prepares for another request.</summary>
    public void Begin()
    {
        _requests++;
        _isRequestDone = _hasHead = _keepAlive = false;
        _interim = 0;
    }

    public override ValueTask SendHeadAsync(RequestHead head)
    {
        var (method, authority) = (HeadWriter.Method(head), HeadWriter.Authority(head));
        if (head.Upgrade.Length > 0) WebSocketFields.Ask(head);
        _method = method;
        _sending = head.Body is BodyKind.Stream ? BodyKind.Chunked : head.Body;
        _expects = head.ExpectsContinue;
        _writer.Write(method);
        _writer.Write(" "u8);
        if (head.IsConnect) _writer.Write(authority);
        else _writer.Write(head.Target);
        _writer.Write(" HTTP/1.1\r\nhost: "u8);
        _writer.Write(authority);
        _writer.Write("\r\n"u8);
        HeadWriter.Request<Http1Fields>(_writer, head, head.ContentLength);
        if (_sending == BodyKind.Chunked) _writer.Write("transfer-encoding: chunked\r\n"u8);
        if (head.Upgrade.Length > 0)
        {
            _writer.Write("connection: Upgrade\r\nupgrade: "u8);
            _writer.Write(head.Upgrade);
            _writer.Write("\r\n"u8);
        }
        _writer.Write("\r\n"u8);
        return ValueTask.CompletedTask;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece)
    {
        if (piece.IsEmpty) return;
        if (_sending == BodyKind.Chunked)
        {
            _writer.WriteHex(piece.Length);
            _writer.Write("\r\n"u8);
        }
        if (piece.Length < LargePiece)
        {
            _writer.Write(piece.Span);
        }
        else
        {
            await FlushAsync().ConfigureAwait(false);
            await _transport.WriteAsync(piece).ConfigureAwait(false);
        }
        if (_sending == BodyKind.Chunked) _writer.Write("\r\n"u8);
        if (_writer.Length >= LargePiece) await FlushAsync().ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask EndAsync(HeaderBlock? trailers)
    {
        if (_sending == BodyKind.Chunked)
        {
            _writer.Write("0\r\n"u8);
            if (trailers is not null) HeadWriter.Trailers<Http1Fields>(_writer, trailers);
            _writer.Write("\r\n"u8);
        }
        await FlushAsync().ConfigureAwait(false);
        _isRequestDone = true;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask FlushAsync()
    {
        if (_writer.Length == 0) return;
        await _transport.WriteAsync(_writer.Written).ConfigureAwait(false);
        _writer.Clear();
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask ReceiveHeadAsync(ResponseHead into)
    {
        while (true)
        {
            var end = HeadParser.FindEnd(_reader.Span);
            if (end < 0)
            {
                if (!HeadParser.CanBeResponse(_reader.Span)) throw new HttpMessageException(502, "http1.invalid_response");
                if (_reader.Buffered > HttpLimits.Default.HeadBytes) throw new HttpMessageException(502, "http1.headers_too_large");
                if (await _reader.FillAsync().ConfigureAwait(false) == 0)
                    throw new TransportException(TransportFailure.Reset, "closed before the answer");
                continue;
            }
            HeadParser.ParseResponse(_reader.Span[..end], _method, into, HttpLimits.Default);
            _reader.Consume(end);
            if (into.Status is >= 200 or 101) break;
            if (++_interim > HttpLimits.InterimHeads) throw new HttpMessageException(502, "http1.too_many_interim_responses");
            // Interim responses end here, but for the one that a client waits for.
            if (into.Status != 100 || !_expects) continue;
            _expects = false;
            return;
        }
        _hasHead = true;
        _keepAlive = into.KeepAlive && into.Body != BodyKind.UntilClose && !into.IsTunnel;
        _body.Begin(into.Body, into.ContentLength);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public override async ValueTask<ReadOnlyMemory<byte>> ReceiveBodyAsync()
    {
        try
        {
            return await _body.ReadAsync().ConfigureAwait(false);
        }
        catch (HttpMessageException e)
        {
            throw new HttpMessageException(502, e.Detail);
        }
    }

    public override void Release()
    {
        var isClean = !_isAborted && _isRequestDone && _hasHead && _keepAlive && _body.IsDone && _reader.Buffered <= _body.Lent;
        var limit = _cluster.Config.MaxRequestsPerConnection;
        if (!isClean || _host.IsRemoved || (limit > 0 && _requests >= limit))
        {
            Close();
            return;
        }
        _body.Settle();
        _reader.Dispose();
        _writer.Dispose();
        IdleSince = _time.GetTimestamp();
        ConnectionPools.Of(_host).Queue(_key).Put(_key, this);
        // The host may have been removed just now; then nothing else closes the returned connection.
        if (_host.IsRemoved) ConnectionPools.Of(_host).CloseIdle();
    }

    public override void Abort()
    {
        _isAborted = true;
        _transport.Abort(reset: true);
    }

    public override Transport TakeOver()
    {
        var rest = _reader.Available.ToArray();
        _reader.Consume(rest.Length);
        return PrecededTransport.Of(_transport, rest);
    }

    public void Close()
    {
        if (Interlocked.Exchange(ref _closed, 1) != 0) return;
        _transport.Abort();
        _reader.Dispose();
        _writer.Dispose();
        ConnectionPools.Of(_host).Queue(_key).Closed(_cluster);
        UpstreamConnector.Release(_host);
    }
}
