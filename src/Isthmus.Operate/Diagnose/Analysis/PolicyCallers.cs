using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Callers that AuthorizationPolicies name: namespaces, service accounts and trust domains that exist in no cluster match nobody. Pure.</summary>
public static class PolicyCallers
{
    /// <param name="IsAll">Whether these are all, so that others do not exist.</param>
    /// <param name="HasAccounts">The same of accounts.</param>
    private sealed record Known(HashSet<string> Namespaces, HashSet<string> Accounts, HashSet<string> TrustDomains, bool IsAll, bool HasAccounts);

    public static Analyzer Analyzer
    {
        get;
    } = new("authz.AuthorizationPoliciesAnalyzer", "Checks that the namespaces and principals of AuthorizationPolicies exist",
        [IstioCodes.ReferencedResourceNotFound, OwnCodes.CallerUnknown], ["AuthorizationPolicy", "Namespace"], mesh =>
        {
            // Without all accounts, nothing is known of principals. Clusters that were not read may have namespaces and accounts.
            var known = new Known(
                [.. mesh.Readable.SelectMany(cluster => cluster.Namespaces).Select(ns => ns.Metadata.Name)],
                [.. mesh.Readable.SelectMany(cluster => cluster.Objects("ServiceAccount"))
                    .Select(account => $"{account["metadata"]?["namespace"]}/{account["metadata"]?["name"]}"),
                    .. mesh.Workloads.SelectMany(area => area.All).Select(workload => $"{workload.Namespace}/{workload.ServiceAccount}")],
                // Policies may always say cluster.local for the trust domain of the mesh.
                mesh.TrustDomains.Any() ? [.. mesh.TrustDomains, WellKnown.DefaultTrustDomain] : [],
                mesh.ReadsAll, mesh.ReadsAll && mesh.Knows(["Pod", "ServiceAccount"]));
            return mesh.Clusters.SelectMany(config => config.Cluster.Istio<AuthorizationPolicy>()
                .SelectMany(policy => PolicyTerm.Of(policy).SelectMany(term => Check(config, policy, term, known))));
        });

    private static IEnumerable<Finding> Check(ConfigCluster config, AuthorizationPolicy policy, PolicyTerm read, Known known)
    {
        var (path, negated, term) = read;
        var name = $"AuthorizationPolicy {policy.Namespace}/{policy.Name}";
        if (term.Key == RuleKeys.Namespace)
        {
            if (!known.IsAll) yield break;
            IEnumerable<string> Missing(IEnumerable<string> values) =>
                values.Where(value => !known.Namespaces.Any(RulePattern.Of(term.Key, value).Covers));
            foreach (var value in Missing(term.Values))
                yield return IstioCodes.ReferencedResourceNotFound.At(config.Cluster, name, path, $"{Lacks(value)}, so it matches no caller",
                    Meant(value, known.Namespaces));
            // The rule holds as if the value were not there. Only a denial can be more than was meant, so that calls fail.
            foreach (var value in Missing(term.NotValues))
                yield return IstioCodes.ReferencedResourceNotFound.At(config.Cluster, name, negated,
                    $"{Lacks(value)}, so it excepts no caller from what the policy {Does(policy.Action)}",
                    Meant(value, known.Namespaces) ?? "correct the name, or remove it",
                    policy.Action == PolicyAction.Deny ? Severity.Warning : Severity.Info);
            yield break;
        }
        foreach (var value in term.Values.Where(value => !value.Contains('*', StringComparison.Ordinal)))
        {
            var (what, remedy) = term.Key switch
            {
                RuleKeys.Principal => Unknown(value, known),
                RuleKeys.ServiceAccount when value.Split('/') is [var ns, var account] => Unknown(ns, account, known),
                _ => ("", null),
            };
            if (what.Length > 0) yield return OwnCodes.CallerUnknown.At(config.Cluster, name, path, $"\"{value}\" matches no caller: {what}", remedy);
        }
    }

    private static string Lacks(string ns) => $"Referenced namespace not found: \"{ns}\": no cluster has "
        + $"{(ns.Contains('*', StringComparison.Ordinal) ? "one that it covers" : "it")}";

    private static string Does(PolicyAction action) => action switch
    {
        PolicyAction.Deny => "denies",
        PolicyAction.Audit => "audits",
        PolicyAction.Custom => "sends to its provider",
        _ => "allows",
    };

    /// <summary>What of a principal does not exist; empty when all does.</summary>
    private static (string What, string? Remedy) Unknown(string principal, Known known)
    {
        if (principal.StartsWith("spiffe://", StringComparison.Ordinal))
            return ("principals are written without spiffe://", $"write {principal["spiffe://".Length..]}");
        if (principal.Split('/') is not [var domain, "ns", var ns, "sa", var account])
            return ("it is not of the form TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT", null);
        return known.HasAccounts && known.TrustDomains.Count > 0 && !known.TrustDomains.Contains(domain)
            ? ($"no control plane has the trust domain {domain}, nor an alias of that name",
                $"use {known.TrustDomains.First()}, or add the trust domain to trustDomainAliases of MeshConfig")
            : Unknown(ns, account, known);
    }

    private static (string What, string? Remedy) Unknown(string ns, string account, Known known) =>
        !known.HasAccounts ? ("", null)
        : !known.Namespaces.Contains(ns) ? ($"no cluster has the namespace {ns}", Meant(ns, known.Namespaces))
        : known.Accounts.Contains($"{ns}/{account}") ? ("", null)
        : ($"no cluster has the service account {account} in namespace {ns}",
            Meant(account, known.Accounts.Where(other => other.StartsWith($"{ns}/", StringComparison.Ordinal)).Select(other => other[(ns.Length + 1)..])));

    private static string? Meant(string word, IEnumerable<string> known) => Spelling.Nearest(word, known) is { } near ? $"did you mean \"{near}\"?" : null;
}
