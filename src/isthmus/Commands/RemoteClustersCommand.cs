using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

internal static class RemoteClustersCommand
{
    internal static readonly string[] Header = ["NAME", "SECRET", "STATUS", "ISTIOD", "REVISION", "LAST CONTACT", "SERVED FROM", "MESSAGE"];

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
                () => TextTable.Write(Header, [.. rows.Select(row => Row(row.Pod, row.Cluster, now))]));
            return 0;
        });
        return command;
    }

    internal static string[] Row(string pod, JsonObject cluster, DateTimeOffset now) =>
    [
        Text(cluster["id"]), Text(cluster["secretName"]), WatchedCluster.Read(cluster).Shown, pod, Text(cluster["revision"]),
        EndpointSources.Since(cluster["lastContact"]?.ToString(), now), EndpointSources.Freshness(cluster["source"]?.ToString(), cluster["confirmed"]?.ToString(), now),
        Text(cluster["message"] ?? cluster["warning"] ?? cluster["snapshot"]?["problem"]),
    ];

    private static string Text(JsonNode? value) => value?.ToString() ?? "";
}
