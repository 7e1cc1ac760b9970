using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.WebConsole.Picture;
using Isthmus.WebConsole.Reading;
using Isthmus.WebConsole.Serving;

namespace Isthmus.WebConsole.Answers;

/// <summary>The calls of the page, by name.</summary>
internal sealed class PageAnswers(IReadOnlyList<ClusterAccess> clusters, string istioNamespace, MeshStateReader reader, TimeProvider time)
{
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(5);

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly ServiceAnswer _services = new(reader, time);
    private readonly HistoryAnswer _history = new(reader, istioNamespace, time);
    private readonly CertificateAnswer _certificates = new(reader, istioNamespace, time);

    /// <param name="mesh">What was read last.</param>
    /// <param name="problems">What was found last.</param>
    /// <param name="readNow">Reads the clusters without waiting.</param>
    public IReadOnlyDictionary<string, Answer> All(Func<MeshState> mesh, Func<IReadOnlyList<ProblemRow>> problems, Action readNow) =>
        new Dictionary<string, Answer>(StringComparer.Ordinal)
    {
        ["refresh"] = (_, _) =>
        {
            readNow();
            return Task.FromResult<JsonNode>(new JsonObject());
        },
        ["namespaces"] = (arguments, _) =>
        {
            reader.Namespaces = [.. Text(arguments, "names").Split([' ', ','], StringSplitOptions.RemoveEmptyEntries)];
            readNow();
            return Task.FromResult<JsonNode>(new JsonObject());
        },
        ["pods"] = (_, _) => Task.FromResult(Pods(mesh())),
        ["trace"] = TraceAsync,
        ["service"] = async (arguments, stop) => JsonSerializer.SerializeToNode(
            await _services.ReadAsync(mesh(), problems(), Text(arguments, "namespace"), Text(arguments, "name"), stop), AnswerJson.Default.ServicePage)!,
        ["certificates"] = async (_, stop) => JsonSerializer.SerializeToNode(await _certificates.ReadAsync(mesh(), stop), AnswerJson.Default.CertificatesPage)!,
        ["history"] = (arguments, stop) => _history.ReadAsync(mesh(), Text(arguments, "host"), Text(arguments, "since"), stop),
        ["configuration"] = async (arguments, stop) => JsonSerializer.SerializeToNode(await ConfigurationAsync(arguments, stop),
            AnswerJson.Default.ConfigurationPage)!,
    };

    /// <summary>The Pods: those that call, where traces begin, and those with a proxy, whose configuration can be read.</summary>
    private static JsonNode Pods(MeshState mesh) => new JsonArray([.. mesh.Clusters.SelectMany(cluster => cluster.Pods
        .Where(pod => pod.Metadata.DeletionTimestamp is null && pod.Status.Phase == "Running" && pod.Metadata.Namespace != "kube-system")
        .OrderBy(pod => pod.Key, StringComparer.Ordinal).Select(pod => (JsonNode)new JsonObject
        {
            ["cluster"] = cluster.Context, ["namespace"] = pod.Metadata.Namespace, ["name"] = pod.Metadata.Name,
            ["deployment"] = ClusterState.DeploymentOf(pod), ["calls"] = !ClusterState.IsGateway(pod), ["proxy"] = ClusterState.HasProxy(pod),
            ["otherProxy"] = ClusterState.OtherProxy(pod),
        }))]);

    private async Task<JsonNode> TraceAsync(JsonObject arguments, CancellationToken stop)
    {
        var home = clusters.FirstOrDefault(access => access.Name == Text(arguments, "cluster")) ?? clusters[0];
        using var run = new TraceRun([home, .. clusters.Where(access => access != home)], istioNamespace, time, new Random());
        var sent = SentRequest.Parse(Text(arguments, "method"),
            Text(arguments, "headers").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), arguments["body"]?.ToString() ?? "",
            Text(arguments, "token"));
        var (caller, ns, target) = (Required(arguments, "pod"), Text(arguments, "namespace"), TraceTarget.Parse(Required(arguments, "target")));
        var trace = await run.RunAsync(new(caller, ns.Length > 0 ? ns : null, target,
            arguments["call"] is JsonValue call && call.TryGetValue<bool>(out var calls) && calls, CallTimeout) { Sent = sent },
            stop);
        var tree = TraceText.Tree(trace);
        tree["text"] = TraceText.Write(trace, details: false);
        AddCommands(tree);
        return tree;
    }

    /// <summary>Puts the command of each remedy beside it.</summary>
    private static void AddCommands(JsonNode? node)
    {
        if (node is JsonArray items) foreach (var item in items) AddCommands(item);
        if (node is not JsonObject fields) return;
        foreach (var (_, value) in fields) AddCommands(value);
        if (fields["remedy"] is JsonValue remedy) fields["command"] = TypedCommand.In(remedy.ToString());
    }

    private async Task<ConfigurationPage> ConfigurationAsync(JsonObject arguments, CancellationToken stop)
    {
        var (cluster, ns, pod, part) = (Required(arguments, "cluster"), Required(arguments, "namespace"), Required(arguments, "pod"), Text(arguments, "part"));
        if (clusters.All(access => access.Name != cluster)) throw new ProblemException($"cluster {cluster}", "is not among those of this console");
        var query = new MeshQuery(reader.Client(cluster), istioNamespace);
        if (part == "endpoints")
        {
            var health = await query.AskProxyAsync(ns, pod, "clusters?format=json", stop);
            var sources = new EndpointSources(await query.AskSourcesAsync($"{pod}.{ns}", stop), time.GetUtcNow());
            var (columns, lines) = ProxyTables.Endpoints(health, sources, _ => true);
            return new(columns, lines, Pretty(ConfigDump.At(health, "cluster_statuses")));
        }
        var dump = new ConfigDump(await query.AskProxyAsync(ns, pod, "config_dump?include_eds", stop));
        var (items, (head, rows)) = part switch
        {
            "listeners" => (dump.Listeners, ProxyTables.Listeners(dump.Listeners)),
            "routes" => (dump.Routes, ProxyTables.Routes(dump.Routes)),
            "secrets" => ([.. dump.Secrets.Select(secret => secret.Secret)], ProxyTables.Secrets(dump, time.GetUtcNow())),
            _ => (dump.Clusters, ProxyTables.Clusters(dump.Clusters)),
        };
        return new(head, rows, Pretty(new JsonArray([.. items.Select(item => item.DeepClone())]))) { Program = dump.OtherProgram };
    }

    private static string Pretty(JsonNode? value) => value?.ToJsonString(Indented) ?? "[]";

    private static string Text(JsonObject arguments, string name) => arguments[name]?.ToString().Trim() ?? "";

    private static string Required(JsonObject arguments, string name) =>
        Text(arguments, name) is { Length: > 0 } text ? text : throw new ProblemException(name, "is missing", "fill in the field");
}

/// <summary>One part of a proxy's configuration.</summary>
/// <param name="Json">All of it, as the proxy has it.</param>
internal sealed record ConfigurationPage(IReadOnlyList<string> Head, IReadOnlyList<string[]> Rows, string Json)
{
    /// <summary>What the proxy says it is, if that is not Isthmus; empty otherwise, and with its endpoints, which do not say.</summary>
    public string Program { get; init; } = "";
}
