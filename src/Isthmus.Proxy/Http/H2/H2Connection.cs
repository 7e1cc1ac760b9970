using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http.H2;

/// <summary>
/// One HTTP/2 connection of either side: frames, windows, streams (RFC 9113). What its peer can make it buffer is bounded.
/// </summary>
internal abstract partial class H2Connection
{
    private const int MaxQueued = 1024 * 1024;

    /// <summary>Bodies wait at <see cref="MaxQueued"/>; heads and control frames have as much again.</summary>
    private const int MaxUnread = 2 * MaxQueued;

    private readonly Lock _lock = new();   // guards streams, windows and the output
    private readonly Dictionary<int, H2Stream> _streams = [];
    private readonly HpackDecoder _hpack = new(H2.HeaderTable, H2.MaxHeaderBlock);
    private readonly ByteWriter _headerBlock = new();
    private readonly H2HeadFields _fields = new();
    private readonly H2PeerSettings _peer;
    private readonly H2Floods _floods = new();
    private readonly List<H2Stream> _blocked = [];      // their senders wait for a window, or until the peer has read
    private readonly H2Output _out;
    private readonly bool _isClient;
    private long _sendWindow = H2.DefaultWindow;
    private int _receiveWindow = H2.ConnectionWindow;
    private int _unannounced;
    private int _headersOf;
    private bool _headersEndStream;
    private bool _hasSettings;
    private volatile bool _isTellingWhy;
    private Exception? _failure;

    protected H2Connection(Transport transport, bool isClient)
    {
        Transport = transport;
        _isClient = isClient;
        _peer = new(isServer: isClient);
        _out = new(transport, _lock, failure =>
        {
            _failure ??= failure;
            WakeSenders();
        });
    }

    protected Transport Transport { get; }

    protected Lock Guard => _lock;

    /// <summary>Streams that the peer allows us to open.</summary>
    protected int PeerMaxStreams => _peer.MaxStreams;

    /// <summary>The peer accepts no new streams, or the connection is over.</summary>
    public bool IsClosing { get; protected set; }

    /// <summary>The GOAWAY with the reason for the end is on its way to the peer. The connection must stay open until it has left.</summary>
    protected bool IsTellingWhy => _isTellingWhy;

    /// <summary>A header block has begun and is not complete; changes at any time.</summary>
    protected bool IsReadingHead => Volatile.Read(ref _headersOf) != 0;

    protected H2Stream[] OpenStreams
    {
        get
        {
            lock (_lock) return [.. _streams.Values];
        }
    }

    public int StreamCount
    {
        get
        {
            lock (_lock) return _streams.Count;
        }
    }

    /// <summary>Sends the local settings and opens the connection's window.</summary>
    protected void Greet()
    {
        lock (_lock)
        {
            if (_isClient) _out.WritePreface();
            _out.WriteFrame(H2Frame.Settings, H2Flags.None, 0, _isClient ? H2OwnSettings.Client : H2OwnSettings.Server);
            _out.WriteWindowUpdate(0, H2.ConnectionWindow - H2.DefaultWindow);
            _out.Flush();
        }
    }

    /// <summary>A request's head has arrived.</summary>
    protected abstract void OnHead(int id, H2HeadFields fields, bool isLast);

    /// <summary>Trailers or another head have arrived for an existing stream.</summary>
    protected abstract void OnMoreFields(H2Stream stream, H2HeadFields fields, bool isLast);

    /// <summary>Whether the peer may open a stream with that ID now.</summary>
    protected abstract bool MayOpen(int id);

    /// <summary>The peer takes no streams after the last one.</summary>
    protected virtual void OnGoAway(int last)
    {
    }

    /// <summary>Whether data may arrive on the stream now.</summary>
    protected virtual bool MayCarryData(H2Stream stream) => true;

    protected virtual void OnStreamGone()
    {
    }

    protected void AddStream(H2Stream stream)
    {
        lock (_lock)
        {
            stream.SendWindow = _peer.InitialWindow;
            _streams.Add(stream.Id, stream);
            if (_failure is not null) stream.Fail(_failure);
        }
    }

    /// <summary>Fails the streams of ours that the peer did not take.</summary>
    protected void Refuse(int after)
    {
        foreach (var stream in OpenStreams.Where(stream => stream.Id > after)) stream.Fail(new TransportException(TransportFailure.Refused, "the peer goes away and did not take the stream"));
    }

    /// <summary>Forgets a stream; one that is not over is reset.</summary>
    public void Close(H2Stream stream, H2Error error)
    {
        lock (_lock)
        {
            if (!_streams.Remove(stream.Id)) return;
            if (!stream.IsReset && _failure is null && (!stream.HasSentEnd || !stream.HasReceivedEnd))
            {
                _out.WriteReset(stream.Id, error);
                _out.Flush();
            }
        }
        stream.Close();
        OnStreamGone();
    }

    /// <summary>Resets a stream without forgetting it: the code that uses it sees its end.</summary>
    public void Reset(H2Stream stream, H2Error error)
    {
        lock (_lock)
        {
            if (stream.IsReset || !_streams.ContainsKey(stream.Id)) return;
            _out.WriteReset(stream.Id, error);
            stream.IsReset = true;
            _out.Flush();
        }
        stream.Fail(new TransportException(TransportFailure.Aborted, "the stream was reset"));
    }

