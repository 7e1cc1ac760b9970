using Isthmus.Dns.Cluster;
using Isthmus.Dns.Config;
using Isthmus.Dns.Zones;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Plugins;

/// <summary>Answers names of the cluster from memory.</summary>
internal sealed class KubernetesPlugin(KubernetesPlan plan, ClusterSource source, DnsHandler ask, DnsHandler next)
{
    /// <summary>Limits chains of aliases.</summary>
    private const int MaxDepth = 8;

    internal ValueTask<DnsReply> AnswerAsync(DnsQuery query, CancellationToken stop)
    {
        if (Zone.Match(plan.Zones, query.Name) is not { } zone) return next(query, stop);
        // Before the first list, "does not exist" would be wrong, and clients would cache it.
        var ofSet = plan.SetZones.Contains(zone);
        if (!source.IsReadFor(ofSet)) return new(Replies.Failure(query, DnsCode.ServerFailure));
        var found = ofSet
            ? source.SetNames.Find(zone, query.Name, query.Question.Name, query.Type)
            : source.Names.Find(zone, query.Name, query.Question.Name, query.Type);
        if (found is not { } answer)
        {
            if (plan.Fallthrough is { } through && (through.IsEmpty || Zone.Match(through, query.Name) is not null)) return next(query, stop);
            return new(new DnsReply(Replies.Authoritative(query, DnsCode.NameError, [], zone, plan.Ttl), Local: true));
        }
        if (answer.Alias is not null) return FollowAsync(query, answer, zone, stop);
        var message = Replies.Authoritative(query, DnsCode.NoError, answer.Answers, zone, plan.Ttl);
        return new(new DnsReply(message with { Additionals = [.. answer.Additionals] }, Local: true));
    }

    private async ValueTask<DnsReply> FollowAsync(DnsQuery query, ClusterAnswer answer, string zone, CancellationToken stop)
    {
        var message = Replies.Authoritative(query, DnsCode.NoError, answer.Answers, zone, plan.Ttl);
        if (query.Depth >= MaxDepth) return new(message, Local: true);
        var question = new DnsQuestion(answer.Alias!, query.Type);
        var onward = query with { Message = query.Message with { Questions = [question] }, Name = answer.Alias!.ToLowerInvariant(), Depth = query.Depth + 1 };
        var target = await ask(onward, stop);
        return new(message with { Answers = [.. message.Answers, .. target.Message.Answers] }, Local: true);
    }
}
