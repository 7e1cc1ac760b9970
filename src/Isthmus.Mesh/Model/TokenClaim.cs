using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>How VirtualServices spell claims of tokens, among the headers of a match: <c>@request.auth.claims.sub</c>, and
/// <c>@request.auth.claims.a.b</c> or <c>@request.auth.claims[a][b]</c> for a claim within another.</summary>
public static class TokenClaim
{
    private const string Prefix = "@" + RuleKeys.Claims;

    public static bool IsClaim(string header) => header.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase);

    /// <summary>The names from the outermost claim to the innermost; empty if the spelling is wrong.</summary>
    public static ValueList<string> Path(string header)
    {
        var names = header[Prefix.Length..] switch
        {
            ['.', .. var dotted] => dotted.Split('.'),
            ['[', .. var bracketed, ']'] => bracketed.Split("]["),
            _ => [""],
        };
        return names.Contains("") ? [] : [.. names];
    }
}
