using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Install.Operator;
using Isthmus.Options;

namespace Isthmus.Commands;

internal static class VersionCommand
{
    internal static Command Build()
    {
        var remote = new Option<bool>("--remote")
        {
            Description = "Also print the version of the control plane in the cluster", DefaultValueFactory = _ => true
        };
        var brief = new Option<bool>("--short", "-s") { Description = "Print only the version" };
        var output = new OutputOption();
        var command = new Command("version", "Print the client and control plane versions.") { remote, brief, output.Option };
        command.SetAction(async (line, stop) =>
        {
            var versions = line.GetValue(remote) ? await ControlPlanesAsync(line, stop) : null;
            output.Write(line, () => Tree(versions), () =>
            {
                if (versions is { Count: 0 }) Console.WriteLine($"no ready Isthmus pods in \"{line.GetValue(GlobalOptions.IstioNamespace)}\"");
                Console.WriteLine($"client version: {BuildVersion.Current}");
                foreach (var version in versions ?? []) Console.WriteLine($"control plane version: {version}");
                if (line.GetValue(brief)) return;
                Console.WriteLine($"APIs: those of Istio {WellKnown.CompatibleRelease}");
                if (TlsLibrary.Name is { } library) Console.WriteLine($"TLS library: {library}");
            });
            return ExitCode.Success;
        });
        return command;
    }

    private static JsonObject Tree(IReadOnlyList<string>? controlPlanes)
    {
        var tree = new JsonObject { ["clientVersion"] = new JsonObject { ["version"] = BuildVersion.Current }, ["istioApis"] = WellKnown.CompatibleRelease };
        if (TlsLibrary.Name is { } library) tree["tlsLibrary"] = library;
        if (controlPlanes is { Count: > 0 })
        {
            tree["meshVersion"] = new JsonArray([.. controlPlanes.Select(version =>
                (JsonNode)new JsonObject { ["Component"] = "pilot", ["Info"] = new JsonObject { ["version"] = version } })]);
        }
        return tree;
    }

    /// <summary>What a control plane says itself, VERSION-REVISION-STATUS.</summary>
    private static async Task<string> AskAsync(KubeClient client, Pod pod, CancellationToken stop)
    {
        try
        {
            var (status,
                answer) = await client.Pods.SendAsync(pod.Metadata.Namespace, pod.Metadata.Name, Ports.DiscoveryMonitoring, new("GET", "version"), stop);
            if (status == 200 && answer.Trim().Split('-') is { Length: >= 3 } parts) return string.Join('-', parts[..^2]);
        }
        catch (Exception e) when (e is HttpRequestException or KubeException or ProblemException)
        {
            // Its image is all that is known.
        }
        return $"unknown (image {pod.Spec.Containers[0].Image})";
    }

    /// <summary>The tag of each control plane's image; none when no cluster is reachable, which is not an error here.</summary>
    private static async Task<IReadOnlyList<string>?> ControlPlanesAsync(ParseResult line, CancellationToken stop)
    {
        // A cluster that was named must be reachable.
        var named = line.GetResult(GlobalOptions.Context) is not null || line.GetResult(GlobalOptions.Kubeconfig) is not null;
        var access = named ? GlobalOptions.Access(line) : null;
        try
        {
            using var client = new KubeClient(access ?? GlobalOptions.Access(line), "isthmus");
            var pods = await client.ListAllAsync<Pod>(Kinds.Pod, line.GetValue(GlobalOptions.IstioNamespace), new ListOptions { LabelSelector = "app=istiod" },
                stop);
            var versions = new SortedSet<string>(StringComparer.Ordinal);
            foreach (var pod in pods.Where(pod => pod.Status.IsReady))
                versions.Add(ImageTag.Of(pod.Spec.Containers[0].Image) ?? await AskAsync(client, pod, stop));
            return [.. versions];
        }
        catch (Exception e) when (!named && (e is HttpRequestException or KubeException or ProblemException))
        {
            return null;
        }
    }
}
