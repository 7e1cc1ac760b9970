using System.CommandLine;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

internal static class InstallCommand
{
    internal static Command Build() =>
        Build("install", "Install the mesh in a cluster, or reconfigure an installation. Also: 'isthmus apply'.", upgrades: false);

    /// <summary>The same under the name of istioctl's alias. As an alias, it would come first in lists of commands.</summary>
    internal static Command BuildApply()
    {
        var command = Build("apply", "Install the mesh in a cluster, or reconfigure an installation. Also: 'isthmus install'.", upgrades: false);
        command.Hidden = true;
        return command;
    }

    internal static Command BuildUpgrade() =>
        Build("upgrade", "Replace an installation by this version, in place. Give it the files and flags of the installation.", upgrades: true);

    private static Command Build(string name, string description, bool upgrades)
    {
        var options = new InstallOptions();
        var yes = ConfirmationOption.Skip();
        var dryRun = new Option<bool>("--dry-run") { Description = "Show what would be applied, without changing anything" };
        var force = new Option<bool>("--force") { Description = "Continue although the cluster does not meet the preconditions" };
        var verify = new Option<bool>("--verify") { Description = "Wait until every component is ready (always the case; accepted for compatibility)" };
        var readiness = new DurationOption("--readiness-timeout", "How long to wait for a component to be ready, for example 90s or 5m", "5m");
        var command = new Command(name, description) { yes, dryRun, force, verify, readiness.Option };
        options.AddTo(command);
        command.SetAction(async (line, stop) =>
        {
            var spec = options.Read(line);
            var limit = readiness.Of(line);
            using var client = GlobalOptions.Client(line);
            var output = new InstallOutput();
            var components = Manifests.Render(spec);
            if (!line.GetValue(force)) await new Preconditions(client, TimeProvider.System, output.Note).CheckAsync(spec, components, stop);
            var installer = new Installer(client, TimeProvider.System, output);
            var replaced = upgrades ? await new Upgrade(client, installer).CheckAsync(spec, components, stop) : "";
            if (replaced.Length > 0) output.Note($"The upgrade replaces {replaced} by {spec.Image("isthmus")}.");
            if (line.GetValue(dryRun))
            {
                foreach (var component in components)
                    Console.WriteLine($"{component.Name}: {Counted.Of(component.Objects.Count, "object")} would be applied to {client.Access.Name}");
                return 0;
            }
            if (!line.GetValue(yes))
            {
                // Standard input held the file, so it cannot hold an answer.
                if (options.ReadsStandardInput(line))
                    throw new WrongUseException("-f -", "cannot ask for confirmation when the file comes from standard input", "add -y");
                foreach (var removal in await installer.ExtraAsync(spec, components, stop))
                    Console.WriteLine($"  will be removed, because the installation no longer has it: {removal}");
                if (!await Question.ConfirmAsync(
                    $"This will {name} the {spec.Profile} profile ({string.Join(", ", components.Select(component => component.Name))}) into the cluster "
                        + $"{client.Access.Name}. Proceed?",
                    stop))
                    return ExitCode.Failure;
            }
            await installer.InstallAsync(spec, limit, stop);
            Console.WriteLine(upgrades
                ? "✔ Upgrade complete. Sidecars and gateways keep their version until their Pods are replaced: kubectl rollout restart deployment -n NAMESPACE"
                : "✔ Installation complete");
            return 0;
        });
        return command;
    }

    private sealed class InstallOutput : IInstallProgress
    {
        public void Started(string component)
        {
            if (!Console.IsOutputRedirected) Console.Write($"- Processing resources for {component} ...");
        }

        public void Finished(string component, TimeSpan took)
        {
            if (!Console.IsOutputRedirected) Terminal.Painted.Write(Terminal.EraseLine);
            Console.WriteLine($"✔ {component} installed ({took.TotalSeconds:0.0} s)");
        }

        public void Note(string text)
        {
            if (!Console.IsOutputRedirected) Terminal.Painted.Write(Terminal.EraseLine);
            Console.WriteLine($"  {text}");
        }
    }
}
