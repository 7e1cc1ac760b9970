using System.Text.Json.Nodes;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>A URL as API servers read it: with a scheme, or a path from the root.</summary>
/// <param name="Scheme">In lower case; empty for a path.</param>
/// <param name="Host">The name or address, with its port.</param>
/// <param name="Path">As written.</param>
/// <param name="Query">Without its question mark.</param>
internal sealed record CelUrl(string Text, string Scheme, string Host, string Path, string Query)
{
    /// <summary>The name or address without its port, or without the brackets of IPv6.</summary>
    public string HostName => (PortAt < 0 ? Host : Host[..PortAt]).Trim('[', ']');

    public string Port => PortAt < 0 ? "" : Host[(PortAt + 1)..];

    private int PortAt => Host.LastIndexOf(':') is var colon && colon > Host.LastIndexOf(']') ? colon : -1;

    public override string ToString() => Text;

    /// <summary>Null for text that is not a URL.</summary>
    public static CelUrl? Parse(string text)
    {
        if (text.Length == 0 || text.Any(c => c is <= ' ' or '\x7f')) return null;
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon <= 0 || !Uri.CheckSchemeName(text[..colon])) return text[0] == '/' ? Read(text, "", text) : null;
        return Uri.TryCreate(text, UriKind.Absolute, out var address) ? Read(text, address.Scheme, text[(colon + 1)..]) : null;
    }

    private static CelUrl Read(string text, string scheme, string rest)
    {
        rest = rest.Split('#', 2)[0];
        var query = rest.Split('?', 2) is [_, var asked] ? asked : "";
        rest = rest.Split('?', 2)[0];
        if (!rest.StartsWith("//", StringComparison.Ordinal)) return new(text, scheme, "", rest.StartsWith('/') ? rest : "", query);
        var slash = rest.IndexOf('/', 2);
        var (authority, path) = slash < 0 ? (rest[2..], "") : (rest[2..slash], rest[slash..]);
        return new(text, scheme, authority[(authority.LastIndexOf('@') + 1)..], path, query);
    }
}

/// <summary>The functions of URLs.</summary>
internal static class CelUrls
{
    public static readonly CelFunctionSet All = new CelFunctionSet()
        .Add<string>("isURL", text => CelUrl.Parse(text) is not null)
        .Add<string>("url", text => CelUrl.Parse(text) ?? throw new CelFailureException($"URL parse error during conversion from string: {text}"))
        .Add<CelUrl>("getScheme", url => url.Scheme)
        .Add<CelUrl>("getHost", url => url.Host)
        .Add<CelUrl>("getHostname", url => url.HostName)
        .Add<CelUrl>("getPort", url => url.Port)
        .Add<CelUrl>("getEscapedPath", url => url.Path)
        .Add<CelUrl>("getQuery", Query);

    private static JsonObject Query(CelUrl url)
    {
        var query = new JsonObject();
        foreach (var part in url.Query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var pair = part.Split('=', 2);
            var key = Decoded(pair[0]);
            if (query[key] is not JsonArray values) query[key] = values = [];
            values.Add((JsonNode?)Decoded(pair.Length > 1 ? pair[1] : ""));
        }
        return query;
    }

    private static string Decoded(string text) => Uri.UnescapeDataString(text.Replace('+', ' '));
}
