using System.Collections.Concurrent;
using System.Net.Sockets;

namespace Isthmus.Proxy.Transports;

/// <summary>
/// Ends connections whose peer vanished: it no longer acknowledges what is sent to it. TCP alone retries for a quarter of
/// an hour. TCP_USER_TIMEOUT would end them in the kernel, but also those whose peer is alive and only stops reading for a while: it
/// acknowledges everything it has room for, and so does not count as silent here.
/// </summary>
internal sealed class SilenceWatch(TimeProvider time)
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    private readonly ConcurrentDictionary<SocketTransport, Silence> _connections = new();

    /// <summary>How many connections are watched.</summary>
    public int Count => _connections.Count;

    /// <summary>Watches the connection until it is closed.</summary>
    /// <param name="keepalive">How the kernel asks the peer of an idle connection, from the next look on.</param>
    public void Add(SocketTransport connection, KeepaliveSettings keepalive)
    {
        _connections.TryAdd(connection, new(time, keepalive));
        connection.Watch = this;
    }

    /// <summary>Forgets a connection that is closed. To ask a closed socket is an exception, and costs more than all the rest of it.</summary>
    public void Remove(SocketTransport connection) => _connections.TryRemove(connection, out _);

    /// <summary>Once a second; asking the kernel about a connection takes a microsecond.</summary>
    public void Look()
    {
        foreach (var (connection, silence) in _connections)
        {
            var info = TcpInfo.Read(connection.Socket);
            if (info is not null && !silence.IsTooLong(info.Value))
            {
                silence.KeepAlive(connection.Socket);
                if (silence.IsSuspect(info.Value)) connection.Suspected?.Invoke();
                continue;
            }
            _connections.TryRemove(connection, out _);
            if (info is not null) connection.Abort(reset: true);
        }
    }
}

/// <summary>For how long a peer has acknowledged none of its pending data.</summary>
internal sealed class Silence(TimeProvider time, KeepaliveSettings? keepalive = null)
{
    /// <summary>
    /// That many packets in a row are not lost by chance. The waits between them grow with the distance to the peer: near
    /// ones are suspected after one to two seconds, those around the world after five.
    /// </summary>
    private const int Suspicious = 3;

    private KeepaliveSettings? _keepalive = keepalive;
    private long? _since;
    private bool _isSuspect;

    /// <summary>Sets the options of keepalive, once. Many connections end within a second, and need none of the four system calls.</summary>
    public void KeepAlive(Socket socket)
    {
        if (_keepalive is not { } keepalive) return;
        _keepalive = null;
        try
        {
            if (keepalive.Time > 0) socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, keepalive.Time);
            if (keepalive.Interval > 0) socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, keepalive.Interval);
            if (keepalive.Probes > 0) socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, keepalive.Probes);
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It was closed meanwhile.
        }
    }

    public bool IsTooLong(TcpInfo info)
    {
        if (info.Unacknowledged == 0) _since = null;
        // An acknowledgement after the start ends the silence, even when more was sent meanwhile.
        else if (_since is not { } since || info.LastAck < time.GetElapsedTime(since)) _since = time.GetTimestamp();
        else return time.GetElapsedTime(since) >= SilenceWatch.Limit;
        return false;
    }

    /// <summary>True once per silence.</summary>
    public bool IsSuspect(TcpInfo info)
    {
        var before = _isSuspect;
        _isSuspect = info.Unacknowledged > 0 && info.Retransmissions >= Suspicious;
        return _isSuspect && !before;
    }
}
