using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>AuthorizationPolicies with the action CUSTOM whose external authorizer cannot be asked. They deny what they match. Pure.</summary>
public static class ProviderReferences
{
    public static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters)
    {
        var hosts = clusters.SelectMany(cluster => cluster.Services.Select(service => $"{service.Metadata.Name}.{service.Metadata.Namespace}.svc.")
            .Concat(cluster.Istio<ServiceEntry>().SelectMany(entry => entry.Hosts))).ToHashSet(StringComparer.Ordinal);
        return
            from cluster in clusters
            where cluster.Authorizers is not null
            from policy in cluster.Istio<AuthorizationPolicy>()
            where policy is { Action: PolicyAction.Custom, DryRun: false, Provider.Length: > 0 }
            let lack = Lack(policy.Provider, cluster, hosts)
            where lack is not null
            select new Finding(cluster.Context, new("IST0101", $"AuthorizationPolicy {policy.Namespace}/{policy.Name}", "spec.provider.name", lack.Value.Message, lack.Value.Remedy));
    }

    private static (string Message, string Remedy)? Lack(string provider, ClusterInventory cluster, HashSet<string> hosts)
    {
        if (!cluster.Authorizers!.Value.TryGetValue(provider, out var authorizer))
            return ($"Referenced provider not found: \"{provider}\" is not an external authorizer in extensionProviders of MeshConfig; requests that match are denied", "add the provider to MeshConfig, or correct the name");
        var host = authorizer.Service[(authorizer.Service.IndexOf('/', StringComparison.Ordinal) + 1)..];
        var at = host.IndexOf(".svc.", StringComparison.Ordinal);
        return hosts.Contains(host) || (at > 0 && hosts.Contains(host[..(at + ".svc.".Length)])) ? null
            : ($"the provider \"{provider}\" has the service {authorizer.Service}, which is neither a Service nor a ServiceEntry; requests that match are denied", "create the Service, or correct extensionProviders in MeshConfig");
    }
}
