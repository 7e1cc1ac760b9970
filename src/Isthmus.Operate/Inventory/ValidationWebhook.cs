using System.Text.Json.Nodes;

namespace Isthmus.Operate.Inventory;

/// <summary>A webhook without which API servers refuse to store Istio's objects.</summary>
/// <param name="Configuration">The name of its ValidatingWebhookConfiguration.</param>
/// <param name="Namespace">Of the Service that it calls.</param>
internal sealed record ValidationWebhook(string Configuration, int Index, string Namespace, string Service)
{
    public const string Kind = "ValidatingWebhookConfiguration";

    /// <summary>Those of a configuration: its webhooks for groups of Istio that call a Service, and whose failure policy does not let objects pass.</summary>
    public static IEnumerable<ValidationWebhook> Read(JsonObject configuration) =>
        (from webhook in (configuration["webhooks"] as JsonArray ?? []).OfType<JsonObject>().Index()
         let service = webhook.Item["clientConfig"]?["service"]
         where service is not null && webhook.Item["failurePolicy"]?.ToString() != "Ignore" && IsForIstio(webhook.Item)
         select new ValidationWebhook(configuration["metadata"]?["name"]?.ToString() ?? "", webhook.Index, service["namespace"]?.ToString() ?? "",
             service["name"]?.ToString() ?? "")).DistinctBy(webhook => (webhook.Namespace, webhook.Service));

    private static bool IsForIstio(JsonObject webhook) => (webhook["rules"] as JsonArray ?? []).SelectMany(rule => rule?["apiGroups"] as JsonArray ?? [])
        .Any(group => group?.ToString() is { } name && (name == "*" || name.EndsWith(".istio.io", StringComparison.Ordinal)));

    /// <summary>What is said where the Service does not exist.</summary>
    public string Missing => $"Service {Namespace}/{Service} does not exist, so the API server refuses every change of an object of Istio";

    public string Remedy(string context) => $"install the control plane of the webhook again; or, if it is gone for good: kubectl --context={context} "
        + $"delete validatingwebhookconfiguration {Configuration}";
}
