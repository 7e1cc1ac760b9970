using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Values of AuthorizationPolicies in which a <c>*</c> stands for nothing but itself: only one at the beginning, or else at the end, is a wildcard,
/// as in Istio. A DENY with <c>*red*</c> therefore lets <c>dark-red-1</c> through. Pure.</summary>
public static class PolicyPatterns
{
    public static Analyzer Analyzer { get; } = new("authz.PatternAnalyzer",
        "Checks for values of AuthorizationPolicies in which a * is no wildcard", [OwnCodes.StarWithoutMeaning], ["AuthorizationPolicy"], mesh =>
        from config in mesh.Clusters
        from policy in config.Cluster.Istio<AuthorizationPolicy>()
        from term in PolicyTerm.Of(policy)
        from value in term.Term.Values.Select(text => (term.Path, Text: text)).Concat(term.Term.NotValues.Select(text => (Path: term.Negated, Text: text)))
        let meaning = Meaning(value.Text, term.Term.Key == RuleKeys.Path)
        where meaning.Length > 0
        select OwnCodes.StarWithoutMeaning.At(config.Cluster, $"AuthorizationPolicy {policy.Namespace}/{policy.Name}", value.Path,
            $"\"{value.Text}\" matches {meaning}, with the * as a character"));

    /// <summary>What proxies compare with; empty when each <c>*</c> is a wildcard.</summary>
    private static string Meaning(string value, bool isPath)
    {
        // Templates of paths have wildcards in braces, and no others: their reader refuses those.
        if (value == "*" || (isPath && value.Contains('{', StringComparison.Ordinal))) return "";
        var (words, rest) = value.StartsWith('*') ? ("what ends with ", value[1..]) : value.EndsWith('*') ? ("what begins with ", value[..^1]) : ("", value);
        return !rest.Contains('*', StringComparison.Ordinal) ? "" : words.Length > 0 ? $"{words}\"{rest}\"" : "this text only";
    }
}
