using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Rbac;

namespace Isthmus.Mesh.Generate;

/// <summary>What policies and routes say of a valid token, as matches of what Envoy's filter jwt_authn keeps of it.</summary>
internal static class TokenClaims
{
    /// <summary>The filter whose metadata has the token.</summary>
    public const string Filter = "envoy.filters.http.jwt_authn";

    /// <summary>The name of the claims in it. Every issuer has the same, as in Istio: policies do not name issuers.</summary>
    public const string Payload = "payload";

    /// <summary>A claim that has the value, or is a list in which it is.</summary>
    /// <param name="path">The names that lead to the claim.</param>
    /// <param name="value">What a text has to be.</param>
    public static MetadataMatcher Match(IEnumerable<string> path, StringMatcher value)
    {
        var text = new ValueMatcher { StringMatch = value };
        return At(path, new() { OrMatch = new() { ValueMatchers = { new ValueMatcher { ListMatch = new() { OneOf = text } }, text } } });
    }

    /// <summary>
    /// Who the token is about: <c>ISSUER/SUBJECT</c>, of which it has both. Issuers and subjects may have slashes, so the slash between them may be any
    /// of the pattern's.
    /// </summary>
    /// <param name="software">What the proxy is made of that decides.</param>
    public static Principal Identity(RulePattern pattern, ProxySoftware software)
    {
        if (pattern.IsAnything) return Both(Anything, Anything);
        var (isSuffix, isPrefix) = (pattern.Suffix is not null, pattern.Prefix is not null);
        var text = pattern.Exact ?? pattern.Prefix ?? pattern.Suffix!;
        var ways = new List<Principal>();
        if (isPrefix) ways.Add(Both(TextMatches.Prefix(text), Anything));
        if (isSuffix) ways.Add(Both(Anything, TextMatches.Suffix(text)));
        for (var slash = text.IndexOf('/', StringComparison.Ordinal); slash >= 0; slash = text.IndexOf('/', slash + 1))
        {
            var (issuer, subject) = (text[..slash], text[(slash + 1)..]);
            if ((issuer.Length == 0 && !isSuffix) || (subject.Length == 0 && !isPrefix)) continue;
            ways.Add(Both(
                isSuffix ? issuer.Length == 0 ? Anything : new() { Suffix = issuer } : new() { Exact = issuer },
                isPrefix ? subject.Length == 0 ? Anything : new() { Prefix = subject } : new() { Exact = subject }));
        }
        return ways.Count == 1 ? ways[0] : ways.Count > 0 ? new() { OrIds = new() { Ids = { ways } } } : new() { NotId = new() { Any = true } };

        Principal Both(StringMatcher issuer, StringMatcher subject) => new()
        {
            AndIds = new()
            {
                Ids =
                {
                    MetadataRules.Caller(At(["iss"], new() { StringMatch = issuer }), software),
                    MetadataRules.Caller(At(["sub"], new() { StringMatch = subject }), software),
                },
            },
        };
    }

    private static StringMatcher Anything => TextMatches.Regex(".+");

    private static MetadataMatcher At(IEnumerable<string> path, ValueMatcher value)
    {
        var matcher = new MetadataMatcher { Filter = Filter, Value = value };
        matcher.Path.AddRange(path.Prepend(Payload).Select(key => new MetadataMatcher.Types.PathSegment { Key = key }));
        return matcher;
    }
}
