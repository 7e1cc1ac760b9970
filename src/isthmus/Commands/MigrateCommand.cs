using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Migration;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus migrate check</c>: what of a mesh of Istio would work otherwise under Isthmus.</summary>
internal static class MigrateCommand
{
    private const string Examples = """
        Levels: lost     refused or without effect; calls would go elsewhere, or be allowed otherwise
                differs  telemetry, limits, times or the installation work otherwise
                note     without effect, which changes none of these

        It reads objects, settings, Helm releases, workloads and Pods, and changes nothing. docs/api.md
        lists every field, with the same levels.

        Examples:
          isthmus migrate check
          isthmus migrate check --contexts cluster1,cluster2 -o json
          isthmus migrate check -f config/ -f mesh.yaml --level lost

        """;

    internal static Command Build() => new("migrate", "Move a mesh of Istio to Isthmus.") { Check() };

    private static Command Check()
    {
        var files = new Option<string[]>("--filename",
            "-f") { Description = "Files and directories to check instead of clusters; '-' reads standard input. May be repeated" };
        var recursive = new Option<bool>("--recursive", "-R") { Description = "Read also the directories below the given ones" };
        var level = new Option<string>("--level")
        {
            Description = "The level from which findings are printed: note, differs or lost", DefaultValueFactory = _ => "note"
        }
            .OneOf(StringComparer.OrdinalIgnoreCase, "is not a level", "use note, differs or lost", "note", "differs", "lost");
        var (contexts, snapshot, output) = (new MeshContexts(), new SnapshotOption(), new OutputOption());
        var command = new Command("check",
            "List what of a mesh of Istio would work otherwise under Isthmus. Read-only; exits with 79 if something is lost.")
            {
                contexts.Option, files, recursive, level, snapshot.Option, output.Option
            };
        HelpExamples.AddTo(command, Examples);
        command.SetAction(async (line, stop) =>
        {
            var inputs = line.GetValue(files) is { Length: > 0 } paths
                ? [Read(line, paths, line.GetValue(recursive))]
                : await ReadAsync(line, contexts, snapshot, stop);
            var report = MigrationCheck.Of(inputs);
            var least = Enum.Parse<MigrationLevel>(line.GetValue(level)!, ignoreCase: true);
            Write(line, output, report, [.. report.Findings.Where(finding => finding.Level >= least)]);
            return report.Unknown.Any(problem => problem.Severity == Severity.Error)
                ? ExitCode.Failure
                : report.LosesSomething
                ? ExitCode.IssuesFound
                : ExitCode.Success;
        });
        return command;
    }

    private static MigrationInput Read(ParseResult line, string[] paths, bool recursive)
    {
        var files = ManifestFiles.Read(paths, recursive, line.GetValue(GlobalOptions.Namespace) ?? "default", Terminal.Input);
        foreach (var skipped in files.Skipped)
            Console.Error.WriteLine($"Skipping file {skipped}, recognized file extensions are: {string.Join(' ', ManifestFiles.Extensions)}");
        return MigrationReader.Read(files, line.GetValue(GlobalOptions.IstioNamespace)!);
    }

    private static async Task<IReadOnlyList<MigrationInput>> ReadAsync(ParseResult line, MeshContexts contexts, SnapshotOption snapshot, CancellationToken stop)
    {
        var source = snapshot.Open(line);
        var reader = new MigrationReader(source.IstioNamespace);
        var context = line.GetValue(GlobalOptions.Context);
        IReadOnlyList<string> names = context is not null && line.GetResult(contexts.Option) is null ? [context] : source.Names(contexts);
        return await Task.WhenAll(names.Select(name => reader.ReadAsync(name, source.Load(name), stop)));
    }

    private static void Write(ParseResult line, OutputOption output, MigrationReport report, IReadOnlyList<MigrationFinding> findings)
    {
        foreach (var problem in report.Unknown) Console.Error.WriteLine($"{(problem.Severity == Severity.Error ? "Error" : "Warning")}: {problem}");
        output.Write(line, () => new JsonArray([.. findings.Select(finding => (JsonNode)new JsonObject
        {
            ["level"] = Word(finding.Level), ["cluster"] = finding.Cluster, ["object"] = finding.Object, ["field"] = finding.Field, ["value"] = finding.Value,
            ["difference"] = finding.What, ["remedy"] = finding.Remedy,
        })]), () =>
        {
            if (findings.Count > 0)
                TextTable.Write(["LEVEL", "CLUSTER", "OBJECT", "FIELD", "VALUE", "DIFFERENCE"],
                    [.. findings.Select(finding => (string[])[Word(finding.Level), finding.Cluster, finding.Object, finding.Field, finding.Value,
                        finding.Remedy.Length > 0 ? $"{finding.What} ({finding.Remedy})" : finding.What])]);
            var counts = Enum.GetValues<MigrationLevel>().OrderDescending()
                .Select(level => Count(level, report.Findings.Count(finding => finding.Level == level)));
            Console.WriteLine($"{Counted.Of(report.Objects, "object")} checked: {string.Join(", ", counts)}.");
        });
    }

    private static string Count(MigrationLevel level, int count) => string.Create(CultureInfo.InvariantCulture, $"{count} {level switch
    {
        MigrationLevel.Lost => "lost",
        MigrationLevel.Differs => count == 1 ? "differs" : "differ",
        _ => count == 1 ? "note" : "notes",
    }}");

    private static string Word(MigrationLevel level) => level.ToString().ToLowerInvariant();
}
