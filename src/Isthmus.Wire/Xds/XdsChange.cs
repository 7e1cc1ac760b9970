using System.Collections.Immutable;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Discovery;

namespace Isthmus.Wire.Xds;

/// <summary>
/// Resources as changes of what a client has: of a route table with a thousand virtual hosts, only those that changed are sent. A table stays
/// one resource with one version, so it is never there in part, and nothing waits for anything else. With Envoy's VHDS, each virtual host
/// would be a resource, and a client could not tell whether a table is complete.
/// </summary>
public static class XdsChange
{
    /// <summary>In <c>client_features</c> of nodes that take changes.</summary>
    public const string Feature = "isthmus.resource_changes";

    public const string TypeUrl = TypeUrls.Prefix + "isthmus.discovery.v1.ResourceChange";

    /// <summary>What a changed resource may have at most, so that copies of copies end.</summary>
    private const int MostParts = 1_000_000, MostBytes = 256 << 20;

    /// <returns>Null when one of them has no parts.</returns>
    internal static Any? Between(XdsResource before, XdsResource after)
    {
        if (before.Parts is not { } old || after.Parts is not { } parts || old.Field != parts.Field) return null;
        var change = new ResourceChange { Base = before.Version, Head = parts.Head };
        var (from, to) = (old.Items, parts.Items);
        var (first, last) = (0, 0);
        while (first < from.Length && first < to.Length && IsSame(from[first], to[first])) first++;
        while (last < from.Length - first && last < to.Length - first && IsSame(from[^(last + 1)], to[^(last + 1)])) last++;
        Keep(change, 0, first);
        AddBetween(change, from, to, first, last);
        Keep(change, from.Length - last, last);
        return new() { TypeUrl = TypeUrl, Value = change.ToByteString() };
    }

    /// <summary>The resource that the change makes of its base.</summary>
    /// <exception cref="InvalidDataException">The base does not have what the change is made of.</exception>
    internal static XdsParts Apply(XdsParts before, ResourceChange change)
    {
        var items = ImmutableArray.CreateBuilder<ByteString>(before.Items.Length);
        long bytes = change.Head.Length;
        foreach (var run in change.Runs)
        {
            if ((long)run.First + run.Count > before.Items.Length)
                throw new InvalidDataException("a change of a resource keeps parts that the resource does not have");
            if (items.Count + (long)run.Count + run.Parts.Count > MostParts)
                throw new InvalidDataException($"a changed resource has more than {MostParts} parts");
            foreach (var part in before.Items.AsSpan((int)run.First, (int)run.Count)) bytes += Add(items, part);
            foreach (var part in run.Parts) bytes += Add(items, part);
            if (bytes > MostBytes) throw new InvalidDataException($"a changed resource has more than {MostBytes >> 20} MiB");
        }
        return new(change.Head, before.Field, items.DrainToImmutable());
    }

    private static int Add(ImmutableArray<ByteString>.Builder items, ByteString part)
    {
        items.Add(part);
        return part.Length;
    }

    /// <summary>What is between the parts that both begin and end with: usually one part that changed, or some of many.</summary>
    private static void AddBetween(ResourceChange change, ImmutableArray<ByteString> from, ImmutableArray<ByteString> to, int first, int last)
    {
        var places = new Dictionary<ByteString, int>();
        if (to.Length - last - first > 1)
        {
            for (var place = first; place < from.Length - last; place++) places.TryAdd(from[place], place);
        }
        for (var place = first; place < to.Length - last; place++)
        {
            if (places.TryGetValue(to[place], out var known)) Keep(change, known, 1);
            else
            {
                if (change.Runs.Count == 0) change.Runs.Add(new ResourceChange.Types.Run());
                change.Runs[^1].Parts.Add(to[place]);
            }
        }
    }

    private static void Keep(ResourceChange change, int first, int count)
    {
        if (count == 0) return;
        // A run goes on as long as nothing new came after it.
        if (change.Runs.Count > 0 && change.Runs[^1] is { Parts.Count: 0 } run && run.First + run.Count == first) run.Count += (uint)count;
        else change.Runs.Add(new ResourceChange.Types.Run { First = (uint)first, Count = (uint)count });
    }

    private static bool IsSame(ByteString a, ByteString b) => ReferenceEquals(a, b) || a.Equals(b);
}
