using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model.GatewayApi;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>Writes many statuses at once, where they differ from what their objects say.</summary>
/// <param name="mayWrite">Whether an object is this control plane's to write.</param>
internal sealed class ApiStatusWriter(KubeClient client, Func<JsonObject, bool> mayWrite, TimeProvider time, ILogger log)
{
    /// <summary>Requests at a time, and from how many objects of a kind on they are listed instead of read one by one, unless they are few of many.</summary>
    private const int Parallel = 8, Listed = 30, Few = 10;

    private const int Page = 250;

    private readonly StatusWriter _writer = new(client, log);

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
    /// <param name="found">The object as it is; null if it has to be read.</param>
    /// <param name="stop">Ends it.</param>
    /// <returns>Whether nothing is left to do.</returns>
    private async Task<bool> WriteAsync(ResourceKind kind, ApiStatus status, JsonObject? found, CancellationToken stop) =>
        await _writer.WriteAsync(kind, status.Source.Namespace, status.Source.Name, item => Changes(status, item), stop, found).ConfigureAwait(false)
            != StatusOutcome.Later;

    /// <summary>Where what was judged is not what is stored, nothing: the watch brings that, and with it another status.</summary>
    private JsonObject? Changes(ApiStatus status, JsonObject found) =>
        mayWrite(found) && GenerationOf(found) == status.Generation ? WrittenStatus.Changes(status, found, time.GetUtcNow()) : null;

    private static ObjectGeneration GenerationOf(JsonObject item) =>
        new((long?)item["metadata"]?["generation"] ?? 0, (string?)item["metadata"]?["uid"] ?? "");

    private static (string Namespace, string Name) KeyOf(JsonObject item) =>
        ((string?)item["metadata"]?["namespace"] ?? "", (string?)item["metadata"]?["name"] ?? "");
}
