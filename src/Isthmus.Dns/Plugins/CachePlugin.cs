using System.Collections.Concurrent;
using Isthmus.Core.Collections;
using Isthmus.Dns.Config;
using Isthmus.Dns.Zones;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Plugins;

/// <summary>Caches answers of other servers for as long as their TTL and the settings allow. Cluster names are never
/// cached: they are in memory anyway, and always fresh.</summary>
internal sealed class CachePlugin(CachePlan plan, TimeProvider time, DnsMetrics metrics, DnsHandler next)
{
    private readonly ConcurrentDictionary<(string Name, DnsType Type, bool Dnssec), Kept> _successes = new();
    private readonly ConcurrentDictionary<(string Name, DnsType Type, bool Dnssec), Kept> _denials = new();

    private sealed record Kept(DnsMessage Message, long Since, TimeSpan Ttl);

    internal ValueTask<DnsReply> AnswerAsync(DnsQuery query, CancellationToken stop)
    {
        if (Zone.Match(plan.Zones, query.Name) is null) return next(query, stop);
        var key = (query.Name, query.Type, query.Message.Edns?.DnssecOk ?? false);
        foreach (var kept in (ReadOnlySpan<ConcurrentDictionary<(string, DnsType, bool), Kept>>)[_successes, _denials])
        {
            if (!kept.TryGetValue(key, out var found)) continue;
            var age = time.GetElapsedTime(found.Since);
            if (age >= found.Ttl)
            {
                if (plan.ServeStale == TimeSpan.Zero) kept.TryRemove(new(key, found));
                continue;
            }
            metrics.CacheHit();
            return new(new DnsReply(Again(query, found.Message, age), Local: true));
        }
        metrics.CacheMiss();
        return AskAsync(query, key, stop);
    }

    private async ValueTask<DnsReply> AskAsync(DnsQuery query, (string Name, DnsType Type, bool Dnssec) key, CancellationToken stop)
    {
        var reply = await next(query, stop);
        if (reply.Local || reply.Message.Header.IsTruncated) return reply;
        if (reply.Message.Header.Code == DnsCode.ServerFailure)
        {
            // Denials too: a resolver that asks for both address families takes a failure of one for a failure of the name.
            if (plan.ServeStale > TimeSpan.Zero && Newest(key) is { } stale && time.GetElapsedTime(stale.Since) < stale.Ttl + plan.ServeStale)
                return new(Again(query, stale.Message, stale.Ttl), Local: true);
            return reply;
        }
        Keep(key, reply.Message);
        return reply;
    }

    private Kept? Newest((string Name, DnsType Type, bool Dnssec) key) => (_successes.GetValueOrDefault(key), _denials.GetValueOrDefault(key)) switch
    {
        ({ } success, { } denial) => success.Since > denial.Since ? success : denial,
        var (success, denial) => success ?? denial,
    };

    private void Keep((string Name, DnsType Type, bool Dnssec) key, DnsMessage message)
    {
        var denial = message.Header.Code == DnsCode.NameError || (message.Header.Code == DnsCode.NoError && message.Answers.IsEmpty);
        if (!denial && message.Header.Code != DnsCode.NoError) return;
        var disabled = denial ? plan.DenialDisabled : plan.SuccessDisabled;
        if (!disabled.IsEmpty && Zone.Match(disabled, key.Name) is not null) return;
        var offered = denial
            ? message.Authorities.Where(record => record.Type == DnsType.SOA).Select(record => Math.Min(record.Ttl, ((AuthorityContent)record.Content).Minimum))
                .DefaultIfEmpty(0u).Min()
            : message.Answers.Select(record => record.Ttl).Min();
        var seconds = Math.Min(Math.Max(offered, (uint)plan.MinimumTtl), (uint)(denial ? plan.DenialTtl : plan.SuccessTtl));
        if (seconds == 0) return;
        var (kept, capacity) = denial ? (_denials, plan.DenialCapacity) : (_successes, plan.SuccessCapacity);
        if (kept.Count >= capacity) MakeRoom(kept);
        kept[key] = new(message, time.GetTimestamp(), TimeSpan.FromSeconds(seconds));
    }

    /// <summary>Drops expired entries; if those are few, some others too.</summary>
    private void MakeRoom(ConcurrentDictionary<(string, DnsType, bool), Kept> kept)
    {
        var before = kept.Count;
        foreach (var pair in kept)
            if (time.GetElapsedTime(pair.Value.Since) >= pair.Value.Ttl + plan.ServeStale) kept.TryRemove(pair);
        if (kept.Count <= before * 9 / 10) return;
        foreach (var pair in kept.Take(Math.Max(1, before / 10))) kept.TryRemove(pair);
    }

    private static DnsMessage Again(DnsQuery query, DnsMessage kept, TimeSpan age)
    {
        var passed = (uint)age.TotalSeconds;
        ValueList<DnsRecord> Age(ValueList<DnsRecord> records) =>
            [.. records.Select(record => record with { Ttl = record.Ttl > passed ? record.Ttl - passed : 0 })];
        // The query's spelling of the name, also where the answer repeats it.
        ValueList<DnsRecord> Spell(ValueList<DnsRecord> records) =>
            [.. records.Select(record => DnsName.Same(record.Name, query.Name) ? record with { Name = query.Question.Name } : record)];
        return query.Message.Answer(kept.Header.Code) with
        {
            Answers = Spell(Age(kept.Answers)), Authorities = Age(kept.Authorities), Additionals = Age(kept.Additionals),
        };
    }
}
