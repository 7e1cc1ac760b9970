using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;

namespace Isthmus.Proxy.Transports;

// Its loop refuses other systems than Linux.
#pragma warning disable CA1416

/// <summary>A connected stream socket. Bytes that were read to inspect the protocol can be put back in front.</summary>
internal sealed class SocketTransport(Socket socket, LoopSocket loop, EndPoint? remote = null, EndPoint? local = null) : Transport, INonBlocking
{
    private ReadOnlyMemory<byte> _peeked;
    private EndPoint? _local = local;
    private EndPoint? _remote = remote;

    /// <summary>A socket that is connected, on the next event loop.</summary>
    public SocketTransport(Socket socket) : this(socket, new LoopSocket(socket, EventLoop.Next()))
    {
    }

    public Socket Socket { get; } = socket;

    public LoopSocket Loop => loop;

    /// <summary>Watches the connection, and is told when it is closed. Null if the connection is not watched.</summary>
    public SilenceWatch? Watch { get; set; }

    public override EventLoop EventLoop => loop.Loop;

    /// <summary>Remembered, because a closed socket cannot be asked and the access log is written after the close.</summary>
    public override EndPoint? Local => _local ??= Ask(static s => s.LocalEndPoint ?? LocalOf(s));

    public override EndPoint? Remote => _remote ??= Ask(static s => s.RemoteEndPoint);

    public override bool IsQuiet
    {
        get
        {
            if (!_peeked.IsEmpty) return false;
            return loop.IsQuiet;
        }
    }

    /// <summary>Bytes that were put back would be left out by a pipe.</summary>
    public bool HasUnread => !_peeked.IsEmpty;

    /// <summary>Puts bytes that were already read in front of the unread ones.</summary>
    public void Unread(ReadOnlyMemory<byte> bytes) => _peeked = bytes;

    public int TryRead(Span<byte> into)
    {
        if (!_peeked.IsEmpty)
        {
            var count = Math.Min(into.Length, _peeked.Length);
            _peeked.Span[..count].CopyTo(into);
            _peeked = _peeked[count..];
            return count;
        }
        try
        {
            return loop.TryReceive(into);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw TransportException.FromSocket(e);
        }
    }

    public int TryWrite(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return loop.TrySend(bytes);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw TransportException.FromSocket(e);
        }
    }

    public ValueTask<int> WaitToReadAsync() => _peeked.IsEmpty ? loop.ReceiveAsync(Memory<byte>.Empty) : default;

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public async ValueTask WaitToWriteAsync()
    {
        try
        {
            await loop.WaitToSendAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw TransportException.FromSocket(e);
        }
    }

    public override ValueTask<int> ReadAsync(Memory<byte> into)
    {
        // A wait cannot fail.
        if (_peeked.IsEmpty) return into.IsEmpty ? loop.ReceiveAsync(into) : ReceiveAsync(into);
        var count = Math.Min(into.Length, _peeked.Length);
        _peeked[..count].CopyTo(into);
        _peeked = _peeked[count..];
        return ValueTask.FromResult(count);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            while (!bytes.IsEmpty) bytes = bytes[await loop.SendAsync(bytes).ConfigureAwait(false)..];
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw TransportException.FromSocket(e);
        }
    }

    /// <summary>Closing a socket ends its direction, too.</summary>
    public override ValueTask WriteLastAsync(ReadOnlyMemory<byte> bytes) => WriteAsync(bytes);

    /// <summary>Moves what is there to an empty pipe; 0 at the end of the peer's stream, -1 when there is nothing.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<int> ReadAsync(Pipe into)
    {
        try
        {
            return await loop.ReceiveAsync(into).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw TransportException.FromSocket(e);
        }
    }

    /// <summary>Sends some of the bytes in a pipe, at least one.</summary>
    /// <exception cref="TransportException">The peer reset, or the transport was aborted.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<int> WriteAsync(Pipe bytes)
    {
        try
        {
            return await loop.SendAsync(bytes).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw TransportException.FromSocket(e);
        }
    }

    public override ValueTask CloseWriteAsync()
    {
        try
        {
            Socket.Shutdown(SocketShutdown.Send);
            return ValueTask.CompletedTask;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw TransportException.FromSocket(e);
        }
    }

    public override void Abort(bool reset = false)
    {
        Watch?.Remove(this);
        try
        {
            _ = Local;
            _ = Remote;
            if (reset) Socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Already closed, which is the goal.
        }
        loop.Close(reset);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<int> ReceiveAsync(Memory<byte> into)
    {
        try
        {
            return await loop.ReceiveAsync(into).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw TransportException.FromSocket(e);
        }
    }

    /// <summary>The local address of a socket that the runtime does not know to be connected.</summary>
    internal static EndPoint? LocalOf(Socket socket)
    {
        Span<byte> buffer = stackalloc byte[28];
        var length = Epoll.LocalAddress((int)socket.SafeHandle.DangerousGetHandle(), buffer);
        if (length <= 0) return null;
        var serialized = new SocketAddress(socket.AddressFamily, length);
        buffer[..length].CopyTo(serialized.Buffer.Span);
        return new IPEndPoint(IPAddress.Any, 0).Create(serialized);
    }

    private EndPoint? Ask(Func<Socket, EndPoint?> question)
    {
        try
        {
            return question(Socket);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return null;
        }
    }
}
