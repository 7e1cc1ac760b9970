using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http2;

/// <summary>
/// One HTTP/2 connection of either side: frames, windows, streams (RFC 9113). What its peer can make it buffer is bounded.
/// </summary>
internal abstract partial class H2Connection
{
    private readonly Lock _lock = new();   // guards streams, windows and the output
    private readonly Dictionary<int, H2Stream> _streams = [];
    private readonly H2HeadReader _heads = new();
    private readonly H2PeerSettings _peer;
    private readonly H2Floods _floods = new();
    private readonly H2Output _out;
    private readonly H2Sender _sender;
    private readonly bool _isClient;
    private H2ReceiveWindow _receiveWindow = new(H2.ConnectionWindow);
    private bool _hasSettings;
    private volatile bool _isTellingWhy;
    private TaskCompletionSource? _settings;    // somebody waits for the settings of the peer; guarded by the lock
    private bool _hasTakenSettings;             // guarded by the lock

    protected H2Connection(Transport transport, bool isClient)
    {
        Transport = transport;
        _isClient = isClient;
        _peer = new(isServer: isClient);
        _out = new(transport, _lock, OnWritten);
        _sender = new(_lock, _out, _peer);
    }

    protected Transport Transport { get; }

    protected Lock Guard => _lock;

    protected H2Output Output => _out;

    /// <summary>Streams that the peer allows us to open.</summary>
    protected int PeerMaxStreams => _peer.MaxStreams;

    /// <summary>Whether the peer takes requests for other protocols (RFC 8441). It says so in its first frame.</summary>
    /// <param name="givenUp">Completes when nobody waits any longer, with the reason.</param>
    /// <exception cref="TransportException">The connection ended before, or nobody waits.</exception>
    public async ValueTask<bool> AllowsUpgradesAsync(Task<TransportException> givenUp)
    {
        Task? settings = null;
        lock (_lock)
        {
            if (!_hasTakenSettings && _sender.Failure is null)
                settings = (_settings ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
        if (settings is not null && await Task.WhenAny(settings, givenUp).ConfigureAwait(false) == givenUp) throw await givenUp.ConfigureAwait(false);
        lock (_lock) return _hasTakenSettings ? _peer.AllowsUpgrades : throw H2Stream.Translate(_sender.Failure!);
    }

    /// <summary>The peer accepts no new streams, or the connection is over.</summary>
    public bool IsClosing { get; protected set; }

    /// <summary>The GOAWAY with the reason for the end is on its way to the peer. The connection must stay open until it has left.</summary>
    protected bool IsTellingWhy => _isTellingWhy;

    /// <summary>A header block has begun and is not complete; changes at any time.</summary>
    protected bool IsReadingHead => _heads.IsReading;

    protected H2Stream[] OpenStreams
    {
        get { lock (_lock) return [.. _streams.Values]; }
    }

    public int StreamCount
    {
        get { lock (_lock) return _streams.Count; }
    }

    /// <summary>A number that changes with each frame from the peer.</summary>
    public int FramesRead => _floods.Frames;

    /// <summary>Sends the local settings and opens the connection's window.</summary>
    protected void Greet()
    {
        lock (_lock)
        {
            if (_isClient) _out.WritePreface();
            _out.WriteFrame(H2Frame.Settings, H2Flags.None, 0, OwnSettings);
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

    protected abstract void OnPingAnswer();

    protected abstract byte[] OwnSettings { get; }

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
            if (_sender.Failure is { } failure) stream.Fail(failure);
        }
    }

    /// <summary>Fails the streams of ours that the peer did not take.</summary>
    protected void Refuse(int after)
    {
        foreach (var stream in OpenStreams.Where(stream => stream.Id > after))
            stream.Fail(new TransportException(TransportFailure.Refused, "the peer goes away and did not take the stream"));
    }

    /// <summary>Forgets a stream; one that is not over is reset.</summary>
    public void Close(H2Stream stream, H2Error error)
    {
        lock (_lock)
        {
            if (!_streams.Remove(stream.Id)) return;
            if (!stream.IsReset && _sender.Failure is null && (!stream.HasSentEnd || !stream.HasReceivedEnd))
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

    /// <inheritdoc cref="H2Sender.SendHeaders"/>
    public void SendHeaders(H2Stream stream, ReadOnlySpan<byte> block, bool isLast)
    {
        lock (_lock) _sender.SendHeaders(stream, block, isLast);
    }

    /// <inheritdoc cref="H2Sender.SendDataAsync"/>
    public ValueTask SendDataAsync(H2Stream stream, ReadOnlyMemory<byte> data, bool isLast) => _sender.SendDataAsync(stream, data, isLast);

    public void RequestFlush()
    {
        lock (_lock) _out.Flush();
    }

    /// <summary>The reader of a stream has consumed bytes: the peer may send as many again.</summary>
    public void Consumed(H2Stream? stream, int bytes)
    {
        lock (_lock)
        {
            Announce(0, _receiveWindow.Consume(bytes));
            if (stream is null || stream.HasReceivedEnd || !_streams.ContainsKey(stream.Id)) return;
            Announce(stream.Id, stream.ReceiveWindow.Consume(bytes));
        }
    }

    private void Announce(int id, int more)
    {
        if (more == 0) return;
        _out.WriteWindowUpdate(id, more);
        _out.Flush();
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

    /// <summary>Tells the peer that the connection will end. Streams that are on their way are still served.</summary>
    protected void Announce()
    {
        lock (_lock)
        {
            _out.WriteGoAway(int.MaxValue, H2Error.None, "");
            _out.Flush();
        }
    }

    protected int LastPeerStream { get; set; }

    private void OnWritten(TransportException? failure)
    {
        if (failure is not null) _sender.Fail(failure);
        _sender.WakeAll();
    }

    private void FailAll(Exception failure)
    {
        H2Stream[] streams;
        lock (_lock)
        {
            IsClosing = true;
            _sender.Fail(failure);
            _settings?.TrySetResult();
            streams = [.. _streams.Values];
        }
        foreach (var stream in streams) stream.Fail(failure);
        OnStreamGone();
    }

    /// <summary>Completes when everything so far was written to the transport, or the connection is over.</summary>
    protected ValueTask FlushedAsync() => _out.FlushedAsync();

    private static H2ConnectionException Broken(string what) => new(H2Error.Protocol, what);
}
