using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Isthmus.Core.Names;
using Isthmus.Proxy.Loops;

namespace Isthmus.Proxy.Transports;

/// <summary>Opens connections to upstream hosts. They carry the proxy's mark, so that traffic capture ignores them.</summary>
internal sealed class Dialer(ISocketFactory sockets, SilenceWatch silence, TimeProvider time)
{
    /// <summary>
    /// Default keepalive: it detects a vanished peer within 20 seconds even while waiting for its response, and no
    /// connection to it is kept.
    /// </summary>
    private static readonly KeepaliveSettings DefaultKeepalive = new(Time: 10, Interval: 3, Probes: 3);

    private const int SolSocket = 1;
    private const int SoMark = 36;

    private volatile bool _mayMark = true;

    /// <exception cref="TransportException">The host could not be reached in time.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<SocketTransport> ConnectAsync(EndPoint address, IPAddress? source, TimeSpan timeout, KeepaliveSettings? keepalive)
    {
        var socket = sockets.Create(address.AddressFamily);
        try
        {
            if (address is IPEndPoint) Prepare(socket, source ?? sockets.Source);
            var transport = new SocketTransport(socket, await LoopSocket.ConnectAsync(socket, address, timeout, time).ConfigureAwait(false), address);
            if (address is IPEndPoint) silence.Add(transport, keepalive ?? DefaultKeepalive);
            return transport;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw TransportException.From(e);
        }
        catch (ObjectDisposedException e)
        {
            throw new TransportException(TransportFailure.TimedOut, "connection timeout", e);
        }
    }

    private void Prepare(Socket socket, IPAddress? source)
    {
        socket.NoDelay = true;
        Mark(socket);
        if (source is not null && source.AddressFamily == socket.AddressFamily) socket.Bind(new IPEndPoint(source, 0));
    }

    // Without CAP_NET_RAW or CAP_NET_ADMIN the kernel refuses marks; capture then exempts the proxy by user ID.
    private void Mark(Socket socket)
    {
        if (!_mayMark) return;
        try
        {
            socket.SetRawSocketOption(SolSocket, SoMark, BitConverter.GetBytes(ProxyUser.Mark));
        }
        catch (SocketException)
        {
            _mayMark = false;
        }
    }
}
