using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tcp;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Listeners;

/// <summary>The listening sockets: opened and closed as listeners come and go, kept while only their contents change.</summary>
internal sealed partial class ListenerSockets(
    ISocketFactory sockets, Connections connections, Func<Downstream, CancellationToken, Task> handle, BackgroundTasks background, TimeProvider time, ILogger log) : IDisposable
{
    private const int Backlog = 4096;

    private readonly Dictionary<string, Bound> _bound = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();   // guards _bound
    private volatile bool _isClosed;
    private volatile bool _isInboundClosed;

    private long _pausesOfClosed;      // guarded by _lock

    private sealed class Bound(Socket socket, ListenerSnapshot listener)
    {
        public readonly Socket Socket = socket;
        public volatile ListenerSnapshot Listener = listener;

        public AcceptLoop Loop { get; set; } = null!;
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
            var wanted = snapshot.Listeners.Values.Where(l => l.BindToPort && !IsRefused(l)).ToDictionary(l => l.Name, StringComparer.Ordinal);
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
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            socket.Bind(sockets.Place(listener.Address));
            socket.Listen(Backlog);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            LogNotOpened(listener.Name, listener.Address, e.Message);
            return $"{listener.Address}: {e.Message}";
        }
        var bound = new Bound(socket, listener);
        bound.Loop = new AcceptLoop(listener.Name, socket.AcceptAsync, accepted => Begin(accepted, bound.Listener), time, log);
        _bound[listener.Name] = bound;
        var stop = _stop.Token;
        // Ends when the socket is closed.
        background.Start($"listener {listener.Name}", () => bound.Loop.RunAsync(stop));
        LogOpened(listener.Name, listener.Address);
        return null;
    }

    private void Close(string name, Bound bound)
    {
        _bound.Remove(name);
        bound.Socket.Dispose();
        _pausesOfClosed += bound.Loop.Pauses;
        LogClosed(name, bound.Loop.Accepted);
    }

    private void Begin(Socket socket, ListenerSnapshot listener)
    {
        Downstream connection;
        try
        {
            socket.NoDelay = true;
            var local = (IPEndPoint)socket.LocalEndPoint!;
            var source = (IPEndPoint)socket.RemoteEndPoint!;
            var destination = listener.RestoreOriginalDestination ? sockets.FindOriginalDestination(socket) ?? local : local;
            connection = new Downstream(new SocketTransport(socket), listener, destination, source);
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
