using System.Collections.Frozen;

namespace Isthmus.Proxy.Snapshot;

/// <summary>The places of virtual hosts in a route table by domain. A lookup takes as long with tens of thousands of patterns as with a few: it
/// asks once for each length that patterns have.</summary>
internal sealed class DomainTable
{
    private readonly FrozenDictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _exact;
    private readonly Patterns _suffixes, _prefixes;
    private readonly int _any;
    private readonly bool _ignorePort;

    /// <param name="suffixes">The domains <c>*suffix</c>, without the star.</param>
    /// <param name="prefixes">The domains <c>prefix*</c>, without the star.</param>
    /// <param name="any">-1: no host has the domain <c>*</c>.</param>
    /// <param name="ignorePort">Hosts are looked up without their port.</param>
    internal DomainTable(Dictionary<string, int> exact, Dictionary<string, int> suffixes, Dictionary<string, int> prefixes, int any, bool ignorePort)
    {
        _exact = exact.ToFrozenDictionary(StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        (_suffixes, _prefixes, _any, _ignorePort) = (new(suffixes), new(prefixes), any, ignorePort);
    }

    /// <summary>Envoy's order: the exact name, the longest <c>*suffix</c>, the longest <c>prefix*</c>, then <c>*</c>. -1: none.</summary>
    public int Find(ReadOnlySpan<char> authority)
    {
        if (_ignorePort && authority.LastIndexOf(':') is > 0 and var colon && !authority[colon..].Contains(']')) authority = authority[..colon];
        Span<char> lower = authority.Length <= 256 ? stackalloc char[authority.Length] : new char[authority.Length];
        authority.ToLowerInvariant(lower);
        if (_exact.TryGetValue(lower, out var host)) return host;
        if (_suffixes.Find(lower, atEnd: true) is >= 0 and var bySuffix) return bySuffix;
        return _prefixes.Find(lower, atEnd: false) is >= 0 and var byPrefix ? byPrefix : _any;
    }

    /// <summary>Texts at one end of a name; a star stands for at least one more character.</summary>
    private sealed class Patterns(Dictionary<string, int> texts)
    {
        private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _places = texts.GetAlternateLookup<ReadOnlySpan<char>>();

        /// <summary>The longest first.</summary>
        private readonly int[] _lengths = [.. texts.Keys.Select(text => text.Length).Distinct().OrderDescending()];

        /// <summary>The place of the longest text that the name has at that end; -1: none.</summary>
        public int Find(ReadOnlySpan<char> name, bool atEnd)
        {
            foreach (var length in _lengths)
                if (length < name.Length && _places.TryGetValue(atEnd ? name[^length..] : name[..length], out var place)) return place;
            return -1;
        }
    }
}
