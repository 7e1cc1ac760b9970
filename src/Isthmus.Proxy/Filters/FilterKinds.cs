using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire;
using Extension = Isthmus.Wire.Envoy.Extension;

namespace Isthmus.Proxy.Filters;

/// <summary>One kind of filter that this proxy has: the message that configures it, and what it changes in a chain.</summary>
/// <param name="Name">As the node's list of extensions names it.</param>
/// <param name="Type">The full name of the message.</param>
/// <param name="Take">Reads the configuration of the filter with that name into the chain.</param>
internal sealed record FilterKind<TChain>(string Name, string Type, Action<Any, string, TChain> Take)
{
    public static FilterKind<TChain> Of<TConfig>(string name, Action<TConfig, string, TChain> take) where TConfig : class, IMessage<TConfig>, new() =>
        new(name, TypeNames.Of<TConfig>(), (any, filter, chain) =>
        {
            if (any.TryRead(out TConfig config)) take(config, filter, chain);
        });
}

/// <summary>The filters of one place of a configuration, by the type of their configuration: what is decoded is what the node lists.</summary>
/// <param name="category">Envoy's name of the place.</param>
internal sealed class FilterKinds<TChain>(string category, params FilterKind<TChain>[] kinds)
{
    private readonly Dictionary<string, FilterKind<TChain>> _byType = kinds.ToDictionary(kind => kind.Type, StringComparer.Ordinal);

    /// <returns>False: the type of the configuration is unknown.</returns>
    /// <exception cref="ResourceException">The configuration cannot be used.</exception>
    public bool Take(Any config, string name, TChain chain)
    {
        if (!_byType.TryGetValue(config.TypeUrl[(config.TypeUrl.LastIndexOf('/') + 1)..], out var kind)) return false;
        kind.Take(config, name, chain);
        return true;
    }

    /// <summary>Whether the type of a configuration is one of these.</summary>
    public bool Has(string typeUrl) => _byType.ContainsKey(typeUrl[(typeUrl.LastIndexOf('/') + 1)..]);

    /// <summary>Takes a filter without configuration, by its name.</summary>
    /// <returns>False: the name is unknown.</returns>
    public bool TakeBare(string name, TChain chain)
    {
        if (Array.Find(kinds, kind => kind.Name == name) is not { } kind) return false;
        kind.Take(new() { TypeUrl = kind.Type }, name, chain);
        return true;
    }

    /// <summary>For the node.</summary>
    public IEnumerable<Extension> Extensions => kinds.Select(kind => new Extension { Name = kind.Name, Category = category, TypeUrls = { kind.Type } });
}
