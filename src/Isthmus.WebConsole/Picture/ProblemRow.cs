using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;

namespace Isthmus.WebConsole.Picture;

/// <summary>What a command found, with what to do about it.</summary>
/// <param name="FoundBy"><c>verify</c>, <c>analyze</c> or, from traffic, <c>console</c>.</param>
/// <param name="Command">The command of the remedy; empty when it has none.</param>
/// <param name="Missing">The object that would fix it, as YAML, with <c>kubectl</c> around it; empty when there is none.</param>
internal sealed record ProblemRow(string FoundBy, string Severity, string Cluster, Problem Problem, string Command, string Missing)
{
    /// <summary>When the console found it first; null: not said.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>It was there when the console first looked, and may be older.</summary>
    public bool IsOlder { get; init; }

    /// <summary>The calls that fail and that it concerns, those that fail most first.</summary>
    public IReadOnlyList<FailingCalls> Failing { get; init; } = [];

    /// <summary>Whether it is about a Service or something whose name begins with that of the Service, such as a Pod, or says that it concerns it.</summary>
    public bool Names(string ns, string name) =>
        Problem.Object.Contains($" {ns}/{name}", StringComparison.Ordinal) || Problem.Message.Contains($"{ns}/{name}", StringComparison.Ordinal)
            || Problem.Message.Contains($"{name}.{ns}", StringComparison.Ordinal);

    /// <summary>Whether it says that it concerns a Service.</summary>
    public bool Mentions(string ns, string name) => Has(Problem.Message, $"{ns}/{name}") || Has(Problem.Message, $"{name}.{ns}");

    /// <summary>Whether a text has a name as a whole: <c>shop/orders</c> is not in <c>shop/orders-1</c>.</summary>
    private static bool Has(string text, string name)
    {
        for (var at = text.IndexOf(name, StringComparison.Ordinal); at >= 0; at = text.IndexOf(name, at + 1, StringComparison.Ordinal))
        {
            if ((at == 0 || !IsPart(text[at - 1])) && (at + name.Length == text.Length || !IsPart(text[at + name.Length]))) return true;
        }
        return false;

        static bool IsPart(char letter) => char.IsAsciiLetterOrDigit(letter) || letter == '-';
    }

    /// <summary>The same, more or less severe.</summary>
    public ProblemRow As(Severity severity) =>
        this with { Severity = severity.ToString().ToLowerInvariant(), Problem = Problem with { Severity = severity } };

    public static ProblemRow Of(string foundBy, string cluster, Problem problem, string missing = "") =>
        new(foundBy, problem.Severity.ToString().ToLowerInvariant(), cluster, problem, TypedCommand.In(problem.Remedy), missing);

    /// <summary>What both commands find, under codes of their own: a selector that matches nothing, and a Pod that cannot run.</summary>
    private static readonly Dictionary<string, string> Twins = new(StringComparer.Ordinal) { ["ISM2049"] = "ISM1417", ["ISM2047"] = "ISM1418" };

    /// <summary>All findings, errors first, and each once.</summary>
    public static IReadOnlyList<ProblemRow> Join(IEnumerable<Check> checks, IReadOnlyCollection<Finding> findings) =>
    [
        .. checks.Where(check => check.Problem is { } problem && !findings.Any(finding => IsSame(problem, check.Cluster, finding)))
            .Select(check => Of("verify", check.Cluster, check.Problem!,
                findings.FirstOrDefault(finding => IsRepeated(check.Problem!, check.Cluster, finding)) is { } found ? MissingText(found) : ""))
            .Concat(findings.Where(finding => !checks.Any(check => check.Problem is { } problem && IsRepeated(problem, check.Cluster, finding)))
                .Select(finding => Of("analyze", finding.Cluster, finding.Problem, MissingText(finding))))
            // Control planes report what analyze finds, too.
            .DistinctBy(row => (row.Cluster, row.Problem.Code, row.Problem.Object, row.Problem.Path, row.Problem.Message))
            .OrderByDescending(row => row.Problem.Severity).ThenBy(row => row.Cluster, StringComparer.Ordinal)
            .ThenBy(row => row.Problem.Code, StringComparer.Ordinal),
    ];

    /// <summary>Whether verify found the same under the same code. It looks more often.</summary>
    private static bool IsRepeated(Problem problem, string cluster, Finding finding) =>
        problem.Code == finding.Problem.Code && problem.Path == finding.Problem.Path && IsOfOne(problem, cluster, finding);

    /// <summary>Whether both found what is wrong with one field, or with an object under twin codes.</summary>
    private static bool IsSame(Problem problem, string cluster, Finding finding) =>
        problem.Code != finding.Problem.Code && (Twins.GetValueOrDefault(problem.Code) == finding.Problem.Code
            || (problem.Path.Length > 0 && problem.Path == finding.Problem.Path && problem.Severity <= finding.Problem.Severity))
        && IsOfOne(problem, cluster, finding);

    private static bool IsOfOne(Problem problem, string cluster, Finding finding) => problem.Object == $"{finding.Problem.Object} in {finding.Cluster}"
        || (problem.Object == finding.Problem.Object && cluster == finding.Cluster);

    private static string MissingText(Finding finding) =>
        finding.Missing is { } missing ? $"kubectl --context={missing.Cluster} apply -f - <<'EOF'\n{YamlText.Print(missing.Object)}EOF" : "";
}

/// <param name="Verified">When the clusters were last verified.</param>
/// <param name="Analyzed">When their objects were last analyzed; null before the first time.</param>
/// <param name="Checks">How many checks were made.</param>
/// <param name="Unverified">Clusters that could not be verified with the rights of the user, and why.</param>
internal sealed record ProblemReport(DateTimeOffset Verified, DateTimeOffset? Analyzed, int Checks, int Meshes, IReadOnlyList<ProblemRow> Rows,
    IReadOnlyList<string> Unverified);
