using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Listeners;

/// <summary>The listening sockets: opened and closed as listeners come and go, kept while only their contents change.</summary>
internal sealed partial class ListenerSockets(
    ISocketFactory sockets, Connections connections, Func<Downstream, CancellationToken, Task> handle, BackgroundTasks background, TimeProvider time,
    ILogger log)
    : IDisposable
{
    private const int Backlog = 4096;

    private readonly Dictionary<string, Bound> _bound = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();   // guards _bound
    private volatile bool _isClosed;
    private volatile bool _isInboundClosed;

    private long _pausesOfClosed;      // guarded by _lock

    private sealed class Bound(ListenerSnapshot listener)
    {
        public volatile ListenerSnapshot Listener = listener;

        /// <summary>The socket on each event loop.</summary>
        public List<LoopListener> OnLoops { get; } = [];

        public required AcceptLoop Loop { get; init; }
    }

    /// <summary>How often accepting paused because there were no file descriptors.</summary>
    public long AcceptPauses
    {
        get
        {
            lock (_lock) return _pausesOfClosed + _bound.Values.Sum(bound => bound.Loop.Pauses);
        }
    }

    /// <summary>Listeners that could not be opened, with the reason.</summary>
    public IReadOnlyDictionary<string, string> Failures { get; private set; } = new Dictionary<string, string>();

    /// <summary>Opens, changes and closes sockets to match the snapshot. Called again, it retries what failed.</summary>
    public void Apply(ProxySnapshot snapshot)
    {
        lock (_lock)
        {
            if (_isClosed) return;
            var wanted = snapshot.Listeners.Values.Where(l => l is { BindToPort: true, Udp: null } && !IsRefused(l))
                .ToDictionary(l => l.Name, StringComparer.Ordinal);
            foreach (var (name, bound) in _bound.ToArray())
            {
                if (wanted.TryGetValue(name, out var listener) && listener.SameSocket(bound.Listener)) bound.Listener = listener;
                else Close(name, bound);
            }
            var failures = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var (name, listener) in wanted)
                if (!_bound.ContainsKey(name) && Open(listener) is { } failure) failures[name] = failure;
            Failures = failures;
        }
    }

    /// <summary>Stops accepting; open connections continue.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _isClosed = true;
            foreach (var (name, bound) in _bound.ToArray()) Close(name, bound);
        }
    }

    /// <summary>Stops accepting connections to the application; those of the application are accepted.</summary>
    public void CloseInbound()
    {
        lock (_lock)
        {
            _isInboundClosed = true;
            foreach (var (name, bound) in _bound.Where(one => IsRefused(one.Value.Listener)).ToArray()) Close(name, bound);
        }
    }

    public void Dispose()
    {
        Close();
        _stop.Cancel();
        _stop.Dispose();
    }

    private bool IsRefused(ListenerSnapshot listener) => _isInboundClosed && listener.Direction == Direction.Inbound;

    private string? Open(ListenerSnapshot listener)
    {
        var socket = sockets.Create(listener.Address.AddressFamily);
        var bound = new Bound(listener) { Loop = new(listener.Name, time, log) };
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            // Accepted sockets inherit it.
            socket.NoDelay = true;
            socket.Bind(sockets.Place(listener.Address));
            socket.Listen(Backlog);
            foreach (var loop in EventLoop.All) bound.OnLoops.Add(new LoopListener(socket, loop));
        }
        catch (SocketException e)
        {
            foreach (var one in bound.OnLoops) one.Close();
            socket.Dispose();
            LogNotOpened(listener.Name, listener.Address, e.Message);
            return $"{listener.Address}: {e.Message}";
        }
        _bound[listener.Name] = bound;
        var stop = _stop.Token;
        // Each ends when the socket is closed.
        foreach (var one in bound.OnLoops)
            background.Start($"listener {listener.Name}",
                () => bound.Loop.RunAsync(one.AcceptAsync, accepted => Begin(accepted, bound.Listener, one.Loop), stop));
        LogOpened(listener.Name, listener.Address);
        return null;
    }

    private void Close(string name, Bound bound)
    {
        _bound.Remove(name);
        foreach (var one in bound.OnLoops) one.Close();
        _pausesOfClosed += bound.Loop.Pauses;
        LogClosed(name, bound.Loop.Accepted);
    }

    private void Begin(Socket socket, ListenerSnapshot listener, EventLoop loop)
    {
        Downstream connection;
        try
        {
            var local = (IPEndPoint)socket.LocalEndPoint!;
            var source = (IPEndPoint)socket.RemoteEndPoint!;
            var destination = listener.RestoreOriginalDestination ? sockets.FindOriginalDestination(socket) ?? local : local;
            connection = new Downstream(new SocketTransport(socket, new LoopSocket(socket, loop.ForAccepted()), source), listener, destination, source);
        }
        catch (SocketException)
        {
            socket.Dispose();
            return;
        }
        connections.Add(connection, () => handle(connection, _stop.Token));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Listener {Name} opened on {Address}")]
    private partial void LogOpened(string name, IPEndPoint address);

    [LoggerMessage(Level = LogLevel.Information, Message = "Listener {Name} closed after {Accepted} connections")]
    private partial void LogClosed(string name, long accepted);

    [LoggerMessage(Level = LogLevel.Error, Message = "Listener {Name} could not be opened on {Address}: {Reason}")]
    private partial void LogNotOpened(string name, IPEndPoint address, string reason);
}
