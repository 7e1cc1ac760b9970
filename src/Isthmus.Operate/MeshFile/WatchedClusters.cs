using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Operate.MeshFile;

/// <summary>A cluster as a control plane reports it.</summary>
/// <param name="Message">Why it is not synced.</param>
internal sealed record WatchedCluster(string Id, bool IsSynced, string Message);

/// <summary>The clusters that the control planes of a cluster watch, as they report: one line for each control plane and
/// each cluster that it watches.</summary>
internal sealed class WatchedClusters(KubeClient client)
{
    internal async Task<IReadOnlyList<WatchedCluster>> ReadAsync(CancellationToken stop)
    {
        var answers = await new MeshQuery(client, WellKnown.SystemNamespace).AskControlPlanesAsync("/debug/clusterz", stop);
        return [.. answers.SelectMany(answer => (answer.Answer as JsonArray ?? []).OfType<JsonObject>())
            .Select(line => new WatchedCluster(line["id"]?.ToString() ?? "", line["syncStatus"]?.ToString() == "synced", line["message"]?.ToString() ?? ""))];
    }
}
