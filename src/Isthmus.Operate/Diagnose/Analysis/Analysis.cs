using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Finds known problems between the objects of one or more clusters, as a pure function.</summary>
public static class Analysis
{
    public static IReadOnlyList<Finding> Run(IReadOnlyList<ClusterInventory> clusters) =>
    [
        .. clusters.Where(cluster => cluster.Error.Length > 0)
            .Select(cluster => new Finding(cluster.Context, new("ISM1400", $"cluster {cluster.Context}", "", $"cannot be read: {cluster.Error}", "check that the cluster is running and that its kubeconfig entry is correct"))),
        .. clusters.SelectMany(cluster => cluster.Complaints.Select(problem => new Finding(cluster.Context, problem))),
        .. StubDomain.Check(clusters),
        // Several ServiceEntries can lead to the same problem.
        .. GlobalHosts.Check(clusters).DistinctBy(finding => (finding.Cluster, finding.Problem)),
        .. TrustAnalysis.Check(clusters),
        .. CredentialReferences.Check(clusters),
        .. RestrictedNamespaces.Check(clusters),
        .. RuleConflicts.Check(clusters),
        .. ProviderReferences.Check(clusters),
        .. ClientAffinity.Check(clusters),
    ];
}
