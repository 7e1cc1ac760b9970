namespace Isthmus.Mesh.Config;

/// <summary>Checks what becomes a part of a head: names and values of headers, hosts, paths. Proxies write it as it is.</summary>
internal static class HeadTexts
{
    private static readonly string[] Framing = ["connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade"];

    /// <summary>Headers that are set, added and removed.</summary>
    /// <param name="mayMoveHost">Setting <c>host</c> or <c>:authority</c> is a rewrite of the host.</param>
    public static void CheckChange(Field change, bool mayMoveHost)
    {
        foreach (var operation in (ReadOnlySpan<string>)["set", "add"])
        {
            foreach (var (name, value) in change[operation].Members)
            {
                if (IsHost(name))
                {
                    if (!mayMoveHost) RefuseHost(value, name);
                    else if (operation == "add") value.Error($"\"{name}\" cannot be added: a request has one host", "use set, or rewrite.authority");
                    else CheckAuthority(value);
                    continue;
                }
                CheckName(value, name);
                CheckValue(value);
            }
        }
        foreach (var name in change["remove"].Items)
        {
            if (IsHost(name.Text)) RefuseHost(name, name.Text);
            else CheckName(name, name.Text);
        }
    }

    /// <summary>The name of a header that may be changed.</summary>
    public static void CheckName(Field field, string name)
    {
        if (name.StartsWith(':')) field.Error($"invalid header \"{Shown(name)}\": header cannot have \":\" prefix", "pseudo-headers follow from the request");
        else if (!IsName(name)) field.Error($"\"{Shown(name)}\" is not the name of a header", "use letters, digits and dashes");
        else if (Framing.Contains(name.ToLowerInvariant()))
            field.Error($"header \"{name}\" cannot be changed: it says where a message ends, or belongs to one connection",
                "remove it: proxies write it themselves");
    }

    /// <summary>A header that gets a value of its own, whatever it had.</summary>
    public static void CheckOutput(Field name)
    {
        if (name.Text.Length == 0) return;
        if (IsHost(name.Text)) RefuseHost(name, name.Text);
        else CheckName(name, name.Text);
    }

    /// <summary>A cookie that a proxy sets: its name, and the path for which clients keep it (RFC 6265 section 4.1.1).</summary>
    public static void CheckCookie(Field name, Field path)
    {
        if (name.Text.Length > 0 && !IsName(name.Text)) name.Error($"\"{Shown(name.Text)}\" is not the name of a cookie", "use letters, digits, - and _");
        if (path.Text.Any(c => c is ';' or < ' ' or > '~'))
            path.Error($"\"{Shown(path.Text)}\" is not the path of a cookie", "write it without semicolons and percent-encoded");
    }

    /// <summary>The value of a header.</summary>
    public static void CheckValue(Field value)
    {
        if (value.Text.Any(c => c != '\t' && c is < ' ' or '\x7f'))
            value.Error($"header value \"{Shown(value.Text)}\" contains control characters", "write it without them");
    }

    /// <summary>A host with or without a port.</summary>
    public static void CheckAuthority(Field authority)
    {
        if (!authority.Text.All(c => char.IsAsciiLetterOrDigit(c) || "!$%&'()*+-.:;=[]_~".Contains(c, StringComparison.Ordinal)))
            authority.Error($"\"{Shown(authority.Text)}\" is not a host", "write HOST or HOST:PORT");
    }

    /// <summary>A path, or a part of one.</summary>
    public static void CheckPath(Field path)
    {
        if (path.Text.Any(c => c is <= ' ' or '\x7f')) path.Error($"\"{Shown(path.Text)}\" contains spaces or control characters", "percent-encode them");
    }

    private static void RefuseHost(Field field, string name) =>
        field.Error($"invalid header \"{name}\": the host cannot be changed here", "use rewrite.authority");

    private static bool IsHost(string name) =>
        name.Equals("host", StringComparison.OrdinalIgnoreCase) || name.Equals(":authority", StringComparison.OrdinalIgnoreCase);

    private static bool IsName(string name) =>
        name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal));

    private static string Shown(string text) => string.Concat(text.Select(c => char.IsControl(c) ? $"\\u{(int)c:x4}" : $"{c}"));
}
