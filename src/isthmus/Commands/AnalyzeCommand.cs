using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary><c>isthmus analyze [FILE…]</c>: what is wrong with the objects of clusters, alone and between them. Reads only.</summary>
internal static class AnalyzeCommand
{
    private const int MostProxies = 200;

    internal static Command Build()
    {
        var files = new Argument<string[]>("file") { Description = "Files with Istio objects to check; '-' reads standard input", Arity = ArgumentArity.ZeroOrMore };
        var contexts = new MeshContexts();
        var output = new OutputOption();
        var all = new Option<bool>("--all-namespaces", "-A") { Description = "Check all namespaces (always the case; accepted for compatibility)" };
        var useKube = new Option<bool>("--use-kube", "-k") { Description = "Check the clusters too when files are given" };
        var command = new Command("analyze", "Report configuration errors and missing objects in clusters or files. Read-only; exits with 1 if there are errors.") { files, contexts.Option, output.Option, all, useKube };
        command.SetAction(async (line, stop) =>
        {
            var names = line.GetValue(files) ?? [];
            var findings = names.SelectMany(Check).ToList();
            var looked = names.ToList();
            if (names.Length == 0 || line.GetValue(useKube))
            {
                var chosen = line.GetValue(GlobalOptions.Context) is { } one && line.GetResult(contexts.Option) is null ? [one] : contexts.Names(line);
                findings.AddRange(Analysis.Run(await ReadAsync(line, chosen, MostProxies, stop)));
                looked.AddRange(chosen);
            }
            if (line.GetValue(GlobalOptions.Namespace) is { } ns) findings = [.. findings.Where(finding => finding.Problem.Object.Contains($" {ns}/", StringComparison.Ordinal))];
            output.Write(line, () => Tree(findings), () => Show(findings, looked));
            return findings.Any(finding => finding.Problem.Severity == Severity.Error) ? 1 : 0;
        });
        return command;
    }

    internal static Task<ClusterInventory[]> ReadAsync(ParseResult line, IEnumerable<string> contexts, int proxies, CancellationToken stop)
    {
        var reader = new InventoryReader(line.GetValue(GlobalOptions.IstioNamespace)!, proxies);
        return Task.WhenAll(contexts.Select(name => reader.ReadAsync(name, MeshContexts.Load(line, name), stop)));
    }

    private static IEnumerable<Finding> Check(string file)
    {
        string text;
        try
        {
            text = file == "-" ? Console.In.ReadToEnd() : File.ReadAllText(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw UnreadableFile.Problem(file, file, e);
        }
        return YamlText.ParseAll(text, file).OfType<JsonObject>()
            .Where(value => IstioKind.Find(value["apiVersion"]?.ToString() ?? "", value["kind"]?.ToString() ?? "") is not null)
            .SelectMany(value => Validation.Check(value)).Select(problem => new Finding(file, problem));
    }

    private static void Show(List<Finding> findings, List<string> looked)
    {
        foreach (var finding in findings)
        {
            var problem = finding.Problem;
            Console.WriteLine($"{problem.Severity} [{problem.Code}] ({problem.Object} {finding.Cluster}) {(problem.Path.Length > 0 ? $"{problem.Path}: " : "")}{problem.Message}");
            if (problem.Remedy.Length > 0) Console.WriteLine($"  → {problem.Remedy}");
            if (finding.Missing is { } missing)
                Console.WriteLine($"  Missing in {missing.Cluster}:\n{string.Concat(YamlText.Print(missing.Object).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(text => $"    {text}\n"))}");
        }
        if (findings.Count == 0) Console.WriteLine($"✔ No validation issues found when analyzing {string.Join(", ", looked)}.");
    }

    private static JsonArray Tree(List<Finding> findings) => new([.. findings.Select(finding =>
    {
        var problem = finding.Problem;
        var item = new JsonObject
        {
            ["code"] = problem.Code, ["level"] = problem.Severity.ToString(), ["cluster"] = finding.Cluster, ["origin"] = problem.Object,
            ["path"] = problem.Path, ["message"] = problem.Message, ["remedy"] = problem.Remedy,
        };
        if (finding.Missing is { } missing) item["missing"] = new JsonObject { ["cluster"] = missing.Cluster, ["object"] = missing.Object.DeepClone() };
        return (JsonNode)item;
    })]);
}
