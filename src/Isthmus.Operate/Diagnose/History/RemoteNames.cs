using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.History;

/// <summary>The name that a cluster without a control plane has in the mesh: its webhook of the history says it to control planes.</summary>
internal static class RemoteNames
{
    private const string Path = "/history/cluster/";

    /// <returns>Empty where it has no such webhook, or does not let it be read.</returns>
    internal static async Task<string> OfAsync(KubeClient client, CancellationToken stop)
    {
        try
        {
            var options = new ListOptions { LabelSelector = "app=istiod" };
            return (await client.ListAllAsync<JsonObject>(Kinds.ValidatingWebhookConfiguration, null, options, stop)).Select(Of)
                .FirstOrDefault(name => name.Length > 0) ?? "";
        }
        catch (Exception e) when (ApiTrouble.Is(e, stop))
        {
            return "";
        }
    }

    internal static string Of(JsonObject configuration) => (configuration["webhooks"] as JsonArray ?? [])
        .Where(webhook => webhook?["name"]?.ToString() == WellKnown.HistoryWebhook)
        .Select(webhook => webhook!["clientConfig"]?["service"]?["path"]?.ToString() ?? "").Where(path => path.StartsWith(Path, StringComparison.Ordinal))
        .Select(path => path[Path.Length..].Replace("--slash--", "/", StringComparison.Ordinal)).FirstOrDefault("");
}
