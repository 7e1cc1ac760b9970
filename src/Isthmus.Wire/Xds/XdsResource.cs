using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using Google.Protobuf.WellKnownTypes;

namespace Isthmus.Wire.Xds;

/// <summary>One resource, encoded once and shared by every stream that sends it. Do not modify <see cref="Body"/>.</summary>
/// <param name="Version">Equal versions mean equal bytes, for example a hash of them. Opaque to clients.</param>
public sealed record XdsResource(string Name, string Version, Any Body);

/// <summary>The resources of one type as one client sees them at one moment.</summary>
public interface IXdsResources
{
    /// <summary>The resources of a wildcard subscription.</summary>
    IReadOnlyCollection<XdsResource> All { get; }

    /// <summary>The resource for a subscription by name, which may be outside <see cref="All"/>.</summary>
    bool TryGet(string name, [NotNullWhen(true)] out XdsResource? resource);

    /// <summary>The names whose resources may differ from an earlier set's, including removed ones; null when only a full
    /// comparison can tell.</summary>
    IReadOnlyCollection<string>? ChangedSince(IXdsResources earlier) => null;
}

/// <summary>A fixed set of resources.</summary>
public sealed class XdsResourceMap(IEnumerable<XdsResource> resources) : IXdsResources
{
    private readonly FrozenDictionary<string, XdsResource> _byName = resources.ToFrozenDictionary(r => r.Name, StringComparer.Ordinal);

    public IReadOnlyCollection<XdsResource> All => _byName.Values;

    public bool TryGet(string name, [NotNullWhen(true)] out XdsResource? resource) => _byName.TryGetValue(name, out resource);
}

/// <summary>Everything one client should have at one moment. Keep the same <see cref="IXdsResources"/> object where nothing
/// changed: then the type is skipped.</summary>
/// <param name="Version">The version of the push, shown as version_info and system_version_info.</param>
/// <param name="Types">By type URL; a type that is missing here is never answered.</param>
public sealed record XdsSnapshot(string Version, IReadOnlyDictionary<string, IXdsResources> Types)
{
    public static XdsSnapshot Empty { get; } = new("", FrozenDictionary<string, IXdsResources>.Empty);
}
