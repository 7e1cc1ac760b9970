using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Isthmus.Proxy.Loops;

// Its loop refuses other systems than Linux.
#pragma warning disable CA1416

/// <summary>A listening socket on one loop. Several loops may listen on the same socket: the kernel wakes one of them for each connection.</summary>
internal sealed class LoopListener
{
    private readonly Socket _socket;
    private readonly LoopSocket _onLoop;

    /// <exception cref="SocketException">The kernel has no room to watch it.</exception>
    internal LoopListener(Socket socket, EventLoop loop)
    {
        _socket = socket;
        // The runtime has to know, because it would otherwise wait in Accept.
        socket.Blocking = false;
        _onLoop = new(socket, loop, Epoll.In | Epoll.Exclusive);
    }

    internal EventLoop Loop => _onLoop.Loop;

    /// <summary>The next connection.</summary>
    /// <exception cref="SocketException">It could not be accepted. It may still be in the queue.</exception>
    /// <exception cref="ObjectDisposedException">The socket was closed.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    internal async ValueTask<Socket> AcceptAsync()
    {
        while (true)
        {
            await _onLoop.ReceiveAsync(Memory<byte>.Empty).ConfigureAwait(false);
            if (TryAccept() is { } accepted) return accepted;
        }
    }

    /// <summary>Closes the socket, for all loops. Each of them has to be told.</summary>
    internal void Close() => _onLoop.Close();

    private Socket? TryAccept()
    {
        _onLoop.MayHaveMore = false;
        var handle = _socket.SafeHandle;
        var held = false;
        handle.DangerousAddRef(ref held);
        try
        {
            if (!Epoll.IsReadable((int)handle.DangerousGetHandle())) return null;
            var accepted = _socket.Accept();
            _onLoop.MayHaveMore = true;
            return accepted;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.WouldBlock)
        {
            // Another loop was faster.
            return null;
        }
        catch (SocketException)
        {
            _onLoop.MayHaveMore = true;
            throw;
        }
        finally
        {
            handle.DangerousRelease();
        }
    }
}
