using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Statuses;

/// <summary>What came of writing a status.</summary>
internal enum StatusOutcome
{
    /// <summary>The status says what it shall, or the object is gone.</summary>
    Done,

    /// <summary>The API server refuses it, for lack of permission or because of what the definition says: only a change can help. The log says so.</summary>
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

    /// <param name="changes">The fields of the status that are to change, given the object; null: nothing is to be written.</param>
    /// <param name="found">The object, if it was read just now.</param>
    public async Task<StatusOutcome> WriteAsync(ResourceKind kind, string ns, string name, Func<JsonObject, JsonObject?> changes, CancellationToken stop,
        JsonObject? found = null)
    {
        try
        {
            for (var attempt = 0; attempt < Attempts; attempt++)
            {
                found ??= await client.FindAsync(kind, ns, name, stop).ConfigureAwait(false);
                if (found is null || changes(found) is not { } fields) return StatusOutcome.Done;
                var patch = new JsonObject
                {
                    ["metadata"] = new JsonObject { ["resourceVersion"] = found["metadata"]!["resourceVersion"]!.DeepClone() }, ["status"] = fields,
                };
                try
                {
                    await client.PatchAsync(kind, ns, name, patch, PatchType.Merge, stop, "status").ConfigureAwait(false);
                    return StatusOutcome.Done;
                }
                catch (KubeException e) when (e.IsConflict)
                {
                    found = null;
                }
            }
            return StatusOutcome.Later;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return StatusOutcome.Done;
        }
        catch (KubeException e) when (e is { IsConflict: false, IsBusy: false, Code: < 500 })
        {
            NotWritten(log, kind.Kind, $"{ns}/{name}", e.Message);
            return StatusOutcome.Refused;
        }
        catch (Exception e) when (ApiTrouble.Is(e, stop))
        {
            return StatusOutcome.Later;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The status of {Kind} {Name} is not written: {Reason}")]
    private static partial void NotWritten(ILogger log, string kind, string name, string reason);
}
