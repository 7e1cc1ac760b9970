using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Injecting;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus kube-inject -f FILE</c>: manifests with the proxy in their Pods.</summary>
internal static class KubeInjectCommand
{
    private const string Examples = """
        Examples:
          kubectl apply -f <(isthmus kube-inject -f deployment.yaml)
          isthmus kube-inject -f deployment.yaml -o deployment-injected.yaml
          kubectl get deployment -o yaml | isthmus kube-inject -f - | kubectl apply -f -

        """;

    internal static Command Build()
    {
        var file = new Option<string>("--filename", "-f") { Description = "File with the manifests; '-' reads standard input", Required = true };
        var output = new Option<string?>("--output", "-o") { Description = "File to write; by default, the standard output" };
        var revision = new Option<string>("--revision", "-r") { Description = "Revision of the control plane", DefaultValueFactory = _ => "" };
        var mesh = new Option<string?>("--meshConfigFile") { Description = "A file with the MeshConfig to use instead of that of the cluster" };
        var values = new Option<string?>("--valuesFile") { Description = "A file with the injector's values (JSON) to use instead of those of the cluster" };
        var command = new Command("kube-inject",
            "Add the proxy to the workloads of a file, as the injection webhook of the cluster does. Other objects stay as they are.")
            {
                file, output, revision, mesh, values
            };
        foreach (var (name, remedy) in ((string, string)[])
        [
            ("--injectConfigFile",
                "the templates sidecar and gateway are built in: give others to the installation as values.sidecarInjectorWebhook.templates, or with "
                    + "--valuesFile"),
            ("--operatorFileName", "give --meshConfigFile and --valuesFile"),
            ("--meshConfigMapName", "name the revision with --revision"), ("--webhookConfig", "name the revision with --revision"),
            ("--xds-address", "ConfigMaps of the cluster are read instead of asking a control plane"),
        ]) command.Options.Add(new Option<string?>(name) { Hidden = true }.Refused(remedy));
        HelpExamples.AddTo(command, Examples);
        command.SetAction(async (line, stop) =>
        {
            var name = line.GetValue(file)!;
            var text = name == "-" ? await Terminal.Input.ReadToEndAsync(stop) : InputFile.Read($"-f {name}", name);
            using var client = GlobalOptions.Client(line);
            var source = new InjectionSource(client, line.GetValue(GlobalOptions.IstioNamespace)!, line.GetValue(revision)!);
            var injection = await source.ReadAsync(Read(line, mesh), Read(line, values), stop);
            var ns = line.GetValue(GlobalOptions.Namespace) ?? client.Access.Namespace;
            var (written, warnings) = (new StringBuilder(), new List<string>());
            foreach (var document in YamlText.ParseAll(text, name).OfType<JsonObject>())
                written.Append(written.Length > 0 ? "---\n" : "").Append(YamlText.Print(injection.Inject(document, ns, warnings)));
            foreach (var warning in warnings.Distinct()) Console.Error.WriteLine($"Warning: {warning}");
            if (line.GetValue(output) is not { } target) Console.Write(written);
            else await File.WriteAllTextAsync(Directory.Exists(target)
                ? throw new WrongUseException("--output", $"{target} is a directory", "specify a file")
                : target,
                written.ToString(), stop);
            return ExitCode.Success;
        });
        return command;
    }

    private static string? Read(ParseResult line, Option<string?> option) => line.GetValue(option) is { } file ? InputFile.Read(option.Name, file) : null;
}
