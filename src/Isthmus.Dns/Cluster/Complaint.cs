using System.Globalization;
using System.Text.Json.Nodes;
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
        var stamp = now.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        var mark = now.UtcTicks.ToString("x", CultureInfo.InvariantCulture);
        var made = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Event", ["metadata"] = new JsonObject { ["name"] = $"{configMap}.{mark}", ["namespace"] = access.Namespace },
            ["involvedObject"] = new JsonObject { ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["name"] = configMap, ["namespace"] = access.Namespace },
            ["type"] = "Warning", ["reason"] = "CorefileInvalid", ["message"] = $"The last good Corefile stays in force: {message}",
            ["source"] = new JsonObject { ["component"] = "coredns", ["host"] = pod }, ["reportingComponent"] = "coredns", ["reportingInstance"] = pod,
            ["firstTimestamp"] = stamp, ["lastTimestamp"] = stamp, ["count"] = 1,
        };
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
