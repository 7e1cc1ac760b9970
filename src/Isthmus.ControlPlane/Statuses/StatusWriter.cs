using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Statuses;

/// <summary>What came of writing a status.</summary>
internal enum StatusOutcome
{
    /// <summary>The status is up to date, or the object is gone.</summary>
    Done,

    /// <summary>The API server refuses it, for lack of permission or because of what the definition says or lacks: only a change can help. The log
    /// says so.</summary>
    Refused,

    /// <summary>The API server is away or busy, or others write all the time: to be tried again.</summary>
    Later,
}

/// <summary>
/// Writes the statuses of objects: each as the object is at that moment, so that nothing is lost that somebody else writes meanwhile, and only where
/// something changes.
/// </summary>
internal sealed partial class StatusWriter(KubeClient client, ILogger log)
{
    private const int Attempts = 5;

    /// <summary>Objects whose status waits, so that the log says so once.</summary>
    private readonly ConcurrentDictionary<string, bool> _late = new(StringComparer.Ordinal);

    /// <param name="changes">The fields of the status that are to change, given the object; null: nothing is to be written.</param>
    /// <param name="found">The object, if it was read just now.</param>
    public async Task<StatusOutcome> WriteAsync(ResourceKind kind, string ns, string name, Func<JsonObject, JsonObject?> changes, CancellationToken stop,
        JsonObject? found = null)
    {
        var (outcome, reason) = await TryAsync(kind, ns, name, changes, found, stop).ConfigureAwait(false);
        var item = $"{ns}/{name}";
        if (outcome == StatusOutcome.Refused) NotWritten(log, kind.Kind, item, reason);
        if (outcome != StatusOutcome.Later) _late.TryRemove($"{kind.Plural} {item}", out _);
        else if (reason.Length > 0 && _late.TryAdd($"{kind.Plural} {item}", true)) NotYetWritten(log, kind.Kind, item, reason);
        return outcome;
    }

    /// <returns>Also why; empty while the whole API server is away, which its watches tell.</returns>
    private async Task<(StatusOutcome Outcome, string Reason)> TryAsync(ResourceKind kind, string ns, string name, Func<JsonObject, JsonObject?> changes,
        JsonObject? found, CancellationToken stop)
    {
        try
        {
            for (var attempt = 0; attempt < Attempts; attempt++)
            {
                found ??= await client.FindAsync(kind, ns, name, stop).ConfigureAwait(false);
                if (found is null || changes(found) is not { } fields) return (StatusOutcome.Done, "");
                var patch = new JsonObject
                {
                    ["metadata"] = new JsonObject { ["resourceVersion"] = found["metadata"]!["resourceVersion"]!.DeepClone() }, ["status"] = fields,
                };
                try
                {
                    await client.PatchAsync(kind, ns, name, patch, PatchType.Merge, stop, "status").ConfigureAwait(false);
                    return (StatusOutcome.Done, "");
                }
                catch (KubeException e) when (e.IsConflict)
                {
                    found = null;
                }
                catch (KubeException e) when (e.IsNotFound)
                {
                    return await client.FindAsync(kind, ns, name, stop).ConfigureAwait(false) is null ? (StatusOutcome.Done, "")
                        : (StatusOutcome.Refused, $"the definition of {kind.Kind} has no subresource status in {kind.Version}");
                }
            }
            return (StatusOutcome.Later, "others write it all the time");
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return (StatusOutcome.Done, "");
        }
        catch (KubeException e) when (e.IsRefusal)
        {
            return (StatusOutcome.Refused, e.Message);
        }
        catch (Exception e) when (ApiTrouble.Is(e, stop))
        {
            var isAway = e is KubeException { IsBusy: true } or HttpRequestException or IOException or OperationCanceledException;
            return (StatusOutcome.Later, isAway ? "" : e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The status of {Kind} {Name} is not written: {Reason}")]
    private static partial void NotWritten(ILogger log, string kind, string name, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The status of {Kind} {Name} is not written yet; retrying: {Reason}")]
    private static partial void NotYetWritten(ILogger log, string kind, string name, string reason);
}
