using Isthmus.Core.Collections;
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
        let closed = Closed(config, policy)
        select OwnCodes.PolicyOfWholeMesh.At(config.Cluster, $"AuthorizationPolicy {policy.Namespace}/{policy.Name}", "metadata.namespace",
            $"{policy.Namespace} is the root namespace, so the policy applies to "
                + $"{(policy.Selector.IsEmpty ? "all workloads" : $"workloads with {policy.Selector}")} of {namespaces}: {effect}"
                + (closed is null ? "" : policy.Action == PolicyAction.Deny ? $"; it denies all calls, such as those to {closed}"
                    : $"; none permits any call to {closed}, so that all of them fail"),
            $"if it is for one namespace only: create it there, and delete it here: kubectl --context={config.Cluster.Context} -n {policy.Namespace} delete "
                + $"authorizationpolicy {policy.Name}"
                + (closed is null || policy.Action == PolicyAction.Deny ? "" : $"; otherwise create an ALLOW policy for the callers of {closed}"),
            closed is null ? Severity.Info : null));

    /// <summary>A Service to which no call gets through by this policy, whoever calls: it denies everything, or allows nobody, and nothing else allows anybody.
    /// Null where there is none; what rules say of callers is for whoever wrote them to judge.</summary>
    private static string? Closed(ConfigCluster config, AuthorizationPolicy policy)
    {
        if (policy.Action == PolicyAction.Deny ? !policy.Rules.Any(rule => rule is { From.IsEmpty: true, To.IsEmpty: true, When.IsEmpty: true })
            : !policy.Rules.IsEmpty) return null;
        return (from area in config.Reach
                from workload in area.All
                where workload is { HasProxy: true, IsGateway: false } && !MeshSnapshot.IsSystem(workload.Cluster, workload.Namespace)
                let labels = workload.Labels.ToValueMap()
                where policy.AppliesTo(workload.Namespace, config.Cluster.RootNamespace, labels)
                    && (policy.Action == PolicyAction.Deny || !config.Cluster.Istio<AuthorizationPolicy>().Any(other => other is { Action: PolicyAction.Allow,
                        DryRun: false, Rules.IsEmpty: false } && other.AppliesTo(workload.Namespace, config.Cluster.RootNamespace, labels)))
                from service in area.ServicesOf(workload)
                select $"Service {service.Key} in {workload.Cluster.Context}").FirstOrDefault();
    }
}
