using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Api;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>Records what happens to Pods as core/v1 Events, written in the background. A repeated event raises the count of
/// the first.</summary>
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
                // An old event does not help, so it is not retried. The log keeps it.
                LostEvent((string?)one["reason"] ?? "", (string?)one["message"] ?? "", e.Message);
            }
        }
    }

    private JsonObject ToJson(
        Pod pod, bool isWarning, string reason, string message, Container? container, (string Name, int Count, DateTimeOffset First) seen,
        DateTimeOffset now) =>
        new EventReport(Kinds.Pod, pod.Metadata, isWarning ? "Warning" : "Normal", reason, message,
            "kubelet") { Host = nodeName, FieldPath = FieldPath(pod, container) }
            .ToJson(seen.Name, seen.First, now, seen.Count);

    private static string FieldPath(Pod pod, Container? container) =>
        container is null ? ""
        : pod.Spec.InitContainers.Contains(container) ? $"spec.initContainers{{{container.Name}}}"
        : pod.Spec.EphemeralContainers.Contains(container) ? $"spec.ephemeralContainers{{{container.Name}}}"
        : $"spec.containers{{{container.Name}}}";

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
