using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Plugins;

/// <summary>Another DNS server: asks it, and remembers when it last failed.</summary>
internal sealed class Upstream(IPEndPoint address, TimeProvider time)
{
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan LongestRest = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan Lately = TimeSpan.FromMinutes(1);

    private readonly Lock _guard = new(); // guards the three below
    private int _fails;
    private long _failedAt;
    private long? _answeredAt;

    internal IPEndPoint Address => address;

    /// <summary>Down after several failures in a row; tried again after a rest that doubles, so that a server that is never there costs little.</summary>
    internal bool IsDown(int maxFails, TimeSpan rest)
    {
        lock (_guard)
        {
            if (maxFails == 0 || _fails < maxFails) return false;
            var longer = TimeSpan.FromTicks(Math.Min(rest.Ticks << Math.Min(_fails - maxFails, 16), LongestRest.Ticks));
            return time.GetElapsedTime(_failedAt) < longer;
        }
    }

    /// <summary>It answered not long ago: if it does not now, it is being replaced rather than gone.</summary>
    internal bool AnsweredLately
    {
        get
        {
            lock (_guard) return _answeredAt is { } at && time.GetElapsedTime(at) < Lately;
        }
    }

    /// <summary>The answer, or null when there was none in time or it was none.</summary>
    internal async ValueTask<DnsMessage?> AskAsync(DnsMessage query, bool tcp, ushort id, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(AnswerWithin);
        var began = time.GetTimestamp();
        try
        {
            var message = query with { Header = DnsHeader.Query(id, query.Header.RecursionDesired) };
            var answer = tcp ? await AskTcpAsync(message, limit.Token) : await AskUdpAsync(message, limit.Token);
            if (answer is null) Failed(began);
            else lock (_guard) (_fails, _answeredAt) = (0, time.GetTimestamp());
            return answer;
        }
        catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            Failed(began);
            return null;
        }
    }

    /// <summary>Many questions that fail together are one failure: only one that began after the last counts anew.</summary>
    private void Failed(long began)
    {
        lock (_guard)
        {
            if (_fails > 0 && began <= _failedAt) return;
            _failedAt = time.GetTimestamp();
            _fails++;
        }
    }

    private async ValueTask<DnsMessage?> AskUdpAsync(DnsMessage query, CancellationToken stop)
    {
        // A socket of its own for each question: its random port is what makes forged answers hard (RFC 5452).
        using var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(address, stop);
        await socket.SendAsync(query.ToBytes(), stop);
        var buffer = new byte[query.Edns is { UdpSize: > DnsMessage.PlainUdpSize } edns ? edns.UdpSize : DnsMessage.PlainUdpSize];
        while (true)
        {
            var read = await socket.ReceiveAsync(buffer, stop);
            // Anything else than the answer to this very question is noise, or an attempt.
            if (Accept(query, buffer.AsSpan(0, read)) is { } answer) return answer;
        }
    }

    private async ValueTask<DnsMessage?> AskTcpAsync(DnsMessage query, CancellationToken stop)
    {
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(address, stop);
        var bytes = query.ToBytes();
        var framed = new byte[bytes.Length + 2];
        BinaryPrimitives.WriteUInt16BigEndian(framed, (ushort)bytes.Length);
        bytes.CopyTo(framed, 2);
        await SendAllAsync(socket, framed, stop);
        var length = new byte[2];
        if (!await ReadAllAsync(socket, length, stop)) return null;
        var answer = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
        return await ReadAllAsync(socket, answer, stop) ? Accept(query, answer) : null;
    }

    private static DnsMessage? Accept(DnsMessage query, ReadOnlySpan<byte> bytes)
    {
        if (DnsMessage.TryRead(bytes) is not { Header.IsResponse: true } answer || answer.Header.Id != query.Header.Id) return null;
        var same = answer.Questions.Count == 1 && answer.Questions[0].Type == query.Questions[0].Type && DnsName.Same(answer.Questions[0].Name, query.Questions[0].Name);
        return same ? answer : null;
    }

    private static async ValueTask SendAllAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, stop)..];
    }

    internal static async ValueTask<bool> ReadAllAsync(Socket socket, Memory<byte> into, CancellationToken stop)
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
