using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>
/// Security policies of one control plane that another one does not have, although it has workloads that they select: a call to a Service
/// that both clusters serve is checked, or not, depending on where it ends. Pure.
/// </summary>
public static class PoliciesDiffer
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.PolicyAnalyzer", "Checks that all clusters with workloads that a security policy selects have the same policy",
        [OwnCodes.PoliciesDiffer],
        ["AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication", "Service", "Namespace", "Pod"], mesh =>
            from pair in Pairs(mesh)
            from policy in PoliciesOf(pair.Near.Cluster)
            let others = PoliciesOf(pair.Far.Cluster)
                .Where(other => other.Source.Kind == policy.Source.Kind && other.Source.Namespace == policy.Source.Namespace).ToList()
            where !others.Exists(other => other.Content.Equals(policy.Content))
            let named = others.Exists(other => other.Source.Name == policy.Source.Name)
            // Each difference is reported once.
            where !named || pair.IsFirst
            let reached = Reached(mesh, pair.Far, policy)
            where reached is not null
            let name = $"{policy.Source.Kind} {policy.Source.Namespace}/{policy.Source.Name}"
            select OwnCodes.PoliciesDiffer.At(pair.Far.Cluster, name, "spec", named
                    ? $"differs from that of {pair.Near.Cluster.Context}, and selects {reached.Name} here: what is accepted depends on the cluster where a "
                        + $"call ends"
                    : $"does not exist in {pair.Far.Cluster.Context}, where it would select {reached.Name}: calls that end there are not subject to it",
                named
                    ? "make them the same"
                    : $"if calls are to be subject to it, apply {name} of {pair.Near.Cluster.Context} in {pair.Far.Cluster.Context} as well; if not, delete it "
                        + $"in {pair.Near.Cluster.Context}"));

    private sealed record Pair(ConfigCluster Near, ConfigCluster Far, bool IsFirst);

    /// <param name="Content">The policy without its name and age, for comparison.</param>
    private sealed record Policy(ObjectRef Source, WorkloadSelector Selector, object Content);

    private static IEnumerable<Pair> Pairs(MeshSnapshot mesh)
    {
        var primaries = mesh.Clusters.Where(config => MeshSnapshot.HasControlPlane(config.Cluster)).ToList();
        return from near in primaries.Index()
               from far in primaries.Index()
               where near.Index != far.Index && MeshSnapshot.ShareHosts(near.Item.Cluster, far.Item.Cluster)
               select new Pair(near.Item, far.Item, near.Index < far.Index);
    }

    /// <summary>Policies that refuse calls. Others only report them, or state what holds without a policy.</summary>
    private static IEnumerable<Policy> PoliciesOf(ClusterInventory cluster)
    {
        var none = default(ObjectRef);
        return cluster.Istio<AuthorizationPolicy>().Where(policy => !policy.DryRun && policy.Action != PolicyAction.Audit)
            .Select(policy => new Policy(policy.Source, policy.Selector, policy with { Source = none, CreatedAt = 0 }))
            .Concat(cluster.Istio<PeerAuthentication>().Where(IsStrict)
                .Select(policy => new Policy(policy.Source, policy.Selector, policy with { Source = none, CreatedAt = 0 })))
            .Concat(cluster.Istio<RequestAuthentication>()
                .Select(policy => new Policy(policy.Source, policy.Selector, policy with { Source = none, CreatedAt = 0 })));
    }

    private static bool IsStrict(PeerAuthentication policy) => policy.Mode == MtlsMode.Strict || policy.Ports.Values.Contains(MtlsMode.Strict);

    /// <summary>A Pod of a Service that the policy selects in the other cluster.</summary>
    private static Workload? Reached(MeshSnapshot mesh, ConfigCluster far, Policy policy)
    {
        var selected = far.Selected(policy.Source.Namespace, policy.Selector)
            .Where(workload => workload.Pod is not null && workload.HasProxy
                && (!policy.Selector.IsEmpty || !MeshSnapshot.IsSystem(workload.Cluster, workload.Namespace)));
        return selected.FirstOrDefault(workload => mesh.Workloads.First(area => area.Cluster == workload.Cluster) is var area
            && workload.Cluster.Services.Any(service => service.Metadata.Namespace == workload.Namespace && area.Behind(service).Contains(workload)));
    }
}
