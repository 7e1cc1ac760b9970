using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Codes of our own about what one cluster has for another.</summary>
public static class ClusterCodes
{
    public static readonly AnalysisCode RemoteSecretUnlabelled = new("ISM1507", "RemoteSecretUnlabelled", Severity.Warning,
        "A remote secret lacks the label by which control planes find theirs. They do not watch its cluster, whose Services and Pods are unknown to them.",
        "Set the label istio/multiCluster to true.");

    public static readonly AnalysisCode ExportOfNothing = new("ISM1508", "ExportOfNothing", Severity.Warning,
        "A ServiceExport has a name that no Service of its namespace has, in any cluster. It exports nothing.",
        "Create a ServiceExport with the name of the Service, or create the Service.");
}
