namespace Isthmus.Mesh.Config;

/// <summary>Texts of matches that no request has: they are valid, and match nothing.</summary>
internal static class MatchTexts
{
    /// <summary>The path and the method of a request.</summary>
    public static void CheckRequest(Field match)
    {
        foreach (var path in (Field[])[match["uri"]["exact"], match["uri"]["prefix"]])
        {
            if (path.Text.Contains('?', StringComparison.Ordinal))
                path.Warn("matches no request, because the query is not a part of the path",
                    $"write {path.Text.Split('?')[0]}, and match the query with queryParams");
        }
        var method = match["method"]["exact"];
        if (method.Text.Any(char.IsAsciiLetterLower) && HttpRouteReader.Methods.Contains(method.Text.ToUpperInvariant()))
            method.Warn($"matches no request of method {method.Text.ToUpperInvariant()}: methods are in upper case", $"write {method.Text.ToUpperInvariant()}");
    }

    /// <summary>Browsers send origins as scheme, host and port.</summary>
    public static void CheckOrigin(Field origin)
    {
        var text = origin.Text;
        if (text is "" or "*" or "null") return;
        var scheme = text.IndexOf("://", StringComparison.Ordinal);
        if (scheme < 0)
            origin.Warn("matches no origin, because browsers send the scheme as well: they refuse what the answer does not allow",
                $"write https://{text.TrimEnd('/')}");
        else if (text.IndexOf('/', scheme + 3) is > 0 and var end)
            origin.Warn("matches no origin, because origins have no path: browsers refuse what the answer does not allow", $"write {text[..end]}");
    }
}
