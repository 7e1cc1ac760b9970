using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Principals of requests in AuthorizationPolicies whose issuer no RequestAuthentication of the workloads knows. Pure.</summary>
public static class TokenIssuers
{
    public static Analyzer Analyzer
    {
        get;
    } = new("authz.RequestPrincipalAnalyzer", "Checks that RequestAuthentications have the issuers of the request principals of AuthorizationPolicies",
        [OwnCodes.RequestPrincipalUnknown], ["AuthorizationPolicy", "RequestAuthentication", "Pod"], mesh =>
        from config in mesh.Clusters
        from policy in config.Cluster.Istio<AuthorizationPolicy>()
        let read = PolicyTerm.Of(policy).Where(read => read.Term.Key == RuleKeys.RequestPrincipal).ToList()
        where read.Count > 0
        let issuers = Issuers(config, policy)
        // Without workloads, or without tokens, others say what is missing.
        where issuers.Count > 0
        from term in read
        from value in term.Term.Values.Select(value => (Value: value, term.Path))
            .Concat(term.Term.NotValues.Select(value => (Value: value, Path: term.Negated)))
        where !value.Value.StartsWith('*') && !issuers.Exists(issuer => Fits(value.Value, issuer))
        select OwnCodes.RequestPrincipalUnknown.At(config.Cluster, $"AuthorizationPolicy {policy.Namespace}/{policy.Name}", value.Path,
            $"\"{value.Value}\" is of no issuer whose tokens the workloads take ({string.Join(", ", issuers)}): no request has it",
            $"write the issuer, a slash and the subject: {issuers[0]}/{value.Value[(value.Value.LastIndexOf('/') + 1)..]}"));

    private static bool Fits(string value, string issuer) => value.EndsWith('*')
        ? $"{issuer}/".StartsWith(value[..^1], StringComparison.Ordinal) || value[..^1].StartsWith($"{issuer}/", StringComparison.Ordinal)
        : value.StartsWith($"{issuer}/", StringComparison.Ordinal);

    /// <summary>Those of the tokens that the workloads of a policy take.</summary>
    private static List<string> Issuers(ConfigCluster config, AuthorizationPolicy policy)
    {
        var workloads = config.Selected(policy.Namespace, policy.Selector).Where(workload => workload.Pod is not null).ToList();
        return [.. config.Cluster.Istio<RequestAuthentication>()
            .Where(tokens => workloads.Exists(workload => tokens.Reaches(workload.Namespace, config.Cluster.RootNamespace)
                && tokens.Selector.Selects(workload.Labels)))
            .SelectMany(tokens => tokens.Rules).Select(rule => rule.Issuer).Distinct().Order(StringComparer.Ordinal)];
    }
}
