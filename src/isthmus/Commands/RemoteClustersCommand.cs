using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

internal static class RemoteClustersCommand
{
    private const string Page = "/debug/clusterz", Unknown = ControlPlaneAnswers.Unknown;

    internal static readonly string[] Header = ["NAME", "SECRET", "STATUS", "ISTIOD", "REVISION", "LAST CONTACT", "SERVED FROM", "MESSAGE"];

    internal static Command Build()
    {
        var output = new OutputOption();
        var command = new Command("remote-clusters", "List the clusters that each control plane watches, and their problems.") { output.Option };
        command.SetAction(async (line, stop) =>
        {
            var answers = await ControlPlaneAnswers.AskAsync(line, Page, stop);
            var rows = answers.SelectMany(answer => Clusters(answer.Answer).Select(cluster => (Plane: answer, Cluster: cluster))).ToList();
            var now = TimeProvider.System.GetUtcNow();
            output.Write(line,
                () => new JsonArray([.. rows.Select(row => (JsonNode)Tree(row.Plane, row.Cluster))]),
                () => TextTable.Write(Header, [.. rows.Select(row => Row(row.Plane, row.Cluster, now))]));
            return ExitCode.Success;
        });
        return command;
    }

    /// <summary>Null stands for the clusters of a control plane that does not tell them.</summary>
    private static IEnumerable<JsonObject?> Clusters(JsonNode? answer) => answer is null ? [null] : (answer as JsonArray ?? []).OfType<JsonObject?>();

    /// <summary>A control plane of Istio, and an old one, names clusters without what follows from the connection.</summary>
    internal static JsonObject Tree(PlaneAnswer plane, JsonObject? cluster)
    {
        var row = (JsonObject?)cluster?.DeepClone() ?? new JsonObject { ["message"] = ControlPlaneAnswers.Lacks(plane, Page) };
        row["istiod"] = plane.Pod;
        if (cluster is null) row["unknown"] = new JsonArray("id", "secretName", "syncStatus", "revision", "source", "lastContact", "confirmed");
        else if (IsForeign(cluster)) row["unknown"] = new JsonArray("revision", "source", "lastContact", "confirmed");
        return row;
    }

    internal static string[] Row(PlaneAnswer plane, JsonObject? cluster, DateTimeOffset now) => cluster is null
        ? [Unknown, Unknown, Unknown, plane.Pod, Unknown, Unknown, Unknown, ControlPlaneAnswers.Lacks(plane, Page)]
        :
        [
            Text(cluster["id"]), Text(cluster["secretName"]), WatchedCluster.Read(cluster).Shown, plane.Pod, cluster["revision"]?.ToString() ?? Unknown,
            IsForeign(cluster) ? Unknown : EndpointSources.Since(cluster["lastContact"]?.ToString(), now),
            EndpointSources.Freshness(cluster["source"]?.ToString(), cluster["confirmed"]?.ToString(), now),
            Text(cluster["message"] ?? cluster["warning"] ?? cluster["snapshot"]?["problem"]),
        ];

    /// <summary>Control planes of Isthmus always name the source of what they serve.</summary>
    private static bool IsForeign(JsonObject cluster) => !cluster.ContainsKey("source");

    private static string Text(JsonNode? value) => value?.ToString() ?? "";
}
