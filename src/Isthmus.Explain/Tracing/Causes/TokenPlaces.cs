using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Where proxies read the tokens of requests, and what is wrong with the place where a request has its token.</summary>
internal static class TokenPlaces
{
    private const string Authorization = "authorization", Bearer = "Bearer ";

    /// <summary>What the request has, where no rule reads it, and what helps; null where a rule reads it.</summary>
    public static (string Why, string Remedy)? Stray(IReadOnlyList<RequestAuthentication> policies, PlacedToken token)
    {
        var rules = policies.SelectMany(policy => policy.Rules.Select((rule, index) => (Policy: policy, Rule: rule, Index: index))).ToList();
        // Those of the token's issuer are meant, if there are any.
        var meant = rules.Where(one => one.Rule.Issuer == token.Token.Issuer).ToList();
        if (meant.Count == 0) meant = rules;
        var headers = meant.SelectMany(one => Headers(one.Rule)).Where(header => header.Name.Equals(token.Header, StringComparison.OrdinalIgnoreCase)).ToList();
        if (meant.Count == 0 || headers.Exists(header => Fits(header, token.Before)) || meant.Exists(one => Reads(one.Rule, token.Place))) return null;
        var (policy, _, index) = meant[0];
        var name = $"RequestAuthentication {policy.Namespace}/{policy.Name}";
        var has = token.Before.Length > 0 ? $"after \"{token.Before}\"" : "with nothing before it";
        if (headers is [var header, ..])
            return ($"carries its token in {token.Place} {has}, and {name} reads tokens there "
                    + (header.Prefix.Length > 0 ? $"after \"{header.Prefix}\" only" : "with nothing before them only"),
                header.Prefix == Bearer && token.Header == Authorization
                    ? "send the header as 'Authorization: Bearer TOKEN' (isthmus trace --jwt TOKEN)"
                    : $"send the header as '{header.Name}: {header.Prefix}TOKEN', or correct the prefix in spec.jwtRules[{index}].fromHeaders");
        var places = meant.SelectMany(one => Places(one.Rule)).Distinct().ToList();
        return ($"carries its token in {token.Place}, where {name} does not look for one: it reads {string.Join(", ", places)}",
            token.Header.Length == 0 ? $"send the token in {places[0]}"
                : $"send the token in {places[0]}{(places[0].StartsWith(Default, StringComparison.Ordinal) ? " (isthmus trace --jwt TOKEN)" : "")}, or add "
                    + $"{{name: {Name(token)}{(token.Before.Length > 0 ? $", prefix: \"{token.Before}\"" : "")}}} to spec.jwtRules[{index}].fromHeaders");
    }

    private const string Default = "header Authorization after \"Bearer \"";

    /// <summary>In the words of messages.</summary>
    public static IEnumerable<string> Places(TokenRule rule) => IsByDefault(rule) ? [Default, "query parameter access_token"]
        : rule.FromHeaders.Select(header => $"header {header.Name}{(header.Prefix.Length > 0 ? $" after \"{header.Prefix}\"" : "")}")
            .Concat(rule.FromParams.Select(name => $"query parameter {name}")).Concat(rule.FromCookies.Select(name => $"cookie {name}"));

    private static bool IsByDefault(TokenRule rule) => rule.FromHeaders.IsEmpty && rule.FromParams.IsEmpty && rule.FromCookies.IsEmpty;

    private static IEnumerable<TokenHeader> Headers(TokenRule rule) => IsByDefault(rule) ? [new("Authorization", Bearer)] : rule.FromHeaders;

    private static bool Reads(TokenRule rule, string place) => !place.StartsWith("header ", StringComparison.Ordinal)
        && Places(rule).Contains(place, StringComparer.Ordinal);

    /// <summary>A proxy searches the prefix, of the header Authorization in whatever case.</summary>
    private static bool Fits(TokenHeader header, string before) => header.Prefix.Length == 0 ? before.Length == 0
        : before.TrimEnd().EndsWith(header.Prefix.TrimEnd(), header.Name.Equals(Authorization, StringComparison.OrdinalIgnoreCase)
            ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal);

    private static string Name(PlacedToken token) => token.Header == Authorization ? "Authorization" : token.Header;
}
