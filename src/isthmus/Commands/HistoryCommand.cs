using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Probing;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.History;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus history [HOST]</c>: what changed in the mesh, by whom, and what that did to proxies.</summary>
internal static class HistoryCommand
{
    internal static Command Build()
    {
        var host = new Argument<string?>("host")
        {
            Description = "Show only what concerns calls of this host: NAME.NAMESPACE or a full name", Arity = ArgumentArity.ZeroOrOne
        };
        var since = new DurationOption("--since", "How far back, for example 10m or 24h", "1h");
        var contexts = new MeshContexts();
        var output = new OutputOption();
        var command = new Command("history",
            "Show what changed in the mesh, by whom, and which proxies that changed, as all control planes remember it.")
            {
                host, since.Option, contexts.Option, output.Option
            };
        command.SetAction(async (line, stop) =>
        {
            var ns = line.GetValue(GlobalOptions.IstioNamespace)!;
            var places = contexts.Names(line).Select(context => (Client: new KubeClient(MeshContexts.Load(line, context), "isthmus"), Namespace: ns)).ToList();
            try
            {
                var asked = await MeshHistory.AskAsync(places, new(Host(line.GetValue(host), line.GetValue(GlobalOptions.Namespace)), "", since.Of(line)),
                    stop);
                var history = await asked.NameWritersAsync(places.Select(place => place.Client), new(TimeProvider.System), stop);
                if (history.ControlPlanes.Count == 0 && history.WithoutHistory.Count == 0)
                    throw new ProblemException(history.Silent.FirstOrDefault()
                        ?? new ProblemException("mesh", $"none of the clusters has a control plane in namespace {ns}",
                            "list the contexts of the mesh with --contexts").Problem);
                // What a probe makes and removes again would hide the rest.
                var shown = history with { Changes = [.. history.Changes.Where(change => !MeshProbe.HasMade(change))] };
                var ofProbes = history.Changes.Count - shown.Changes.Count;
                output.Write(line, () => Tree(shown, ofProbes), () => Show(shown, ofProbes, TimeProvider.System.GetUtcNow()));
                // What could be told is missing then. That a control plane keeps no history is an answer.
                return history.Silent.Count == 0 ? 0 : ExitCode.Failure;
            }
            finally
            {
                foreach (var place in places) place.Client.Dispose();
            }
        });
        return command;
    }

    /// <summary>A short name is one of the namespace that was asked for.</summary>
    private static string Host(string? host, string? ns) =>
        host is null ? "" : ns is not null && !host.Contains('.', StringComparison.Ordinal) ? $"{host}.{ns}" : host;

    private static JsonObject Tree(MeshHistory history, int ofProbes)
    {
        var tree = HistoryTree.Of(history);
        tree["ofProbes"] = ofProbes;
        return tree;
    }

    private static void Show(MeshHistory history, int ofProbes, DateTimeOffset now)
    {
        if (history.ControlPlanes.Count == 0) Console.WriteLine("No control plane that answers keeps a history of changes.");
        else if (history.Changes.Count == 0) Console.WriteLine("No changes found.");
        else
        {
            TextTable.Write(["AGE", "VERB", "OBJECT", "CLUSTER", "FIELD MANAGER", "USER", "FIELDS", "CONCERNS", "EFFECT"],
                [.. history.Changes.Select(change => (string[])
                [
                    Age(change, now), change.Verb, change.Object, Or(change.Cluster), Or(change.FieldManager), Or(change.WrittenBy), Or(change.FirstFields),
                    Or(change.Concerns), Or(change.Effect),
                ])]);
        }
        Console.WriteLine();
        if (ofProbes > 0) Console.WriteLine($"Left out: {Counted.Of(ofProbes, "change")} in namespaces that 'isthmus verify' made for its probes.");
        foreach (var plane in history.ControlPlanes)
        {
            var since = plane.Since is { } time
                ? $"remembers changes since {Text(time)} "
                    + $"({EndpointSources.Ago(time, now)})"
                    + (plane.Restarted is { } restarted
                        ? $", those before {Text(restarted)} from an earlier Pod" : "")
                : "is not ready, and remembers nothing yet";
            Console.WriteLine(
                $"{plane.Pod} in {plane.Context} "
                    + $"{since}{(plane.Forgotten > 0 ? string.Create(CultureInfo.InvariantCulture, $"; it forgot the {plane.Forgotten} oldest") : "")}.");
        }
        foreach (var plane in history.WithoutHistory) Console.WriteLine($"{plane.Pod} in {plane.Context} keeps no history: it {plane.Why}.");
        if (history.WithoutHistory.Count > 0) Console.WriteLine($"Instead, {MeshHistory.Instead}.");
        foreach (var problem in history.Silent) Console.Error.WriteLine($"warning: {problem}");
    }

    private static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static string Age(MeshChange change, DateTimeOffset now) => change.Count == 1
        ? EndpointSources.Ago(change.Last, now) : string.Create(CultureInfo.InvariantCulture, $"{EndpointSources.Ago(change.Last, now)} (x{change.Count})");

    private static string Or(string text) => text.Length > 0 ? text : "-";
}
