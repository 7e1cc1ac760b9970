using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why the proxy of a callee refuses the token of a request: the rule that the token is for, and what of it does not fit.</summary>
internal static class TokenRefusals
{
    private readonly record struct Mistake(string Field, string Why, string Remedy);

    /// <param name="policies">Those that apply to the callee.</param>
    /// <param name="request">The request with the token.</param>
    /// <param name="why">What the proxy says of it.</param>
    /// <param name="others">The algorithms of an issuer's keys, where none is of the kind that an algorithm needs; null otherwise.</param>
    public static Problem Find(IReadOnlyList<RequestAuthentication> policies, AskedRequest request, int status, string why, Callee callee, string context,
        Func<string, string, IReadOnlyList<string>?> others)
    {
        var token = request.Token ?? request.AnyToken?.Token;
        var rules = policies.SelectMany(policy => policy.Rules.Select((rule, index) => (Policy: policy, Rule: rule, Index: index))).ToList();
        var meant = rules.FirstOrDefault(one => one.Rule.Issuer == token?.Issuer);
        var owner = meant.Policy ?? policies.FirstOrDefault();
        // Where the token is read with what is before it, or without what is, its form is what is wrong.
        var stray = request.AnyToken is { } placed && why.Contains("form", StringComparison.Ordinal) ? TokenPlaces.Stray(policies, placed) : null;
        var mistake = stray is not null ? new Mistake("spec.jwtRules[*].fromHeaders", $": it {stray.Value.Why}", stray.Value.Remedy)
            : token is null || meant.Policy is null
            ? Foreign(token, rules.Select(one => one.Rule.Issuer)) : OfRule(meant.Rule, meant.Index, token, why, others);
        var name = owner is null ? callee.Name.ToString() : $"RequestAuthentication {owner.Namespace}/{owner.Name} in {context}";
        return Faults.Of("ISM2082", name, mistake.Field,
            $"refuses the token of the request at {callee.Name}: {why}{mistake.Why}; the response is {status}", mistake.Remedy);
    }

    private static Mistake Foreign(TokenView? token, IEnumerable<string> issuers) => token is { Issuer.Length: > 0 }
        ? new("spec.jwtRules[*].issuer", $": it is of {token.Issuer}, and the rules are for {string.Join(", ", issuers.Distinct())}",
            $"send a token of an issuer that it lists, or none; or add a rule for {token.Issuer}")
        : new("spec.jwtRules", "", "send a valid token of an issuer that it lists, or none");

    private static Mistake OfRule(TokenRule rule, int index, TokenView token, string why, Func<string, string, IReadOnlyList<string>?> others)
    {
        var path = $"spec.jwtRules[{index}]";
        if (why.StartsWith("Audiences", StringComparison.Ordinal))
        {
            return new($"{path}.audiences", $": the rule is for {string.Join(", ", rule.Audiences)}, and the token is for "
                + $"{(token.Audience is { } audience ? Text(audience) : "no audience")}",
                $"send a token for one of these audiences, or add {(token.Audience is { } named ? Text(named) : "that of the token")} to audiences");
        }
        if (why.Contains("expired", StringComparison.Ordinal))
            return new(path, token.Valid.Until is { } until ? $": it was valid until {until:u} (claim exp)" : "",
                "send a newer token: this one is not valid any more");
        if (why.Contains("not yet valid", StringComparison.Ordinal))
            return new(path, token.Valid.From is { } from ? $": it is valid from {from:u} on (claim nbf)" : "",
                $"send a token that is valid now: correct the clock of {rule.Issuer}, or what it writes into nbf");
        var keys = rule.Jwks.Length > 0 ? "jwks" : rule.JwksUri.Length > 0 ? "jwksUri" : "issuer";
        // A secret that an object shows to whoever may read it would let all of them sign tokens.
        if (why.StartsWith("Jwks", StringComparison.Ordinal) && others(rule.Issuer, token.Algorithm) is [_, ..] algorithms)
            return new($"{path}.{keys}",
                $": it is signed with {token.Algorithm}{(IsShared(token) ? ", a shared secret" : "")}, and the keys of {rule.Issuer} are for "
                    + $"{string.Join(", ", algorithms)} only",
                $"let {rule.Issuer} sign with {string.Join(" or ", algorithms)}"
                    + (IsShared(token) ? "" : $", or let {keys} give its key for {token.Algorithm} as well"));
        return why.StartsWith("Jwt verification", StringComparison.Ordinal) || why.StartsWith("Jwks", StringComparison.Ordinal)
            ? new($"{path}.{keys}", $": no key of {rule.Issuer} fits its signature{(token.KeyId.Length > 0 ? $" (kid {token.KeyId})" : "")}",
                $"let {keys} give the keys with which {rule.Issuer} signs now, or send a token that it has signed")
            : new(path, "", "send a valid token of an issuer that it lists, or none");
    }

    private static bool IsShared(TokenView token) => token.Algorithm.StartsWith("HS", StringComparison.Ordinal);

    private static string Text(JsonNode value) => value is JsonArray list ? string.Join(", ", list.Select(item => item?.ToString())) : value.ToString();
}
