using System.Collections.Concurrent;
using System.Threading.Channels;

namespace Isthmus.Lab.ApiServer.Streaming.Spdy;

/// <summary>
/// The server's end of a SPDY/3.1 connection, as far as kubectl's library goes: streams opened by the client, pings,
/// resets. That library does not support WINDOW_UPDATE and ends the connection when it receives one, so only TCP controls the flow.
/// Since 1.31 (August 2024), kubectl speaks WebSocket first. Debian 12 has an older one: all of this folder can go when its support ends, in June 2028.
/// </summary>
internal sealed class SpdyConnection(Stream transport) : IDisposable
{
    private const int MostStreams = 1000;

    private readonly SpdyHeaders _incoming = new(), _outgoing = new();
    private readonly SemaphoreSlim _sending = new(1);
    private readonly ConcurrentDictionary<uint, SpdyStream> _streams = new();
    private readonly Channel<SpdyStream> _opened = Channel.CreateUnbounded<SpdyStream>();
    private uint _last;

    /// <summary>Streams as the client opens them; ends with the connection.</summary>
    internal IAsyncEnumerable<SpdyStream> OpenedAsync(CancellationToken stop) => _opened.Reader.ReadAllAsync(stop);

    /// <summary>Reads frames until the client leaves.</summary>
    /// <exception cref="InvalidDataException">The client does not speak SPDY.</exception>
    internal async Task RunAsync(CancellationToken stop)
    {
        try
        {
            while (await SpdyFrame.ReadAsync(transport, stop) is { } frame) await HandleAsync(frame, stop);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The client is gone.
        }
        finally
        {
            _opened.Writer.TryComplete();
            foreach (var stream in _streams.Values) stream.Abort();
        }
    }

    internal async Task SendAsync(SpdyFrame frame, CancellationToken stop)
    {
        await _sending.WaitAsync(stop);
        try
        {
            await transport.WriteAsync(frame.ToBytes(), stop);
            await transport.FlushAsync(stop);
        }
        finally
        {
            _sending.Release();
        }
    }

    internal Task GoAwayAsync(CancellationToken stop) => SendAsync(SpdyFrame.Control(SpdyFrameType.GoAway, 0, _last, 0), stop);

    /// <summary>Forgets a stream that both sides have ended.</summary>
    internal void Forget(SpdyStream stream) => _streams.TryRemove(stream.Id, out _);

    public void Dispose() => _sending.Dispose();

    private async Task HandleAsync(SpdyFrame frame, CancellationToken stop)
    {
        switch (frame.Type)
        {
            case SpdyFrameType.Data:
                if (_streams.TryGetValue(frame.Stream, out var to)) await to.DeliverAsync(frame.Payload, frame.IsLast, stop);
                break;
            case SpdyFrameType.SynStream:
                await OpenAsync(frame, stop);
                break;
            case SpdyFrameType.RstStream:
                if (_streams.TryRemove(frame.Number(0), out var reset)) reset.Abort();
                break;
            case SpdyFrameType.Ping:
                // Odd numbers are pings of the client; even ones would answer ours.
                if (frame.Number(0) % 2 == 1) await SendAsync(frame, stop);
                break;
            case SpdyFrameType.Headers:
                // Their content does not matter, but the compression continues through them.
                _ = _incoming.Decode(frame.Payload.Span[4..]);
                break;
            default:
                break; // settings, window updates, going away: nothing to do
        }
    }

    private async Task OpenAsync(SpdyFrame frame, CancellationToken stop)
    {
        const int headersAt = 10;
        var id = frame.Number(0);
        if (frame.Payload.Length < headersAt) throw new InvalidDataException("a SYN_STREAM frame is too short");
        var headers = _incoming.Decode(frame.Payload.Span[headersAt..]);
        if (_streams.Count >= MostStreams || id <= _last) throw new InvalidDataException("too many streams, or out of order");
        _last = id;
        var stream = new SpdyStream(this, id, headers);
        _streams[id] = stream;
        if (frame.IsLast) stream.Abort();
        await ReplyAsync(id, stop);
        _opened.Writer.TryWrite(stream);
    }

    // Encoding and sending are one step: the compressed headers must arrive in the order of their making.
    private async Task ReplyAsync(uint id, CancellationToken stop)
    {
        await _sending.WaitAsync(stop);
        try
        {
            var headers = _outgoing.Encode(new Dictionary<string, string>());
            var payload = new byte[4 + headers.Length];
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(payload, id);
            headers.CopyTo(payload, 4);
            await transport.WriteAsync(new SpdyFrame(SpdyFrameType.SynReply, 0, 0, payload).ToBytes(), stop);
            await transport.FlushAsync(stop);
        }
        finally
        {
            _sending.Release();
        }
    }
}
