using System.Buffers.Binary;
using Isthmus.Proxy.Tcp;

namespace Isthmus.Proxy.Http.H2;

/// <summary>Incoming frames: each is checked and handled here, only by the read loop.</summary>
internal abstract partial class H2Connection
{
    private void Handle(ReadOnlySpan<byte> frame)
    {
        var type = (H2Frame)frame[3];
        var flags = (H2Flags)frame[4];
        var id = BinaryPrimitives.ReadInt32BigEndian(frame[5..]) & 0x7fffffff;
        var payload = frame[H2.FrameHeader..];
        if (_headersOf != 0 && (type != H2Frame.Continuation || id != _headersOf)) throw Broken("a frame between parts of a header block");
        try
        {
            switch (type)
            {
                case H2Frame.Data: HandleData(id, flags, payload); break;
                case H2Frame.Headers: HandleHeaders(id, flags, payload); break;
                case H2Frame.Continuation: HandleContinuation(id, flags, payload); break;
                case H2Frame.Reset: HandleReset(id, payload); break;
                case H2Frame.Settings: HandleSettings(id, flags, payload); break;
                case H2Frame.Ping: HandlePing(id, flags, payload); break;
                case H2Frame.GoAway: HandleGoAway(payload); break;
                case H2Frame.WindowUpdate: HandleWindowUpdate(id, payload); break;
                case H2Frame.PushPromise: throw Broken("a push that was not allowed");
            }
        }
        catch (H2StreamException e)
        {
            H2Stream? stream;
            lock (_lock)
            {
                _streams.TryGetValue(e.Stream, out stream);
                WriteReset(e.Stream, e.Error);
                if (stream is not null) stream.HasSentEnd = true;
                Flush();
            }
            stream?.Fail(new TransportException(TransportFailure.Reset, e.Message));
        }
    }

