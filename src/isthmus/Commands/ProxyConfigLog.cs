using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary><c>proxy-config log</c>: reads and changes the log levels of a running proxy.</summary>
internal static class ProxyConfigLog
{
    private const string DefaultLevel = "warning";

    internal static Command Build()
    {
        var pod = new Argument<string?>("pod") { Description = "POD[.NAMESPACE] or deployment/NAME[.NAMESPACE]", Arity = ArgumentArity.ZeroOrOne }.WithPods();
        var selector = new Option<string?>("--selector", "-l") { Description = "Label selector, for all Pods that it selects" };
        var level = new Option<string?>("--level")
        {
            Description =
                $"Levels to set, as [LOGGER:]LEVEL separated by commas, where a level is one of {string.Join(", ", LogLevels.ProxyWords)}. Proxies of Isthmus "
                    + $"have one level for all loggers"
        };
        level.Checked(text => LogLevels.Parse("--level", text, LogLevels.ProxyWords));
        var reset = new Option<bool>("--reset", "-r") { Description = $"Set all levels to the default ({DefaultLevel})" };
        var output = new OutputOption();
        var command = new Command("log", "Show the log levels of a proxy, or change them until it restarts.") { pod, selector, level, reset, output.Option };
        command.Aliases.Add("o");
        command.SetAction(async (line, stop) =>
        {
            var (named, labels, wanted) = (line.GetValue(pod), line.GetValue(selector), line.GetValue(level));
            if (wanted is not null && line.GetValue(reset)) throw new WrongUseException("--level", "cannot be combined with --reset", "use one of them");
            if (named is null == labels is null)
                throw new WrongUseException(named is null ? "pod" : "--selector", named is null ? "is missing" : "cannot be combined with a Pod",
                    "name a Pod, or select Pods with --selector");
            using var client = GlobalOptions.Client(line);
            var pods = named is null ? await SelectedAsync(client, line, labels!, stop)
                : [await new MeshQuery(client, line.GetValue(GlobalOptions.IstioNamespace)!).ResolvePodAsync(named, line.GetValue(GlobalOptions.Namespace),
                    stop)];
            var levels = wanted is not null ? LogLevels.Parse("--level", wanted, LogLevels.ProxyWords) : line.GetValue(reset) ? [("", DefaultLevel)] : [];
            var logs = new LogLevels(client, line.GetValue(GlobalOptions.IstioNamespace)!);
            var answers = new List<(string Pod, string Text)>();
            foreach (var (ns, name) in pods) answers.Add(($"{name}.{ns}", await logs.OfProxyAsync(ns, name, levels, stop)));
            output.Write(line, () => new JsonArray([.. answers.Select(answer => (JsonNode)Tree(answer))]), () =>
            {
                foreach (var (name, text) in answers) Console.Write($"{name}:\n{text}\n");
            });
            return ExitCode.Success;
        });
        return command;
    }

    private static async Task<IReadOnlyList<(string Namespace, string Pod)>> SelectedAsync(KubeClient client, ParseResult line, string labels,
        CancellationToken stop)
    {
        var ns = line.GetValue(GlobalOptions.Namespace) ?? client.Access.Namespace;
        var pods = await client.ListAllAsync<Pod>(Kinds.Pod, ns, new ListOptions { LabelSelector = labels }, stop);
        return pods.Count > 0 ? [.. pods.Select(pod => (ns, pod.Metadata.Name))]
            : throw new ProblemException($"--selector {labels}", $"selects no Pod of namespace {ns} in {client.Access.Name}",
                "check the labels, and give the namespace with --namespace");
    }

    private static JsonObject Tree((string Pod, string Text) answer) => new()
    {
        ["pod"] = answer.Pod,
        ["loggers"] = new JsonObject(answer.Text.Split('\n').Where(text => text.StartsWith("  ", StringComparison.Ordinal))
            .Select(text => text.Trim().LastIndexOf(':') is var colon and > 0
            ? KeyValuePair.Create(text.Trim()[..colon], (JsonNode?)JsonValue.Create(text.Trim()[(colon + 1)..].Trim()))
            : KeyValuePair.Create(text.Trim(), (JsonNode?)null))),
    };
}
