using System.Buffers.Binary;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http2;

/// <summary>Incoming frames: each is checked and handled here, only by the read loop.</summary>
internal abstract partial class H2Connection
{
    /// <summary>Reads frames until the connection ends; every stream has ended by then.</summary>
    protected async Task ReadAllAsync(ByteReader reader)
    {
        var frames = new H2FrameReader(reader);
        Exception failure = new TransportException(TransportFailure.Reset, "the connection was closed");
        try
        {
            while (await frames.ReadAsync().ConfigureAwait(false)) Handle(frames.Frame);
        }
        catch (H2ConnectionException e)
        {
            _isTellingWhy = true;
            SendGoAway(e.Error, e.Message);
            failure = e;
            bool isUnread;
            lock (_lock) isUnread = _sender.IsUnread;
            if (isUnread) Transport.Abort();
            await FlushedAsync().ConfigureAwait(false);
            _isTellingWhy = false;
        }
        catch (TransportException e)
        {
            failure = e;
        }
        finally
        {
            // After a bug too: requests must not wait for a connection that nobody reads.
            FailAll(failure);
        }
    }

    private void Handle(ReadOnlySpan<byte> frame)
    {
        var type = (H2Frame)frame[3];
        var flags = (H2Flags)frame[4];
        var id = BinaryPrimitives.ReadInt32BigEndian(frame[5..]) & 0x7fffffff;
        var payload = frame[H2.FrameHeader..];
        if (!_hasSettings && (type != H2Frame.Settings || flags.HasFlag(H2Flags.Ack))) throw Broken("the first frame is not SETTINGS");
        _hasSettings = true;
        _heads.CheckOrder(type, id);
        H2FrameRules.Check(type, flags, id, payload);
        _floods.Frame(type, flags, payload.Length);
        try
        {
            switch (type)
            {
                case H2Frame.Data: HandleData(id, flags, payload); break;
                case H2Frame.Headers: if (_heads.Begin(id, flags, payload)) HandleHead(id); break;
                case H2Frame.Continuation: if (_heads.Continue(flags, payload)) HandleHead(id); break;
                case H2Frame.Reset: HandleReset(id, payload); break;
                case H2Frame.Settings: HandleSettings(flags, payload); break;
                case H2Frame.Ping when flags.HasFlag(H2Flags.Ack): OnPingAnswer(); break;
                case H2Frame.Ping: HandlePing(payload); break;
                case H2Frame.GoAway: OnGoAway(BinaryPrimitives.ReadInt32BigEndian(payload) & int.MaxValue); break;
                case H2Frame.WindowUpdate: HandleWindowUpdate(id, payload); break;
                case H2Frame.PushPromise: throw Broken("a push that was not allowed");
            }
        }
        catch (H2StreamException e)
        {
            H2Stream? stream;
            lock (_lock)
            {
                if (_streams.TryGetValue(e.Stream, out stream))
                {
                    if (stream.IsReset) return;
                    stream.IsReset = true;
                }
                _out.WriteReset(e.Stream, e.Error);
                _sender.Bound();
                _out.Flush();
            }
            stream?.Fail(new TransportException(TransportFailure.Reset, e.Message));
            // Streams that are refused cost nothing, and a client may ask for many before it knows how many it may have.
            if (e.Error != H2Error.RefusedStream) CountReset();
        }
    }

    private void HandleData(int id, H2Flags flags, ReadOnlySpan<byte> payload)
    {
        var data = H2FrameRules.Unpad(flags, payload);
        H2Stream? stream;
        lock (_lock)
        {
            if (!_receiveWindow.TryTake(payload.Length)) throw new H2ConnectionException(H2Error.FlowControl, "more data than allowed");
            if (_streams.TryGetValue(id, out stream))
            {
                if (!stream.ReceiveWindow.TryTake(payload.Length)) throw new H2StreamException(id, H2Error.FlowControl, "more data than allowed");
            }
            else if (IsIdle(id))
            {
                throw Broken("data for a stream that was never opened");
            }
        }
        // Padding, and data for a stream that is over, counts as consumed at once.
        var nobodys = stream is null || stream.HasReceivedEnd ? payload.Length : payload.Length - data.Length;
        if (nobodys > 0) Consumed(null, nobodys);
        if (stream is null) return;
        if (stream.HasReceivedEnd) throw new H2StreamException(id, H2Error.StreamClosed, "data after the end");
        if (!MayCarryData(stream)) throw new H2StreamException(id, H2Error.Protocol, "data before the head");
        stream.Arrive(data, flags.HasFlag(H2Flags.EndStream));
    }

