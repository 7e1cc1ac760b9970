using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Isthmus.Bench;

/// <summary>Servers and clients that do as little as possible, so that the program between them dominates the
/// measurement.</summary>
internal static class Traffic
{
    private static readonly byte[] Request = Encoding.ASCII.GetBytes("GET /hello HTTP/1.1\r\nhost: bench.local\r\nuser-agent: bench\r\naccept: */*\r\n\r\n");
    private static readonly byte[] Answer = Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\n" + new string('x', 100));
    private static readonly byte[] Block = new byte[64 * 1024];

    /// <summary>Answers every request on persistent connections.</summary>
    internal static Task<int> HttpServer(CancellationToken stop) => Serve(async socket =>
    {
        var buffer = new byte[8192];
        var filled = 0;
        while (true)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(filled), stop);
            if (read == 0) return;
            filled += read;
            while (buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8) is >= 0 and var end)
            {
                buffer.AsSpan(end + 4, filled - end - 4).CopyTo(buffer);
                filled -= end + 4;
                await socket.SendAsync(Answer, stop);
            }
        }
    }, stop);

    /// <summary>Waits for the first bytes, then sends until the other side has enough.</summary>
    internal static Task<int> ByteServer(CancellationToken stop) => Serve(async socket =>
    {
        if (await socket.ReceiveAsync(new byte[8192], stop) == 0) return;
        while (true) await socket.SendAsync(Block, stop);
    }, stop);

    /// <summary>Requests per second over a number of connections, one request at a time on each.</summary>
    internal static Task<double> RequestsPerSecond(int port, int connections, TimeSpan warmUp, TimeSpan duration) => CountAsync(port, connections, warmUp, duration, async (socket, buffer) =>
    {
        await socket.SendAsync(Request);
        var filled = 0;
        while (true)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(filled));
            if (read == 0) throw new IOException("the connection was closed");
            filled += read;
            var head = buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8);
            if (head < 0 || filled < head + 4 + 100) continue;
            if (!buffer.AsSpan(0, filled).StartsWith("HTTP/1.1 200 "u8)) throw new IOException(Encoding.ASCII.GetString(buffer, 0, Math.Min(filled, 40)));
            return 1;
        }
    });

    /// <summary>Bytes per second that arrive behind a TLS hello. The bytes after the hello are not TLS: a proxy in
    /// between must not care.</summary>
    internal static async Task<double> BytesPerSecond(int port, int connections, string name, string protocol, TimeSpan warmUp, TimeSpan duration)
    {
        var hello = await HelloAsync(name, protocol);
        return await CountAsync(port, connections, warmUp, duration, async (socket, buffer) =>
        {
            var read = await socket.ReceiveAsync(buffer);
            return read > 0 ? read : throw new IOException("the connection was closed");
        }, socket => socket.SendAsync(hello));
    }

    private static async Task<double> CountAsync(int port, int connections, TimeSpan warmUp, TimeSpan duration, Func<Socket, byte[], Task<int>> once, Func<Socket, Task>? first = null)
    {
        var (from, until) = (Stopwatch.GetTimestamp() + warmUp.Ticks * (Stopwatch.Frequency / TimeSpan.TicksPerSecond), 0L);
        until = from + duration.Ticks * (Stopwatch.Frequency / TimeSpan.TicksPerSecond);
        var counts = await Task.WhenAll(Enumerable.Range(0, connections).Select(_ => Task.Run(async () =>
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(IPAddress.Loopback, port);
            if (first is not null) await first(socket);
            var buffer = new byte[128 * 1024];
            long count = 0;
            while (Stopwatch.GetTimestamp() is var now && now < until)
            {
                var made = await once(socket, buffer);
                if (now >= from) count += made;
            }
            return count;
        })));
        return counts.Sum() / duration.TotalSeconds;
    }

    /// <summary>The first bytes that a TLS client sends.</summary>
    private static async Task<byte[]> HelloAsync(string name, string protocol)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        using var accepted = await listener.AcceptSocketAsync();
        await using var tls = new SslStream(client.GetStream());
        _ = tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = name, ApplicationProtocols = [new(protocol)] })
            .ContinueWith(ended => _ = ended.Exception, TaskScheduler.Default); // It is never answered.
        var buffer = new byte[16 * 1024];
        var length = await accepted.ReceiveAsync(buffer);
        return buffer[..length];
    }

    private static Task<int> Serve(Func<Socket, Task> handle, CancellationToken stop)
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start(1024);
        _ = Task.Run(async () =>
        {
            while (true)
            {
                var socket = await listener.AcceptSocketAsync(stop);
                socket.NoDelay = true;
                _ = Task.Run(async () =>
                {
                    using (socket)
                    {
                        try { await handle(socket); }
                        catch (Exception e) when (e is SocketException or OperationCanceledException) { } // The client has enough.
                    }
                }, stop);
            }
        }, stop);
        return Task.FromResult(((IPEndPoint)listener.LocalEndpoint).Port);
    }
}
