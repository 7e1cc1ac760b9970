using System.Text.Json.Nodes;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Webhooks of the mesh that call a Service which does not exist, and injection webhooks that overlap. Pure.</summary>
public static class InjectorWebhooks
{
    private const string Kind = "MutatingWebhookConfiguration";

    private sealed record Webhook(string Configuration, int Index, JsonObject Content);

    public static Analyzer Analyzer
    {
        get;
    } = new("webhook.Analyzer", "Checks that injection webhooks call Services that exist, and do not overlap", [IstioCodes.InvalidWebhook], [Kind, "Service"],
        mesh =>
        mesh.Readable.SelectMany(cluster => Check(cluster, [.. Read(cluster)])));

    /// <summary>Files alone do not show that a cluster has none.</summary>
    public static Analyzer Missing
    {
        get;
    } = new("webhook.MissingAnalyzer", "Checks that a webhook injects the Pods of namespaces that ask for sidecars", [WorkloadCodes.InjectorMissing],
        [Kind, "Namespace"], mesh =>
        from cluster in mesh.Readable
        where cluster.LacksInjector
        let asking = cluster.Namespaces.Where(ns => !MeshSnapshot.IsSystem(cluster, ns.Metadata.Name) && InjectionLabels.IsInjected(cluster, ns) == true)
            .Select(ns => ns.Metadata.Name).Order(StringComparer.Ordinal).ToList()
        where asking.Count > 0
        select WorkloadCodes.InjectorMissing.At(cluster, $"cluster {cluster.Context}", "", InjectorWebhook.Missing(asking),
            InjectorWebhook.Again(cluster.Context)));

    public static Analyzer Validating
    {
        get;
    } = new("webhook.ValidationAnalyzer", "Checks that webhooks which validate Istio's objects or Pods call Services that exist",
        [ClusterCodes.ValidatorMissing], [ValidationWebhook.Kind, "Service"], mesh =>
        from cluster in mesh.Readable
        from configuration in cluster.Objects(ValidationWebhook.Kind)
        from webhook in ValidationWebhook.Read(configuration)
        where cluster.Service(webhook.Namespace, webhook.Service) is null
        select ClusterCodes.ValidatorMissing.At(cluster, $"{ValidationWebhook.Kind} {webhook.Configuration}",
            $"webhooks[{webhook.Index}].clientConfig.service", webhook.Missing, webhook.Remedy(cluster.Context)));

    private static IEnumerable<Webhook> Read(ClusterInventory cluster) =>
        cluster.Objects(Kind)
            .SelectMany(value => (value["webhooks"] as JsonArray ?? []).OfType<JsonObject>()
                .Where(webhook => webhook["name"]?.ToString().EndsWith(InjectionSelectors.Suffix, StringComparison.Ordinal) == true)
            .Index().Select(webhook => new Webhook(value["metadata"]!["name"]!.ToString(), webhook.Index, webhook.Item)));

    private static IEnumerable<Finding> Check(ClusterInventory cluster, IReadOnlyList<Webhook> all)
    {
        // The webhooks of a configuration are alike, but for what they select.
        foreach (var alike in all.GroupBy(webhook =>
            (webhook.Configuration, Service: webhook.Content["clientConfig"]?["service"] is { } service ? $"{service["namespace"]}/{service["name"]}" : "")))
        {
            var (webhook, service) = (alike.First(), alike.First().Content["clientConfig"]?["service"]);
            var (ns, name) = (service?["namespace"]?.ToString() ?? "", service?["name"]?.ToString() ?? "");
            if (service is not null && cluster.Service(ns, name) is null)
                yield return IstioCodes.InvalidWebhook.At(cluster, $"{Kind} {webhook.Configuration}", $"webhooks[{webhook.Index}].clientConfig.service",
                    $"Service {ns}/{name} does not exist: where the webhook matches, no Pod can be created");
        }
        foreach (var same in all.GroupBy(
            webhook => $"{webhook.Content["namespaceSelector"]?.ToJsonString()} {webhook.Content["objectSelector"]?.ToJsonString()}"))
        {
            var names = same.Select(webhook => webhook.Configuration).Distinct().ToList();
            if (names.Count < 2) continue;
            foreach (var webhook in same)
                yield return IstioCodes.InvalidWebhook.At(cluster, $"{Kind} {webhook.Configuration}", $"webhooks[{webhook.Index}]",
                    $"has the selectors of {string.Join(", ", names.Where(name => name != webhook.Configuration))}: both inject the same Pods",
                    "remove the one that is not needed, or correct the tags and revisions of the control planes");
        }
    }
}
