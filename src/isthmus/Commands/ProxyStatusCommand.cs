using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

internal static class ProxyStatusCommand
{
    private static readonly string[] Types = ["cluster", "listener", "endpoint", "route", "extensionconfig"];

    internal static Command Build()
    {
        var output = new OutputOption();
        var pod = new Argument<string?>("pod") { Description = "Show only this proxy: POD[.NAMESPACE]", Arity = ArgumentArity.ZeroOrOne }.WithPods();
        var command = new Command("proxy-status", "Show the synchronization status of each proxy.") { pod, output.Option };
        command.Aliases.Add("ps");
        command.SetAction(async (line, stop) =>
        {
            var answers = await ControlPlaneAnswers.AskAsync(line, "/debug/syncz", stop);
            var rows = answers.SelectMany(answer => (answer.Answer as JsonArray ?? []).OfType<JsonObject>().Select(proxy => (answer.Pod, Proxy: proxy)))
                .Where(row => line.GetValue(pod) is not { } wanted || (row.Proxy["proxy"]?.ToString() ?? "").StartsWith(wanted, StringComparison.Ordinal))
                .OrderBy(row => row.Proxy["proxy"]?.ToString(), StringComparer.Ordinal).ToList();
            if (line.GetValue(pod) is { } named && rows.Count == 0)
                throw new ProblemException($"proxy {named}", "is not connected to any of the queried control planes", "specify it as POD.NAMESPACE; 'isthmus proxy-status' lists the connected proxies");
            output.Write(line, () => new JsonArray([.. rows.Select(row => row.Proxy.DeepClone())]), () => Show(rows));
            return 0;
        });
        return command;
    }

    private static void Show(IReadOnlyList<(string Pod, JsonObject Proxy)> rows)
    {
        TextTable.Write(
                ["NAME", "CLUSTER", "CDS", "LDS", "EDS", "RDS", "ECDS", "ISTIOD", "VERSION"],
                [.. rows.Select(row => (string[])
                [
                    row.Proxy["proxy"]?.ToString() ?? "", row.Proxy["cluster_id"]?.ToString() ?? "",
                    .. Types.Select(type => State(row.Proxy, type)), row.Pod, row.Proxy["istio_version"]?.ToString() ?? "",
                ])]);
        foreach (var (_, proxy) in rows)
            foreach (var problem in proxy["problems"] as JsonArray ?? []) Console.WriteLine($"{proxy["proxy"]}: {problem}");
    }

    private static string State(JsonObject proxy, string type)
    {
        var (sent, acked) = (proxy[$"{type}_sent"]?.ToString() ?? "", proxy[$"{type}_acked"]?.ToString() ?? "");
        if (proxy[$"{type}_error"] is not null) return "ERROR";
        return sent.Length == 0 ? "NOT SENT" : sent == acked ? "SYNCED" : acked.Length == 0 ? "STALE (Never Acknowledged)" : "STALE";
    }
}
