namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>A URL as API servers read it: with a scheme, or a path from the root.</summary>
/// <param name="Scheme">In lower case; empty for a path.</param>
internal sealed record CelUrl(string Scheme)
{
    /// <summary>Null for text that is not a URL.</summary>
    public static CelUrl? Parse(string text)
    {
        if (text.Length == 0 || text.Any(c => c is <= ' ' or '\x7f')) return null;
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon > 0 && Uri.CheckSchemeName(text[..colon]))
            return Uri.TryCreate(text, UriKind.Absolute, out var address) ? new(address.Scheme) : null;
        return text[0] == '/' ? new("") : null;
    }
}