    private void HandleData(int id, H2Flags flags, ReadOnlySpan<byte> payload)
    {
        if (id == 0) throw Broken("data without a stream");
        var data = Unpad(flags, payload);
        H2Stream? stream;
        lock (_lock)
        {
            _receiveWindow -= payload.Length;
            if (_receiveWindow < 0) throw new H2ConnectionException(H2Error.FlowControl, "more data than allowed");
            if (_streams.TryGetValue(id, out stream))
            {
                stream.ReceiveWindow -= payload.Length;
                if (stream.ReceiveWindow < 0) throw new H2StreamException(id, H2Error.FlowControl, "more data than allowed");
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
        stream.Arrive(data, flags.HasFlag(H2Flags.EndStream));
    }

    /// <summary>Whether neither side has used that stream ID yet.</summary>
    protected abstract bool IsIdle(int id);

    private void HandleHeaders(int id, H2Flags flags, ReadOnlySpan<byte> payload)
    {
        if (id == 0) throw Broken("headers without a stream");
        var block = Unpad(flags, payload);
        if (flags.HasFlag(H2Flags.Priority))
        {
            if (block.Length < 5) throw new H2ConnectionException(H2Error.FrameSize, "a priority that is too short");
            block = block[5..];
        }
        _headersOf = id;
        _headersEndStream = flags.HasFlag(H2Flags.EndStream);
        _headerBlock.Clear();
        Collect(block, flags);
    }

    private void HandleContinuation(int id, H2Flags flags, ReadOnlySpan<byte> payload)
    {
        if (_headersOf == 0 || id != _headersOf) throw Broken("a continuation of nothing");
        if (payload.IsEmpty && !flags.HasFlag(H2Flags.EndHeaders)) throw new H2ConnectionException(H2Error.EnhanceYourCalm, "an empty continuation");
        Collect(payload, flags);
    }

    private void Collect(ReadOnlySpan<byte> block, H2Flags flags)
    {
        if (_headerBlock.Length + block.Length > H2.MaxHeaderBlock) throw new H2ConnectionException(H2Error.EnhanceYourCalm, "header block too large");
        _headerBlock.Write(block);
        if (!flags.HasFlag(H2Flags.EndHeaders)) return;
        var id = _headersOf;
        _headersOf = 0;
        var fields = new H2HeadFields(id);
        _hpack.Decode(_headerBlock.Written.Span, fields.Add);
        H2Stream? stream;
        lock (_lock) _streams.TryGetValue(id, out stream);
        if (stream is not null)
        {
            if (stream.HasReceivedEnd) throw new H2StreamException(id, H2Error.StreamClosed, "headers after the end");
            OnMoreFields(stream, fields, _headersEndStream);
            return;
        }
        if (MayOpen(id)) OnHead(id, fields, _headersEndStream);
    }

    private void HandleReset(int id, ReadOnlySpan<byte> payload)
    {
        if (payload.Length != 4 || id == 0) throw new H2ConnectionException(H2Error.FrameSize, "malformed RST_STREAM frame");
        if (IsIdle(id)) throw Broken("a reset of a stream that was never opened");
        H2Stream? stream;
        lock (_lock) _streams.TryGetValue(id, out stream);
        if (stream is null) return;
        // Opening and resetting streams costs the client little and the server much more.
        if (++_resets > MaxResets && _resets > LastPeerStream / 4) throw new H2ConnectionException(H2Error.EnhanceYourCalm, "too many resets");
        var error = (H2Error)BinaryPrimitives.ReadInt32BigEndian(payload);
        lock (_lock) stream.HasSentEnd = true;
        stream.Fail(new TransportException(error == H2Error.RefusedStream ? TransportFailure.Refused : TransportFailure.Reset, $"reset by peer: {error}"));
    }

    private void HandleSettings(int id, H2Flags flags, ReadOnlySpan<byte> payload)
    {
        if (id != 0 || payload.Length % 6 != 0) throw new H2ConnectionException(H2Error.FrameSize, "settings that are none");
        if (flags.HasFlag(H2Flags.Ack)) return;
        lock (_lock)
        {
            for (; !payload.IsEmpty; payload = payload[6..]) Apply(BinaryPrimitives.ReadUInt16BigEndian(payload), BinaryPrimitives.ReadUInt32BigEndian(payload[2..]));
            WriteFrame(H2Frame.Settings, H2Flags.Ack, 0, default);
            Bound();
            OpenWindow();
            Flush();
        }
        OnStreamGone();
    }

    private void Apply(int setting, uint value)
    {
        switch (setting)
        {
            case 3:
                PeerMaxStreams = (int)Math.Min(value, int.MaxValue);
                break;
            case 4:
                if (value > int.MaxValue) throw new H2ConnectionException(H2Error.FlowControl, "a window that is too large");
                foreach (var stream in _streams.Values) stream.SendWindow += (int)value - _initialSendWindow;
                _initialSendWindow = (int)value;
                break;
            case 5:
                if (value is < 16384 or > 16777215) throw Broken("a frame size out of range");
                _peerMaxFrame = (int)Math.Min(value, 64 * 1024);
                break;
        }
    }

    private void HandlePing(int id, H2Flags flags, ReadOnlySpan<byte> payload)
    {
        if (payload.Length != 8 || id != 0) throw new H2ConnectionException(H2Error.FrameSize, "malformed PING frame");
        if (flags.HasFlag(H2Flags.Ack)) return;
        lock (_lock)
        {
            WriteFrame(H2Frame.Ping, H2Flags.Ack, 0, payload);
            Bound();
            Flush();
        }
    }

    private void HandleGoAway(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < 8) throw new H2ConnectionException(H2Error.FrameSize, "a goaway that is too short");
        var last = BinaryPrimitives.ReadInt32BigEndian(payload) & 0x7fffffff;
        H2Stream[] refused;
        lock (_lock)
        {
            IsClosing = true;
            refused = [.. _streams.Values.Where(s => IsOurs(s.Id) && s.Id > last)];
        }
        foreach (var stream in refused) stream.Fail(new TransportException(TransportFailure.Refused, "the peer goes away and did not take the stream"));
        OnStreamGone();
    }

    protected abstract bool IsOurs(int id);

    private void HandleWindowUpdate(int id, ReadOnlySpan<byte> payload)
    {
        if (payload.Length != 4) throw new H2ConnectionException(H2Error.FrameSize, "malformed WINDOW_UPDATE frame");
        var more = BinaryPrimitives.ReadInt32BigEndian(payload) & 0x7fffffff;
        lock (_lock)
        {
            if (more == 0)
            {
                if (id == 0) throw Broken("a window update of nothing");
                throw new H2StreamException(id, H2Error.Protocol, "a window update of nothing");
            }
            if (id == 0)
            {
                _sendWindow += more;
                if (_sendWindow > int.MaxValue) throw new H2ConnectionException(H2Error.FlowControl, "a window that is too large");
            }
            else if (_streams.TryGetValue(id, out var stream))
            {
                stream.SendWindow += more;
                if (stream.SendWindow > int.MaxValue) throw new H2StreamException(id, H2Error.FlowControl, "a window that is too large");
            }
            OpenWindow();
        }
    }

    private static ReadOnlySpan<byte> Unpad(H2Flags flags, ReadOnlySpan<byte> payload)
    {
        if (!flags.HasFlag(H2Flags.Padded)) return payload;
        if (payload.IsEmpty || payload[0] >= payload.Length) throw Broken("more padding than frame");
        return payload[1..^payload[0]];
    }
}
