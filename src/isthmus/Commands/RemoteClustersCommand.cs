using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;
using Isthmus.Output;
using Isthmus.Reports;

namespace Isthmus.Commands;

internal static class RemoteClustersCommand
{
    private const string Page = "/debug/clusterz", Unknown = ControlPlaneAnswers.Unknown;

    internal static readonly string[] Header = ["NAME", "SECRET", "STATUS", "ISTIOD", "REVISION", "LAST CONTACT", "SERVED FROM", "MESSAGE"];

    internal static Command Build()
    {
        var (output, timeout) = (new OutputOption(), ControlPlaneAnswers.Timeout());
        var command = new Command("remote-clusters",
            "List the clusters that each control plane watches, and their problems.") { timeout.Option, output.Option };
        command.SetAction(async (line, stop) =>
        {
            var answers = await ControlPlaneAnswers.AskAsync(line, Page, timeout.Of(line), stop);
            var rows = answers.Select(answer => answer.AsList(ControlPlaneReports.Default.WatchedReport)).SelectMany(answer => Lines(answer)).ToList();
            var now = TimeProvider.System.GetUtcNow();
            output.Write(line,
                () => new JsonArray([.. rows.Select(row => (JsonNode)Tree(row.Plane, row.Told))]),
                () => TextTable.Write(Header, [.. rows.Select(row => Row(row.Plane, row.Cluster, now))]));
            return ControlPlaneAnswers.CodeOf(answers);
        });
        return command;
    }

    /// <summary>Null stands for the clusters of a control plane that does not tell them.</summary>
    private static IEnumerable<(PlaneAnswer Plane, JsonObject? Told, WatchedReport? Cluster)> Lines(PlaneReport<IReadOnlyList<WatchedReport>> answer) =>
        (answer.Page ?? []).Zip(answer.Plane.Answer as JsonArray ?? [], (cluster, told) => (answer.Plane, (JsonObject?)told, (WatchedReport?)cluster))
            .Concat(answer.Silent is { } silent ? [(silent, null, null)] : []);

    /// <summary>A control plane of Istio, and an old one, names clusters without what follows from the connection.</summary>
    internal static JsonObject Tree(PlaneAnswer plane, JsonObject? cluster)
    {
        var row = (JsonObject?)cluster?.DeepClone() ?? new JsonObject { ["message"] = ControlPlaneAnswers.Lacks(plane, Page) };
        row["istiod"] = plane.Pod;
        if (cluster is null) row["unknown"] = new JsonArray("id", "secretName", "syncStatus", "revision", "source", "lastContact", "confirmed");
        else if (!cluster.ContainsKey("source")) row["unknown"] = new JsonArray("revision", "source", "lastContact", "confirmed");
        return row;
    }

    internal static string[] Row(PlaneAnswer plane, WatchedReport? cluster, DateTimeOffset now) => cluster is null
        ? [Unknown, Unknown, Unknown, plane.Pod, Unknown, Unknown, Unknown, ControlPlaneAnswers.Lacks(plane, Page)]
        :
        [
            cluster.Id ?? "", cluster.SecretName ?? "", WatchedCluster.Read(cluster).Shown, plane.Pod, cluster.Revision ?? Unknown,
            // Control planes of Isthmus always name the source of what they serve.
            cluster.Source is null ? Unknown : EndpointSources.Since(cluster.LastContact, now),
            EndpointSources.Freshness(cluster.Source, cluster.Confirmed, now), cluster.Message ?? cluster.Warning ?? cluster.Snapshot?.Problem ?? "",
        ];
}
