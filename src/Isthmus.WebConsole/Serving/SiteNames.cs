namespace Isthmus.WebConsole.Serving;

/// <summary>The names under which the console is reached, as the header <c>Host</c> has them.</summary>
/// <param name="Scheme"><c>http</c> or <c>https</c>.</param>
/// <param name="Names">With a port or, where the port is that of the scheme or does not matter, without.</param>
/// <param name="AnyPort">Whether only the name matters: <c>kubectl port-forward</c> chooses any port.</param>
internal sealed record SiteNames(string Scheme, IReadOnlyList<string> Names, bool AnyPort = false)
{
    public bool Has(string host)
    {
        var wanted = AnyPort ? WithoutPort(host) : Scheme == "https" && host.EndsWith(":443", StringComparison.Ordinal) ? host[..^4] : host;
        return wanted.Length > 0 && Names.Contains(wanted, StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>Whether a page of this origin is the console itself, asked under the same name.</summary>
    public bool IsOwn(string origin, string host) => origin.Equals($"{Scheme}://{host}", StringComparison.OrdinalIgnoreCase);

    public override string ToString() => string.Join(" or ", Names);

    /// <summary>Host or [IPv6 address], before the port.</summary>
    private static string WithoutPort(string host)
    {
        var colon = host.LastIndexOf(':');
        return colon > host.LastIndexOf(']') && colon >= 0 ? host[..colon] : host;
    }
}
