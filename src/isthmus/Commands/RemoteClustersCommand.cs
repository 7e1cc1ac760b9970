using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Commands;

internal static class RemoteClustersCommand
{
    internal static Command Build()
    {
        var output = new OutputOption();
        var command = new Command("remote-clusters", "List the clusters that each control plane watches, and what is wrong with them.") { output.Option };
        command.SetAction(async (line, stop) =>
        {
            using var client = GlobalOptions.Client(line);
            var answers = await new MeshQuery(client, line.GetValue(GlobalOptions.IstioNamespace)!).AskControlPlanesAsync("/debug/clusterz", stop);
            var rows = answers.SelectMany(answer => (answer.Answer as JsonArray ?? []).OfType<JsonObject>().Select(cluster => (answer.Pod, Cluster: cluster))).ToList();
            output.Write(line,
                () => new JsonArray([.. rows.Select(row =>
                {
                    var copy = (JsonObject)row.Cluster.DeepClone();
                    copy["istiod"] = row.Pod;
                    return (JsonNode)copy;
                })]),
                () => TextTable.Write(["NAME", "SECRET", "STATUS", "ISTIOD", "LAST CONTACT", "MESSAGE"], [.. rows.Select(row => (string[])
                [
                    row.Cluster["id"]?.ToString() ?? "", row.Cluster["secretName"]?.ToString() ?? "", row.Cluster["syncStatus"]?.ToString() ?? "", row.Pod,
                    Age(row.Cluster["lastContact"]?.ToString()), row.Cluster["message"]?.ToString() ?? "",
                ])]));
            return 0;
        });
        return command;
    }

    private static string Age(string? time)
    {
        if (!DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, out var parsed)) return "never";
        var age = TimeProvider.System.GetUtcNow() - parsed;
        return age.TotalSeconds < 120 ? $"{Math.Max(0, age.TotalSeconds):0}s ago" : age.TotalMinutes < 120 ? $"{age.TotalMinutes:0}m ago" : $"{age.TotalHours:0}h ago";
    }
}
