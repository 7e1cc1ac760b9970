using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.WhatIf;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus diff -f FILE</c>: what files would change for the proxies of all clusters, before they are applied.</summary>
internal static class DiffCommand
{
    private const int MostNames = 3;

    private const string Examples = """
        The API server of the cluster of --context checks the files as a dry run, and control planes compute what
        their proxies would get. Nothing is changed.

        Examples:
          isthmus diff -f new.yaml --context=cluster1
          isthmus diff -f config/ --recursive
          cat new.yaml | isthmus diff -f - -o json

        Exit codes: 0 nothing would change, 1 something would, 2 an error, also if admission refuses a file.

        """;

    internal static Command Build()
    {
        var files = new Option<string[]>("--filename",
            "-f") { Description = "Files and directories that would be applied; '-' reads standard input", Required = true };
        var recursive = new Option<bool>("--recursive", "-R") { Description = "Read also the directories below the given ones" };
        var contexts = new MeshContexts();
        var output = new OutputOption();
        var command = new Command("diff",
            "Show what files would change for the proxies of all clusters if they were applied. Changes nothing.")
            {
                files, recursive, contexts.Option, output.Option
            };
        HelpExamples.AddTo(command, Examples);
        command.SetAction(async (line, stop) =>
        {
            try
            {
                var manifests = ManifestFiles.Read(line.GetValue(files)!, line.GetValue(recursive),
                    line.GetValue(GlobalOptions.Namespace) ?? GlobalOptions.Access(line).Namespace, Terminal.Input);
                if (manifests.Problems.Count > 0) throw new ProblemException(manifests.Problems[0]);
                if (manifests.Objects.Count == 0)
                    throw new ProblemException("-f", "no objects found", $"name files that end in {string.Join(", ", ManifestFiles.Extensions)}");
                var diff = await AskAsync(line, contexts, manifests.Objects, stop);
                output.Write(line, () => Tree(diff), () => Show(diff));
                return diff.Groups.Count > 0 ? 1 : 0;
            }
            catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
            {
                // As for kubectl diff, 1 says that there are differences.
                Console.Error.WriteLine(
                    $"Error: {(e is HttpRequestException http ? $"the API server cannot be reached: {Unreachable.Describe(http)}" : e.Message)}");
                return ExitCode.WrongUse;
            }
        });
        return command;
    }

    private static async Task<MeshDiff> AskAsync(ParseResult line, MeshContexts contexts, IReadOnlyList<JsonObject> objects, CancellationToken stop)
    {
        using var target = GlobalOptions.Client(line);
        var others = contexts.Names(line).Where(name => name != target.Access.Name).Select(name => new KubeClient(MeshContexts.Load(line, name), "isthmus"))
            .ToList();
        try
        {
            var stored = new List<JsonObject>();
            var unread = new List<string>();
            foreach (var item in objects)
            {
                if (await DryRun.ApplyAsync(target, item, stop) is { } whole) stored.Add(whole);
                else unread.Add(Operate.Inventory.ClusterInventory.NameOf(item));
            }
            var diff = await MeshDiff.AskAsync(target, [target, .. others], line.GetValue(GlobalOptions.IstioNamespace)!, stored, stop);
            return diff with { Unused = [.. unread, .. diff.Unused] };
        }
        finally
        {
            foreach (var client in others) client.Dispose();
        }
    }

    private static void Show(MeshDiff diff)
    {
        foreach (var problem in diff.Silent) Console.Error.WriteLine($"Note: {problem}");
        foreach (var name in diff.Unused)
            Console.Error.WriteLine($"Note: {name} is not read by control planes: what it changes is not known before it is applied.");
        foreach (var group in diff.Groups)
        {
            var count = group.Proxies.Count;
            var clusters = string.Join(", ", group.Proxies.Select(proxy => proxy.Cluster).Distinct());
            var names = group.Proxies.Select(proxy => $"{(proxy.Workload.Length > 0 ? proxy.Workload : proxy.Pod)}.{proxy.Namespace}").Distinct().ToList();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{count} {(count == 1 ? "proxy" : "proxies")} in {clusters}: "
                    + $"{string.Join(", ", names.Take(MostNames))}{(names.Count > MostNames ? $" and {names.Count - MostNames} more" : "")}"));
            foreach (var text in group.Lines) Console.WriteLine($"  {text}");
            if (group.More > 0) Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  … and {group.More} more resources"));
            Console.WriteLine();
        }
        var changed = diff.Groups.Sum(group => group.Proxies.Count);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{(changed == 0 ? "None" : changed)} of {diff.Connected} connected {(diff.Connected == 1 ? "proxy" : "proxies")} would get another "
                + $"configuration."));
    }

    private static JsonObject Tree(MeshDiff diff) => new()
    {
        ["groups"] = new JsonArray([.. diff.Groups.Select(group => (JsonNode)new JsonObject
        {
            ["proxies"] = new JsonArray([.. group.Proxies.Select(proxy => (JsonNode)new JsonObject
            {
                ["cluster"] = proxy.Cluster, ["namespace"] = proxy.Namespace, ["pod"] = proxy.Pod, ["workload"] = proxy.Workload
            })]),
            ["changes"] = new JsonArray([.. group.Changes.Select(change => (JsonNode)new JsonObject
            {
                ["change"] = change.Sign switch { '+' => "added", '-' => "removed", _ => "changed" }, ["resource"] = change.Resource, ["text"] = change.Text,
            })]),
            ["more"] = group.More,
        })]),
        ["connected"] = diff.Connected,
        ["silent"] = new JsonArray([.. diff.Silent.Select(problem => (JsonNode)JsonValue.Create(problem.ToString())!)]),
        ["unknown"] = new JsonArray([.. diff.Unused.Select(name => (JsonNode)JsonValue.Create(name)!)]),
    };
}
