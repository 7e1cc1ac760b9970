using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab.Supervisor;

/// <summary>Whether a cluster can be used. Objects that an earlier run of the lab left in the API server do not count: only
/// objects newer than <c>since</c> do.</summary>
internal static class Readiness
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(25);

    internal static Task ApiServerAsync(KubeClient client, CancellationToken stop) => UntilAsync(async () =>
    {
        await client.RawAsync(HttpMethod.Get, "/readyz", null, stop);
        return true;
    }, stop);

    internal static Task NodeAsync(KubeClient client, ClusterSettings settings, DateTimeOffset since, CancellationToken stop) =>
        UntilAsync(() => IsNodeReadyAsync(client, settings, since, stop), stop);

    /// <summary>Waits until a Pod with these labels is ready.</summary>
    internal static Task PodAsync(KubeClient client, string ns, string labels, DateTimeOffset since, CancellationToken stop) => UntilAsync(async () =>
        (await client.ListAllAsync<JsonObject>(Kinds.Pod, ns, new ListOptions { LabelSelector = labels }, stop)).Any(pod => IsRunning(pod, since)), stop);

    /// <summary>A short description of the cluster's state, and its number of Pods; null when it does not answer.</summary>
    internal static async Task<(string State, int? Pods)> StateAsync(KubeClient client, ClusterSettings settings, DateTimeOffset since, CancellationToken stop)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(TimeSpan.FromSeconds(2));
        try
        {
            var ready = await IsNodeReadyAsync(client, settings, since, patience.Token);
            var pods = await client.ListAllAsync<PartialObject>(Kinds.Pod, null, new ListOptions(), patience.Token);
            return (ready ? "ready" : "node not ready", pods.Count);
        }
        catch (Exception e) when (IsNotYet(e) || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            return ("API server not ready", null);
        }
    }

    private static async Task<bool> IsNodeReadyAsync(KubeClient client, ClusterSettings settings, DateTimeOffset since, CancellationToken stop)
    {
        if (await client.FindAsync(Kinds.Node, null, settings.NodeName, stop) is not { } node) return false;
        var conditions = node["status"]?["conditions"] as JsonArray ?? [];
        return conditions.Any(condition => (string?)condition?["type"] == "Ready" && (string?)condition?["status"] == "True"
            && IsSince(condition?["lastHeartbeatTime"], since));
    }

    private static bool IsRunning(JsonObject pod, DateTimeOffset since) =>
        pod["status"]?["containerStatuses"] is JsonArray { Count: > 0 } containers
            && containers.All(container => (bool?)container?["ready"] == true && IsSince(container?["state"]?["running"]?["startedAt"], since));

    private static bool IsSince(JsonNode? time, DateTimeOffset since) =>
        DateTimeOffset.TryParse((string?)time, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at) && at >= since;

    private static async Task UntilAsync(Func<Task<bool>> holds, CancellationToken stop)
    {
        while (true)
        {
            try
            {
                if (await holds()) return;
            }
            catch (Exception e) when (IsNotYet(e))
            {
                // The server is starting.
            }
            await Task.Delay(Poll, stop);
        }
    }

    private static bool IsNotYet(Exception e) => e is HttpRequestException or KubeException or IOException or System.Net.Sockets.SocketException;
}
