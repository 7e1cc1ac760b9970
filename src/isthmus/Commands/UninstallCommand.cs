using System.CommandLine;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

internal static class UninstallCommand
{
    internal static Command Build()
    {
        var options = new InstallOptions();
        var yes = ConfirmationOption.Skip();
        var purge = new Option<bool>("--purge")
        {
            Description = "Remove all revisions, the CRDs (of the Gateway API: those without objects), and everything created by the control planes",
        };
        var command = new Command("uninstall", "Remove an installation from a cluster. The namespace and the cacerts Secret are kept.") { yes, purge };
        options.AddTo(command);
        command.SetAction(async (line, stop) =>
        {
            var (file, revision) = (line.GetValue(options.Files) is { Length: > 0 }, line.GetValue(options.Revision));
            if (!line.GetValue(purge) && !file && revision is null)
                throw new WrongUseException("uninstall", "requires a revision, a file or --purge", "use --revision NAME, -f FILE, or --purge for everything");
            if (line.GetValue(purge) && (file || revision is not null))
                throw new WrongUseException("--purge",
                    $"removes all revisions and cannot be combined with {(file ? options.Files.Name : options.Revision.Name)}", "use one of them");
            using var client = GlobalOptions.Client(line);
            var uninstaller = new Uninstaller(client);
            var plan = line.GetValue(purge) ? await uninstaller.PlanPurgeAsync(stop)
                : file ? await uninstaller.PlanSpecAsync(options.Read(line), stop)
                : await uninstaller.PlanRevisionAsync(revision!, stop);
            var held = await new GatewayApiBundle(client).HeldAsync(plan, stop);
            plan = GatewayApiBundle.Without(plan, held);
            if (plan.Count == 0)
            {
                Console.WriteLine($"Nothing to remove: no installation found in {client.Access.Name}.");
                return 0;
            }
            var others = await new Bystanders(client, GatewayApiBundle.IsMade).FindAsync(plan, stop);
            // Whoever says --purge wants to be rid of all proxies.
            var missed = revision is null || file ? [] : await new RevisionUsers(client).DescribeAsync(revision, plan, stop);
            if (!line.GetValue(yes))
                foreach (var removal in plan) Console.WriteLine($"  {removal}");
            foreach (var text in missed) Console.WriteLine($"! {text}");
            if (!line.GetValue(yes))
            {
                foreach (var text in Bystander.Describe(others)) Console.WriteLine($"  with their CRD: {text}");
                var with = others.Count == 0 ? ""
                    : $", and with {(plan.Count == 1 ? "it" : "them")} {Counted.Of(others.Count, "object that is", "objects that are")} yours";
                if (!await Question.ConfirmAsync(
                    $"{Counted.Of(plan.Count, "object")} will be removed from the cluster {client.Access.Name}{with}. Proceed?", stop))
                    return ExitCode.Failure;
            }
            await uninstaller.RunAsync(plan, removal => Console.WriteLine($"  Removed {removal}."), stop);
            foreach (var text in Bystander.Describe(others)) Console.WriteLine($"  Removed with their CRD: {text}.");
            foreach (var text in Bystander.Describe(held)) Console.WriteLine($"  The CRD stays, with {text}.");
            await SayLeftAsync(client, plan, stop);
            Console.WriteLine("✔ Uninstall complete");
            return 0;
        });
        return command;
    }

    /// <summary>The namespaces of what was removed stay, with what else is in them.</summary>
    private static async Task SayLeftAsync(KubeClient client, IReadOnlyList<Removal> plan, CancellationToken stop)
    {
        var bystanders = new Bystanders(client, _ => false);
        foreach (var name in plan.Where(removal => removal.Kind == Kinds.Deployment).Select(removal => removal.Namespace!).Distinct())
        {
            var left = await bystanders.FindAsync([new(Kinds.Namespace, null, name)], stop);
            Console.WriteLine($"  Namespace {name} stays{(left.Count == 0 ? "" : $", with {string.Join("; ", Bystander.Describe(left))}")}.");
        }
    }
}
