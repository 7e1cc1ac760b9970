using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Net;
using Isthmus.Core.Tasks;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Supervisor;

/// <summary>
/// The HTTP proxy through which the machine reaches the lab: CONNECT for kubectl and TLS, absolute-form requests for plain
/// HTTP. It listens on the machine's loopback (the listener is opened before the namespaces are entered), and dials inside,
/// only addresses of the lab.
/// </summary>
internal sealed partial class OutboundProxy(Socket listener, Cidr allowed, ILogger log)
{
    private const int LongestHead = 32 << 10;
    private static readonly TimeSpan HeadTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan DialTimeout = TimeSpan.FromSeconds(5);

    internal async Task RunAsync(CancellationToken stop)
    {
        var connections = new BackgroundTasks((_, e) => LogBug(e));
        await AcceptAsync(connections, stop);
        await connections.WhenEndedAsync();
    }

    private async Task AcceptAsync(BackgroundTasks connections, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await listener.AcceptAsync(stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException e)
            {
                LogAcceptFailed(e.SocketErrorCode);
                await Task.Delay(TimeSpan.FromMilliseconds(100), CancellationToken.None);
                continue;
            }
            connections.Start("connection", () => ServeAsync(client, stop));
        }
    }

    private async Task ServeAsync(Socket client, CancellationToken stop)
    {
        using var _ = client;
        client.NoDelay = true;
        try
        {
            var (head, rest) = await ReadHeadAsync(client, stop);
            var request = ProxyRequest.Parse(head);
            if (request.Problem is { } problem)
            {
                await RefuseAsync(client, 400, problem, stop);
                return;
            }
            if (!IPAddress.TryParse(request.Host, out var address) || address.AddressFamily != AddressFamily.InterNetwork || !allowed.Contains(address))
            {
                await RefuseAsync(client, 403, $"this proxy reaches only addresses of the lab ({allowed}), not '{request.Host}'", stop);
                return;
            }
            using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            if (await DialAsync(server, new IPEndPoint(address, request.Port), stop) is { } failure)
            {
                await RefuseAsync(client, 502, $"{request.Host}:{request.Port} cannot be reached: {failure}", stop);
                return;
            }
            if (request.IsConnect) await client.SendAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray(), stop);
            else await server.SendAsync(Encoding.Latin1.GetBytes(request.ForwardedHead), stop);
            if (rest.Length > 0) await server.SendAsync(rest, stop);
            await Task.WhenAll(CopyAsync(client, server, stop), CopyAsync(server, client, stop));
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException or InvalidDataException)
        {
            LogConnectionEnded(e.Message);
        }
    }

    private static async Task<(string Head, ReadOnlyMemory<byte> After)> ReadHeadAsync(Socket client, CancellationToken stop)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(HeadTimeout);
        var buffer = new byte[LongestHead];
        var length = 0;
        while (length < buffer.Length)
        {
            var read = await client.ReceiveAsync(buffer.AsMemory(length), patience.Token);
            if (read == 0) throw new InvalidDataException("the client closed the connection before it sent a request");
            length += read;
            var end = buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8);
            if (end >= 0) return (Encoding.Latin1.GetString(buffer, 0, end + 4), buffer.AsMemory(end + 4, length - end - 4));
        }
        throw new InvalidDataException($"the request head is longer than {LongestHead} bytes");
    }

    private static async Task<string?> DialAsync(Socket server, IPEndPoint target, CancellationToken stop)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(DialTimeout);
        try
        {
            await server.ConnectAsync(target, patience.Token);
            return null;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode.ToString();
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return $"no answer within {DialTimeout.TotalSeconds:0} s";
        }
    }

    private static async Task CopyAsync(Socket from, Socket to, CancellationToken stop)
    {
        var buffer = new byte[16 << 10];
        try
        {
            while (await from.ReceiveAsync(buffer, stop) is var read and > 0)
            {
                var sent = 0;
                while (sent < read) sent += await to.SendAsync(buffer.AsMemory(sent, read - sent), stop);
            }
            to.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // One side failed: close the other too, which ends the other direction.
            from.Close();
            to.Close();
        }
        catch (ObjectDisposedException)
        {
            // The other direction ended it.
        }
    }

    private static async Task RefuseAsync(Socket client, int status, string why, CancellationToken stop)
    {
        var reason = status switch { 400 => "Bad Request", 403 => "Forbidden", _ => "Bad Gateway" };
        var body = $"isthmus lab: {why}\n";
        await client.SendAsync(Encoding.UTF8.GetBytes(
            $"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n\r\n{body}"), stop);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The proxy cannot accept a connection: {Error}")]
    private partial void LogAcceptFailed(SocketError error);

    [LoggerMessage(Level = LogLevel.Error, Message = "The proxy: internal error; connection closed")]
    private partial void LogBug(Exception bug);

    [LoggerMessage(Level = LogLevel.Debug, Message = "A connection through the proxy ended: {Error}")]
    private partial void LogConnectionEnded(string error);
}
