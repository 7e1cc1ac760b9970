using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Dns.Cluster;

/// <summary>Reports an unusable Corefile with an Event on its ConfigMap, where its author looks.</summary>
internal sealed class Complaint(ClusterAccess access, string pod, string configMap, TimeProvider time, Action<string> log)
{
    internal async Task WriteAsync(string message, CancellationToken stop)
    {
        using var client = new KubeClient(access, "coredns");
        var now = time.GetUtcNow();
        var about = new ObjectMeta { Name = configMap, Namespace = access.Namespace };
        var report = new EventReport(Kinds.ConfigMap, about, "Warning", "CorefileInvalid", $"The last good Corefile stays in force: {message}",
            "coredns") { Host = pod };
        var made = report.ToJson(EventNames.Of(configMap, now), now);
        try
        {
            await client.CreateAsync(Kinds.Event, made, stop);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            // The log line is enough; without permission to write events nothing more can be done.
            log($"[WARNING] no Event about the Corefile: {e.Message}");
        }
    }
}
