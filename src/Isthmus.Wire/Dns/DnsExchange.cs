using System.Net;
using System.Net.Sockets;

namespace Isthmus.Wire.Dns;

/// <summary>One query to one server, and its response. The caller decides on timeout, retries and server.</summary>
public static class DnsExchange
{
    /// <summary>Waits for the response to this query; anything else that arrives is noise or a forgery.</summary>
    /// <exception cref="SocketException">The server cannot be reached.</exception>
    public static async Task<DnsMessage> OverUdpAsync(IPEndPoint server, DnsMessage query, CancellationToken stop)
    {
        // A separate socket per query: its random port makes forged responses hard (RFC 5452).
        using var socket = new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(server, stop).ConfigureAwait(false);
        await socket.SendAsync(query.ToBytes(), stop).ConfigureAwait(false);
        var buffer = new byte[query.Edns is { UdpSize: > DnsMessage.PlainUdpSize } edns ? edns.UdpSize : DnsMessage.PlainUdpSize];
        while (true)
        {
            var read = await socket.ReceiveAsync(buffer, stop).ConfigureAwait(false);
            if (Accept(query, buffer.AsSpan(0, read)) is { } answer) return answer;
        }
    }

    /// <summary>Null when the server closes the connection without a response, or the response does not match.</summary>
    /// <exception cref="SocketException">The server cannot be reached, or resets the connection.</exception>
    public static async Task<DnsMessage?> OverTcpAsync(IPEndPoint server, DnsMessage query, CancellationToken stop)
    {
        using var socket = new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(server, stop).ConfigureAwait(false);
        await using var stream = new NetworkStream(socket);
        try
        {
            await TcpFraming.WriteAsync(stream, query.ToBytes(), stop).ConfigureAwait(false);
            return await TcpFraming.ReadAsync(stream, stop).ConfigureAwait(false) is { } answer ? Accept(query, answer) : null;
        }
        catch (IOException e) when (e.InnerException is SocketException cause)
        {
            throw new SocketException((int)cause.SocketErrorCode);
        }
    }

    private static DnsMessage? Accept(DnsMessage query, ReadOnlySpan<byte> bytes)
    {
        if (DnsMessage.TryRead(bytes) is not { Header.IsResponse: true } answer || answer.Header.Id != query.Header.Id) return null;
        var same = answer.Questions.Count == 1 && answer.Questions[0].Type == query.Questions[0].Type
            && DnsName.Same(answer.Questions[0].Name, query.Questions[0].Name);
        return same ? answer : null;
    }
}
