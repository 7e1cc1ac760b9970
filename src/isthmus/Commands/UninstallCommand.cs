using System.CommandLine;
using Isthmus.Core.Flags;
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
        var purge = new Option<bool>("--purge") { Description = "Remove all revisions, the CRDs, and everything created by the control planes" };
        var command = new Command("uninstall", "Remove an installation from a cluster. The namespace and the cacerts Secret are kept.") { yes, purge };
        options.AddTo(command);
        command.SetAction(async (line, stop) =>
        {
            var (file, revision) = (line.GetValue(options.Files) is { Length: > 0 }, line.GetValue(options.Revision));
            if (!line.GetValue(purge) && !file && revision is null)
                throw new WrongUseException("uninstall", "requires a revision, a file or --purge", "use --revision NAME, -f FILE, or --purge for everything");
            if (line.GetValue(purge) && (file || revision is not null))
                throw new WrongUseException("--purge", $"removes all revisions and cannot be combined with {(file ? options.Files.Name : options.Revision.Name)}", "use one of them");
            using var client = GlobalOptions.Client(line);
            var uninstaller = new Uninstaller(client);
            var plan = line.GetValue(purge) ? await uninstaller.PlanPurgeAsync(stop)
                : file ? await uninstaller.PlanSpecAsync(options.Read(line), stop)
                : await uninstaller.PlanRevisionAsync(revision!, stop);
            if (plan.Count == 0)
            {
                Console.WriteLine($"Nothing to remove: no installation found in {client.Access.Name}.");
                return 0;
            }
            if (!line.GetValue(yes))
            {
                foreach (var removal in plan) Console.WriteLine($"  {removal}");
                if (!await Question.ConfirmAsync($"{plan.Count} objects will be removed from the cluster {client.Access.Name}. Proceed?", stop)) return ExitCode.Failure;
            }
            await uninstaller.RunAsync(plan, removal => Console.WriteLine($"  Removed {removal}."), stop);
            Console.WriteLine("✔ Uninstall complete");
            return 0;
        });
        return command;
    }
}
