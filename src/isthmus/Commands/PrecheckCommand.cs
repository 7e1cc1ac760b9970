using System.CommandLine;
using Isthmus.Operate.Install;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary><c>isthmus precheck</c>: what <c>install</c> checks before it changes anything.</summary>
internal static class PrecheckCommand
{
    internal static Command Build()
    {
        var options = new InstallOptions();
        var command = new Command("precheck", "Check whether a cluster can have an installation: version, rights, images, Pod Security, other control planes. Read-only. Problems of an installation: 'isthmus verify' and 'isthmus analyze'.")
        {
            new Option<bool>("--skip-controlplane") { Hidden = true }.Refused("'isthmus analyze' checks the objects of namespaces"),
        };
        options.AddTo(command);
        command.SetAction(async (line, stop) =>
        {
            var spec = options.Read(line);
            using var client = GlobalOptions.Client(line);
            await new Preconditions(client, TimeProvider.System, text => Console.Error.WriteLine($"  {text}")).CheckAsync(spec, Manifests.Render(spec), stop);
            Console.WriteLine("✔ No issues found when checking the cluster. Isthmus is safe to install or upgrade!");
            return ExitCode.Success;
        });
        return command;
    }
}
