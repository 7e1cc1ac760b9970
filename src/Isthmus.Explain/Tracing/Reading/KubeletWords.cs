using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Reading;

/// <summary>What only the events of a Pod tell.</summary>
internal static class KubeletWords
{
    /// <summary>What the kubelet said last of a probe that keeps the Pod from being ready, of a hook, or of a volume that it cannot mount; empty when it has
    /// said nothing, or nobody may read it.</summary>
    public static async Task<string> OfAsync(KubeClient client, string ns, string pod, CancellationToken stop)
    {
        const string Failed = "Readiness probe failed: ";
        try
        {
            var events = await client.ListAllAsync<JsonObject>(Kinds.Event, ns, new() { FieldSelector = $"involvedObject.name={pod}" }, stop);
            return events.Where(one => one["involvedObject"]?["name"]?.ToString() == pod)
                .OrderByDescending(one => one["lastTimestamp"]?.ToString() ?? "", StringComparer.Ordinal)
                .Select(one => (Reason: one["reason"]?.ToString() ?? "", Message: one["message"]?.ToString() ?? ""))
                .Select(one => one.Reason is "FailedMount" or "FailedPostStartHook"
                    || one.Message.StartsWith("Startup probe failed", StringComparison.Ordinal) ? one.Message
                    : one.Reason == "Unhealthy" && one.Message.StartsWith(Failed, StringComparison.Ordinal) ? one.Message[Failed.Length..].Trim() : "")
                .FirstOrDefault(said => said.Length > 0) ?? "";
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return "";
        }
    }
}
