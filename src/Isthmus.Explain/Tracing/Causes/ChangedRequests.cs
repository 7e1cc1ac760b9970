using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Who has changed a request on its way, so that a policy of the callee refuses it: a route, or the filters of a gateway.</summary>
internal sealed class ChangedRequests(TraceFacts facts)
{
    private static readonly string Authorization = $"{RuleKeys.Header}[authorization]";

    private readonly CallerConfig _config = new(facts);

    /// <summary>Who takes the token that a policy wants out of the request; null when nobody does.</summary>
    /// <param name="policy">As problems name it.</param>
    /// <param name="read">The rules by which the callee's proxy reads tokens.</param>
    /// <param name="denial">What becomes of the request.</param>
    public Problem? TokenTaken(string policy, IReadOnlyList<TokenRule> read, CallAttributes call, string denial)
    {
        if (call.Changes is not { } changes) return null;
        if (changes.Admitted is { } admitted && Consuming(admitted) is var (owner, index, rule) && read.Any(one => one.Issuer == rule.Issuer))
        {
            return Faults.Of("ISM2064", owner, $"spec.jwtRules[{index}].forwardOriginalToken",
                $"is not true, so that gateway {facts.Client} takes the token out of the request after it has checked it, and {policy} wants one: {denial}",
                "set it to true, so that the callee gets the token");
        }
        if (!changes.Asked.HasBearer || call.HasBearer || RouteEdits.Find(_config, changes, Authorization) is not var (route, field)) return null;
        return Faults.Of("ISM2064", route, field,
            $"takes the header Authorization out of the request, or writes another one, so that it has no token for {policy}: {denial}",
            "remove authorization there");
    }

    /// <summary>The route that takes a header out of a request, or writes another value, where a policy refuses the request for it alone; null for
    /// others.</summary>
    /// <param name="rule">The policy and its field.</param>
    public Problem? HeaderTaken(string rule, RuleTerm term, CallAttributes call, string denial)
    {
        if (RouteEdits.HeaderOf(term.Key) is not { Length: > 0 } header || !IsChanged(term.Key, call)
            || RouteEdits.Find(_config, call.Changes!, term.Key) is not var (route, field)) return null;
        var now = call.Of(term.Key);
        var what = now.Count == 0 ? $"takes the header {header} out of the request" : $"sets the header {header} of the request to {string.Join(", ", now)}";
        return Faults.Of("ISM2064", route, field, $"{what}, and {rule} decides by it: {denial}",
            $"remove {header} there, or let the policy decide by something else");
    }

    /// <summary>Who has changed an attribute of the request by which a policy decides, and what it was, in brackets; empty when nobody has.</summary>
    public string Told(RuleTerm term, CallAttributes call)
    {
        var before = string.Join(", ", call.Asked(term.Key));
        return Writer(term, call) is var (owner, field) ? $" ({owner}, {field}, has changed it: it was {(before.Length > 0 ? before : "not there")})" : "";
    }

    /// <summary>The object and the field that has changed an attribute of the request; null when none is known to.</summary>
    public (string Owner, string Field)? Writer(RuleTerm term, CallAttributes call) =>
        IsChanged(term.Key, call) ? RouteEdits.Find(_config, call.Changes!, term.Key) : null;

    private static bool IsChanged(string key, CallAttributes call) => call.Changes is not null && !call.Asked(key).SequenceEqual(call.Of(key));

    /// <summary>The rule by which the gateway at which the call enters removes the token that it has checked; null when none does.</summary>
    private (string Owner, int Index, TokenRule Rule)? Consuming(Admission admitted)
    {
        if (admitted.Learned?.Find("istio_authn", [RuleKeys.RequestPrincipal])?.ToString() is not { } principal) return null;
        var labels = facts.ClientPod.Metadata.Labels.ToValueMap();
        foreach (var policy in _config.At.Istio<RequestAuthentication>().Where(one =>
            one.AppliesTo(facts.Client.Namespace, facts.RootNamespace, labels)).OrderBy(one => one.Source))
            foreach (var (index, rule) in policy.Rules.Index())
                if (!rule.Forward && principal.StartsWith($"{rule.Issuer}/", StringComparison.Ordinal))
                    return ($"RequestAuthentication {policy.Namespace}/{policy.Name} in {_config.At.Context}", index, rule);
        return null;
    }
}
