using System.Net;
using Isthmus.Dns.Zones;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Plugins;

/// <summary>One question on its way through the plugins of its zone.</summary>
/// <param name="Name">The name in lower case, without final dot: for lookups. Answers carry the query's spelling.</param>
/// <param name="OverTcp">Whether it came over TCP: it is forwarded the same way.</param>
/// <param name="Depth">How many aliases have been followed so far.</param>
public sealed record DnsQuery(DnsMessage Message, string Name, IPEndPoint Client, bool OverTcp, int Depth = 0)
{
    public DnsQuestion Question => Message.Questions[0];

    public DnsType Type => Question.Type;
}

/// <summary>An answer, and whether to cache it: answers from this server's own memory need no cache.</summary>
public readonly record struct DnsReply(DnsMessage Message, bool Local = false);

/// <summary>Answers a query, or leaves it to the next plugin.</summary>
public delegate ValueTask<DnsReply> DnsHandler(DnsQuery query, CancellationToken stop);

/// <summary>Recurring parts of answers.</summary>
internal static class Replies
{
    internal static DnsReply Failure(DnsQuery query, DnsCode code) => new(query.Message.Answer(code));

    /// <summary>An authoritative answer. Without records it carries the zone's SOA.</summary>
    internal static DnsMessage Authoritative(DnsQuery query, DnsCode code, IEnumerable<DnsRecord> answers, string zone, uint ttl)
    {
        var message = query.Message.Answer(code, authoritative: true);
        message = message with { Answers = [.. answers] };
        return message.Answers.IsEmpty ? message with { Authorities = [Zone.Authority(zone, ttl)] } : message;
    }
}
