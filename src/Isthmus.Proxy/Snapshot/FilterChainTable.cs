using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Proxy.Tls;

namespace Isthmus.Proxy.Snapshot;

/// <summary>
/// The filter chains of a listener, arranged for Envoy's order of choice: destination port, destination range, server name, transport
/// protocol, application protocol, direct source, kind of source, source range, source port. The most specific entry of each step wins and
/// there is no way back to a less specific one.
/// </summary>
internal sealed class FilterChainTable
{
    private readonly Dictionary<int, List<(Cidr? Range, NameNode Names)>> _ports = [];
    private readonly HashSet<int> _looksDeeper = [];
    private readonly HashSet<int> _readsHello = [];
    private readonly FilterChainSnapshot? _default;

    private sealed class NameNode
    {
        public readonly Dictionary<string, List<FilterChainSnapshot>> Exact = new(StringComparer.Ordinal);
        public readonly Dictionary<string, List<FilterChainSnapshot>> Suffix = new(StringComparer.Ordinal);
        public readonly List<FilterChainSnapshot> Any = [];
    }

    public FilterChainTable(IReadOnlyList<FilterChainSnapshot> chains, FilterChainSnapshot? byDefault)
    {
        All = byDefault is null ? chains : [.. chains, byDefault];
        HaveTls = All.Any(chain => chain.Tls is not null);
        foreach (var match in chains.Select(c => c.Match))
            if (!match.ServerNames.IsEmpty || match.TransportProtocol.Length > 0 || !match.ApplicationProtocols.IsEmpty)
                _looksDeeper.Add(match.DestinationPort);
        _default = byDefault;
        _readsHello.UnionWith(chains.Where(chain => DependsOnHello(chain.Tls)).Select(chain => chain.Match.DestinationPort));
        foreach (var chain in chains)
        {
            if (!_ports.TryGetValue(chain.Match.DestinationPort, out var ranges)) _ports[chain.Match.DestinationPort] = ranges = [];
            if (chain.Match.DestinationRanges.IsEmpty) AddName(Node(ranges, null), chain);
            foreach (var range in chain.Match.DestinationRanges) AddName(Node(ranges, range), chain);
        }
        foreach (var ranges in _ports.Values) ranges.Sort((a, b) => (b.Range?.PrefixLength ?? -1) - (a.Range?.PrefixLength ?? -1));
    }

    /// <summary>Every chain, with the default one last.</summary>
    public IReadOnlyList<FilterChainSnapshot> All { get; }

    /// <summary>Some chain does nothing before the client has begun TLS.</summary>
    public bool HaveTls { get; }

    /// <summary>The same table with changed chains.</summary>
    public FilterChainTable With(Func<FilterChainSnapshot, FilterChainSnapshot> change) => _default is null
        ? new([.. All.Select(change)], null)
        : new([.. All.SkipLast(1).Select(change)], change(_default));

    public FilterChainSnapshot? Find(in ConnectionFacts facts) => Match(facts) ?? _default;

    /// <summary>Whether any chain for that destination port matches on more than addresses, so that waiting for the
    /// client's bytes can help.</summary>
    public bool NeedsBytes(int port) => _looksDeeper.Contains(port) || _looksDeeper.Contains(0);

    /// <summary>Whether a chain for that destination port terminates TLS according to the ClientHello, whichever way the chain
    /// itself is chosen.</summary>
    public bool NeedsHello(int port) => _readsHello.Contains(_ports.ContainsKey(port) ? port : 0) || DependsOnHello(_default?.Tls);

    /// <summary>The server selects an application protocol, or one of several certificates.</summary>
    private static bool DependsOnHello(TlsSettings? tls) => tls is not null && (!tls.Alpn.IsEmpty || tls.Certificates.Count > 1);

    private FilterChainSnapshot? Match(in ConnectionFacts facts)
    {
        if (!_ports.TryGetValue(facts.Destination.Port, out var ranges) && !_ports.TryGetValue(0, out ranges)) return null;
        foreach (var (range, names) in ranges)
            if (range is null || range.Value.Contains(facts.Destination.Address)) return MatchNames(names, facts);
        return null;
    }

