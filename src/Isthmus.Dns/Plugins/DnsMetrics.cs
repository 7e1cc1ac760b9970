using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Plugins;

/// <summary>Counters in Prometheus' text format, under CoreDNS' names.</summary>
public sealed class DnsMetrics
{
    private readonly ConcurrentDictionary<(string Zone, DnsCode Code, bool Tcp), Counter> _responses = new();
    private long _hits;
    private long _misses;
    private long _forwards;
    private long _forwardFailures;
    private long _reloads;
    private long _reloadFailures;

    private sealed class Counter
    {
        internal long Value;
    }

    internal void Answered(string zone, DnsCode code, bool tcp) => Interlocked.Increment(ref _responses.GetOrAdd((zone, code, tcp), _ => new()).Value);

    internal void CacheHit() => Interlocked.Increment(ref _hits);

    internal void CacheMiss() => Interlocked.Increment(ref _misses);

    internal void Forwarded(bool failed)
    {
        Interlocked.Increment(ref _forwards);
        if (failed) Interlocked.Increment(ref _forwardFailures);
    }

    internal void Reloaded(bool failed) => Interlocked.Increment(ref failed ? ref _reloadFailures : ref _reloads);

    public string Print()
    {
        var text = new StringBuilder("# TYPE coredns_dns_responses_total counter\n");
        foreach (var ((zone, code, tcp), counter) in _responses.OrderBy(pair => pair.Key))
            text.Append(CultureInfo.InvariantCulture,
                $"coredns_dns_responses_total{{server=\"dns://:53\",zone=\"{zone}.\",proto=\"{(tcp ? "tcp" : "udp")}\",rcode=\"{Name(code)}\"}} "
                    + $"{counter.Value}\n");
        Line(text, "coredns_cache_hits_total", _hits);
        Line(text, "coredns_cache_misses_total", _misses);
        Line(text, "coredns_forward_requests_total", _forwards);
        Line(text, "coredns_forward_failures_total", _forwardFailures);
        Line(text, "coredns_reload_total", _reloads);
        Line(text, "coredns_reload_failed_total", _reloadFailures);
        return text.ToString();
    }

    /// <summary>The conventional name of the code.</summary>
    internal static string Name(DnsCode code) => code switch
    {
        DnsCode.NoError => "NOERROR", DnsCode.FormatError => "FORMERR", DnsCode.ServerFailure => "SERVFAIL",
        DnsCode.NameError => "NXDOMAIN",
        DnsCode.NotImplemented => "NOTIMP",
        DnsCode.Refused => "REFUSED",
        _ => ((int)code).ToString(CultureInfo.InvariantCulture),
    };

    private static void Line(StringBuilder text, string name, long value) =>
        text.Append(CultureInfo.InvariantCulture, $"# TYPE {name} counter\n{name} {value}\n");
}
