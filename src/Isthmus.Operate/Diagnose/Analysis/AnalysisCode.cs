using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A kind of problem that the analysis finds.</summary>
/// <param name="Code">Istio's code (<c>IST…</c>) if Istio finds the same, otherwise one of our own (<c>ISM…</c>).</param>
/// <param name="Severity">The usual severity; a finding may have a lower one.</param>
/// <param name="Meaning">What it means for traffic, in a sentence or two.</param>
/// <param name="Remedy">What to do about it, where a finding does not say more.</param>
public sealed record AnalysisCode(string Code, string Name, Severity Severity, string Meaning, string Remedy)
{
    /// <summary>A finding of this kind.</summary>
    /// <param name="object">The object at fault, as <c>Kind namespace/name</c>.</param>
    /// <param name="remedy">A remedy for this object.</param>
    /// <param name="severity">If it is lower than usual.</param>
    public Finding At(ClusterInventory cluster, string @object, string path, string message, string? remedy = null, Severity? severity = null) =>
        new(cluster.Context,
            new(Code, @object, path, message, remedy ?? $"{char.ToLowerInvariant(Remedy[0])}{Remedy[1..].TrimEnd('.')}", severity ?? Severity));
}
