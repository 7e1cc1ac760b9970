using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http2;

/// <summary>
/// Heads and data on their way to the streams of the peer, as fast as its windows and its reading allow (RFC 9113 section 5.2). Its users
/// hold the lock of the connection where nothing else is said.
/// </summary>
internal sealed class H2Sender(Lock guard, H2Output output, H2PeerSettings peer)
{
    private const int MaxQueued = 1024 * 1024;

    /// <summary>Bodies wait at <see cref="MaxQueued"/>; heads and control frames have as much again.</summary>
    private const int MaxUnread = 2 * MaxQueued;

    private readonly List<H2Stream> _blocked = [];      // their senders wait for a window, or until the peer has read
    private long _window = H2.DefaultWindow;

    /// <summary>Why the connection is over.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>The peer does not read what waits for it.</summary>
    public bool IsUnread => output.Length > MaxQueued;

    /// <summary>A peer that sends requests without reading the responses must not fill our memory.</summary>
    /// <exception cref="H2ConnectionException">Too much waits for the peer.</exception>
    public void Bound()
    {
        if (output.Length > MaxUnread) throw new H2ConnectionException(H2Error.EnhanceYourCalm, "answers are not being read");
    }

    /// <summary>The connection is over: nothing more is sent. The first reason stays.</summary>
    public void Fail(Exception failure) => Failure ??= failure;

    /// <summary>The peer takes that many bytes more of all streams together.</summary>
    /// <exception cref="H2ConnectionException">The window is larger than a window may be.</exception>
    public void Widen(int more)
    {
        _window += more;
        if (_window > int.MaxValue) throw new H2ConnectionException(H2Error.FlowControl, "a window that is too large");
    }

    /// <summary>Sends an encoded header block.</summary>
    /// <exception cref="TransportException">The stream or the connection is over.</exception>
    public void SendHeaders(H2Stream stream, ReadOnlySpan<byte> block, bool isLast)
    {
        Check(stream);
        if (stream.IsUnheard) return;
        var first = true;
        while (true)
        {
            var part = block.Length > peer.MaxFrame ? block[..peer.MaxFrame] : block;
            block = block[part.Length..];
            var flags = block.IsEmpty ? H2Flags.EndHeaders : H2Flags.None;
            if (first && isLast) flags |= H2Flags.EndStream;
            output.WriteFrame(first ? H2Frame.Headers : H2Frame.Continuation, flags, stream.Id, part);
            first = false;
            if (block.IsEmpty) break;
        }
        if (isLast) stream.HasSentEnd = true;
    }

    /// <summary>Sends data. Called without the lock.</summary>
    /// <exception cref="TransportException">The stream or the connection is over.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask SendDataAsync(H2Stream stream, ReadOnlyMemory<byte> data, bool isLast)
    {
        while (!TrySendData(stream, ref data, isLast)) await stream.Sendable.WaitAsync().ConfigureAwait(false);
    }

    /// <summary>Who waits looks again at the windows, and whether the stream is over.</summary>
    public void WakeAll()
    {
        foreach (var stream in _blocked)
        {
            stream.IsBlocked = false;
            stream.Sendable.Set();
        }
        _blocked.Clear();
    }

    // False: the stream must wait with the rest.
    private bool TrySendData(H2Stream stream, ref ReadOnlyMemory<byte> data, bool isLast)
    {
        lock (guard)
        {
            do
            {
                Check(stream);
                if (stream.IsUnheard) return true;
                var room = (int)Math.Min(Math.Min(_window, stream.SendWindow), Math.Min(peer.MaxFrame, data.Length));
                if ((room <= 0 && !data.IsEmpty) || IsUnread)
                {
                    if (!stream.IsBlocked) _blocked.Add(stream);
                    stream.IsBlocked = true;
                    output.Flush();
                    return false;
                }
                room = Math.Max(0, room);
                var ends = isLast && room == data.Length;
                output.WriteFrame(H2Frame.Data, ends ? H2Flags.EndStream : H2Flags.None, stream.Id, data.Span[..room]);
                _window -= room;
                stream.SendWindow -= room;
                data = data[room..];
                if (ends) stream.HasSentEnd = true;
            }
            while (!data.IsEmpty);
            return true;
        }
    }

    private void Check(H2Stream stream)
    {
        if (Failure is not null) throw H2Stream.Translate(Failure);
        if (stream.Failure is { } failure) throw H2Stream.Translate(failure);
    }
}
