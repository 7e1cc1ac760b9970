using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Migration;

/// <summary>Something of a mesh of Istio that would work otherwise with a control plane and proxies of Isthmus.</summary>
/// <param name="Cluster">The context of the cluster, or the file and line.</param>
/// <param name="Object">The object, as <c>Kind namespace/name</c>.</param>
/// <param name="Field">The path in the object, with numbers and names of items; empty for the whole object.</param>
/// <param name="Value">The value there, shortened; empty where it is an object or list, or the whole object.</param>
/// <param name="What">What is different.</param>
/// <param name="Remedy">What to do; empty when there is nothing to do.</param>
public sealed record MigrationFinding(MigrationLevel Level, string Cluster, string Object, string Field, string Value, string What, string Remedy)
{
    /// <summary>What a problem says. Many of those that make an object invalid are their own remedy; what is lost always has one.</summary>
    internal static MigrationFinding Of(MigrationLevel level, string cluster, string name, string field, string value, Problem problem, string before = "") =>
        new(level, cluster, name, field, value, before + problem.Message,
            problem.Remedy.Length > 0 || level != MigrationLevel.Lost ? problem.Remedy
            : problem.Severity == Severity.Error ? "correct it before the move, or leave the object out: Isthmus refuses it as it is"
            : "do without it before the move");
}

/// <summary>What the check of some clusters or files says.</summary>
/// <param name="Findings">The most important first, each once.</param>
/// <param name="Objects">How many objects and settings were checked.</param>
/// <param name="Unknown">What could not be read, and so is not in the findings.</param>
public sealed record MigrationReport(IReadOnlyList<MigrationFinding> Findings, int Objects, IReadOnlyList<Problem> Unknown)
{
    public bool LosesSomething => Findings.Any(finding => finding.Level == MigrationLevel.Lost);
}
