using System.Net;
using Isthmus.Dns.Config;
using Isthmus.Dns.Zones;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Plugins;

/// <summary>Queries other DNS servers, and tries another one when the first does not answer.</summary>
internal sealed class ForwardPlugin(ForwardPlan plan, TimeProvider time, Random random, DnsMetrics metrics, DnsHandler next)
{
    private static readonly TimeSpan GiveUpAfter = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(50);

    private volatile Resolved _resolved = new([], []);
    private int _turn;
    private int _underWay;

    /// <param name="Stamps">When each file was written last.</param>
    private sealed record Resolved(IReadOnlyList<Upstream> Upstreams, IReadOnlyList<DateTime> Stamps);

    internal async ValueTask<DnsReply> AnswerAsync(DnsQuery query, CancellationToken stop)
    {
        if (!DnsName.IsWithin(query.Name, plan.From) || Zone.Match(plan.Except, query.Name) is not null) return await next(query, stop);
        if (plan.MaxConcurrent > 0 && Interlocked.Increment(ref _underWay) > plan.MaxConcurrent)
        {
            Interlocked.Decrement(ref _underWay);
            return Replies.Failure(query, DnsCode.Refused);
        }
        try
        {
            return await ForwardAsync(query, stop);
        }
        finally
        {
            if (plan.MaxConcurrent > 0) Interlocked.Decrement(ref _underWay);
        }
    }

    private async ValueTask<DnsReply> ForwardAsync(DnsQuery query, CancellationToken stop)
    {
        var upstreams = Upstreams();
        var began = time.GetTimestamp();
        var first = First(upstreams.Count);
        var inTurn = Enumerable.Range(0, upstreams.Count).Select(i => upstreams[(first + i) % upstreams.Count]).ToList();
        if (await AskAsync(inTurn.Where(upstream => !upstream.IsDown(plan.MaxFails, plan.HealthCheck)), query, began, stop) is { } answer)
            return Reply(query, answer);
        // A server that is being replaced is back in a moment; a client that receives a failure may not retry.
        for (var pause = AskAgain; time.GetElapsedTime(began) + pause < GiveUpAfter && inTurn.Exists(upstream => upstream.AnsweredLately); pause *= 2)
        {
            await Task.Delay(pause, time, stop);
            if (await AskAsync(inTurn.Where(upstream => upstream.AnsweredLately), query, began, stop) is { } later) return Reply(query, later);
        }
        return Replies.Failure(query, DnsCode.ServerFailure);
    }

    private async ValueTask<DnsMessage?> AskAsync(IEnumerable<Upstream> upstreams, DnsQuery query, long began, CancellationToken stop)
    {
        foreach (var upstream in upstreams)
        {
            if (time.GetElapsedTime(began) > GiveUpAfter) break;
            var answer = await upstream.AskAsync(query.Message, plan.ForceTcp || query.OverTcp, NewId(), stop);
            metrics.Forwarded(answer is null);
            if (answer is not null) return answer;
        }
        return null;
    }

    /// <summary>The ID and question are the client's; flags and records are the other server's.</summary>
    private static DnsReply Reply(DnsQuery query, DnsMessage answer) => new(answer with
    {
        Header = new(query.Message.Header.Id, answer.Header.Flags), Questions = query.Message.Questions,
        Edns = query.Message.Edns is null ? null : new Edns(1232),
    });

    private int First(int count)
    {
        if (count < 2 || plan.Policy == ForwardPolicy.Sequential) return 0;
        if (plan.Policy == ForwardPolicy.RoundRobin) return (int)((uint)Interlocked.Increment(ref _turn) % (uint)count);
        lock (random) return random.Next(count);
    }

    private ushort NewId()
    {
        lock (random) return (ushort)random.Next(65536);
    }

    /// <summary>The servers to ask; files are read again when they change.</summary>
    internal IReadOnlyList<Upstream> Upstreams()
    {
        var stamps = plan.To.Select(target => target.StartsWith('/') ? File.GetLastWriteTimeUtc(target) : DateTime.UnixEpoch).ToList();
        var known = _resolved;
        if (known.Upstreams.Count > 0 && known.Stamps.SequenceEqual(stamps)) return known.Upstreams;
        var made = plan.To.SelectMany(Addresses).Distinct()
            .Select(address => known.Upstreams.FirstOrDefault(upstream => upstream.Address.Equals(address)) ?? new Upstream(address, time)).ToList();
        _resolved = new(made, stamps);
        return made;
    }

    private static IEnumerable<IPEndPoint> Addresses(string target)
    {
        if (!target.StartsWith('/')) return [IPEndPoint.Parse(target)];
        if (!File.Exists(target)) return [];
        return from line in File.ReadLines(target).Take(1000)
               let words = line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)
               where words.Length > 1 && words[0] == "nameserver"
               let address = IPAddress.TryParse(words[1], out var parsed) ? parsed : null
               where address is not null
               select new IPEndPoint(address, 53);
    }
}
