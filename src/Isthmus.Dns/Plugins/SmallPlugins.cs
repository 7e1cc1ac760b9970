using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Dns.Cluster;
using Isthmus.Dns.Config;
using Isthmus.Dns.Zones;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Plugins;

/// <summary>Rotates the addresses randomly, to spread clients that take the first.</summary>
internal sealed class LoadBalancePlugin(Random random, DnsHandler next)
{
    internal ValueTask<DnsReply> AnswerAsync(DnsQuery query, CancellationToken stop)
    {
        var pending = next(query, stop);
        return pending.IsCompletedSuccessfully ? new(Turn(pending.Result)) : AwaitAsync(pending);
    }

    private async ValueTask<DnsReply> AwaitAsync(ValueTask<DnsReply> pending) => Turn(await pending);

    private DnsReply Turn(DnsReply reply)
    {
        var answers = reply.Message.Answers;
        var addresses = answers.Count(record => record.Type is DnsType.A or DnsType.AAAA);
        if (addresses < 2) return reply;
        var turned = answers.Where(record => record.Type is DnsType.A or DnsType.AAAA).ToArray();
        // Queries come from several threads, and Random is for one.
        lock (random) random.Shuffle(turned);
        return reply with
        {
            Message = reply.Message with { Answers = [.. answers.Where(record => record.Type is not (DnsType.A or DnsType.AAAA)), .. turned] }
        };
    }
}

/// <summary>Omits the optional sections.</summary>
internal sealed class MinimalPlugin(DnsHandler next)
{
    internal async ValueTask<DnsReply> AnswerAsync(DnsQuery query, CancellationToken stop)
    {
        var reply = await next(query, stop);
        return reply.Message.Answers.IsEmpty ? reply : reply with { Message = reply.Message with { Authorities = [], Additionals = [] } };
    }
}

/// <summary>Answers every query with the address and port of whoever asks, in the additional section.</summary>
internal static class WhoamiPlugin
{
    internal static ValueTask<DnsReply> AnswerAsync(DnsQuery query, CancellationToken stop)
    {
        var (name, client) = (query.Question.Name, query.Client.Address.IsIPv4MappedToIPv6 ? query.Client.Address.MapToIPv4() : query.Client.Address);
        var service = $"_{(query.OverTcp ? "tcp" : "udp")}.{name}";
        var message = query.Message.Answer(DnsCode.NoError, authoritative: true) with
        {
            Additionals = [new(name, 0, new AddressContent(client)), new(service, 0, new ServiceContent(0, 0, (ushort)query.Client.Port, ""))],
        };
        return new(new DnsReply(message, Local: true));
    }
}

/// <summary>Answers from a file like /etc/hosts, and from lines in the Corefile.</summary>
internal sealed class HostsPlugin(HostsPlan plan, DnsHandler next)
{
    private const int MaxFile = 4 * 1024 * 1024;
    private volatile Table _table = new(default, [], []);

    private sealed record Table(DateTime Written, Dictionary<string, List<IPAddress>> Addresses, Dictionary<IPAddress, List<string>> Names);

    internal ValueTask<DnsReply> AnswerAsync(DnsQuery query, CancellationToken stop)
    {
        if (Zone.Match(plan.Zones, query.Name) is not { } zone) return next(query, stop);
        var table = Fresh();
        var name = query.Question.Name;
        var records = query.Type switch
        {
            DnsType.PTR when ReverseName.Address(query.Name) is { } address && table.Names.TryGetValue(address, out var names) =>
                names.Select(target => new DnsRecord(name, plan.Ttl, new NameContent(DnsType.PTR, target))),
            DnsType.A or DnsType.AAAA when table.Addresses.TryGetValue(query.Name, out var addresses) =>
                addresses.Select(address => new DnsRecord(name, plan.Ttl, new AddressContent(address))).Where(record => record.Type == query.Type),
            _ => [],
        };
        var answers = records.ToList();
        if (answers.Count > 0) return new(new DnsReply(Replies.Authoritative(query, DnsCode.NoError, answers, zone, plan.Ttl), Local: true));
        if (table.Addresses.ContainsKey(query.Name) && query.Type is DnsType.A or DnsType.AAAA)
            return new(new DnsReply(Replies.Authoritative(query, DnsCode.NoError, [], zone, plan.Ttl), Local: true));
        if (plan.Fallthrough is null || plan.Fallthrough is { IsEmpty: false } through && Zone.Match(through, query.Name) is null)
            return new(new DnsReply(Replies.Authoritative(query, DnsCode.NameError, [], zone, plan.Ttl), Local: true));
        return next(query, stop);
    }

    private Table Fresh()
    {
        var written = plan.File is { } file && File.Exists(file) ? File.GetLastWriteTimeUtc(file) : DateTime.UnixEpoch;
        if (_table.Written == written) return _table;
        var lines = plan.Inline.ToList();
        if (plan.File is { } path && new FileInfo(path) is { Exists: true, Length: < MaxFile }) lines.AddRange(File.ReadLines(path));
        return _table = Read(written, lines);
    }

    private static Table Read(DateTime written, List<string> lines)
    {
        var table = new Table(written, new(StringComparer.Ordinal), []);
        foreach (var line in lines)
        {
            var words = line.Split('#')[0].Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 2 || !IPAddress.TryParse(words[0], out var address)) continue;
            foreach (var word in words.Skip(1))
            {
                if (CorefileValues.Zone(word) is not { } name) continue;
                (table.Addresses.TryGetValue(name, out var addresses) ? addresses : table.Addresses[name] = []).Add(address);
                (table.Names.TryGetValue(address, out var names) ? names : table.Names[address] = []).Add(name);
            }
        }
        return table;
    }
}
