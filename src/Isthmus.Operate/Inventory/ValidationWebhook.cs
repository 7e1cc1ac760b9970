using System.Text.Json.Nodes;

namespace Isthmus.Operate.Inventory;

/// <summary>A webhook without which API servers refuse to store objects that a mesh needs: Istio's, or Pods.</summary>
/// <param name="Configuration">The name of its ValidatingWebhookConfiguration.</param>
/// <param name="Namespace">Of the Service that it calls.</param>
/// <param name="Bars">What cannot be stored without it.</param>
internal sealed record ValidationWebhook(string Configuration, int Index, string Namespace, string Service, string Bars)
{
    public const string Kind = "ValidatingWebhookConfiguration";

    private const string OfIstio = "every change of an object of Istio", OfPods = "new Pods";

    /// <summary>Those of a configuration: its webhooks that call a Service, and whose failure policy does not let objects pass.</summary>
    public static IEnumerable<ValidationWebhook> Read(JsonObject configuration) =>
        (from webhook in (configuration["webhooks"] as JsonArray ?? []).OfType<JsonObject>().Index()
         let service = webhook.Item["clientConfig"]?["service"]
         let barred = Barred(webhook.Item)
         where service is not null && webhook.Item["failurePolicy"]?.ToString() != "Ignore" && barred.Length > 0
         select new ValidationWebhook(configuration["metadata"]?["name"]?.ToString() ?? "", webhook.Index, service["namespace"]?.ToString() ?? "",
             service["name"]?.ToString() ?? "", barred)).DistinctBy(webhook => (webhook.Namespace, webhook.Service, webhook.Bars));

    /// <summary>What is said where the Service does not exist.</summary>
    public string Missing => $"Service {Namespace}/{Service} does not exist, so the API server refuses {Bars} to which the webhook applies";

    public string Remedy(string context) =>
        $"install {(Bars == OfPods ? "what serves the webhook" : "the control plane of the webhook")} again; or, if it is gone for "
        + $"good: kubectl --context={context} delete validatingwebhookconfiguration {Configuration}";

    private static string Barred(JsonObject webhook)
    {
        var rules = (webhook["rules"] as JsonArray ?? []).OfType<JsonObject>().ToList();
        return rules.Exists(rule => Has(rule, "apiGroups", name => name.EndsWith(".istio.io", StringComparison.Ordinal))
                || (Has(rule, "apiGroups", name => name == "*") && Has(rule, "resources", name => name is "*" or "*/*"))) ? OfIstio
            : rules.Exists(rule => Has(rule, "apiGroups", name => name is "" or "*") && Has(rule, "resources", name => name is "pods" or "*" or "*/*")
                && Has(rule, "operations", name => name is "CREATE" or "*")) ? OfPods : "";
    }

    private static bool Has(JsonObject rule, string field, Predicate<string> isMeant) =>
        (rule[field] as JsonArray ?? []).Any(item => item?.ToString() is { } name && isMeant(name));
}
