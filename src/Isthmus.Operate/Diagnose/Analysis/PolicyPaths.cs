using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>AuthorizationPolicies that keep requests away by their path, where another spelling of the path gets through. Pure.</summary>
public static class PolicyPaths
{
    private const int Named = 3;

    public static Analyzer Analyzer { get; } = new("authz.PathSpellingAnalyzer", "Checks for paths of AuthorizationPolicies that another spelling passes",
        [OwnCodes.PathSpelledOtherwise], ["AuthorizationPolicy"], mesh =>
        from config in mesh.Clusters
        where config.Cluster.Mesh is not null
        from policy in config.Cluster.Istio<AuthorizationPolicy>()
        from finding in Check(config, policy, config.Cluster.Mesh!.PathNormalization)
        select finding);

    private static IEnumerable<Finding> Check(ConfigCluster config, AuthorizationPolicy policy, PathNormalization normalization) =>
        from read in PolicyTerm.Of(policy)
        let term = read.Term
        where term.Key == RuleKeys.Path
        // Who spells it otherwise is neither denied, nor sent to the authorizer, nor excepted from what is allowed.
        let isNegation = policy.Action == PolicyAction.Allow
        where isNegation || policy.Action is PolicyAction.Deny or PolicyAction.Custom
        let paths = isNegation ? term.NotValues : term.Values
        let ambiguous = PathSpellings.Passing(paths, normalization)
        let passing = ambiguous.Count > 0 ? ambiguous : PathSpellings.PassingAsOthers(paths)
        where passing.Count > 0
        let why = ambiguous.Count > 0 ? $"pathNormalization {NameOf(normalization)} leaves such spellings as they are, and some servers read them as the path"
            : "they are other paths, except for servers that ignore case or a slash at the end"
        select OwnCodes.PathSpelledOtherwise.At(config.Cluster, $"AuthorizationPolicy {policy.Namespace}/{policy.Name}",
            isNegation ? read.Negated : read.Path,
            $"{Some(passing)} pass {Some([.. paths.Select(path => $"\"{path}\"")])}: {why}",
            ambiguous.Count > 0 ? null : "allow what is meant instead, if the server does so", ambiguous.Count > 0 ? null : Severity.Info);

    private static string Some(IReadOnlyList<string> texts) => string.Join(", ", texts.Take(Named)) + (texts.Count > Named ? ", …" : "");

    private static string NameOf(PathNormalization normalization) => normalization switch
    {
        PathNormalization.None => "NONE",
        PathNormalization.MergeSlashes => "MERGE_SLASHES",
        PathNormalization.DecodeAndMergeSlashes => "DECODE_AND_MERGE_SLASHES",
        PathNormalization.Strict => "STRICT",
        _ => "BASE",
    };
}
