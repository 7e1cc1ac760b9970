using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Envoy;

namespace Isthmus.Wire.Xds;

/// <summary>One resource, encoded once and shared by every stream that sends it. Equal versions mean equal bytes, for example a hash of them.</summary>
public sealed class XdsResource : IEquatable<XdsResource>
{
    private readonly string _typeUrl;
    private readonly Any? _body;
    private WeakReference<Any>? _joined;
    private XdsResource? _head;
    private WeakReference<IReadOnlyList<Resource>>? _hosts;
    private Tuple<WeakReference<XdsResource>, HostChanges>? _changes;

    public XdsResource(string name, string version, Any body) => (Name, Version, _typeUrl, _body) = (name, version, body.TypeUrl, body);

    /// <summary>A resource whose bytes are joined only for who needs them as a whole.</summary>
    public XdsResource(string name, string version, string typeUrl, XdsParts parts) => (Name, Version, _typeUrl, Parts) = (name, version, typeUrl, parts);

    /// <summary>A resource of which both are at hand.</summary>
    public XdsResource(string name, string version, Any body, XdsParts parts) : this(name, version, body) => Parts = parts;

    public string Name { get; }

    /// <summary>Opaque to clients.</summary>
    public string Version { get; }

    /// <summary>The parts of a resource that has many; null if it is sent as a whole only.</summary>
    public XdsParts? Parts { get; }

    /// <summary>Do not modify it.</summary>
    public Any Body
    {
        get
        {
            if (_body is not null) return _body;
            // Proxies that come together, or that all get the change of a head, share it; later nobody needs it.
            if (_joined is { } kept && kept.TryGetTarget(out var joined)) return joined;
            var made = new Any { TypeUrl = _typeUrl, Value = Parts!.Join() };
            _joined = new(made);
            return made;
        }
    }

    /// <summary>The route table for clients that get its virtual hosts as resources of their own; null: it is sent as a whole only.</summary>
    internal XdsResource? Head => Parts?.AreResources == true ? _head ??= VirtualHosts.HeadOf(Name, Parts) : null;

    /// <summary>The virtual hosts of a <see cref="Head"/>. Do not modify them.</summary>
    internal IReadOnlyList<Resource> Hosts
    {
        get
        {
            if (_hosts is { } kept && kept.TryGetTarget(out var known)) return known;
            var made = VirtualHosts.Of(Name, Parts!);
            _hosts = new(made);
            return made;
        }
    }

    /// <summary>What changed of the virtual hosts since an earlier version. Nearly all streams have the same.</summary>
    internal HostChanges HostsSince(XdsResource before)
    {
        if (_changes is { } known && known.Item1.TryGetTarget(out var from) && ReferenceEquals(from, before)) return known.Item2;
        var changes = VirtualHosts.Between(Name, before.Parts!, Parts!);
        _changes = new(new(before), changes);
        return changes;
    }

    public bool Equals(XdsResource? other) => other is not null && Name == other.Name && Version == other.Version && _typeUrl == other._typeUrl;

    public override bool Equals(object? obj) => Equals(obj as XdsResource);

    public override int GetHashCode() => HashCode.Combine(Name, Version);
}

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
