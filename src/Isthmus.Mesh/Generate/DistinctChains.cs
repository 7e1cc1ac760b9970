using Isthmus.Wire.Envoy.Listeners;

namespace Isthmus.Mesh.Generate;

/// <summary>The chains of a listener. Two with the same match would make Envoy reject the whole listener: the first one counts.</summary>
internal sealed class DistinctChains(Listener listener)
{
    private readonly HashSet<FilterChainMatch> _matches = [];
    private bool _hasOneForAll;

    /// <summary>The name of the listener.</summary>
    public string Name => listener.Name;

    public bool HasAny => listener.FilterChains.Count > 0;

    public void Add(FilterChain chain)
    {
        var isNew = chain.FilterChainMatch is { } match ? _matches.Add(match) : !_hasOneForAll;
        _hasOneForAll |= chain.FilterChainMatch is null;
        if (isNew) listener.FilterChains.Add(chain);
    }
}
