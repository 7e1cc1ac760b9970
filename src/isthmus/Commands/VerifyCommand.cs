using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Explain.Probing;
using Isthmus.Explain.Tracing;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus verify</c>: do these clusters form one mesh? It only reads, unless --probe lets it start Pods.</summary>
internal static class VerifyCommand
{
    internal static Command Build()
    {
        var contexts = new MeshContexts();
        var snapshot = new SnapshotOption();
        var output = new OutputOption();
        var color = new ColorOption("the results");
        var probe = new Option<bool>("--probe")
        {
            Description = "Start a Pod in each cluster, in a namespace of its own that is removed afterwards, and let each call each over HTTP, gRPC and TCP"
        };
        var patience = new DurationOption("--probe-timeout", "How long the Pods of --probe may take to start, for example 60s", "60s");
        var command = new Command("verify",
            "Check that the clusters form one mesh. Read-only, except with --probe; exits with 1 if a check fails.")
            {
                contexts.Option, probe, patience.Option, color.Option, snapshot.Option, output.Option
            };
        command.SetAction(async (line, stop) =>
        {
            var source = snapshot.Open(line);
            if (source.IsSnapshot && line.GetValue(probe))
                throw new WrongUseException(snapshot.Option.Name, "cannot be combined with --probe: a snapshot starts no Pods", "use one of them");
            var names = line.GetValue(GlobalOptions.Context) is { } one && line.GetResult(contexts.Option) is null ? [one] : source.Names(contexts);
            var clusters = names.Select(name => source.Load(name) with { Name = name }).ToList();
            var (facts, checks) = await Verification.RunAsync(clusters, source.IstioNamespace, source.Time, stop);
            // Without the option, the namespace is that which webhooks lead to.
            if (line.GetResult(GlobalOptions.IstioNamespace) is { Implicit: false } && NoControlPlane.Elsewhere(facts, source.IstioNamespace) is { } missing)
                throw new ProblemException(missing);
            IReadOnlyList<ProbedCall> calls = [];
            if (line.GetValue(probe))
            {
                using var run = new MeshProbe(facts, clusters, TimeProvider.System, new Random());
                calls = await run.RunAsync(patience.Of(line), stop);
            }
            output.Write(line, () => line.GetValue(probe) ? new JsonObject { ["checks"] = Tree(checks), ["calls"] = Tree(calls) } : Tree(checks), () =>
            {
                Show(checks, MeshVerification.CountMeshes(facts), color.Of(line));
                if (line.GetValue(probe)) Show(calls, color.Of(line));
                else if (!checks.Any(Fails))
                    Console.WriteLine(
                        "No call was made: 'isthmus verify --probe' lets clusters call each other, and 'isthmus trace' follows a call of yours. Routes and "
                            + "policies: 'isthmus analyze'.");
            });
            return checks.Any(Fails) || calls.Any(call => !call.IsReached) ? 1 : 0;
        });
        return command;
    }

    /// <summary>A warning does not fail the check.</summary>
    private static bool Fails(Check check) => check.Problem is { Severity: Severity.Error };

    private static void Show(IReadOnlyList<Check> checks, int meshes, bool colors)
    {
        TextTable.Write(["CLUSTER", "CHECK", "FOUND", "RESULT"], [.. checks.Select(check => (string[])
            [check.Cluster, check.What, check.Found,
                check.Problem is null ? check.IsKnown ? "ok" : "unknown" : Fails(check) ? check.Problem.Code : $"{check.Problem.Code} (warning)"])],
            paint: Painter(colors, 3));
        var problems = checks.Select(check => check.Problem).OfType<Problem>().ToList();
        Console.WriteLine();
        foreach (var problem in problems)
            Terminal.Painted.WriteLine(
                $"{(!colors ? problem.Code : problem.Severity == Severity.Error ? Paint.Failed(problem.Code) : Paint.Warned(problem.Code))} {problem}");
        var failed = checks.Count(Fails);
        var warned = problems.Count - failed;
        var unknown = checks.Count(check => !check.IsKnown);
        var warnings = (warned == 0 ? "" : $" {warned} warning{(warned == 1 ? "" : "s")}: see above.")
            + (unknown == 0 ? "" : $" {unknown} check{(unknown == 1 ? "" : "s")} could not be made.");
        Say(failed == 0
            ? (meshes > 1 ? $"✔ The clusters form {meshes} meshes." : "✔ The clusters form one mesh.") + warnings
            : $"✘ {failed} of {checks.Count} checks failed.",
            colors);
    }

    private static void Show(IReadOnlyList<ProbedCall> calls, bool colors)
    {
        Console.WriteLine();
        TextTable.Write(["CALLER", "CALLEE", "PROTOCOL", "RESULT", "PATH", "LATENCY", "TLS", "IDENTITY SEEN"], [.. calls.Select(call => (string[])
            [call.From, call.To, call.Protocol, call.IsReached ? "reached" : "failed", call.IsReached ? call.Path : call.Error,
                FormattableString.Invariant($"{call.Milliseconds:0.#} ms"), call.IsMutualTls ? "mutual" : call.IsReached ? "none" : "", call.Identity])],
            paint: Painter(colors, 3));
        Console.WriteLine();
        var failed = calls.Count(call => !call.IsReached);
        Say(failed == 0
            ? $"✔ All {calls.Count} calls were answered."
            : $"✘ {failed} of {calls.Count} calls failed. For the cause of each, let 'isthmus trace' follow a call of your own between these clusters.",
            colors);
    }

    private static void Say(string text, bool colors) => Terminal.Painted.WriteLine(colors ? Paint.Marks(text) : text);

    /// <summary>Colors one column, by its words.</summary>
    private static Func<int, string, string>? Painter(bool colors, int result) => !colors ? null : (column, cell) => column != result ? cell
        : cell is "ok" or "reached"
        ? Paint.Passed(cell)
        : cell == "unknown" || cell.EndsWith("(warning)", StringComparison.Ordinal)
        ? Paint.Warned(cell)
        : Paint.Failed(cell);

    private static JsonArray Tree(IReadOnlyList<ProbedCall> calls) => new([.. calls.Select(call => (JsonNode)new JsonObject
    {
        ["from"] = call.From, ["to"] = call.To, ["protocol"] = call.Protocol, ["reached"] = call.IsReached, ["path"] = call.Path,
        ["milliseconds"] = call.Milliseconds,
        ["identity"] = call.Identity, ["mutualTls"] = call.IsMutualTls, ["error"] = call.Error,
    })]);

    private static JsonArray Tree(IReadOnlyList<Check> checks) => new([.. checks.Select(check =>
    {
        var item = new JsonObject
        {
            ["cluster"] = check.Cluster, ["check"] = check.What, ["found"] = check.Found, ["ok"] = !Fails(check), ["known"] = check.IsKnown
        };
        if (check.Problem is { } problem)
        {
            item["problem"] = new JsonObject
            {
                ["code"] = problem.Code, ["object"] = problem.Object, ["message"] = problem.Message, ["remedy"] = problem.Remedy,
                ["severity"] = problem.Severity.ToString()
            };
        }
        return (JsonNode)item;
    })]);
}
