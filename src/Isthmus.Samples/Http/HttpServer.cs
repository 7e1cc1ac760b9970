using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Isthmus.Samples.Http;

/// <summary>
/// A small HTTP/1.1 server on plain sockets: it starts in a third of Kestrel's time with half the memory, and a lab runs many copies.
/// When stopped it keeps answering, with <c>Connection: close</c>, until requests pause for a moment.
/// </summary>
public sealed class HttpServer(string name, HttpHandler handler, TimeProvider time, TextWriter? log) : IDisposable
{
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestDrain = TimeSpan.FromSeconds(10);

    private readonly Socket _listener = new(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
    private readonly ConcurrentDictionary<Task, byte> _connections = new();
    private int _busy;
    private long _lastRequest;

    internal TimeProvider Time => time;

    internal string Name => name;

    internal bool Draining { get; private set; }

    /// <summary>The port that it listens on, once bound.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    /// <exception cref="SocketException">The port is in use or not permitted.</exception>
    public void Bind(IPAddress address, int port)
    {
        _listener.DualMode = true;
        _listener.Bind(new IPEndPoint(address.MapToIPv6(), port));
        _listener.Listen(512);
    }

    public async Task RunAsync(CancellationToken stop)
    {
        using var end = new CancellationTokenSource();
        // Takes effect at once: a stopping server must not keep a connection because a thread was late.
        using var told = stop.Register(() => Draining = true);
        var accepting = AcceptAsync(end.Token);
        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, time, stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Stopping: the rest is drained below.
        }
        await DrainAsync().ConfigureAwait(false);
        await end.CancelAsync().ConfigureAwait(false);
        await accepting.ConfigureAwait(false);
        await Task.WhenAll(_connections.Keys).ConfigureAwait(false);
    }

    public void Dispose() => _listener.Dispose();

    internal HttpReply Handle(HttpRequest request)
    {
        try
        {
            return handler(request);
        }
        catch (Exception bug) when (bug is not BadRequestException)
        {
            // A bug ends only this request.
            Console.Error.WriteLine($"{request.Method} {request.Target}: {bug}");
            return HttpReply.Text(500, "Internal Server Error\n", "text/plain; charset=utf-8");
        }
    }

    internal Busy Enter()
    {
        Interlocked.Increment(ref _busy);
        return new Busy(this);
    }

    internal void Log(HttpRequest request, HttpReply reply)
    {
        if (log is null) return;
        var line =
            $"{request.Peer} - - [{time.GetUtcNow():dd/MMM/yyyy:HH:mm:ss} +0000] \"{request.Method} {request.Target} {request.Version}\" {reply.Status} "
                + $"{reply.PiecesLength ?? reply.Body.Length}";
        // The writer is shared by all connections.
        lock (log) log.WriteLine(line);
    }

    private async Task AcceptAsync(CancellationToken stop)
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = await _listener.AcceptAsync(stop).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException)
            {
                // The caller gave up before it was accepted, or descriptors ran out for a moment.
                await Task.Yield();
                continue;
            }
            Start(socket, stop);
        }
    }

    private void Start(Socket socket, CancellationToken stop)
    {
        IPAddress address;
        try
        {
            socket.NoDelay = true;
            address = ((IPEndPoint)socket.RemoteEndPoint!).Address;
        }
        catch (SocketException)
        {
            // The connection was reset after the handshake.
            socket.Dispose();
            return;
        }
        var connection = ServeAsync(socket, (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString(), stop);
        if (connection.IsCompleted) return;
        _connections[connection] = 0;
        _ = connection.ContinueWith(done => _connections.TryRemove(done, out _), CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private async Task ServeAsync(Socket socket, string peer, CancellationToken stop)
    {
        using var connection = new HttpConnection(socket, peer, this);
        await connection.ServeAsync(stop).ConfigureAwait(false);
    }

    private async Task DrainAsync()
    {
        var began = time.GetTimestamp();
        Interlocked.Exchange(ref _lastRequest, began);
        while (time.GetElapsedTime(began) < LongestDrain)
        {
            if (Volatile.Read(ref _busy) == 0 && time.GetElapsedTime(Interlocked.Read(ref _lastRequest)) >= Quiet) return;
            await Task.Delay(TimeSpan.FromMilliseconds(20), time, CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>A request under way: the server waits for its end.</summary>
    internal readonly struct Busy(HttpServer server) : IDisposable
    {
        public void Dispose()
        {
            Interlocked.Exchange(ref server._lastRequest, server.Time.GetTimestamp());
            Interlocked.Decrement(ref server._busy);
        }
    }
}
