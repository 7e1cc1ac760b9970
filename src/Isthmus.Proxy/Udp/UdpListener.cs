using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Udp;

// Its loop refuses other systems than Linux.
#pragma warning disable CA1416

/// <summary>
/// The socket of one listener for datagrams, and the sessions of its clients. All of it happens on one event loop, so nothing is shared. Nothing is
/// stored here either: a datagram that cannot be passed on at once is lost.
/// </summary>
internal sealed class UdpListener
{
    /// <summary>Each costs a descriptor. Addresses of senders can be made up, so there must be a limit.</summary>
    internal const int MostSessions = 16_384;

    private const int MostAtOnce = 64;

    [ThreadStatic] private static byte[]? _buffer;

    private readonly Socket _socket;
    private readonly LoopSocket _onLoop;
    private readonly EventLoop _loop;
    private readonly UdpCounts _counts;
    private readonly SnapshotState _state;
    private readonly ProxyPorts _ports;
    private readonly BackgroundTasks _background;
    private readonly Dictionary<ClientKey, UdpSession> _sessions = [];   // only on the loop
    private readonly SocketAddress _sender;     // only on the loop
    private volatile ListenerSnapshot _listener;
    private long _lastActive;

    /// <exception cref="SocketException">The address is taken.</exception>
    public UdpListener(ListenerSnapshot listener, UdpCounts counts, SnapshotState state, ProxyPorts ports, BackgroundTasks background)
    {
        (_listener, _counts, _state, _ports, _background) = (listener, counts, state, ports, background);
        _sender = new(listener.Address.AddressFamily);
        _socket = ports.Sockets.CreateDatagram(listener.Address.AddressFamily);
        try
        {
            _socket.Bind(ports.Sockets.Place(listener.Address));
            _socket.Blocking = false;
            _loop = EventLoop.Next();
            _onLoop = new(_socket, _loop, Epoll.In);
        }
        catch (SocketException)
        {
            _socket.Dispose();
            throw;
        }
        _lastActive = ports.Time.GetTimestamp();
        _loop.Post(() => Follow(ReceiveAsync()));
    }

    /// <summary>Room for the largest datagram. What is received is passed on before the loop does anything else.</summary>
    internal static byte[] Buffer => _buffer ??= new byte[65536];

    public ListenerSnapshot Listener => _listener;

    /// <summary>When a datagram last came or went, as a timestamp.</summary>
    public long LastActive => Volatile.Read(ref _lastActive);

    /// <summary>Applies another configuration: sessions whose cluster is not the client's any more end.</summary>
    public void Change(ListenerSnapshot listener)
    {
        _listener = listener;
        _loop.Post(() => EndWhere(session => !IsCurrent(session)));
    }

    /// <summary>Ends sessions that were idle for too long, or whose cluster is gone.</summary>
    public void Look() => _loop.Post(() =>
    {
        var (now, idle) = (_ports.Time.GetTimestamp(), _listener.Udp!.IdleTimeout);
        EndWhere(session => _ports.Time.GetElapsedTime(session.LastActive, now) >= idle, ref _counts.IdleTimeouts);
        EndWhere(session => !IsCurrent(session));
    });

    public void Close()
    {
        _onLoop.Close();
        _loop.Post(() => EndWhere(_ => true));
    }

    private async Task ReceiveAsync()
    {
        try
        {
            while (true)
            {
                await _onLoop.ReceiveAsync(Memory<byte>.Empty).ConfigureAwait(false);
                _onLoop.MayHaveMore = false;
                ReceiveSome();
            }
        }
        catch (ObjectDisposedException)
        {
            // It was closed.
        }
    }

    private void ReceiveSome()
    {
        var handle = _socket.SafeHandle;
        var held = false;
        handle.DangerousAddRef(ref held);
        try
        {
            for (var i = 0; i < MostAtOnce; i++)
            {
                if (!Epoll.IsReadable((int)handle.DangerousGetHandle())) return;
                ReceiveOne();
            }
            _onLoop.MayHaveMore = true;
        }
        finally
        {
            handle.DangerousRelease();
        }
    }

    private void ReceiveOne()
    {
        int count;
        try
        {
            _sender.Size = SocketAddress.GetMaximumAddressSize(_socket.AddressFamily);
            count = _socket.ReceiveFrom(Buffer, SocketFlags.None, _sender);
        }
        catch (SocketException)
        {
            Interlocked.Increment(ref _counts.ReceiveErrors);
            return;
        }
        Interlocked.Increment(ref _counts.Received);
        Interlocked.Add(ref _counts.ReceivedBytes, count);
        Forward(Buffer.AsSpan(0, count));
    }

