using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Isthmus.Dns.Plugins;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Server;

/// <summary>Receives queries over UDP and TCP at one address. Dedicated threads block on the UDP socket: twice as fast as
/// the pool.</summary>
internal sealed class DnsListener : IAsyncDisposable
{
    private const int MaxConnections = 1000;
    private const int UdpThreads = 2;
    private const int MostAttempts = 100;
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(10);

    private readonly Socket _udp;
    private readonly Socket _tcp;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _connections = new(MaxConnections);
    private readonly List<Thread> _threads = [];
    private readonly Action<string> _log;
    private Task _accepting = Task.CompletedTask;

    /// <summary>Who answers; replaced as a whole when the Corefile changes.</summary>
    internal volatile DnsHandler Handler;

    /// <exception cref="SocketException">The port is in use or not permitted.</exception>
    internal DnsListener(IPEndPoint address, DnsHandler handler, Action<string> log)
    {
        (Handler, _log) = (handler, log);
        (_udp, _tcp) = Bind(new IPEndPoint(address.Address.MapToIPv6(), address.Port));
        Port = ((IPEndPoint)_udp.LocalEndPoint!).Port;
    }

    /// <summary>Both protocols at one port. A port that the kernel chooses for UDP may be in use over TCP: then it chooses again.</summary>
    private static (Socket Udp, Socket Tcp) Bind(IPEndPoint address)
    {
        for (var attempt = 1; ; attempt++)
        {
            var udp = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp) { DualMode = true, ReceiveBufferSize = 1024 * 1024 };
            var tcp = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
            try
            {
                udp.Bind(address);
                tcp.Bind(udp.LocalEndPoint!);
                tcp.Listen(512);
                return (udp, tcp);
            }
            catch (SocketException e)
            {
                udp.Dispose();
                tcp.Dispose();
                if (e.SocketErrorCode != SocketError.AddressAlreadyInUse || address.Port != 0 || attempt == MostAttempts) throw;
            }
        }
    }

    internal int Port { get; }

    internal void Start()
    {
        for (var i = 0; i < UdpThreads; i++)
        {
            var thread = new Thread(ReceiveLoop) { IsBackground = true, Name = $"dns-udp-{i}" };
            thread.Start();
            _threads.Add(thread);
        }
        _accepting = AcceptAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        // Only a shutdown wakes a thread that blocks in receive.
        try { _udp.Shutdown(SocketShutdown.Both); }
        catch (SocketException) { /* not connected: the call wakes the threads all the same */ }
        _udp.Dispose();
        _tcp.Dispose();
        await _accepting;
        foreach (var thread in _threads) thread.Join(TimeSpan.FromSeconds(1));
        _connections.Dispose();
        _stop.Dispose();
    }

    private void ReceiveLoop()
    {
        var buffer = new byte[DnsMessage.MaxSize];
        var output = new byte[DnsMessage.MaxSize];
        var sender = new SocketAddress(AddressFamily.InterNetworkV6);
        var template = new IPEndPoint(IPAddress.IPv6Any, 0);
        while (!_stop.IsCancellationRequested)
        {
            int read;
            try
            {
                read = _udp.ReceiveFrom(buffer, SocketFlags.None, sender);
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // An earlier response bounced, or the socket is being closed.
                continue;
            }
            if (read == 0 || Parse(buffer.AsSpan(0, read)) is not { } message) continue;
            var client = (IPEndPoint)template.Create(sender);
            var pending = AnswerAsync(message, Plain(client), overTcp: false);
            if (pending.IsCompletedSuccessfully) Send(pending.Result, message, output, sender);
            // AnswerAsync and Send catch everything, and the stop of the server ends them.
            else _ = SendLaterAsync(pending, message, client);
        }
    }

    private void Send(DnsMessage answer, DnsMessage query, byte[] output, SocketAddress to)
    {
        try
        {
            _udp.SendTo(output.AsSpan(0, Write(answer, query, output)), SocketFlags.None, to);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client is gone, or the server is stopping: the client will retry.
        }
        catch (Exception bug)
        {
            // A bug ends only this query, not the thread that receives.
            _log($"[ERROR] {query.Questions[0].Name}. {query.Questions[0].Type}: {bug}");
        }
    }

    private async Task SendLaterAsync(ValueTask<DnsMessage> pending, DnsMessage query, IPEndPoint client)
    {
        var answer = await pending;
        Send(answer, query, new byte[UdpLimit(query)], client.Serialize());
    }

    private static int UdpLimit(DnsMessage query) => Math.Max(DnsMessage.PlainUdpSize, Math.Min((int)(query.Edns?.UdpSize ?? 0), 4096));

    private static int Write(DnsMessage answer, DnsMessage query, byte[] output) => answer.Write(output, Math.Min(output.Length, UdpLimit(query)));

    /// <summary>A query with one question; null for messages that get no response.</summary>
    private static DnsMessage? Parse(ReadOnlySpan<byte> bytes) =>
        DnsHeader.IsPlainQuery(bytes) ? DnsMessage.TryRead(bytes) is { Questions.Count: 1 } message ? message : null : null;

    private async ValueTask<DnsMessage> AnswerAsync(DnsMessage message, IPEndPoint client, bool overTcp)
    {
        var question = message.Questions[0];
        if (question.Class is not (DnsQuestion.Internet or 255)) return message.Answer(DnsCode.Refused);
        var query = new DnsQuery(message, question.Name.ToLowerInvariant(), client, overTcp);
        try
        {
            return (await Handler(query, _stop.Token)).Message;
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            return message.Answer(DnsCode.ServerFailure);
        }
        catch (Exception bug)
        {
            // A bug ends only this query.
            _log($"[ERROR] {question.Name}. {question.Type}: {bug}");
            return message.Answer(DnsCode.ServerFailure);
        }
    }

    private async Task AcceptAsync()
    {
        var serving = new HashSet<Task>();
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await _connections.WaitAsync(_stop.Token);
                var socket = await _tcp.AcceptAsync(_stop.Token);
                serving.RemoveWhere(task => task.IsCompleted);
                serving.Add(ServeAsync(socket));
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                break;
            }
            catch (SocketException)
            {
                // The client gave up before it was accepted.
                _connections.Release();
                await Task.Yield();
            }
        }
        await Task.WhenAll(serving);
    }

    private async Task ServeAsync(Socket socket)
    {
        using var owned = socket;
        try
        {
            var client = Plain((IPEndPoint)socket.RemoteEndPoint!);
            var length = new byte[2];
            while (true)
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
                limit.CancelAfter(IdleTimeout);
                if (!await ReadAllAsync(socket, length, limit.Token)) return;
                var bytes = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
                if (!await ReadAllAsync(socket, bytes, limit.Token) || Parse(bytes) is not { } message) return;
                var answer = (await AnswerAsync(message, client, overTcp: true)).ToBytes();
                var framed = new byte[answer.Length + 2];
                BinaryPrimitives.WriteUInt16BigEndian(framed, (ushort)answer.Length);
                answer.CopyTo(framed, 2);
                for (ReadOnlyMemory<byte> rest = framed; rest.Length > 0;) rest = rest[await socket.SendAsync(rest, _stop.Token)..];
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // Gone or too slow.
        }
        finally
        {
            if (!_stop.IsCancellationRequested) _connections.Release();
        }
    }

    private static IPEndPoint Plain(IPEndPoint client) => client.Address.IsIPv4MappedToIPv6 ? new(client.Address.MapToIPv4(), client.Port) : client;

    private static async ValueTask<bool> ReadAllAsync(Socket socket, Memory<byte> into, CancellationToken stop)
    {
        while (into.Length > 0)
        {
            var read = await socket.ReceiveAsync(into, stop);
            if (read == 0) return false;
            into = into[read..];
        }
        return true;
    }
}
