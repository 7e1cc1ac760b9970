using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using Isthmus.Core.Problems;
using Isthmus.Core.Tasks;
using Isthmus.Wire.Dns;

namespace Isthmus.Proxy.Dns;

/// <summary>The sidecar's name server, UDP and TCP: it answers names of the mesh from the table and forwards all others to
/// the servers in resolv.conf.</summary>
/// <param name="failed">Receives a failure of a forwarded query.</param>
internal sealed class DnsProxy(IPEndPoint address, Upstream upstream, TimeProvider time, Random random, Action<string, Exception> failed)
{
    private const int MaxForwards = 512, MaxConnections = 64;
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(10);

    private readonly SemaphoreSlim _forwards = new(MaxForwards), _connections = new(MaxConnections);
    private readonly BackgroundTasks _forwarding = new(failed);
    private volatile NameTables? _table;
    private long _answered, _forwarded, _dropped;

    /// <summary>The table in use; null until the first has come.</summary>
    public NameTables? Table
    {
        get => _table;
        set => _table = value;
    }

    /// <summary>Queries answered from the table, forwarded, and dropped because too many were waiting.</summary>
    public (long Answered, long Forwarded, long Dropped) Counts =>
        (Interlocked.Read(ref _answered), Interlocked.Read(ref _forwarded), Interlocked.Read(ref _dropped));

    /// <summary>Serves until <paramref name="stop"/>.</summary>
    /// <exception cref="ProblemException">The address is in use.</exception>
    public async Task RunAsync(CancellationToken stop)
    {
        if (!OperatingSystem.IsLinux()) throw new PlatformNotSupportedException("the DNS proxy needs Linux");
        using var udp = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        using var tcp = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            tcp.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            udp.Bind(address);
            tcp.Bind(address);
            tcp.Listen(64);
        }
        catch (SocketException e)
        {
            throw new ProblemException($"port {address.Port}", $"the DNS proxy cannot listen on {address}: {e.Message}",
                "stop the program that uses it, or turn DNS capture off", e);
        }
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        // A dedicated thread answers in half the time of the shared pool.
        new Thread(() =>
        {
            if (OperatingSystem.IsLinux()) ServeUdp(udp, done, stop);
        }) { IsBackground = true, Name = "dns" }.Start();
        using var closing = stop.Register(udp.Close);
        await AcceptAsync(tcp, stop).ConfigureAwait(false);
        await done.Task.ConfigureAwait(false);
        await _forwarding.WhenEndedAsync().ConfigureAwait(false);
    }

    [SupportedOSPlatform("linux")]
    private void ServeUdp(Socket socket, TaskCompletionSource done, CancellationToken stop)
    {
        using var burst = new DatagramBurst(socket);
        var own = new Random(random.Next());
        try
        {
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    var count = burst.Receive();
                    for (var i = 0; i < count; i++) AnswerUdp(socket, burst, i, own, stop);
                    burst.Send();
                }
                // A client that went away shows up as an error of the next call; other clients still wait.
                catch (SocketException) when (!stop.IsCancellationRequested)
                {
                }
            }
            done.TrySetResult();
        }
        catch (Exception e) when (e is ObjectDisposedException or SocketException && stop.IsCancellationRequested)
        {
            done.TrySetResult();
        }
#pragma warning disable CA1031 // The thread's outermost frame: passes the failure to the code that awaits the server.
        catch (Exception e)
#pragma warning restore CA1031
        {
            done.TrySetException(e);
        }
    }

    [SupportedOSPlatform("linux")]
    private void AnswerUdp(Socket socket, DatagramBurst burst, int index, Random own, CancellationToken stop)
    {
        var decision = DnsResponder.Answer(burst[index], _table, udp: true, own, burst.Room, out var length);
        if (decision == DnsDecision.Forward) Forward(socket, burst[index].ToArray(), burst.From(index), stop);
        else if (decision == DnsDecision.Answered)
        {
            Interlocked.Increment(ref _answered);
            burst.Answer(index, length);
        }
    }

    private void Forward(Socket socket, byte[] query, SocketAddress from, CancellationToken stop)
    {
        if (!_forwards.Wait(0))
        {
            Interlocked.Increment(ref _dropped);
            return;
        }
        Interlocked.Increment(ref _forwarded);
        _forwarding.Start("DNS query to an upstream server", async () =>
        {
            try
            {
                if (await upstream.AskAsync(query, tcp: false, stop).ConfigureAwait(false) is { } answer)
                    socket.SendTo(answer, SocketFlags.None, from);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                // The client is gone, or the server stops.
            }
            finally
            {
                _forwards.Release();
            }
        });
    }

    private async Task AcceptAsync(Socket listener, CancellationToken stop)
    {
        var open = new List<Task>();
        try
        {
            while (true)
            {
                await _connections.WaitAsync(stop).ConfigureAwait(false);
                var socket = await listener.AcceptAsync(stop).ConfigureAwait(false);
                open.RemoveAll(t => t.IsCompleted);
                open.Add(ServeTcpAsync(socket, stop));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(open).ConfigureAwait(false);
        }
    }

    private async Task ServeTcpAsync(Socket socket, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        try
        {
            await using var stream = new NetworkStream(socket, ownsSocket: true);
            using var idle = time.CreateTimer(_ => limit.Cancel(), null, Idle, Timeout.InfiniteTimeSpan);
            while (await TcpFraming.ReadAsync(stream, limit.Token).ConfigureAwait(false) is { } query)
            {
                idle.Change(Idle, Timeout.InfiniteTimeSpan);
                if (await AnswerTcpAsync(query, limit.Token).ConfigureAwait(false) is not { } answer) break;
                await TcpFraming.WriteAsync(stream, answer, limit.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or SocketException)
        {
            // The client is gone or too slow.
        }
        finally
        {
            _connections.Release();
        }
    }

    private async ValueTask<ReadOnlyMemory<byte>?> AnswerTcpAsync(byte[] query, CancellationToken stop)
    {
        var buffer = new byte[16 * 1024];
        switch (DnsResponder.Answer(query, _table, udp: false, random, buffer, out var length))
        {
            case DnsDecision.Answered:
                Interlocked.Increment(ref _answered);
                return buffer.AsMemory(0, length);
            case DnsDecision.Forward:
                Interlocked.Increment(ref _forwarded);
                return await upstream.AskAsync(query, tcp: true, stop).ConfigureAwait(false) is { } answer ? answer : null;
            default:
                return null;
        }
    }
}
