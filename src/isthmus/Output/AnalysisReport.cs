using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Install.Operator;

namespace Isthmus.Output;

/// <summary>Prints what an analysis found.</summary>
/// <param name="analyzed">The files and clusters.</param>
internal sealed class AnalysisReport(IReadOnlyList<Finding> findings, IReadOnlyList<string> analyzed, bool colors)
{
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true, IndentSize = 4, TypeInfoResolver = KubeJson.Default, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping
    };

    internal string Analyzed { get; } = string.Join(", ", analyzed);

    internal static void List(IReadOnlyList<Analyzer> analyzers)
    {
        foreach (var analyzer in analyzers)
            Console.WriteLine($"* {analyzer.Name}:\n    {analyzer.Description} ({string.Join(", ", analyzer.Codes.Select(code => code.Code))})");
    }

    /// <summary>Which analyzers took part, on the standard error.</summary>
    internal static void Describe(AnalysisResult result, string analyzed)
    {
        Console.Error.WriteLine($"Analyzed resources in {analyzed}");
        foreach (var (title, analyzers) in ((string, IReadOnlyList<Analyzer>)[])[("Skipped analyzers:", result.Skipped),
            ("Executed analyzers:", result.Executed)])
        {
            if (analyzers.Count == 0) continue;
            Console.Error.WriteLine(title);
            foreach (var analyzer in analyzers) Console.Error.WriteLine($"\t{analyzer.Name}");
        }
        Console.Error.WriteLine();
    }

    internal void Write(string format)
    {
        switch (format)
        {
            case "json":
                Console.WriteLine(Visible.Json(Tree().ToJsonString(Indented)));
                break;
            case "yaml":
                Console.Write(YamlText.Print(Tree()));
                break;
            case "sarif":
                Console.WriteLine(Visible.Json(SarifLog.Of(findings, BuildVersion.Current).ToJsonString(Indented)));
                break;
            case "log":
                foreach (var finding in findings) Log(finding);
                End();
                break;
            default:
                if (findings.Count > 0)
                    TextTable.Write(["LEVEL", "CODE", "CLUSTER", "OBJECT", "MESSAGE"],
                        [.. findings.Select(finding => (string[])[finding.Problem.Severity.ToString(), finding.Problem.Code, Place(finding),
                            finding.Problem.Object, Message(finding.Problem)])]);
                End();
                break;
        }
    }

    private void End()
    {
        if (findings.Count == 0 && Analyzed.Length == 0) Console.WriteLine("✘ Nothing was analyzed.");
        else if (findings.Count == 0)
            Console.WriteLine(
                $"✔ No validation issues found when analyzing {Analyzed}.\nObjects do not show everything: 'isthmus trace' follows a call, and 'isthmus "
                    + $"verify' checks what runs.");
    }

    private void Log(Finding finding)
    {
        var problem = finding.Problem;
        var level = !colors
            ? problem.Severity.ToString()
            : problem.Severity switch { Severity.Error => "\e[1;31mError\e[0m", Severity.Warning => "\e[33mWarning\e[0m", _ => "\e[36mInfo\e[0m" };
        Terminal.Painted.WriteLine($"{level} {Visible.Text($"[{problem.Code}] ({problem.Object} {Place(finding)}) {Message(problem)}")}");
        if (problem.Remedy.Length > 0) Console.WriteLine($"  → {Visible.Text(problem.Remedy)}");
        if (finding.Missing is not { } missing) return;
        var lines = YamlText.Print(missing.Object).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Console.WriteLine($"  Missing in {missing.Cluster}:\n{string.Concat(lines.Select(text => $"    {text}\n"))}");
    }

    private static string Place(Finding finding) => finding.Reference.Length > 0 ? finding.Reference : finding.Cluster;

    private static string Message(Problem problem) => problem.Path.Length > 0 ? $"{problem.Path}: {problem.Message}" : problem.Message;

    private JsonArray Tree() => new([.. findings.Select(finding =>
    {
        var problem = finding.Problem;
        var item = new JsonObject
        {
            ["code"] = problem.Code, ["level"] = problem.Severity.ToString(), ["cluster"] = finding.Cluster, ["origin"] = problem.Object,
            ["path"] = problem.Path, ["message"] = problem.Message, ["remedy"] = problem.Remedy,
        };
        if (finding.Reference.Length > 0) item["reference"] = finding.Reference;
        if (finding.Missing is { } missing) item["missing"] = new JsonObject { ["cluster"] = missing.Cluster, ["object"] = missing.Object.DeepClone() };
        return (JsonNode)item;
    })]);
}
