using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Operate.MeshFile;

/// <summary>A cluster as a control plane has it.</summary>
/// <param name="Message">Why it is not in sync.</param>
internal sealed record WatchedCluster(string Id, bool IsSynced, string Message);

/// <summary>Which clusters the control planes of a cluster watch, as they say themselves: one line for each of them and each that it watches.</summary>
internal sealed class WatchedClusters(KubeClient client)
{
    internal async Task<IReadOnlyList<WatchedCluster>> ReadAsync(CancellationToken stop)
    {
        var answers = await new MeshQuery(client, WellKnown.SystemNamespace).AskControlPlanesAsync("/debug/clusterz", stop);
        return [.. answers.SelectMany(answer => (answer.Answer as JsonArray ?? []).OfType<JsonObject>())
            .Select(line => new WatchedCluster(line["id"]?.ToString() ?? "", line["syncStatus"]?.ToString() == "synced", line["message"]?.ToString() ?? ""))];
    }
}
