using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Control planes that fetch keys of issuers from any address. Pure.</summary>
public static class KeyAddresses
{
    private const string Blocked = "BLOCKED_CIDRS_IN_JWKS_URIS";

    private const int Named = 5;

    public static Analyzer Analyzer { get; } = new("authn.BlockedCIDRsAnalyzer", "Checks that control planes limit the addresses from which they fetch keys",
        [IstioCodes.KeysFromAnywhere], ["RequestAuthentication", "Deployment"], mesh =>
        from cluster in mesh.Readable
        let fetching = cluster.Istio<RequestAuthentication>().Where(tokens => tokens.Rules.Any(rule => rule.Jwks.Length == 0))
            .Select(tokens => $"{tokens.Namespace}/{tokens.Name}").Order(StringComparer.Ordinal).ToList()
        where fetching.Count > 0
        from template in cluster.Templates
        where template.Kind == "Deployment" && template.Labels.GetValueOrDefault("app") == WellKnown.Istiod
            && !template.Spec.Containers.Any(container => container.Env.Any(variable => variable.Name == Blocked && variable.Value is { Length: > 0 }))
        let named = string.Join(", ", fetching.Take(Named)) + (fetching.Count > Named ? $" and {fetching.Count - Named} more" : "")
        select IstioCodes.KeysFromAnywhere.At(cluster, template.FullName, "spec.template.spec.containers[0].env",
            $"{Blocked} is not set, and RequestAuthentications name where keys are: {named}", severity: Severity.Info));
}
