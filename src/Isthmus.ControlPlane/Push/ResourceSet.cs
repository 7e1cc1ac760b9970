using System.Collections;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>Encodes resources as they go over the wire.</summary>
public static class EncodedResource
{
    public static XdsResource Of(string typeUrl, string name, IMessage message) => Of(typeUrl, name, message.ToByteString());

    /// <summary>The version is a hash of the bytes: equal content is never sent twice, whichever path it was made by.</summary>
    public static XdsResource Of(string typeUrl, string name, ByteString bytes)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes.Span, hash);
        return new(name, Convert.ToHexStringLower(hash[..8]), new Any { TypeUrl = typeUrl, Value = bytes });
    }
}

/// <summary>An immutable set of resources of one type; a change of a few resources costs only those, also for proxies that
/// have the previous set.</summary>
public sealed class ResourceSet(ImmutableDictionary<string, XdsResource> items) : IXdsResources, IReadOnlyCollection<XdsResource>
{
    private const int Remembered = 32;
    private const int MostChanges = 512;

    /// <summary>The last few sets on the way to this one, newest first, each with what changed after it. Weak references:
    /// old resources are not kept alive for this.</summary>
    private ImmutableArray<(WeakReference<ResourceSet> Set, ImmutableArray<string> Changed)> _before = [];

    public static ResourceSet Empty { get; } = new(ImmutableDictionary.Create<string, XdsResource>(StringComparer.Ordinal));

    public ImmutableDictionary<string, XdsResource> Items { get; } = items;

    public int Count => Items.Count;

    public IReadOnlyCollection<XdsResource> All => this;

    public bool TryGet(string name, [NotNullWhen(true)] out XdsResource? resource) => Items.TryGetValue(name, out resource);

    /// <summary>This set, or a new one if the changes make a difference.</summary>
    public ResourceSet With(IEnumerable<string> removed, IEnumerable<XdsResource> added)
    {
        var changed = new List<string>();
        var builder = Items.ToBuilder();
        foreach (var name in removed)
        {
            changed.Add(name);
            builder.Remove(name);
        }
        foreach (var resource in added)
        {
            changed.Add(resource.Name);
            builder[resource.Name] = resource;
        }
        var next = builder.ToImmutable();
        if (ReferenceEquals(next, Items)) return this;
        return new(next) { _before = changed.Count > MostChanges ? [] : [(new(this), [.. changed]), .. _before.Take(Remembered - 1)] };
    }

    public IReadOnlyCollection<string>? ChangedSince(IXdsResources earlier)
    {
        if (ReferenceEquals(this, earlier)) return [];
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (set, changed) in _before)
        {
            names.UnionWith(changed);
            if (set.TryGetTarget(out var known) && ReferenceEquals(known, earlier)) return names;
        }
        return null;
    }

    /// <summary>A set with exactly these resources; this instance if nothing differs.</summary>
    public ResourceSet ReplacedBy(IReadOnlyCollection<XdsResource> made)
    {
        var names = made.Select(resource => resource.Name).ToHashSet(StringComparer.Ordinal);
        return With(
            Items.Keys.Where(name => !names.Contains(name)),
            made.Where(resource => !Items.TryGetValue(resource.Name, out var known) || known.Version != resource.Version));
    }

    public IEnumerator<XdsResource> GetEnumerator() => Items.Values.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>The shared resources, minus those hidden from one proxy, plus its own.</summary>
internal sealed class OverlaySet(ResourceSet shared, ResourceSet own, ImmutableHashSet<string> hidden) : IXdsResources, IReadOnlyCollection<XdsResource>
{
    public int Count => shared.Count + own.Count - hidden.Count;

    private ResourceSet Shared => shared;

    private ResourceSet Own => own;

    private ImmutableHashSet<string> Hidden => hidden;

    public IReadOnlyCollection<string>? ChangedSince(IXdsResources earlier)
    {
        if (earlier is not OverlaySet other || !hidden.SetEquals(other.Hidden)) return null;
        return shared.ChangedSince(other.Shared) is { } common && own.ChangedSince(other.Own) is { } single ? [.. common, .. single] : null;
    }

    public IReadOnlyCollection<XdsResource> All => this;

    public bool TryGet(string name, [NotNullWhen(true)] out XdsResource? resource)
    {
        if (own.TryGet(name, out resource)) return true;
        resource = null;
        return !hidden.Contains(name) && shared.TryGet(name, out resource);
    }

    public IEnumerator<XdsResource> GetEnumerator() => own.Concat(shared.Where(resource => !hidden.Contains(resource.Name))).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
