using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

internal static class RemoteClustersCommand
{
    internal static Command Build()
    {
        var output = new OutputOption();
        var command = new Command("remote-clusters", "List the clusters that each control plane watches, and their problems.") { output.Option };
        command.SetAction(async (line, stop) =>
        {
            var answers = await ControlPlaneAnswers.AskAsync(line, "/debug/clusterz", stop);
            var rows = answers.SelectMany(answer => (answer.Answer as JsonArray ?? []).OfType<JsonObject>().Select(cluster => (answer.Pod, Cluster: cluster))).ToList();
            var now = TimeProvider.System.GetUtcNow();
            output.Write(line,
                () => new JsonArray([.. rows.Select(row =>
                {
                    var copy = (JsonObject)row.Cluster.DeepClone();
                    copy["istiod"] = row.Pod;
                    return (JsonNode)copy;
                })]),
                () => TextTable.Write(["NAME", "SECRET", "STATUS", "ISTIOD", "LAST CONTACT", "SERVED FROM", "MESSAGE"], [.. rows.Select(row => (string[])
                [
                    row.Cluster["id"]?.ToString() ?? "", row.Cluster["secretName"]?.ToString() ?? "", WatchedCluster.Read(row.Cluster).Shown, row.Pod,
                    EndpointSources.Since(row.Cluster["lastContact"]?.ToString(), now), EndpointSources.Freshness(row.Cluster["source"]?.ToString(), row.Cluster["confirmed"]?.ToString(), now),
                    row.Cluster["message"]?.ToString() ?? row.Cluster["warning"]?.ToString() ?? row.Cluster["snapshot"]?["problem"]?.ToString() ?? "",
                ])]));
            return 0;
        });
        return command;
    }
}
