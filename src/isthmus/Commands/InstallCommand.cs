using System.CommandLine;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

internal static class InstallCommand
{
    internal static Command Build()
    {
        var options = new InstallOptions();
        var yes = new Option<bool>("--skip-confirmation", "-y") { Description = "Do not ask" };
        var dryRun = new Option<bool>("--dry-run") { Description = "Tell what would be done, change nothing" };
        var force = new Option<bool>("--force") { Description = "Accepted for compatibility: every problem here is one that would break the mesh" };
        var verify = new Option<bool>("--verify") { Description = "Wait for every component, which is always done" };
        var readiness = new Option<string>("--readiness-timeout") { Description = "How long to wait for a component to be ready, for example 90s or 5m", DefaultValueFactory = _ => "5m" };
        var command = new Command("install", "Install the mesh into a cluster, or change what is installed.") { yes, dryRun, force, verify, readiness };
        command.Aliases.Add("apply");
        options.AddTo(command);
        command.SetAction(async (line, stop) =>
        {
            var spec = options.Read(line);
            var limit = Duration.Parse(line.GetValue(readiness)!, "--readiness-timeout");
            using var client = GlobalOptions.Client(line);
            var components = Manifests.Render(spec);
            if (line.GetValue(dryRun))
            {
                foreach (var component in components) Console.WriteLine($"{component.Name}: {component.Objects.Count} objects would be applied to {client.Access.Name}");
                return 0;
            }
            if (!line.GetValue(yes))
            {
                // The file came through standard input: there is nobody left to ask.
                if (options.ReadsStandardInput(line))
                    throw new ProblemException("-f -", "standard input is the file, so the question cannot be asked", "add -y");
                if (!await Question.AskAsync($"This will install the {spec.Profile} profile ({string.Join(", ", components.Select(component => component.Name))}) into the cluster {client.Access.Name}. Proceed?", stop))
                {
                    Console.WriteLine("Cancelled.");
                    return 1;
                }
            }
            await new Installer(client, TimeProvider.System, new InstallOutput()).InstallAsync(spec, limit, stop);
            Console.WriteLine("✔ Installation complete");
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
            if (!Console.IsOutputRedirected) Console.Write("\r\e[K");
            Console.WriteLine($"✔ {component} installed ({took.TotalSeconds:0.0} s)");
        }

        public void Note(string text)
        {
            if (!Console.IsOutputRedirected) Console.Write("\r\e[K");
            Console.WriteLine($"  {text}");
        }
    }
}
