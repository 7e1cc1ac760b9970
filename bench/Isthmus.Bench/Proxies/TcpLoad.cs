using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace Isthmus.Bench.Proxies;

/// <summary>Servers and clients of connections that are passed through. They do as little as possible. The bytes after the hello are not
/// TLS: a proxy in between must not care.</summary>
internal static class TcpLoad
{
    private const int AnswerBytes = 100;

    private static readonly byte[] Block = new byte[256 * 1024];

    /// <summary>Waits for the first bytes, then sends until the other side has enough.</summary>
    internal static string StartByteServer(CancellationToken stop) => Serve(async socket =>
    {
        if (await socket.ReceiveAsync(new byte[8192], stop) == 0) return;
        while (true) await socket.SendAsync(Block, stop);
    }, stop);

    /// <summary>Waits for the first bytes, then answers with a few and closes the connection.</summary>
    internal static string StartAnswerServer(CancellationToken stop) => Serve(async socket =>
    {
        if (await socket.ReceiveAsync(new byte[8192], stop) == 0) return;
        await socket.SendAsync(Block.AsMemory(0, AnswerBytes), stop);
        socket.Shutdown(SocketShutdown.Both);
    }, stop);

    /// <summary>Bytes that arrive behind a hello on some connections.</summary>
    internal static async Task<LoadResult> BytesAsync(int port, byte[] hello, int connections, TimeSpan duration)
    {
        var begun = Stopwatch.GetTimestamp();
        var counts = await Task.WhenAll(Enumerable.Range(0, connections).Select(_ => Task.Run(async () =>
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(IPAddress.Loopback, port);
            await socket.SendAsync(hello);
            var buffer = new byte[Block.Length];
            var count = 0L;
            while (Stopwatch.GetElapsedTime(begun) < duration)
            {
                var read = await socket.ReceiveAsync(buffer);
                count += read > 0 ? read : throw new IOException("the connection was closed");
            }
            return count;
        })));
        return new(counts.Sum(), Stopwatch.GetElapsedTime(begun), null, null);
    }

    /// <summary>New connections, some at a time: each sends a hello and gets an answer.</summary>
    internal static async Task<LoadResult> ConnectionsAsync(int port, byte[] hello, int atATime, TimeSpan duration)
    {
        var begun = Stopwatch.GetTimestamp();
        var times = await Task.WhenAll(Enumerable.Range(0, atATime).Select(_ => Task.Run(async () =>
        {
            var own = new List<double>();
            var buffer = new byte[1024];
            while (Stopwatch.GetElapsedTime(begun) < duration)
            {
                var started = Stopwatch.GetTimestamp();
                using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                await socket.ConnectAsync(IPAddress.Loopback, port);
                await socket.SendAsync(hello);
                var received = 0;
                // Until the server closes it, so that no port of a client is left in TIME_WAIT.
                while (await socket.ReceiveAsync(buffer) is > 0 and var read) received += read;
                if (received != AnswerBytes) throw new IOException($"{received} bytes instead of {AnswerBytes}");
                own.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
            return own;
        })));
        List<double> all = [.. times.SelectMany(own => own)];
        return new(all.Count, Stopwatch.GetElapsedTime(begun), Quantiles.Of(all, 0.5), Quantiles.Of(all, 0.99));
    }

    /// <summary>The first bytes that a TLS client sends.</summary>
    internal static async Task<byte[]> HelloAsync(string name, string protocol)
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

    private static string Serve(Func<Socket, Task> handle, CancellationToken stop)
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
        return listener.LocalEndpoint.ToString()!;
    }
}