    /// <summary>Sends an encoded header block.</summary>
    /// <exception cref="TransportException">The stream or the connection is over.</exception>
    public void SendHeaders(H2Stream stream, ReadOnlySpan<byte> block, bool isLast)
    {
        lock (_lock)
        {
            Check(stream);
            if (stream.IsUnheard) return;
            var first = true;
            while (true)
            {
                var part = block.Length > _peer.MaxFrame ? block[.._peer.MaxFrame] : block;
                block = block[part.Length..];
                var flags = block.IsEmpty ? H2Flags.EndHeaders : H2Flags.None;
                if (first && isLast) flags |= H2Flags.EndStream;
                _out.WriteFrame(first ? H2Frame.Headers : H2Frame.Continuation, flags, stream.Id, part);
                first = false;
                if (block.IsEmpty) break;
            }
            if (isLast) stream.HasSentEnd = true;
        }
    }

    /// <summary>Sends data as fast as the peer's windows allow.</summary>
    /// <exception cref="TransportException">The stream or the connection is over.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask SendDataAsync(H2Stream stream, ReadOnlyMemory<byte> data, bool isLast)
    {
        while (!TrySendData(stream, ref data, isLast)) await stream.Sendable.WaitAsync().ConfigureAwait(false);
    }

    // False: the stream must wait with the rest.
    private bool TrySendData(H2Stream stream, ref ReadOnlyMemory<byte> data, bool isLast)
    {
        lock (_lock)
        {
            do
            {
                Check(stream);
                if (stream.IsUnheard) return true;
                var room = (int)Math.Min(Math.Min(_sendWindow, stream.SendWindow), Math.Min(_peer.MaxFrame, data.Length));
                if ((room <= 0 && !data.IsEmpty) || _out.Length > MaxQueued)
                {
                    if (!stream.IsBlocked) _blocked.Add(stream);
                    stream.IsBlocked = true;
                    _out.Flush();
                    return false;
                }
                room = Math.Max(0, room);
                var ends = isLast && room == data.Length;
                _out.WriteFrame(H2Frame.Data, ends ? H2Flags.EndStream : H2Flags.None, stream.Id, data.Span[..room]);
                _sendWindow -= room;
                stream.SendWindow -= room;
                data = data[room..];
                if (ends) stream.HasSentEnd = true;
            }
            while (!data.IsEmpty);
            return true;
        }
    }

    public void RequestFlush()
    {
        lock (_lock) _out.Flush();
    }

    /// <summary>The reader of a stream has consumed bytes: the peer may send as many again.</summary>
    public void Consumed(H2Stream? stream, int bytes)
    {
        lock (_lock)
        {
            _unannounced += bytes;
            if (_unannounced >= H2.ConnectionWindow / 4)
            {
                _out.WriteWindowUpdate(0, _unannounced);
                _receiveWindow += _unannounced;
                _unannounced = 0;
                _out.Flush();
            }
            if (stream is null || stream.HasReceivedEnd || !_streams.ContainsKey(stream.Id)) return;
            stream.Unannounced += bytes;
            if (stream.Unannounced < H2.StreamWindow / 4) return;
            _out.WriteWindowUpdate(stream.Id, stream.Unannounced);
            stream.ReceiveWindow += stream.Unannounced;
            stream.Unannounced = 0;
            _out.Flush();
        }
    }

    public void SendGoAway(H2Error error, string why)
    {
        lock (_lock)
        {
            IsClosing = true;
            _out.WriteGoAway(LastPeerStream, error, why);
            _out.Flush();
        }
    }

    protected int LastPeerStream { get; set; }

    // Who waits looks again at the windows, and whether the stream is over.
    private void WakeSenders()
    {
        foreach (var stream in _blocked)
        {
            stream.IsBlocked = false;
            stream.Sendable.Set();
        }
        _blocked.Clear();
    }

    private void FailAll(Exception failure)
    {
        H2Stream[] streams;
        lock (_lock)
        {
            IsClosing = true;
            _failure = failure;
            streams = [.. _streams.Values];
        }
        foreach (var stream in streams) stream.Fail(failure);
        OnStreamGone();
    }

    private void Check(H2Stream stream)
    {
        if (_failure is not null) throw H2Stream.Translate(_failure);
        if (stream.Failure is { } failure) throw H2Stream.Translate(failure);
    }

    /// <summary>Completes when everything so far was written to the transport, or the connection is over.</summary>
    protected ValueTask FlushedAsync() => _out.FlushedAsync();

    private bool IsUnread
    {
        get
        {
            lock (_lock) return _out.Length > MaxQueued;
        }
    }

    // A peer that sends requests without reading the responses must not fill our memory.
    private void Bound()
    {
        if (_out.Length > MaxUnread) throw new H2ConnectionException(H2Error.EnhanceYourCalm, "answers are not being read");
    }

    private static H2ConnectionException Broken(string what) => new(H2Error.Protocol, what);
}
