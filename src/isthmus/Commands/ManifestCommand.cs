using System.CommandLine;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install;
using Isthmus.Options;

namespace Isthmus.Commands;

internal static class ManifestCommand
{
    internal static Command Build()
    {
        var options = new InstallOptions();
        var generate = new Command("generate", "Print the objects that 'install' would apply.");
        options.AddTo(generate);
        generate.SetAction(line =>
        {
            foreach (var value in Manifests.Render(options.Read(line)).SelectMany(component => component.Objects))
            {
                Console.Write(YamlText.Print(value));
                Console.WriteLine("---");
            }
            return 0;
        });
        // As istioctl has it, too.
        var install = InstallCommand.Build();
        install.Hidden = true;
        var command = new Command("manifest", "Generate manifests.") { generate, install };
        foreach (var instead in InsteadCommands.OfManifest) command.Subcommands.Add(instead);
        return command;
    }
}
