using System.Text.RegularExpressions;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;

namespace Isthmus.WebConsole.Picture;

/// <summary>What a command found, with what to do about it.</summary>
/// <param name="FoundBy"><c>verify</c> or <c>analyze</c>.</param>
/// <param name="Command">The command of the remedy; empty when it has none.</param>
/// <param name="Missing">The object that would fix it, as YAML, with <c>kubectl</c> around it; empty when there is none.</param>
internal sealed partial record ProblemRow(string FoundBy, string Severity, string Cluster, Problem Problem, string Command, string Missing)
{
    /// <summary>When the console found it first; null: not said.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>It was there when the console first looked, and may be older.</summary>
    public bool IsOlder { get; init; }

    /// <summary>The calls that fail and that it concerns, those that fail most first.</summary>
    public IReadOnlyList<FailingCalls> Failing { get; init; } = [];

    public static ProblemRow Of(string foundBy, string cluster, Problem problem, string missing = "") =>
        new(foundBy, problem.Severity.ToString().ToLowerInvariant(), cluster, problem, CommandIn(problem.Remedy), missing);

    /// <summary>What both commands find, under codes of their own: a selector that matches nothing, and a Pod that cannot run.</summary>
    private static readonly Dictionary<string, string> Twins = new(StringComparer.Ordinal) { ["ISM2049"] = "ISM1417", ["ISM2047"] = "ISM1418" };

    /// <summary>All findings, errors first, and each once.</summary>
    public static IReadOnlyList<ProblemRow> Join(IEnumerable<Check> checks, IReadOnlyCollection<Finding> findings) =>
    [
        .. checks.Where(check => check.Problem is { } problem && !findings.Any(finding => IsSame(problem, finding)))
            .Select(check => Of("verify", check.Cluster, check.Problem!))
            .Concat(findings.Select(finding => Of("analyze", finding.Cluster, finding.Problem, MissingText(finding))))
            // Control planes report what analyze finds, too.
            .DistinctBy(row => (row.Cluster, row.Problem.Code, row.Problem.Object, row.Problem.Path, row.Problem.Message))
            .OrderByDescending(row => row.Problem.Severity).ThenBy(row => row.Cluster, StringComparer.Ordinal)
            .ThenBy(row => row.Problem.Code, StringComparer.Ordinal),
    ];

    private static bool IsSame(Problem problem, Finding finding) =>
        Twins.GetValueOrDefault(problem.Code) == finding.Problem.Code && problem.Object == $"{finding.Problem.Object} in {finding.Cluster}";

    private static string MissingText(Finding finding) =>
        finding.Missing is { } missing ? $"kubectl --context={missing.Cluster} apply -f - <<'EOF'\n{YamlText.Print(missing.Object)}EOF" : "";

    /// <summary>A remedy is a command, or contains one in quotation marks or after a colon.</summary>
    internal static string CommandIn(string remedy) =>
        Whole().IsMatch(remedy) ? remedy : Within().Match(remedy) is { Success: true } found ? found.Groups[1].Value + found.Groups[2].Value : "";

    [GeneratedRegex(@"^(isthmus|kubectl|istioctl|samples/\S+) [^;]*$")]
    private static partial Regex Whole();

    [GeneratedRegex("'((?:isthmus|kubectl|istioctl) [^']+)'|: ((?:isthmus|kubectl|istioctl) [^';]+)$")]
    private static partial Regex Within();
}

/// <param name="Verified">When the clusters were last verified.</param>
/// <param name="Analyzed">When their objects were last analyzed; null before the first time.</param>
/// <param name="Checks">How many checks were made.</param>
/// <param name="Unverified">Clusters that could not be verified with the rights of the user, and why.</param>
internal sealed record ProblemReport(DateTimeOffset Verified, DateTimeOffset? Analyzed, int Checks, int Meshes, IReadOnlyList<ProblemRow> Rows,
    IReadOnlyList<string> Unverified);
