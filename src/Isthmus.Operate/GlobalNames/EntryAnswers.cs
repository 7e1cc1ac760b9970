using Isthmus.Dns.Plugins;
using Isthmus.Dns.Zones;
using Isthmus.Wire.Dns;

namespace Isthmus.Operate.GlobalNames;

/// <summary>Answers DNS messages from the current table, and logs each query as istio-coredns-plugin does.</summary>
public sealed class EntryAnswers(Action<string> log)
{
    /// <summary>Seconds. Istio's plugin used an hour; clients should not miss a changed address for that long.</summary>
    private const uint Ttl = 30;

    /// <summary>Seconds to cache a denial: users create the entry because the name was missing.</summary>
    private const uint DenialTtl = 5;

    private volatile EntryTable? _table;

    /// <summary>Replaces the table and logs what is new.</summary>
    public void Update(EntryTable table)
    {
        foreach (var line in table.NewsSince(_table ?? EntryTable.Empty)) log(line);
        _table = table;
    }

    public DnsMessage Answer(DnsMessage query)
    {
        if (query.Questions.Count != 1 || query.Header.IsResponse) return query.Answer(DnsCode.FormatError);
        var question = query.Questions[0];
        var name = question.Name.ToLowerInvariant();
        // Before the first list nothing is known, and a denial would be cached.
        if (_table is not { } table) return query.Answer(DnsCode.ServerFailure);
        var addresses = table.Find(name);
        if (question.Type == DnsType.A) log($"Query A record: {question.Name}.->{(addresses is { } found ? EntryTable.Print(found) : "[]")}");
        if (addresses is null)
        {
            log("Could not find the service requested");
            return Denial(query, DnsCode.NameError);
        }
        // The name exists: a query for another type must not deny the whole name.
        if (question.Type is not (DnsType.A or DnsType.ANY)) return Denial(query, DnsCode.NoError);
        return query.Answer(DnsCode.NoError, authoritative: true) with
        {
            Answers = [.. addresses.Value.Select(address => new DnsRecord(question.Name, Ttl, new AddressContent(address)))],
        };
    }

    private static DnsMessage Denial(DnsMessage query, DnsCode code)
    {
        var name = query.Questions[0].Name;
        var zone = name[(name.LastIndexOf('.') + 1)..];
        return query.Answer(code, authoritative: true) with { Authorities = [Zone.Authority(zone, DenialTtl)] };
    }
}
