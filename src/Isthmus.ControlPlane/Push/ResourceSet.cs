using System.Collections;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>A resource as it goes over the wire, and the objects that shaped it.</summary>
public sealed record EncodedResource(XdsResource Resource, ValueList<ObjectRef> Origins)
{
    public static EncodedResource Of(string typeUrl, string name, IMessage message, ValueList<ObjectRef> origins) => Of(typeUrl, name, message.ToByteString(), origins);

    /// <summary>The version is a hash of the bytes: equal content is never sent twice, whichever path it was made by.</summary>
    public static EncodedResource Of(string typeUrl, string name, ByteString bytes, ValueList<ObjectRef> origins)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes.Span, hash);
        return new(new(name, Convert.ToHexStringLower(hash[..8]), new Any { TypeUrl = typeUrl, Value = bytes }), origins);
    }
}

/// <summary>An immutable set of resources of one type; a change of a few costs those few.</summary>
public sealed class ResourceSet(ImmutableDictionary<string, EncodedResource> items) : IXdsResources, IReadOnlyCollection<XdsResource>
{
    public static ResourceSet Empty { get; } = new(ImmutableDictionary.Create<string, EncodedResource>(StringComparer.Ordinal));

    public ImmutableDictionary<string, EncodedResource> Items { get; } = items;

    public int Count => Items.Count;

    public IReadOnlyCollection<XdsResource> All => this;

    public bool TryGet(string name, [NotNullWhen(true)] out XdsResource? resource)
    {
        resource = Items.TryGetValue(name, out var encoded) ? encoded.Resource : null;
        return resource is not null;
    }

    /// <summary>This set, or another when the changes make a difference.</summary>
    public ResourceSet With(IEnumerable<string> removed, IEnumerable<EncodedResource> added)
    {
        var builder = Items.ToBuilder();
        builder.RemoveRange(removed);
        foreach (var resource in added) builder[resource.Resource.Name] = resource;
        var next = builder.ToImmutable();
        return ReferenceEquals(next, Items) ? this : new(next);
    }

    /// <summary>Exactly these; this very set when they are what it has.</summary>
    public ResourceSet ReplacedBy(IReadOnlyCollection<EncodedResource> made)
    {
        var names = made.Select(resource => resource.Resource.Name).ToHashSet(StringComparer.Ordinal);
        return With(
            Items.Keys.Where(name => !names.Contains(name)),
            made.Where(resource => !Items.TryGetValue(resource.Resource.Name, out var known) || known.Resource.Version != resource.Resource.Version || known.Origins != resource.Origins));
    }

    public IEnumerator<XdsResource> GetEnumerator() => Items.Values.Select(encoded => encoded.Resource).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>What is shared, without what is hidden from one proxy, and with what is its own.</summary>
internal sealed class OverlaySet(ResourceSet shared, ResourceSet own, ImmutableHashSet<string> hidden) : IXdsResources, IReadOnlyCollection<XdsResource>
{
    public int Count => shared.Count + own.Count - hidden.Count;

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
