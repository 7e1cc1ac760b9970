using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install.Operator;
using Isthmus.Options;

namespace Isthmus.Commands;

internal static class VersionCommand
{
    internal static Command Build()
    {
        var remote = new Option<bool>("--remote") { Description = "Also ask the control plane in the cluster", DefaultValueFactory = _ => true };
        var brief = new Option<bool>("--short", "-s") { Description = "Only the version" };
        var output = new Option<string?>("--output", "-o") { Description = "yaml or json" };
        var command = new Command("version", "Print the version of this program and of the control plane.") { remote, brief, output };
        command.SetAction(async (line, stop) =>
        {
            var versions = line.GetValue(remote) ? await ControlPlanesAsync(line, stop) : null;
            switch (line.GetValue(output))
            {
                case null:
                    if (versions is { Count: 0 }) Console.WriteLine("no ready Isthmus pods in \"{0}\"", line.GetValue(GlobalOptions.IstioNamespace));
                    Console.WriteLine($"client version: {BuildVersion.Current}");
                    foreach (var version in versions ?? []) Console.WriteLine($"control plane version: {version}");
                    return 0;
                case "json":
                    Console.WriteLine(Tree(versions).ToJsonString(new System.Text.Json.JsonSerializerOptions { WriteIndented = true, TypeInfoResolver = KubeJson.Default }));
                    return 0;
                case "yaml":
                    Console.Write(YamlText.Print(Tree(versions)));
                    return 0;
                default:
                    throw new ProblemException("--output", $"'{line.GetValue(output)}' is not a format", "use yaml or json");
            }
        });
        return command;
    }

    private static JsonObject Tree(IReadOnlyList<string>? controlPlanes)
    {
        var tree = new JsonObject { ["clientVersion"] = new JsonObject { ["version"] = BuildVersion.Current } };
        if (controlPlanes is { Count: > 0 })
        {
            tree["meshVersion"] = new JsonArray([.. controlPlanes.Select(version =>
                (JsonNode)new JsonObject { ["Component"] = "pilot", ["Info"] = new JsonObject { ["version"] = version } })]);
        }
        return tree;
    }

    /// <summary>The tag of each control plane's image; none when no cluster is at hand, which is no error here.</summary>
    private static async Task<IReadOnlyList<string>?> ControlPlanesAsync(ParseResult line, CancellationToken stop)
    {
        // A cluster that was named is meant.
        var named = line.GetResult(GlobalOptions.Context) is not null || line.GetResult(GlobalOptions.Kubeconfig) is not null;
        var access = named ? GlobalOptions.Access(line) : null;
        try
        {
            using var client = new KubeClient(access ?? GlobalOptions.Access(line), "isthmus");
            var pods = await client.ListAllAsync<Pod>(Kinds.Pod, line.GetValue(GlobalOptions.IstioNamespace), new ListOptions { LabelSelector = "app=istiod" }, stop);
            return [.. pods.Where(pod => pod.Status.IsReady).Select(pod => pod.Spec.Containers[0].Image).Select(image => image[(image.LastIndexOf(':') + 1)..]).Distinct().Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is HttpRequestException or KubeException or ProblemException)
        {
            return null;
        }
    }
}
