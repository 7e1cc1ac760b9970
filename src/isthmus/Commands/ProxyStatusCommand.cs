using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;
using Isthmus.Output;
using Isthmus.Reports;

namespace Isthmus.Commands;

internal static class ProxyStatusCommand
{
    private const string Page = "/debug/syncz", Unknown = ControlPlaneAnswers.Unknown;

    private static readonly string[] Types = ["cluster", "listener", "endpoint", "route", "extensionconfig"];

    private static readonly IReadOnlyDictionary<string, string> Words = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["cluster"] = "clusters", ["listener"] = "listeners", ["endpoint"] = "endpoints", ["route"] = "routes",
        ["extensionconfig"] = "configurations of filters",
    };

    internal static Command Build()
    {
        var (output, timeout) = (new OutputOption(hasWide: true), ControlPlaneAnswers.Timeout());
        var pod = new Argument<string?>("pod") { Description = "Show only this proxy: POD[.NAMESPACE]", Arity = ArgumentArity.ZeroOrOne }.WithPods();
        var command = new Command("proxy-status", "Show the synchronization status of each proxy.") { pod, timeout.Option, output.Option };
        command.Aliases.Add("ps");
        command.SetAction(async (line, stop) =>
        {
            var answers = await ControlPlaneAnswers.AskAsync(line, Page, timeout.Of(line), stop);
            var read = answers.Select(answer => answer.AsList(ControlPlaneReports.Default.SyncReport)).ToList();
            var rows = read.SelectMany(answer => (answer.Page ?? []).Zip(answer.Plane.Answer as JsonArray ?? [],
                (proxy, told) => (answer.Plane, Proxy: proxy, Told: (JsonObject)told!)))
                .Where(row => IsAsked(row.Proxy.Proxy ?? "", line.GetValue(pod), line.GetValue(GlobalOptions.Namespace)))
                .OrderBy(row => row.Proxy.Proxy, StringComparer.Ordinal).ToList();
            var silent = read.Select(answer => answer.Silent).OfType<PlaneAnswer>().ToList();
            if (line.GetValue(pod) is { } named && rows.Count == 0)
                throw new ProblemException($"proxy {named}",
                    $"is not connected to any of the queried control "
                        + $"planes{string.Concat(silent.Select(plane => $"; {plane.Pod} {ControlPlaneAnswers.Lacks(plane, Page)}"))}",
                    "specify it as POD.NAMESPACE; 'isthmus proxy-status' lists the connected proxies");
            if (line.GetValue(GlobalOptions.Namespace) is { } ns && rows.Count == 0) await MustExistAsync(line, ns, stop);
            output.Write(line,
                () => new JsonArray([.. rows.Select(row => (JsonNode)Tree(row.Plane.Pod, row.Proxy, row.Told)),
                    .. silent.Select(plane => (JsonNode)Silent(plane.Pod, ControlPlaneAnswers.Lacks(plane, Page)))]),
                () => Show([.. rows.Select(row => (row.Plane, row.Proxy))], silent, output.IsWide(line)));
            return ControlPlaneAnswers.CodeOf(answers);
        });
        return command;
    }

    /// <param name="proxy">POD.NAMESPACE.</param>
    /// <param name="pod">The beginning of it, or null. A name with its namespace says more than the option.</param>
    internal static bool IsAsked(string proxy, string? pod, string? ns) =>
        (pod is null || proxy.StartsWith(pod, StringComparison.Ordinal))
            && (ns is null || pod?.Contains('.', StringComparison.Ordinal) == true || proxy.EndsWith($".{ns}", StringComparison.Ordinal));

    /// <summary>A namespace that is nowhere has no proxies, and is most likely a mistake.</summary>
    private static async Task MustExistAsync(ParseResult line, string ns, CancellationToken stop)
    {
        using var client = GlobalOptions.Client(line);
        try
        {
            if (await client.FindAsync(Kinds.Namespace, null, ns, stop) is not null) return;
        }
        catch (KubeException e) when (e.Code is 401 or 403)
        {
            return;
        }
        throw new ProblemException($"namespace \"{ns}\"", $"not found in {client.Access.Name}, and no proxy of it is connected",
            "'isthmus proxy-status' without --namespace lists all connected proxies");
    }

    /// <summary>A proxy as its control plane tells of it.</summary>
    /// <param name="told">What <paramref name="proxy"/> was read from, with whatever it has more.</param>
    internal static JsonObject Tree(string pod, SyncReport proxy, JsonObject told)
    {
        var row = (JsonObject)told.DeepClone();
        foreach (var type in Types)
            if (proxy.Of(type).Error is { } error) row[$"{type}_error"] = error;
        row["istiod"] = pod;
        if (IsForeign(proxy)) row["unknown"] = Names(NotTold.Where(name => !TellsErrors(proxy) || !name.EndsWith("_error", StringComparison.Ordinal)));
        return row;
    }

    /// <summary>Stands for the proxies of a control plane that does not tell them.</summary>
    internal static JsonObject Silent(string pod, string why) => new()
    {
        ["message"] = why, ["istiod"] = pod,
        ["unknown"] = Names([.. "proxy cluster_id istio_version".Split(' '), .. Types.SelectMany(type => (string[])[$"{type}_sent", $"{type}_acked"]),
            .. NotTold]),
    };

    /// <param name="isWide">With the program of each proxy. Without it, the columns are those that scripts know.</param>
    private static void Show(IReadOnlyList<(PlaneAnswer Plane, SyncReport Proxy)> rows, IReadOnlyList<PlaneAnswer> silent, bool isWide)
    {
        TextTable.Write(
                ["NAME", "CLUSTER", "CDS", "LDS", "EDS", "RDS", "ECDS", "ISTIOD", "VERSION", .. isWide ? (string[])["PROXY"] : []],
                [.. rows.Select(row => (string[])
                [
                    row.Proxy.Proxy ?? "", row.Proxy.ClusterId ?? "",
                    .. Types.Select(type => State(row.Proxy.Of(type))), row.Plane.Pod, row.Proxy.IstioVersion ?? "",
                    .. isWide ? (string[])[row.Proxy.Program ?? Unknown] : [],
                ]),
                .. silent.Select(plane => (string[])
                [
                    Unknown, Unknown, .. Types.Select(_ => Unknown), plane.Pod, Unknown, .. isWide ? (string[])[Unknown] : [],
                ])]);
        foreach (var (_, proxy) in rows)
        {
            foreach (var problem in proxy.Problems ?? []) Console.WriteLine($"{proxy.Proxy}: {problem}");
            // Control planes of Isthmus list refusals among the problems.
            foreach (var type in Types.Where(type => IsForeign(proxy) && proxy.Of(type).Error is not null))
                Console.WriteLine($"{proxy.Proxy}: refuses {Words[type]}: {proxy.Of(type).Error}");
        }
        foreach (var plane in rows.Where(row => IsForeign(row.Proxy)).Select(row => row.Plane).DistinctBy(plane => plane.Pod)
            .OrderBy(plane => plane.Pod, StringComparer.Ordinal))
        {
            var refused = rows.Where(row => row.Plane.Pod == plane.Pod).All(row => TellsErrors(row.Proxy)) ? "" : "refuse, and what they ";
            Console.WriteLine($"{plane.Pod}: {plane.Foreign}: what its proxies {refused}ask for and cannot get is not known");
        }
        foreach (var plane in silent) Console.WriteLine($"{plane.Pod}: {ControlPlaneAnswers.Lacks(plane, Page)}");
    }

    /// <summary>An istiod that says what proxies refuse has it by type.</summary>
    private static bool TellsErrors(SyncReport proxy) => proxy.Resources is not null;

    private static string State(TypeSync sync)
    {
        if (sync.Error is not null) return "ERROR";
        return sync.Sent is not { Length: > 0 } ? "NOT SENT"
            : sync.Sent == sync.Acked ? "SYNCED" : sync.Acked is not { Length: > 0 } ? "STALE (Never Acknowledged)" : "STALE";
    }

    /// <summary>What only control planes of Isthmus say of a proxy.</summary>
    private static IEnumerable<string> NotTold => [.. Types.Select(type => $"{type}_error"), "since", "problems", "losses", "program"];

    /// <summary>Control planes of Isthmus always say since when a proxy is connected.</summary>
    private static bool IsForeign(SyncReport proxy) => proxy.Since is null;

    private static JsonArray Names(IEnumerable<string> names) => new([.. names.Select(name => (JsonNode)JsonValue.Create(name)!)]);
}
