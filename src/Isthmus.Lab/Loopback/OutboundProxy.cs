using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Net;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Loopback;

/// <summary>
/// The HTTP proxy through which the machine reaches the lab: CONNECT for kubectl and TLS, absolute-form requests for plain
/// HTTP. It listens on the machine's loopback (the listener is opened before the namespaces are entered), and dials inside,
/// only addresses of the lab.
/// </summary>
internal sealed class OutboundProxy(Socket listener, Cidr allowed, ILogger log)
{
    private const int LongestHead = 32 << 10;
    private static readonly TimeSpan HeadTimeout = TimeSpan.FromSeconds(10);

    internal Task RunAsync(CancellationToken stop) => new Acceptor(listener, "the HTTP proxy", ServeAsync, log).RunAsync(stop);

    private async Task ServeAsync(Socket client, CancellationToken stop)
    {
        client.NoDelay = true;
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
        if (await Relay.DialAsync(server, new IPEndPoint(address, request.Port), stop) is { } failure)
        {
            await RefuseAsync(client, 502, $"{request.Host}:{request.Port} cannot be reached: {failure}", stop);
            return;
        }
        if (request.IsConnect) await client.SendAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray(), stop);
        else await server.SendAsync(Encoding.Latin1.GetBytes(request.ForwardedHead), stop);
        if (rest.Length > 0) await server.SendAsync(rest, stop);
        await Relay.RunAsync(client, server, stop);
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

    private static async Task RefuseAsync(Socket client, int status, string why, CancellationToken stop)
    {
        var reason = status switch { 400 => "Bad Request", 403 => "Forbidden", _ => "Bad Gateway" };
        var body = $"isthmus lab: {why}\n";
        await client.SendAsync(Encoding.UTF8.GetBytes(
            $"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: "
                + $"close\r\n\r\n{body}"),
            stop);
    }
}