    private static FilterChainSnapshot? MatchNames(NameNode names, in ConnectionFacts facts)
    {
        var name = facts.ServerName;
        if (name.Length > 0)
        {
            if (names.Exact.TryGetValue(name, out var exact)) return MatchRest(exact, facts);
            if (names.Suffix.Count > 0)
                for (var dot = name.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = name.IndexOf('.', dot + 1))
                    if (names.Suffix.TryGetValue(name[dot..], out var suffix)) return MatchRest(suffix, facts);
        }
        return MatchRest(names.Any, facts);
    }

    private static FilterChainSnapshot? MatchRest(List<FilterChainSnapshot> chains, in ConnectionFacts facts)
    {
        const int few = 32;
        if (chains.Count == 0) return null;
        Span<int> left = chains.Count <= few ? stackalloc int[few] : new int[chains.Count];
        left = left[..chains.Count];
        for (var i = 0; i < left.Length; i++) left[i] = i;
        for (var step = Step.Transport; step <= Step.SourcePort && left.Length > 0; step++) left = left[..KeepBest(chains, left, step, facts)];
        return left.Length > 0 ? chains[left[0]] : null;
    }

    private enum Step { Transport, Application, DirectSource, SourceKind, Source, SourcePort }

    /// <summary>Moves those that match a step most specifically to the front, in their order; returns how many these are.</summary>
    private static int KeepBest(List<FilterChainSnapshot> chains, Span<int> left, Step step, in ConnectionFacts facts)
    {
        var (most, count) = (0, 0);
        foreach (var index in left)
        {
            var rank = Rank(chains[index].Match, step, facts);
            if (rank < most) continue;
            if (rank > most) (most, count) = (rank, 0);
            left[count++] = index;
        }
        return count;
    }

    /// <summary>0 for a chain that leaves a step open, more the more specifically it matches, and less if it does not match.</summary>
    private static int Rank(ChainMatch match, Step step, in ConnectionFacts facts) => step switch
    {
        Step.Transport => Rank(match.TransportProtocol.Length == 0, match.TransportProtocol == facts.TransportProtocol),
        Step.Application => RankProtocols(match, facts.ApplicationProtocols),
        Step.DirectSource => RankRanges(match.DirectSourceRanges, facts.DirectSource ?? facts.Source.Address),
        Step.SourceKind => Rank(match.SourceKind == SourceKind.Any, match.SourceKind == (IsLocal(facts) ? SourceKind.Local : SourceKind.External)),
        Step.Source => RankRanges(match.SourceRanges, facts.Source.Address),
        _ => Rank(match.SourcePorts.IsEmpty, match.SourcePorts.Items.Contains(facts.Source.Port)),
    };

    private static int Rank(bool isOpen, bool matches) => matches ? 1 : isOpen ? 0 : -1;

    private static bool IsLocal(in ConnectionFacts facts) =>
        IPAddress.IsLoopback(facts.Source.Address) || facts.Source.Address.Equals(facts.Destination.Address);

    // The client's first protocol that any chain names decides.
    private static int RankProtocols(ChainMatch match, IReadOnlyList<string> offered)
    {
        if (match.ApplicationProtocols.IsEmpty) return 0;
        for (var i = 0; i < offered.Count; i++)
            if (match.ApplicationProtocols.Items.Contains(offered[i])) return offered.Count - i;
        return -1;
    }

    private static int RankRanges(ValueList<Cidr> ranges, IPAddress address)
    {
        if (ranges.IsEmpty) return 0;
        var best = -1;
        foreach (var range in ranges)
            if (range.Contains(address)) best = Math.Max(best, range.PrefixLength + 1);
        return best;
    }

    private static NameNode Node(List<(Cidr? Range, NameNode Names)> ranges, Cidr? range)
    {
        foreach (var (has, names) in ranges)
            if (Nullable.Equals(has, range)) return names;
        var node = new NameNode();
        ranges.Add((range, node));
        return node;
    }

    private static void AddName(NameNode node, FilterChainSnapshot chain)
    {
        if (chain.Match.ServerNames.IsEmpty) node.Any.Add(chain);
        foreach (var name in chain.Match.ServerNames.Select(n => n.ToLowerInvariant()))
        {
            if (name == "*") node.Any.Add(chain);
            else if (name.StartsWith("*.", StringComparison.Ordinal)) List(node.Suffix, name[1..]).Add(chain);
            else List(node.Exact, name).Add(chain);
        }
    }

    private static List<FilterChainSnapshot> List(Dictionary<string, List<FilterChainSnapshot>> map, string key)
    {
        if (!map.TryGetValue(key, out var list)) map[key] = list = [];
        return list;
    }
}
