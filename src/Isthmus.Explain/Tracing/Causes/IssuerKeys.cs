using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>The issuers of whose keys a callee's proxy has none, because its control plane cannot fetch them: it refuses every token of them.</summary>
/// <param name="reading">The RequestAuthentications by which the proxy reads tokens.</param>
internal sealed class IssuerKeys(IReadOnlyList<RequestAuthentication> reading)
{
    /// <summary>Of the keys in a proxy's configuration: an issuer whose others are there, or that the proxy asks by itself, lacks none.</summary>
    public static IEnumerable<string> Lacking(IEnumerable<TokenFilterView> filters) =>
        filters.SelectMany(filter => filter.LocalKeys).GroupBy(keys => keys.Issuer).Where(keys => keys.All(one => one.Keys == TokenChecks.NoKeys))
            .Select(keys => keys.Key);

    /// <summary>Why tokens of some issuers are refused; null where no RequestAuthentication says where their keys are.</summary>
    /// <param name="lacking">Those issuers.</param>
    /// <param name="home">The cluster of the control plane.</param>
    /// <param name="outcome">What becomes of the request, as the end of the sentence.</param>
    /// <param name="then">What else to do, as the end of the remedy.</param>
    public Problem? Refused(IEnumerable<string> lacking, ClusterObjects home, string outcome, string then = "")
    {
        if (Fetched.FirstOrDefault(one => lacking.Contains(one.Rule.Issuer)) is not { Policy: { } policy, Rule: { } rule } found) return null;
        var uri = rule.JwksUri.Length > 0 ? rule.JwksUri : $"the address that {rule.Issuer} tells";
        return Faults.Of("ISM2096", $"RequestAuthentication {policy.Namespace}/{policy.Name} in {home.Context}",
            $"spec.jwtRules[{found.Index}].{(rule.JwksUri.Length > 0 ? "jwksUri" : "issuer")}",
            $"its control plane has no keys of {rule.Issuer}, because it cannot fetch them from {uri}: every token of it is refused{outcome}",
            $"make the address reachable from the control plane, or put the keys into jwks (its log says why: kubectl --context={home.Context} -n "
                + $"{home.SystemNamespace} logs -l app={WellKnown.Istiod} --tail=-1 | grep 'keys of issuer'){then}");
    }

    /// <summary>A policy wants a token, and the call has none: one would not help while all issuers that the policy takes tokens of lack their keys. Null
    /// where one would.</summary>
    /// <param name="policy">As problems name it.</param>
    /// <param name="term">What it wants of the token, or does not.</param>
    /// <param name="denial">What becomes of the request.</param>
    public Problem? Keyless(string policy, RuleTerm term, CallAttributes call, ClusterObjects home, string denial)
    {
        var taken = Taken(term).ToList();
        return taken.Count == 0 || !taken.TrueForAll(call.Unkeyed.Contains) ? null
            : Refused(taken, home, $"; and {policy} wants one, which this call does not have either: {denial}",
                "; then send a token (isthmus trace --jwt TOKEN)");
    }

    /// <summary>The issuers whose tokens help, where those of others do not, as the end of a sentence; empty where nothing is known to be wrong with
    /// any.</summary>
    public string Helping(RuleTerm term, CallAttributes call)
    {
        var taken = Taken(term).ToList();
        var (lacking, others) = (taken.FindAll(call.Unkeyed.Contains), taken.FindAll(issuer => !call.Unkeyed.Contains(issuer)));
        return lacking.Count == 0 || others.Count == 0 ? ""
            : $" of {string.Join(" or ", others)}: the control plane cannot fetch the keys of {string.Join(", ", lacking)}, so that tokens of it are refused";
    }

    private IEnumerable<(RequestAuthentication? Policy, TokenRule Rule, int Index)> Fetched =>
        reading.SelectMany(policy => policy.Rules.Select((rule, index) => ((RequestAuthentication?)policy, rule, index)))
            .Where(one => one.rule.Jwks.Length == 0);

    /// <summary>The issuers whose tokens can have what a term of a rule says of them.</summary>
    private IEnumerable<string> Taken(RuleTerm term)
    {
        var issuers = reading.SelectMany(policy => policy.Rules).Select(rule => rule.Issuer).Distinct();
        var values = term.Values.IsEmpty ? term.NotValues : term.Values;
        return term.Key != RuleKeys.RequestPrincipal ? issuers : issuers.Where(issuer => values.Any(value => MayBeOf(value, $"{issuer}/")));
    }

    /// <summary>Whether a principal, or a pattern of some, may be one of an issuer: the pattern has a star at its end or its beginning.</summary>
    private static bool MayBeOf(string value, string issuer) => value.StartsWith('*') || value.StartsWith(issuer, StringComparison.Ordinal)
        || (value.EndsWith('*') && issuer.StartsWith(value[..^1], StringComparison.Ordinal));
}
