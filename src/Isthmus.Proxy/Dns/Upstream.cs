using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Net;
using Isthmus.Wire.Dns;

namespace Isthmus.Proxy.Dns;

/// <summary>Queries other name servers, over sockets that traffic capture ignores.</summary>
internal sealed class Upstream(IReadOnlyList<IPEndPoint> servers, TimeProvider time)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Sends the query unchanged to one server after another; null when none answers.</summary>
    /// <param name="tcp">Query over TCP: the response may have any size.</param>
    public async ValueTask<byte[]?> AskAsync(ReadOnlyMemory<byte> query, bool tcp, CancellationToken stop)
    {
        byte[]? failure = null;
        foreach (var server in servers)
        {
            using var limit = new CancellationTokenSource(Patience, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stop);
            try
            {
                var answer = tcp
                    ? await OverTcpAsync(server, query, either.Token).ConfigureAwait(false)
                    : await OverUdpAsync(server, query, either.Token).ConfigureAwait(false);
                if (answer is null) continue;
                if (DnsHeader.Read(answer).Code is not (DnsCode.ServerFailure or DnsCode.Refused)) return answer;
                // Another server may have a better answer; if not, this one is returned.
                failure = answer;
            }
            catch (SocketException)
            {
            }
            catch (OperationCanceledException) when (!stop.IsCancellationRequested)
            {
            }
        }
        return failure;
    }

    private static async ValueTask<byte[]?> OverUdpAsync(IPEndPoint server, ReadOnlyMemory<byte> query, CancellationToken stop)
    {
        using var socket = MarkedSocket.Datagram(server.AddressFamily);
        // Connected, so that only this server can answer.
        await socket.ConnectAsync(server, stop).ConfigureAwait(false);
        await socket.SendAsync(query, stop).ConfigureAwait(false);
        var buffer = new byte[4096];
        while (true)
        {
            var length = await socket.ReceiveAsync(buffer, stop).ConfigureAwait(false);
            if (IsAnswer(query.Span, buffer.AsSpan(0, length))) return buffer[..length];
        }
    }

    private static async ValueTask<byte[]?> OverTcpAsync(IPEndPoint server, ReadOnlyMemory<byte> query, CancellationToken stop)
    {
        using var socket = MarkedSocket.Stream(server.AddressFamily);
        await socket.ConnectAsync(server, stop).ConfigureAwait(false);
        await using var stream = new NetworkStream(socket);
        try
        {
            await TcpFraming.WriteAsync(stream, query, stop).ConfigureAwait(false);
            var answer = await TcpFraming.ReadAsync(stream, stop).ConfigureAwait(false);
            return answer is not null && IsAnswer(query.Span, answer) ? answer : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static bool IsAnswer(ReadOnlySpan<byte> query, ReadOnlySpan<byte> answer) =>
        answer.Length >= DnsHeader.Size && answer[..2].SequenceEqual(query[..2]) && DnsHeader.Read(answer).IsResponse;
}
