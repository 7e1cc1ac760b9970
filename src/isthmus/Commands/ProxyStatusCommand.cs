using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

internal static class ProxyStatusCommand
{
    private const string Page = "/debug/syncz", Unknown = ControlPlaneAnswers.Unknown;

    private static readonly string[] Types = ["cluster", "listener", "endpoint", "route", "extensionconfig"];

    private static readonly IReadOnlyDictionary<string, string> Words = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["cluster"] = "clusters", ["listener"] = "listeners", ["endpoint"] = "endpoints", ["route"] = "routes", ["extensionconfig"] = "configurations of filters",
    };

    /// <summary>The names of the messages of the same types, as an istiod uses them where it says what proxies refuse.</summary>
    private static readonly string[] Messages = ["Cluster", "Listener", "ClusterLoadAssignment", "RouteConfiguration", "TypedExtensionConfig"];

    internal static Command Build()
    {
        var output = new OutputOption(hasWide: true);
        var pod = new Argument<string?>("pod") { Description = "Show only this proxy: POD[.NAMESPACE]", Arity = ArgumentArity.ZeroOrOne }.WithPods();
        var command = new Command("proxy-status", "Show the synchronization status of each proxy.") { pod, output.Option };
        command.Aliases.Add("ps");
        command.SetAction(async (line, stop) =>
        {
            var answers = await ControlPlaneAnswers.AskAsync(line, Page, stop);
            var rows = answers.SelectMany(answer => (answer.Answer as JsonArray ?? []).OfType<JsonObject>()
                .Select(proxy => (Plane: answer, Proxy: WithErrors(proxy))))
                .Where(row => line.GetValue(pod) is not { } wanted || (row.Proxy["proxy"]?.ToString() ?? "").StartsWith(wanted, StringComparison.Ordinal))
                .OrderBy(row => row.Proxy["proxy"]?.ToString(), StringComparer.Ordinal).ToList();
            var silent = answers.Where(answer => answer.Answer is null).ToList();
            if (line.GetValue(pod) is { } named && rows.Count == 0)
                throw new ProblemException($"proxy {named}",
                    $"is not connected to any of the queried control "
                        + $"planes{string.Concat(silent.Select(plane => $"; {plane.Pod} {ControlPlaneAnswers.Lacks(plane, Page)}"))}",
                    "specify it as POD.NAMESPACE; 'isthmus proxy-status' lists the connected proxies");
            output.Write(line,
                () => new JsonArray([.. rows.Select(row => (JsonNode)Tree(row.Plane.Pod, row.Proxy)),
                    .. silent.Select(plane => (JsonNode)Tree(plane.Pod, null, ControlPlaneAnswers.Lacks(plane, Page)))]),
                () => Show(rows, silent, output.IsWide(line)));
            return ExitCode.Success;
        });
        return command;
    }

    /// <param name="proxy">Null stands for the proxies of a control plane that does not tell them.</param>
    /// <param name="why">Why it does not.</param>
    internal static JsonObject Tree(string pod, JsonObject? proxy, string why = "")
    {
        var row = (JsonObject?)proxy?.DeepClone() ?? new JsonObject { ["message"] = why };
        row["istiod"] = pod;
        if (proxy is null)
            row["unknown"] = Names([.. "proxy cluster_id istio_version".Split(' '), .. Types.SelectMany(type => (string[])[$"{type}_sent", $"{type}_acked"]),
                .. NotTold]);
        else if (IsForeign(proxy)) row["unknown"] = Names(NotTold.Where(name => !TellsErrors(proxy) || !name.EndsWith("_error", StringComparison.Ordinal)));
        return row;
    }

    /// <param name="isWide">With the program of each proxy. Without it, the columns are those that scripts know.</param>
    private static void Show(IReadOnlyList<(PlaneAnswer Plane, JsonObject Proxy)> rows, IReadOnlyList<PlaneAnswer> silent, bool isWide)
    {
        TextTable.Write(
                ["NAME", "CLUSTER", "CDS", "LDS", "EDS", "RDS", "ECDS", "ISTIOD", "VERSION", .. isWide ? (string[])["PROXY"] : []],
                [.. rows.Select(row => (string[])
                [
                    row.Proxy["proxy"]?.ToString() ?? "", row.Proxy["cluster_id"]?.ToString() ?? "",
                    .. Types.Select(type => State(row.Proxy, type)), row.Plane.Pod, row.Proxy["istio_version"]?.ToString() ?? "",
                    .. isWide ? (string[])[row.Proxy["program"]?.ToString() ?? Unknown] : [],
                ]),
                .. silent.Select(plane => (string[])
                [
                    Unknown, Unknown, .. Types.Select(_ => Unknown), plane.Pod, Unknown, .. isWide ? (string[])[Unknown] : [],
                ])]);
        foreach (var (_, proxy) in rows)
        {
            foreach (var problem in proxy["problems"] as JsonArray ?? []) Console.WriteLine($"{proxy["proxy"]}: {problem}");
            // Control planes of Isthmus list refusals among the problems.
            foreach (var type in Types.Where(type => IsForeign(proxy) && proxy[$"{type}_error"] is not null))
                Console.WriteLine($"{proxy["proxy"]}: refuses {Words[type]}: {proxy[$"{type}_error"]}");
        }
        foreach (var plane in rows.Where(row => IsForeign(row.Proxy)).Select(row => row.Plane).DistinctBy(plane => plane.Pod)
            .OrderBy(plane => plane.Pod, StringComparer.Ordinal))
        {
            var refused = rows.Where(row => row.Plane.Pod == plane.Pod).All(row => TellsErrors(row.Proxy)) ? "" : "refuse, and what they ";
            Console.WriteLine($"{plane.Pod}: {plane.Foreign}: what its proxies {refused}ask for and cannot get is not known");
        }
        foreach (var plane in silent) Console.WriteLine($"{plane.Pod}: {ControlPlaneAnswers.Lacks(plane, Page)}");
    }

    /// <summary>An istiod says what a proxy refuses, by type, as <c>resources</c>.</summary>
    private static JsonObject WithErrors(JsonObject proxy)
    {
        foreach (var (type, message) in Types.Zip(Messages))
        {
            var status = (proxy["resources"] as JsonObject ?? []).FirstOrDefault(pair => pair.Key.EndsWith($".{message}", StringComparison.Ordinal)).Value;
            if ((status as JsonObject)?["lastError"]?.ToString() is { Length: > 0 } error) proxy[$"{type}_error"] = error;
        }
        return proxy;
    }

    private static bool TellsErrors(JsonObject proxy) => proxy["resources"] is JsonObject;

    private static string State(JsonObject proxy, string type)
    {
        var (sent, acked) = (proxy[$"{type}_sent"]?.ToString() ?? "", proxy[$"{type}_acked"]?.ToString() ?? "");
        if (proxy[$"{type}_error"] is not null) return "ERROR";
        return sent.Length == 0 ? "NOT SENT" : sent == acked ? "SYNCED" : acked.Length == 0 ? "STALE (Never Acknowledged)" : "STALE";
    }

    /// <summary>What only control planes of Isthmus say of a proxy.</summary>
    private static IEnumerable<string> NotTold => [.. Types.Select(type => $"{type}_error"), "since", "problems", "losses", "program"];

    /// <summary>Control planes of Isthmus always say since when a proxy is connected.</summary>
    private static bool IsForeign(JsonObject proxy) => !proxy.ContainsKey("since");

    private static JsonArray Names(IEnumerable<string> names) => new([.. names.Select(name => (JsonNode)JsonValue.Create(name)!)]);
}
