using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus verify</c>: do these clusters form one mesh? Reads only.</summary>
internal static class VerifyCommand
{
    internal static Command Build()
    {
        var contexts = new MeshContexts();
        var output = new OutputOption();
        var command = new Command("verify", "Check that the clusters form one mesh. Read-only; exits with 1 if a check fails.") { contexts.Option, output.Option };
        command.SetAction(async (line, stop) =>
        {
            var names = line.GetValue(GlobalOptions.Context) is { } one && line.GetResult(contexts.Option) is null ? [one] : contexts.Names(line);
            var reader = new MeshFactsReader(line.GetValue(GlobalOptions.IstioNamespace)!);
            var facts = await Task.WhenAll(names.Select(name =>
                reader.ReadAsync(name, MeshContexts.Load(line, name), stop)));
            var checks = MeshVerification.Run(facts, TimeProvider.System.GetUtcNow());
            output.Write(line, () => Tree(checks), () => Show(checks, MeshVerification.CountMeshes(facts)));
            return checks.Any(Fails) ? 1 : 0;
        });
        return command;
    }

    /// <summary>A warning does not fail the check.</summary>
    private static bool Fails(Check check) => check.Problem is { Severity: Severity.Error };

    private static void Show(IReadOnlyList<Check> checks, int meshes)
    {
        TextTable.Write(["CLUSTER", "CHECK", "FOUND", "RESULT"], [.. checks.Select(check => (string[])
            [check.Cluster, check.What, check.Found, check.Problem is null ? "ok" : Fails(check) ? check.Problem.Code : $"{check.Problem.Code} (warning)"])]);
        var problems = checks.Select(check => check.Problem).OfType<Problem>().ToList();
        Console.WriteLine();
        foreach (var problem in problems) Console.WriteLine($"{problem.Code} {problem}");
        var failed = checks.Count(Fails);
        Console.WriteLine(failed == 0 ? meshes > 1 ? $"✔ The clusters form {meshes} meshes, all healthy." : "✔ The clusters form one mesh." : $"✘ {failed} of {checks.Count} checks failed.");
    }

    private static JsonArray Tree(IReadOnlyList<Check> checks) => new([.. checks.Select(check =>
    {
        var item = new JsonObject { ["cluster"] = check.Cluster, ["check"] = check.What, ["found"] = check.Found, ["ok"] = !Fails(check) };
        if (check.Problem is { } problem)
        {
            item["problem"] = new JsonObject { ["code"] = problem.Code, ["object"] = problem.Object, ["message"] = problem.Message, ["remedy"] = problem.Remedy, ["severity"] = problem.Severity.ToString() };
        }
        return (JsonNode)item;
    })]);
}
