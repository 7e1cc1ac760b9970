using System.Buffers.Binary;
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
        var (version, body) = (VersionOf(bytes.Span), new Any { TypeUrl = typeUrl, Value = bytes });
        return XdsParts.FieldOf(typeUrl) is > 0 and var field
            ? new(name, version, body, XdsParts.Split(bytes, field).WithResources())
            : new(name, version, body);
    }

    /// <summary>A route table of virtual hosts that others have, too: it is hashed and kept by these, and joined only for who needs it as a whole.</summary>
    /// <param name="parts">Each has a name that no other has.</param>
    public static XdsResource OfParts(string name, IMessage head, ImmutableArray<XdsPart> parts)
    {
        var encoded = head.ToByteString();
        const int size = 16;
        var hashes = new byte[encoded.Length + size * parts.Length];
        encoded.CopyTo(hashes, 0);
        var at = encoded.Length;
        foreach (var part in parts)
        {
            BinaryPrimitives.WriteUInt128BigEndian(hashes.AsSpan(at), part.Hash);
            at += size;
        }
        return TableOf(name, hashes, encoded, parts);
    }

    /// <summary>The same for many parts of which few change at a time.</summary>
    /// <param name="hash">The sum of the parts' hashes: their order follows from their content.</param>
    public static XdsResource OfParts(string name, IMessage head, ImmutableArray<XdsPart> parts, UInt128 hash)
    {
        var encoded = head.ToByteString();
        var hashes = new byte[encoded.Length + 16];
        encoded.CopyTo(hashes, 0);
        BinaryPrimitives.WriteUInt128BigEndian(hashes.AsSpan(encoded.Length), hash);
        return TableOf(name, hashes, encoded, parts);
    }

    private static XdsResource TableOf(string name, byte[] hashes, ByteString head, ImmutableArray<XdsPart> parts) => new(name, VersionOf(hashes),
        TypeUrls.Route, new XdsParts(head, XdsParts.FieldOf(TypeUrls.Route), parts) { AreResources = !parts.IsEmpty });

    private static string VersionOf(ReadOnlySpan<byte> bytes)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        return Convert.ToHexStringLower(hash[..8]);
    }
}

/// <summary>An immutable set of resources of one type; a change of a few resources costs only those, also for proxies that
/// have the previous set.</summary>
public sealed class ResourceSet : IXdsResources, IReadOnlyCollection<XdsResource>
{
    private const int Remembered = 32;
    private const int MostChanges = 512;

    /// <summary>The last few sets on the way to this one, newest first, each with what changed after it. Weak references:
    /// old resources are not kept alive for this.</summary>
    private ImmutableArray<(WeakReference<ResourceSet> Set, ImmutableArray<string> Changed)> _before = [];

    /// <summary>The last change of this set, and what became of it. Threads may replace it at any time.</summary>
    private Step? _step;

    private sealed record Step(ImmutableArray<string> Gone, ImmutableArray<XdsResource> Made, WeakReference<ResourceSet> Next)
    {
        public bool Is(ImmutableArray<string> gone, ImmutableArray<XdsResource> made) =>
            Gone.AsSpan().SequenceEqual(gone.AsSpan()) && Made.AsSpan().SequenceEqual(made.AsSpan(), ReferenceEqualityComparer.Instance);
    }

    /// <param name="hash">The resources' hashes, combined so that one can be taken away again.</param>
    private ResourceSet(ImmutableDictionary<string, XdsResource> items, int hash) => (Items, ContentHash) = (items, hash);

    public static ResourceSet Empty { get; } = new(ImmutableDictionary.Create<string, XdsResource>(StringComparer.Ordinal), 0);

    public ImmutableDictionary<string, XdsResource> Items { get; }

    public int Count => Items.Count;

    public IReadOnlyCollection<XdsResource> All => this;

    /// <summary>The same for sets with equal resources, however they were made.</summary>
    internal int ContentHash { get; }

    /// <summary>Set once by <see cref="SharedSets"/>: it is the one that equal sets are replaced by.</summary>
    internal bool IsShared { get; set; }

    internal bool HasSameContent(ResourceSet other) => ReferenceEquals(this, other) || (Count == other.Count && ContentHash == other.ContentHash
        && Items.All(item => other.Items.TryGetValue(item.Key, out var resource)
            && (ReferenceEquals(item.Value, resource) || item.Value.Version == resource.Version)));

    private static int HashOf(XdsResource? resource) => resource is null ? 0 : HashCode.Combine(resource.Name, resource.Version);

    public bool TryGet(string name, [NotNullWhen(true)] out XdsResource? resource) => Items.TryGetValue(name, out resource);

    /// <summary>This set, or a new one if the changes make a difference. Scopes that share a set and see the same change share the next one, too.</summary>
    public ResourceSet With(IEnumerable<string> removed, IEnumerable<XdsResource> added)
    {
        var (gone, made) = (removed.ToImmutableArray(), added.ToImmutableArray());
        if (gone.IsEmpty && made.IsEmpty) return this;
        if (_step is { } step && step.Is(gone, made) && step.Next.TryGetTarget(out var known)) return known;
        var builder = Items.ToBuilder();
        var hash = ContentHash;
        foreach (var name in gone)
        {
            hash ^= HashOf(builder.GetValueOrDefault(name));
            builder.Remove(name);
        }
        foreach (var resource in made)
        {
            hash ^= HashOf(builder.GetValueOrDefault(resource.Name)) ^ HashOf(resource);
            builder[resource.Name] = resource;
        }
        var next = builder.ToImmutable();
        if (ReferenceEquals(next, Items)) return this;
        var set = new ResourceSet(next, hash)
        {
            _before = gone.Length + made.Length > MostChanges
                ? []
                : [(new(this), [.. gone.Concat(made.Select(resource => resource.Name)).Distinct(StringComparer.Ordinal)]), .. _before.Take(Remembered - 1)],
        };
        _step = new(gone, made, new(set));
        return set;
    }

    public IReadOnlyCollection<string>? ChangedSince(IXdsResources earlier)
    {
        if (ReferenceEquals(this, earlier)) return [];
        // Nearly every stream has the set before.
        if (_before is [var last, ..] && last.Set.TryGetTarget(out var previous) && ReferenceEquals(previous, earlier)) return last.Changed;
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
