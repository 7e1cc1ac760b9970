using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose.Analysis;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>The terms of AuthorizationPolicies that need what only the call itself shows, such as the address of a client outside.</summary>
internal static class UndecidedTerms
{
    /// <summary>More would hide the rest of the trace.</summary>
    private const int Most = 3;

    /// <summary>Which they are, and what they demand; null when there are none.</summary>
    public static string? Of(string context, IEnumerable<AuthorizationPolicy> policies, Func<string, bool> isUnknown)
    {
        var found = (from policy in policies
                     from read in PolicyTerm.Of(policy)
                     where isUnknown(read.Term.Key)
                     select (read.Term.Key, Says: $"AuthorizationPolicy {policy.Namespace}/{policy.Name} in {context} {Does(policy.Action)} calls for which "
                         + $"{What(read.Term.Key)} is {Values(read)}{(IsAlone(policy, read) ? "" : ", as far as the rest of its rule matches")}")).ToList();
        return found.Count == 0 ? null
            : $"decides by {string.Join(", ", found.Select(one => one.Key).Distinct())}, which only the call itself shows: "
                + string.Join("; ", found.Take(Most).Select(one => one.Says)) + (found.Count > Most ? $"; and {found.Count - Most} more" : "");
    }

    /// <summary>Whether the term alone decides. Several sources are alternatives; all else of a rule must match together.</summary>
    private static bool IsAlone(AuthorizationPolicy policy, PolicyTerm read)
    {
        var rule = read.Path[..(read.Path.IndexOf("].", StringComparison.Ordinal) + 2)];
        var (source, sources) = (read.Path[..(read.Path.LastIndexOf('.') + 1)], $"{rule}from[");
        return !PolicyTerm.Of(policy).Any(other => other.Path != read.Path && other.Path.StartsWith(rule, StringComparison.Ordinal)
            && (other.Path.StartsWith(source, StringComparison.Ordinal) || !other.Path.StartsWith(sources, StringComparison.Ordinal)
                || !source.StartsWith(sources, StringComparison.Ordinal)));
    }

    private static string Does(PolicyAction action) => action switch
    {
        PolicyAction.Deny => "denies",
        PolicyAction.Custom => "asks its provider about",
        _ => "allows",
    };

    private static string What(string key) => key switch
    {
        RuleKeys.RemoteIp => "the address of the client",
        RuleKeys.SourceIp => "the address that the connection comes from",
        _ => key,
    };

    private static string Values(PolicyTerm read) => string.Join(", and ", ((string[])[
        read.Term.Values.IsEmpty ? "" : $"in {string.Join(", ", read.Term.Values)} ({read.Path})",
        read.Term.NotValues.IsEmpty ? "" : $"not in {string.Join(", ", read.Term.NotValues)} ({read.Negated})"]).Where(text => text.Length > 0));
}