    /// <summary>Whether neither side has used that stream ID yet.</summary>
    protected abstract bool IsIdle(int id);

    private void HandleHead(int id)
    {
        H2Stream? stream;
        lock (_lock)
        {
            if (!_streams.TryGetValue(id, out stream)) _sender.Bound();
        }
        if (stream is not null)
        {
            if (stream.HasReceivedEnd) throw new H2StreamException(id, H2Error.StreamClosed, "headers after the end");
            OnMoreFields(stream, _heads.Fields, _heads.IsLast);
            return;
        }
        if (MayOpen(id)) OnHead(id, _heads.Fields, _heads.IsLast);
    }

    private void HandleReset(int id, ReadOnlySpan<byte> payload)
    {
        if (IsIdle(id)) throw Broken("a reset of a stream that was never opened");
        H2Stream? stream;
        lock (_lock) _streams.TryGetValue(id, out stream);
        if (stream is null) return;
        CountReset();
        var error = (H2Error)BinaryPrimitives.ReadInt32BigEndian(payload);
        lock (_lock) stream.IsReset = true;
        stream.OnReset(error, byServer: _isClient);
    }

    // A server may refuse as many of our streams as it wants.
    private void CountReset()
    {
        if (!_isClient) _floods.Reset(LastPeerStream / 2);
    }

    private void HandleSettings(H2Flags flags, ReadOnlySpan<byte> payload)
    {
        if (flags.HasFlag(H2Flags.Ack)) return;
        lock (_lock)
        {
            var before = _peer.InitialWindow;
            for (; !payload.IsEmpty; payload = payload[6..])
                _peer.Apply(BinaryPrimitives.ReadUInt16BigEndian(payload), BinaryPrimitives.ReadUInt32BigEndian(payload[2..]));
            foreach (var stream in _streams.Values)
            {
                stream.SendWindow += _peer.InitialWindow - before;
                if (stream.SendWindow > int.MaxValue) throw new H2ConnectionException(H2Error.FlowControl, "a window that is too large");
            }
            _out.WriteFrame(H2Frame.Settings, H2Flags.Ack, 0, default);
            _sender.Bound();
            _sender.WakeAll();
            _out.Flush();
            _hasTakenSettings = true;
            _settings?.TrySetResult();
        }
        OnStreamGone();
    }

    private void HandlePing(ReadOnlySpan<byte> payload)
    {
        lock (_lock)
        {
            _out.WriteFrame(H2Frame.Ping, H2Flags.Ack, 0, payload);
            _sender.Bound();
            _out.Flush();
        }
    }

    private void HandleWindowUpdate(int id, ReadOnlySpan<byte> payload)
    {
        if (id != 0 && IsIdle(id)) throw Broken("a window update for a stream that was never opened");
        var more = BinaryPrimitives.ReadInt32BigEndian(payload) & int.MaxValue;
        lock (_lock)
        {
            if (id == 0)
            {
                if (more == 0) throw Broken("a window update of nothing");
                _sender.Widen(more);
            }
            else if (_streams.TryGetValue(id, out var stream))
            {
                if (more == 0) throw new H2StreamException(id, H2Error.Protocol, "a window update of nothing");
                stream.SendWindow += more;
                if (stream.SendWindow > int.MaxValue) throw new H2StreamException(id, H2Error.FlowControl, "a window that is too large");
            }
            _sender.WakeAll();
        }
    }
}
