using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Values of AuthorizationPolicies in which a <c>*</c> stands for nothing but itself. A DENY of a header with <c>*red*</c> lets <c>dark-red-1</c>
/// through. Pure.</summary>
public static class PolicyPatterns
{
    public static Analyzer Analyzer { get; } = new("authz.PatternAnalyzer",
        "Checks for values of AuthorizationPolicies in which a * is no wildcard", [OwnCodes.StarWithoutMeaning], ["AuthorizationPolicy"], mesh =>
        from config in mesh.Clusters
        from policy in config.Cluster.Istio<AuthorizationPolicy>()
        from term in PolicyTerm.Of(policy)
        from value in term.Term.Values.Select(text => (term.Path, Text: text)).Concat(term.Term.NotValues.Select(text => (Path: term.Negated, Text: text)))
        let meaning = Meaning(RulePattern.Of(term.Term.Key, value.Text))
        where meaning.Length > 0
        select OwnCodes.StarWithoutMeaning.At(config.Cluster, $"AuthorizationPolicy {policy.Namespace}/{policy.Name}", value.Path,
            $"\"{value.Text}\" matches {meaning}, with the * as a character"));

    /// <summary>What proxies compare with; empty when each <c>*</c> is a wildcard.</summary>
    private static string Meaning(RulePattern pattern) =>
        !pattern.Texts.Any(text => text.Contains('*', StringComparison.Ordinal)) ? ""
        : pattern.Suffix is { } suffix ? $"what ends with \"{suffix}\""
        : pattern.Prefix is { } prefix ? $"what begins with \"{prefix}\""
        : "this text only";
}
