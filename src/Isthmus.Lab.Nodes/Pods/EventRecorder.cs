using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Api;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>Records what happens to Pods as core/v1 Events, written in the background. A repeated event raises the count of the first.</summary>
internal sealed partial class EventRecorder(INodeApi api, string nodeName, TimeProvider time, ILogger log)
{
    private const int LongestQueue = 1000;
    private static readonly TimeSpan CountedFor = TimeSpan.FromMinutes(10);

    private readonly Channel<JsonObject> _queue = Channel.CreateBounded<JsonObject>(
        new BoundedChannelOptions(LongestQueue) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
    private readonly ConcurrentDictionary<string, (string Name, int Count, DateTimeOffset First)> _seen = new(StringComparer.Ordinal);

    /// <param name="container">The container concerned, or null for the whole Pod.</param>
    internal void Tell(Pod pod, bool isWarning, string reason, string message, Container? container = null)
    {
        var now = time.GetUtcNow();
        var key = $"{pod.Metadata.Uid}/{container?.Name}/{reason}/{message}";
        var seen = _seen.AddOrUpdate(key,
            _ => (EventNames.Of(pod.Metadata.Name, now), 1, now),
            (_, old) => now - old.First > CountedFor ? (EventNames.Of(pod.Metadata.Name, now), 1, now) : (old.Name, old.Count + 1, old.First));
        if (_seen.Count > LongestQueue * 4) Forget(now);
        _queue.Writer.TryWrite(ToJson(pod, isWarning, reason, message, container, seen, now));
    }

    internal async Task RunAsync(CancellationToken stop)
    {
        await foreach (var one in _queue.Reader.ReadAllAsync(stop))
        {
            try
            {
                await api.WriteEventAsync(one, stop);
            }
            catch (Exception e) when (e is KubeException or HttpRequestException or IOException)
            {
                // An old event helps nobody, so it is not retried. The log keeps it.
                LostEvent((string?)one["reason"] ?? "", (string?)one["message"] ?? "", e.Message);
            }
        }
    }

    private JsonObject ToJson(
        Pod pod, bool isWarning, string reason, string message, Container? container, (string Name, int Count, DateTimeOffset First) seen, DateTimeOffset now)
    {
        var about = new JsonObject
        {
            ["kind"] = "Pod",
            ["namespace"] = pod.Metadata.Namespace,
            ["name"] = pod.Metadata.Name,
            ["uid"] = pod.Metadata.Uid,
            ["apiVersion"] = "v1",
            ["resourceVersion"] = pod.Metadata.ResourceVersion,
        };
        if (container is not null)
            about["fieldPath"] = $"spec.{(pod.Spec.InitContainers.Contains(container) ? "initContainers" : pod.Spec.EphemeralContainers.Contains(container) ? "ephemeralContainers" : "containers")}{{{container.Name}}}";
        return new()
        {
            ["kind"] = "Event",
            ["apiVersion"] = "v1",
            ["metadata"] = new JsonObject { ["name"] = seen.Name, ["namespace"] = pod.Metadata.Namespace },
            ["involvedObject"] = about,
            ["reason"] = reason,
            ["message"] = message.Length <= 1024 ? message : message[..1021] + "...",
            ["source"] = new JsonObject { ["component"] = "kubelet", ["host"] = nodeName },
            ["firstTimestamp"] = ApiTime.Seconds(seen.First),
            ["lastTimestamp"] = ApiTime.Seconds(now),
            ["count"] = seen.Count,
            ["type"] = isWarning ? "Warning" : "Normal",
            ["reportingComponent"] = "kubelet",
            ["reportingInstance"] = nodeName,
        };
    }

    private void Forget(DateTimeOffset now)
    {
        foreach (var (key, value) in _seen)
        {
            if (now - value.First > CountedFor) _seen.TryRemove(key, out _);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "could not write event {Reason} ({Text}): {Error}")]
    private partial void LostEvent(string reason, string text, string error);
}
