using System.CommandLine;
using System.Globalization;
using Isthmus.Core.Flags;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary><c>isthmus proxy-config envoy-stats POD</c>: what a proxy counts.</summary>
internal static class EnvoyStatsCommand
{
    private const string Server = "server", Clusters = "clusters", Short = "short", Prometheus = "prom", Merged = "prom-merged";

    internal static Command Build()
    {
        var pod = new Argument<string>("pod") { Description = "POD[.NAMESPACE] or deployment/NAME[.NAMESPACE]" }.WithPods();
        var type = new Option<string>("--type", "-t") { Description = "Whose statistics: server or clusters", DefaultValueFactory = _ => Server }
            .OneOf(StringComparer.Ordinal, "is not a type", "use server or clusters", Server, Clusters);
        var output = new Option<string>("--output", "-o")
        {
            Description = "Output format: short, json or yaml; of the server also prom (as Prometheus reads it) and prom-merged (with that of the application)",
            DefaultValueFactory = _ => Short,
        }.OneOf(StringComparer.Ordinal, "is not an output format", "use short, json, yaml, prom or prom-merged", Short, "json", "yaml", Prometheus, Merged);
        var command = new Command("envoy-stats", "Show what a proxy counts, or what it knows of the hosts of its clusters.") { pod, type, output };
        command.Aliases.Add("es");
        command.SetAction(async (line, stop) =>
        {
            var (of, format) = (line.GetValue(type)!, line.GetValue(output)!);
            if (of == Clusters && format is (Prometheus or Merged))
                throw new WrongUseException("--output", $"'{format}' is not a format of clusters", "use short, json or yaml");
            using var client = GlobalOptions.Client(line);
            var query = new MeshQuery(client, line.GetValue(GlobalOptions.IstioNamespace)!);
            var (ns, name) = await query.ResolvePodAsync(line.GetRequiredValue(pod), line.GetValue(GlobalOptions.Namespace), stop);
            var text = format == Merged ? await MergedAsync(client, ns, name, stop) : await query.AskProxyTextAsync(ns, name, "GET", Path(of, format), stop);
            if (format is "json" or "yaml") OutputOption.Print(format, StrictJson.Parse(text)!);
            else Console.Write(text);
            return ExitCode.Success;
        });
        return command;
    }

    private static string Path(string type, string format) => (type, format) switch
    {
        (Clusters, Short) => "clusters",
        (Clusters, _) => "clusters?format=json",
        (_, Short) => "stats",
        (_, Prometheus) => "stats/prometheus",
        _ => "stats?format=json",
    };

    /// <summary>From where the Pod tells Prometheus to read.</summary>
    private static async Task<string> MergedAsync(KubeClient client, string ns, string name, CancellationToken stop)
    {
        var annotations = (await client.GetAsync<Pod>(Kinds.Pod, ns, name, stop)).Metadata.Annotations;
        var port = MergedPort($"Pod {ns}/{name}", annotations);
        var path = annotations.GetValueOrDefault("prometheus.io/path") ?? "/metrics";
        var (status, body) = await client.Pods.SendAsync(ns, name, port, new("GET", path), stop);
        return status == 200 ? body : throw new ProblemException($"Pod {ns}/{name}", $"responded to GET {path} on port {port} with status {status}");
    }

    internal static int MergedPort(string pod, IReadOnlyDictionary<string, string> annotations)
    {
        const string Name = "prometheus.io/port";
        if (!annotations.TryGetValue(Name, out var text))
            throw new ProblemException(pod, $"has no annotation {Name}: nothing is merged", $"use -o {Prometheus}");
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is >= 1 and <= 65535 ? port
            : throw new ProblemException(pod, $"has '{text}' in its annotation {Name}, which is no port", $"correct it, or use -o {Prometheus}");
    }
}
