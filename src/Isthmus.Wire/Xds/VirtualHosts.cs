using System.Collections.Immutable;
using System.Security.Cryptography;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Wire.Xds;

/// <summary>Virtual hosts of a route table that are others than before.</summary>
/// <param name="Changed">Do not modify them.</param>
/// <param name="Removed">Names of resources.</param>
internal sealed record HostChanges(IReadOnlyList<Resource> Changed, IReadOnlyList<string> Removed);

/// <summary>
/// Virtual hosts as resources of their own (VHDS): of a table with a thousand of them, only those that changed are sent. As in Envoy, a
/// client subscribes to those of all tables that it has, and a resource is named <c>TABLE/HOST</c>, as is the message in it.
/// </summary>
public static class VirtualHosts
{
    /// <summary>In <c>client_features</c> of nodes that take them. Others get whole tables.</summary>
    public const string Feature = "isthmus.vhds";

    internal const char Separator = '/';

    /// <summary>The name of the table in that of a resource; empty: there is none.</summary>
    internal static string TableIn(string resource) => resource.LastIndexOf(Separator) is > 0 and var at ? resource[..at] : "";

    /// <summary>A table without its virtual hosts, which says where these come from.</summary>
    internal static XdsResource HeadOf(string table, XdsParts parts)
    {
        var source = new RouteConfiguration { Vhds = new() { ConfigSource = new() { Ads = new(), ResourceApiVersion = ApiVersion.V3 } } }.ToByteString();
        var bytes = ByteString.CopyFrom([.. parts.Head.Span, .. source.Span]);
        return new(table, Convert.ToHexStringLower(SHA256.HashData(bytes.Span).AsSpan(0, 8)), new Any { TypeUrl = TypeUrls.Route, Value = bytes });
    }

    /// <summary>Whether there are some, and each has a name of a resource that no other has.</summary>
    internal static bool AreToldApart(ImmutableArray<XdsPart> parts)
    {
        var names = new HashSet<string>(parts.Length, StringComparer.Ordinal);
        foreach (var part in parts)
            if (part.Name.Length == 0 || part.Name.Contains(Separator, StringComparison.Ordinal) || !names.Add(part.Name)) return false;
        return !parts.IsEmpty;
    }

    internal static IReadOnlyList<Resource> Of(string table, XdsParts parts) => [.. parts.Items.Select(part => Resource(table, part))];

    /// <summary>What became of each name. Their order does not matter: no two have the same domain.</summary>
    internal static HostChanges Between(string table, XdsParts before, XdsParts after)
    {
        var from = before.Items.AsSpan();
        var to = after.Items.AsSpan();
        var (first, last) = (0, 0);
        while (first < from.Length && first < to.Length && from[first].Equals(to[first])) first++;
        while (last < from.Length - first && last < to.Length - first && from[^(last + 1)].Equals(to[^(last + 1)])) last++;
        from = from[first..^last];
        to = to[first..^last];
        var known = new Dictionary<string, XdsPart>(from.Length, StringComparer.Ordinal);
        foreach (var part in from) known[part.Name] = part;
        var changed = new List<Resource>();
        foreach (var part in to)
            if (!known.Remove(part.Name, out var earlier) || !earlier.Equals(part)) changed.Add(Resource(table, part));
        return new(changed, [.. known.Keys.Select(name => NameOf(table, name))]);
    }

    internal static string NameOf(string table, string host) => $"{table}{Separator}{host}";

    private static Resource Resource(string table, XdsPart part)
    {
        var name = NameOf(table, part.Name);
        return new() { Name = name, Version = part.Version, Resource_ = new() { TypeUrl = TypeUrls.VirtualHost, Value = part.Named(name) } };
    }
}
