namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The namespaces that see objects with <c>exportTo</c>. Pure.</summary>
internal static class ExportScopes
{
    /// <summary>Whether a namespace can see both of two objects.</summary>
    internal static bool Overlap(IReadOnlyList<string> one, string oneNamespace, IReadOnlyList<string> other, string otherNamespace)
    {
        var (first, second) = (Of(one, oneNamespace), Of(other, otherNamespace));
        return first.Count > 0 && second.Count > 0 && (first.Contains("*") || second.Contains("*") || first.Overlaps(second));
    }

    /// <summary>Whether all namespaces see an object.</summary>
    internal static bool IsAll(IReadOnlyList<string> exportTo) => exportTo.Count == 0 || exportTo.Contains("*");

    /// <summary>The namespaces; <c>*</c> for all.</summary>
    private static HashSet<string> Of(IReadOnlyList<string> exportTo, string ns) =>
        exportTo.Count == 0 ? ["*"] : exportTo.Where(target => target != "~").Select(target => target == "." ? ns : target).ToHashSet(StringComparer.Ordinal);
}
