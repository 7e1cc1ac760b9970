using System.Text.Json.Nodes;

namespace Isthmus.Operate.Diagnose;

/// <summary>An injection webhook of a cluster: it shows where the cluster finds its control plane, and the name that the control plane uses for it.</summary>
/// <param name="Namespace">Of the Service that is called; empty when it is called by an address.</param>
/// <param name="Cluster">As the path says, which has it where the control plane is elsewhere; else empty.</param>
internal sealed record InjectorWebhook(string Configuration, string Namespace, string Service, string Cluster)
{
    public static IEnumerable<InjectorWebhook> Read(JsonObject configuration) =>
        (configuration["webhooks"] as JsonArray ?? []).Select(webhook => webhook?["clientConfig"]).OfType<JsonObject>().Select(client =>
        {
            var path = client["service"]?["path"]?.ToString() ?? (Uri.TryCreate(client["url"]?.ToString(), UriKind.Absolute, out var url) ? url.AbsolutePath : "");
            return new InjectorWebhook(configuration["metadata"]?["name"]?.ToString() ?? "", client["service"]?["namespace"]?.ToString() ?? "", client["service"]?["name"]?.ToString() ?? "",
                path.Split('/') is ["", "inject", "cluster", var name, ..] ? Uri.UnescapeDataString(name).Replace("--slash--", "/", StringComparison.Ordinal) : "");
        }).Distinct();

    /// <summary>
    /// The system namespace of a cluster. Pods there are injected through it; a namespace that only runs the control plane of
    /// another cluster is none. Without webhooks it is as <paramref name="given"/>.
    /// </summary>
    public static string SystemNamespace(IEnumerable<InjectorWebhook> webhooks, string given)
    {
        var found = webhooks.Select(webhook => webhook.Namespace).Where(ns => ns.Length > 0).Distinct().Order(StringComparer.Ordinal).ToList();
        return found.Count == 0 || found.Contains(given) ? given : found[0];
    }
}
