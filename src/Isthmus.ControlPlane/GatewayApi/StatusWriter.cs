using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model.GatewayApi;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>Writes statuses into their objects, where they differ.</summary>
/// <param name="mayWrite">Whether an object is this control plane's to write.</param>
internal sealed partial class StatusWriter(KubeClient client, Func<JsonObject, bool> mayWrite, TimeProvider time, ILogger log)
{
    /// <summary>Requests at a time, and from how many objects of a kind on they are listed instead of read one by one, unless they are few of many.</summary>
    private const int Parallel = 8, Listed = 30, Few = 10;

    private const int Attempts = 5, Page = 250;

    /// <param name="kind">The kind, in a version that is served.</param>
    /// <param name="statuses">Of objects of the kind.</param>
    /// <param name="all">How many objects there are, about.</param>
    /// <param name="stop">Ends it.</param>
    /// <returns>Those that could not be written now.</returns>
    public async Task<IReadOnlyCollection<ApiStatus>> WriteAsync(ResourceKind kind, IReadOnlyList<ApiStatus> statuses, int all, CancellationToken stop)
    {
        var failed = new System.Collections.Concurrent.ConcurrentBag<ApiStatus>();
        if (statuses.Count < Listed || statuses.Count < all / Few)
        {
            await EachAsync(statuses.Select(status => (status, (JsonObject?)null))).ConfigureAwait(false);
            return failed;
        }
        var wanted = statuses.ToDictionary(status => (status.Source.Namespace, status.Source.Name));
        try
        {
            var page = new ResourceList<JsonObject>([], "", "");
            do
            {
                page = await client.ListAsync<JsonObject>(kind, null, new() { Limit = Page, Continue = page.Continue }, stop).ConfigureAwait(false);
                var found = page.Items.Select(item => (Status: wanted.GetValueOrDefault(KeyOf(item)), Item: item)).Where(item => item.Status is not null)
                    .ToList();
                await EachAsync(found.Select(item => (item.Status!, (JsonObject?)item.Item))).ConfigureAwait(false);
                foreach (var (_, item) in found) wanted.Remove(KeyOf(item));
            }
            while (page.Continue.Length > 0);
        }
        catch (Exception e) when (ApiTrouble.Is(e, stop))
        {
            foreach (var status in wanted.Values) failed.Add(status);
        }
        return failed;

        Task EachAsync(IEnumerable<(ApiStatus Status, JsonObject? Found)> items) =>
            System.Threading.Tasks.Parallel.ForEachAsync(items, new ParallelOptions { MaxDegreeOfParallelism = Parallel, CancellationToken = stop },
                async (item, token) =>
            {
                if (!await WriteAsync(kind, item.Status, item.Found, token).ConfigureAwait(false)) failed.Add(item.Status);
            });
    }

    /// <param name="kind">The kind, in a version that is served.</param>
    /// <param name="status">What it says.</param>
    /// <param name="found">The object as it is; null: it has to be read.</param>
    /// <param name="stop">Ends it.</param>
    /// <returns>Whether nothing is left to do.</returns>
    private async Task<bool> WriteAsync(ResourceKind kind, ApiStatus status, JsonObject? found, CancellationToken stop)
    {
        var (ns, name) = (status.Source.Namespace, status.Source.Name);
        try
        {
            for (var attempt = 0; attempt < Attempts; attempt++)
            {
                found ??= await client.FindAsync(kind, ns, name, stop).ConfigureAwait(false);
                if (found is null || !mayWrite(found)) return true;
                // What was judged is not what is stored: the watch brings that, and with it another status.
                if (GenerationOf(found) != status.Generation) return true;
                if (WrittenStatus.Changes(status, found, time.GetUtcNow()) is not { } changes) return true;
                var patch = new JsonObject
                {
                    ["metadata"] = new JsonObject { ["resourceVersion"] = found["metadata"]!["resourceVersion"]!.DeepClone() }, ["status"] = changes
                };
                try
                {
                    await client.PatchAsync(kind, ns, name, patch, PatchType.Merge, stop, "status").ConfigureAwait(false);
                    return true;
                }
                catch (KubeException e) when (e.IsConflict)
                {
                    found = null;
                }
            }
            return false;
        }
        catch (KubeException e) when (e is { IsConflict: false, IsBusy: false, Code: < 500 })
        {
            // Gone meanwhile, without permission, or not as the definition wants it: only a change can help.
            if (!e.IsNotFound) NotWritten(log, kind.Kind, $"{ns}/{name}", e.Message);
            return true;
        }
        catch (Exception e) when (ApiTrouble.Is(e, stop))
        {
            return false;
        }
    }

    private static ObjectGeneration GenerationOf(JsonObject item) =>
        new((long?)item["metadata"]?["generation"] ?? 0, (string?)item["metadata"]?["uid"] ?? "");

    private static (string Namespace, string Name) KeyOf(JsonObject item) =>
        ((string?)item["metadata"]?["namespace"] ?? "", (string?)item["metadata"]?["name"] ?? "");

    [LoggerMessage(Level = LogLevel.Warning, Message = "The status of {Kind} {Name} is not written: {Reason}")]
    private static partial void NotWritten(ILogger log, string kind, string name, string reason);
}
