using System.Collections.Concurrent;

namespace Isthmus.Proxy.Tcp;

/// <summary>
/// Ends connections whose peer went without a word: what was sent to it is not acknowledged any more. TCP alone tries for a quarter of
/// an hour. TCP_USER_TIMEOUT would end them in the kernel, and also those whose peer lives and only reads nothing for a while: it
/// acknowledges all that it has room for, and so is not taken for silent here.
/// </summary>
internal sealed class SilenceWatch(TimeProvider time)
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    private readonly ConcurrentDictionary<SocketTransport, Silence> _connections = new();

    public void Add(SocketTransport connection) => _connections.TryAdd(connection, new(time));

    /// <summary>Once a second; asking the kernel about a connection takes a microsecond.</summary>
    public void Look()
    {
        foreach (var (connection, silence) in _connections)
        {
            var info = TcpInfo.Read(connection.Socket);
            if (info is not null && !silence.IsTooLong(info.Value))
            {
                if (silence.IsSuspect(info.Value)) connection.Suspected?.Invoke();
                continue;
            }
            _connections.TryRemove(connection, out _);
            if (info is not null) connection.Abort(reset: true);
        }
    }
}

/// <summary>For how long a peer has acknowledged nothing of what waits for it.</summary>
internal sealed class Silence(TimeProvider time)
{
    /// <summary>
    /// So many packets in a row are not lost by chance. The waits between them grow with the way to the peer: near ones are suspected
    /// after one to two seconds, those around the world after five.
    /// </summary>
    private const int Suspicious = 3;

    private long? _since;
    private bool _isSuspect;

    public bool IsTooLong(TcpInfo info)
    {
        if (info.Unacknowledged == 0) _since = null;
        // Something that came after the beginning ends the silence, also when more was sent meanwhile.
        else if (_since is not { } since || info.LastAck < time.GetElapsedTime(since)) _since = time.GetTimestamp();
        else return time.GetElapsedTime(since) >= SilenceWatch.Limit;
        return false;
    }

    /// <summary>True once in each silence.</summary>
    public bool IsSuspect(TcpInfo info)
    {
        var before = _isSuspect;
        _isSuspect = info.Unacknowledged > 0 && info.Retransmissions >= Suspicious;
        return _isSuspect && !before;
    }
}
