using System.Net;
using System.Net.Sockets;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Plugins;

/// <summary>Another DNS server: queries it, and remembers its failures.</summary>
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

    /// <summary>Down after several failures in a row; tried again after a rest that doubles, so that a server that is never
    /// there costs little.</summary>
    internal bool IsDown(int maxFails, TimeSpan rest)
    {
        lock (_guard)
        {
            if (maxFails == 0 || _fails < maxFails) return false;
            var longer = TimeSpan.FromTicks(Math.Min(rest.Ticks << Math.Min(_fails - maxFails, 16), LongestRest.Ticks));
            return time.GetElapsedTime(_failedAt) < longer;
        }
    }

    /// <summary>It answered recently: if it does not now, it is probably being replaced rather than gone.</summary>
    internal bool AnsweredLately
    {
        get
        {
            lock (_guard) return _answeredAt is { } at && time.GetElapsedTime(at) < Lately;
        }
    }

    /// <summary>The answer; null when there was none in time or it was malformed.</summary>
    internal async ValueTask<DnsMessage?> AskAsync(DnsMessage query, bool tcp, ushort id, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(AnswerWithin);
        var began = time.GetTimestamp();
        try
        {
            var message = query with { Header = DnsHeader.Query(id, query.Header.RecursionDesired) };
            var answer = tcp ? await DnsExchange.OverTcpAsync(address, message, limit.Token) : await DnsExchange.OverUdpAsync(address, message, limit.Token);
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

    /// <summary>Queries that fail together are one failure: only a query that started after the last failure counts again.</summary>
    private void Failed(long began)
    {
        lock (_guard)
        {
            if (_fails > 0 && began <= _failedAt) return;
            _failedAt = time.GetTimestamp();
            _fails++;
        }
    }
}
