using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>What an analysis found, and which analyzers took part.</summary>
/// <param name="Skipped">Those that lack an input.</param>
/// <param name="LeftOut">Clusters of the mesh that were not to be read: nothing is said to be missing that one of them may have.</param>
public sealed record AnalysisResult(IReadOnlyList<Finding> Findings, IReadOnlyList<Analyzer> Executed, IReadOnlyList<Analyzer> Skipped,
    IReadOnlyList<string> LeftOut);

/// <summary>Finds known problems in the objects of one or more clusters and between them, as a pure function.</summary>
public static class Analysis
{
    /// <summary>The annotation by which an object declares that problems of it are intended: their codes, or <c>*</c>.</summary>
    private const string SuppressedBy = "galley.istio.io/analyze-suppress";

    /// <summary>All findings, the gravest first, then in the order of the analyzers.</summary>
    public static IReadOnlyList<Finding> Run(IReadOnlyList<ClusterInventory> clusters) => Examine(clusters).Findings;

    public static AnalysisResult Examine(IReadOnlyList<ClusterInventory> clusters) => Examine(clusters, Analyzers.All);

    /// <summary>The same with some analyzers only.</summary>
    internal static AnalysisResult Examine(IReadOnlyList<ClusterInventory> clusters, IReadOnlyList<Analyzer> analyzers)
    {
        var mesh = new MeshSnapshot(clusters);
        var (executed, skipped) = (analyzers.Where(analyzer => mesh.Knows(analyzer.Inputs)).ToList(),
            analyzers.Where(analyzer => !mesh.Knows(analyzer.Inputs)).ToList());
        var byContext = clusters.DistinctBy(cluster => cluster.Context).ToDictionary(cluster => cluster.Context, StringComparer.Ordinal);
        // Several objects can lead to the same problem of another one.
        var findings = executed.SelectMany(analyzer => analyzer.Check(mesh)).DistinctBy(finding => (finding.Cluster, finding.Problem))
            .Where(finding => !IsSuppressed(finding.Problem, byContext[finding.Cluster])).OrderByDescending(finding => finding.Problem.Severity);
        return new([.. findings], executed, skipped, mesh.LeftOut);
    }

    private static bool IsSuppressed(Problem problem, ClusterInventory cluster)
    {
        var codes = cluster.Find(problem.Object)?["metadata"]?["annotations"]?[SuppressedBy]?.ToString() ?? "";
        return codes.Length > 0 && codes.Split(',', StringSplitOptions.TrimEntries).Any(code => code == "*" || code == problem.Code);
    }
}
