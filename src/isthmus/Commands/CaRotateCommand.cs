using System.CommandLine;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Certificates;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Rotation;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus ca rotate</c>: from one root to another, one step at a time.</summary>
internal static class CaRotateCommand
{
    private const int Named = 10;

    private const string Examples = """
        Each run takes the step that is due, in all clusters, and only when the one before is done
        everywhere. It can be interrupted and run again.

        Examples:
          isthmus ca root --dir new-root
          isthmus ca rotate --dir new-root --plan
          isthmus ca rotate --dir new-root --wait    # both roots are trusted
          isthmus ca rotate --dir new-root --wait    # new intermediates sign, workloads renew
          isthmus ca rotate --dir new-root --wait    # the old root is out
          isthmus ca rotate --undo --wait            # a step back

        """;

    internal static Command Build()
    {
        var contexts = new MeshContexts();
        var folder = new Option<string>("--dir")
        {
            Description = "Directory with the new root: root-cert.pem, and root-key.pem unless it has the intermediates of all clusters",
            DefaultValueFactory = _ => "."
        };
        var plan = new Option<bool>("--plan") { Description = "Only show which steps are done, and what the next one waits for" };
        var wait = new Option<bool>("--wait") { Description = "Wait until the step is done everywhere" };
        var undo = new Option<bool>("--undo") { Description = "Go back: take the steps in the direction of the root that signed before" };
        var patience = new DurationOption("--timeout", "How long --wait waits, for example 10m", "10m");
        var yes = ConfirmationOption.Skip();
        var command = new Command("rotate",
            "Replace the root of a mesh without a refused call: shows the plan, and takes the next step. Exits with 1 if a step must wait.")
        {
            contexts.Option, folder, plan, wait, undo, patience.Option, yes,
        };
        HelpExamples.AddTo(command, Examples);
        command.SetAction(async (line, stop) =>
        {
            var ns = line.GetValue(GlobalOptions.IstioNamespace)!;
            var clients = contexts.Names(line).Select(name => new KubeClient(MeshContexts.Load(line, name) with { Name = name }, "isthmus-ca")).ToList();
            try
            {
                var clusters = await RotatedCluster.FindAsync(clients, ns, stop);
                var run = new RotationRun(clusters, ns, new CaFiles(line.GetValue(folder)!, TimeProvider.System), TimeProvider.System);
                var read = await run.ReadAsync(stop);
                var target = line.GetValue(undo) ? await run.OldRootAsync(read, stop) : run.NewRoot();
                var now = RotationPlan.Of(read, target);
                Show(now, line.GetValue(undo));
                if (line.GetValue(plan) || now.Due is not { } due) return ExitCode.Success;
                if (due.Action != RotationAction.Renew)
                {
                    if (!line.GetValue(yes)
                        && !await Question.ConfirmAsync(
                            $"Step {(int)due.Action + 1} changes the Secret cacerts of {string.Join(", ", RotationRun.Places(read))}. Proceed?", stop))
                        return ExitCode.Failure;
                    foreach (var change in await run.TakeAsync(now, read, stop)) Console.WriteLine($"  {change}");
                }
                if (line.GetValue(wait))
                    return await WaitAsync(run, target, due.Action == RotationAction.Sign ? RotationAction.Renew : due.Action, patience.Of(line), stop);
                if (due.Action != RotationAction.Renew) return ExitCode.Success;
                Console.WriteLine("The old root stays until all of them have a certificate of the new one.");
                return ExitCode.Failure;
            }
            finally
            {
                foreach (var client in clients) client.Dispose();
            }
        });
        return command;
    }

    private static async Task<int> WaitAsync(RotationRun run, string target, RotationAction action, TimeSpan patience, CancellationToken stop)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limited.CancelAfter(patience);
        RotationStep? last = null;
        try
        {
            var plan = await run.WaitAsync(target, action, step =>
            {
                if (last is null || last.Action != step.Action || last.Pending.Count != step.Pending.Count)
                    Console.WriteLine($"  waits for {step.Pending.Count} ({step.Title}): {Names(step)}");
                last = step;
            }, limited.Token);
            Console.WriteLine(plan.Due is { } due
                ? $"✔ Done. Next: step {(int)due.Action + 1}, {due.Title}."
                : $"✔ Done: one root is left. The Secret {RotationRun.Previous} in each cluster has the old CA for --undo: delete it when you need it no "
                    + $"more.");
            return ExitCode.Success;
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            throw new ProblemException("--timeout", $"the step is not done everywhere after {patience}: {(last is null ? "" : Names(last))}",
                "run the command again; it goes on where it is. A proxy that does not come back can be deleted");
        }
    }

    private static void Show(RotationPlan plan, bool isUndo)
    {
        Console.WriteLine($"{(isUndo ? "Back to root" : "To root")} {plan.Target[..16]}");
        TextTable.Write(["STEP", "WHAT", "STATE", "WAITS FOR"], [.. plan.Steps.Select(step => (string[])
            [$"{(int)step.Action + 1}", step.Title, step.IsDone ? "done" : step == plan.Due ? "due" : "later",
                step.IsDone ? "" : step == plan.Due ? Names(step) : $"{step.Pending.Count}"])]);
        Console.WriteLine();
    }

    private static string Names(RotationStep step) =>
        string.Join(", ", step.Pending.Take(Named)) + (step.Pending.Count > Named ? $" and {step.Pending.Count - Named} more" : "");
}
