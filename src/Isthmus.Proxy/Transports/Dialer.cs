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

    /// <summary>How long an address has before the next one is tried, as in Envoy.</summary>
    private static readonly TimeSpan Lead = TimeSpan.FromMilliseconds(300);

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

    /// <summary>Connects to the addresses of one host: to the next one when the one before has failed, or has not answered for a while. The first
    /// connection is used, and the others end.</summary>
    /// <exception cref="TransportException">None of them could be reached in time.</exception>
    public async ValueTask<SocketTransport> RaceAsync(IReadOnlyList<EndPoint> addresses, IPAddress? source, TimeSpan timeout, KeepaliveSettings? keepalive)
    {
        var (start, running) = (time.GetTimestamp(), new List<Task<SocketTransport>>(addresses.Count));
        TransportException? failure = null;
        try
        {
            for (var next = 0; next < addresses.Count || running.Count > 0;)
            {
                var left = timeout - time.GetElapsedTime(start);
                if (next < addresses.Count && (left > TimeSpan.Zero || next == 0))
                    running.Add(ConnectAsync(addresses[next++], source, left, keepalive).AsTask());
                else next = addresses.Count;
                if (running.Count == 0) break;
                var ended = next < addresses.Count
                    ? await Task.WhenAny([.. running, Task.Delay(Lead, time)]).ConfigureAwait(false)
                    : await Task.WhenAny(running).ConfigureAwait(false);
                if (ended is not Task<SocketTransport> attempt) continue;
                running.Remove(attempt);
                try
                {
                    return await attempt.ConfigureAwait(false);
                }
                catch (TransportException e)
                {
                    failure = e;
                }
            }
            throw failure!;
        }
        finally
        {
            foreach (var late in running)
                _ = late.ContinueWith(End, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    private static void End(Task<SocketTransport> late)
    {
        if (late.IsCompletedSuccessfully) late.Result.Abort();
        else _ = late.Exception;
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