    private void Forward(ReadOnlySpan<byte> datagram)
    {
        var key = ClientKey.Of(_sender);
        if (!_sessions.TryGetValue(key, out var session) || !IsUsable(session))
        {
            if (session is not null) End(session);
            session = Begin(key);
        }
        if (session is null) return;
        Touch(session);
        try
        {
            if (!session.TrySend(datagram)) Interlocked.Increment(ref _counts.Lost);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Failed(session);
        }
    }

    /// <summary>A host that is not healthy keeps its clients while there is no better one.</summary>
    private bool IsUsable(UdpSession session) =>
        session is { IsOver: false, Host.IsRemoved: false }
            && (session.Host.IsHealthy(_ports.Time.GetTimestamp()) || !session.Cluster.HasOther(session.Host, null));

    private bool IsCurrent(UdpSession session) =>
        _state.Current.Clusters.TryGetValue(_listener.Udp!.ClusterOf(session.Client), out var cluster) && cluster.Config.Name == session.Cluster.Config.Name
            && !session.Host.IsRemoved;

    /// <summary>A session for the sender of the last datagram; null if there is no way for it.</summary>
    private UdpSession? Begin(ClientKey key)
    {
        if (_sessions.Count >= MostSessions)
        {
            Interlocked.Increment(ref _counts.Overflows);
            return null;
        }
        var client = (IPEndPoint)_listener.Address.Create(_sender);
        if (!_state.Current.Clusters.TryGetValue(_listener.Udp!.ClusterOf(client), out var cluster))
        {
            Interlocked.Increment(ref _counts.NoRoute);
            return null;
        }
        if (!cluster.TryBeginConnection()) return null;
        ulong? hash = cluster.Config.Policy == BalancingPolicy.Hash ? XxHash64.Of(client.Address) : null;
        if (cluster.Pick(null, hash, null) is not { Address: IPEndPoint address } host || Connect(address) is not { } upstream)
        {
            cluster.Counters.FoundNoHost();
            cluster.EndConnection();
            return null;
        }
        host.Begin();
        Interlocked.Increment(ref cluster.Counters.Connects);
        Interlocked.Increment(ref _counts.Sessions);
        var session = new UdpSession(key, client, cluster, host, upstream);
        _sessions[key] = session;
        Follow(session.ReceiveAsync(Answer, Failed));
        return session;
    }

    /// <summary>What has begun on the loop goes on there. Only its failure is of interest elsewhere.</summary>
    private void Follow(Task receiving) => _background.Start($"UDP listener {_listener.Name}", () => receiving);

    private LoopSocket? Connect(IPEndPoint address)
    {
        Socket? socket = null;
        try
        {
            socket = _ports.Sockets.CreateDatagram(address.AddressFamily);
            if (_ports.Sockets.Source is { } source) socket.Bind(new IPEndPoint(source, 0));
            socket.Connect(address);
            return new(socket, _loop, Epoll.In);
        }
        catch (SocketException)
        {
            // There may be no descriptors left.
            socket?.Dispose();
            return null;
        }
    }

    private void Answer(UdpSession session, ReadOnlyMemory<byte> datagram)
    {
        Touch(session);
        Interlocked.Add(ref session.Cluster.Counters.BytesReceived, datagram.Length);
        try
        {
            _socket.SendTo(datagram.Span, SocketFlags.None, session.Address);
            Interlocked.Increment(ref _counts.Sent);
            Interlocked.Add(ref _counts.SentBytes, datagram.Length);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Interlocked.Increment(ref _counts.SendErrors);
        }
    }

    /// <summary>Nobody listens at the host: the client's next datagram may find another one.</summary>
    private void Failed(UdpSession session)
    {
        session.Cluster.ConnectFailed(session.Host, TimeSpan.Zero, "");
        End(session);
    }

    private void Touch(UdpSession session)
    {
        session.LastActive = _ports.Time.GetTimestamp();
        Volatile.Write(ref _lastActive, session.LastActive);
    }

    private void EndWhere(Func<UdpSession, bool> chosen)
    {
        long uncounted = 0;
        EndWhere(chosen, ref uncounted);
    }

    private void EndWhere(Func<UdpSession, bool> chosen, ref long counter)
    {
        foreach (var session in _sessions.Values.Where(chosen).ToList())
        {
            counter++;
            End(session);
        }
    }

    private void End(UdpSession session)
    {
        if (session.IsOver) return;
        session.End();
        Interlocked.Increment(ref _counts.Ended);
        if (_sessions.TryGetValue(session.Key, out var known) && ReferenceEquals(known, session)) _sessions.Remove(session.Key);
    }
}
