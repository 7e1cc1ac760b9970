using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>AuthorizationPolicies that apply to the whole mesh by their place alone: whoever wrote one for a namespace closes all others. Pure.</summary>
public static class PolicyPlaces
{
    private const int Named = 3;

    public static Analyzer Analyzer
    {
        get;
    } = new("authz.RootNamespaceAnalyzer", "Names AuthorizationPolicies that apply to workloads of the whole mesh", [OwnCodes.PolicyOfWholeMesh],
        ["AuthorizationPolicy", "Pod"], mesh =>
        from config in mesh.Clusters
        from policy in config.Cluster.Istio<AuthorizationPolicy>()
        where policy.Namespace == config.Cluster.RootNamespace && !policy.Selector.IsOfGateways && !policy.DryRun
            && policy.Action is PolicyAction.Allow or PolicyAction.Deny
        let met = config.Selected(policy.Namespace, policy.Selector)
            .Where(workload => workload.HasProxy && !MeshSnapshot.IsSystem(workload.Cluster, workload.Namespace))
            .Select(workload => workload.Namespace).Distinct().Order(StringComparer.Ordinal).ToList()
        where met.Count > 0
        let more = met.Count > Named ? $" and {Counted.Of(met.Count - Named, "other")}" : ""
        let namespaces = $"namespace{(met.Count == 1 ? "" : "s")} {string.Join(", ", met.Take(Named))}{more}"
        let effect = policy.Action == PolicyAction.Deny ? "what it denies is denied there" : "calls there fail unless some ALLOW policy permits them"
        select OwnCodes.PolicyOfWholeMesh.At(config.Cluster, $"AuthorizationPolicy {policy.Namespace}/{policy.Name}", "metadata.namespace",
            $"{policy.Namespace} is the root namespace, so the policy applies to "
                + $"{(policy.Selector.IsEmpty ? "all workloads" : $"workloads with {policy.Selector}")} of {namespaces}: {effect}",
            $"if it is for one namespace only: create it there, and delete it here: kubectl --context={config.Cluster.Context} -n {policy.Namespace} delete "
                + $"authorizationpolicy {policy.Name}"));
}
