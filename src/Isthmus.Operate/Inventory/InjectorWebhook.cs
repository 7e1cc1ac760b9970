using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Inventory;

/// <summary>An injection webhook of a cluster. It shows where the cluster finds its control plane, and which name the
/// control plane uses for the cluster.</summary>
/// <param name="Namespace">The namespace of the Service that it calls; empty when it calls an address.</param>
/// <param name="Cluster">The cluster name in the path, which is present when the control plane runs elsewhere; else
/// empty.</param>
internal sealed record InjectorWebhook(string Configuration, string Namespace, string Service, string Cluster)
{
    /// <summary>The label <c>app</c> of their configurations.</summary>
    public const string App = "sidecar-injector";

    /// <summary>The end of the names of webhooks that inject sidecars.</summary>
    public const string Suffix = "sidecar-injector.istio.io";

    /// <summary>Whether it injects Pods, also without the label, as one that somebody wrote.</summary>
    public static bool Injects(JsonObject configuration) => IsInjector(configuration)
        || (configuration["webhooks"] as JsonArray ?? []).Any(webhook => webhook?["name"]?.ToString().EndsWith(Suffix, StringComparison.Ordinal) == true);

    public static bool IsInjector(JsonObject configuration) => configuration["metadata"]?["labels"]?["app"]?.ToString() == App;

    /// <summary>Whether a namespace asks for sidecars; null if it says nothing.</summary>
    public static bool? Asks(Namespace ns)
    {
        var labels = ns.Metadata.Labels;
        return labels.GetValueOrDefault(Labels.Injection) is { } injection
            ? injection == "enabled"
            : labels.GetValueOrDefault(Labels.Revision, "").Length > 0
            ? true
            : null;
    }

    /// <summary>Whether Pods of namespaces that do not request it are injected.</summary>
    public static bool InjectsByDefault(JsonObject configuration) =>
        (configuration["webhooks"] as JsonArray ?? []).Any(webhook => webhook?["name"]?.ToString() == DefaultInjection.Webhook);

    /// <summary>What is said of a cluster without any.</summary>
    /// <param name="asking">The namespaces that ask for sidecars.</param>
    public static string Missing(IReadOnlyList<string> asking) =>
        $"no MutatingWebhookConfiguration injects sidecars (label app={App}), and namespaces ask for them: {string.Join(", ", asking.Take(MostNames))}"
            + $"{(asking.Count > MostNames ? $" and {asking.Count - MostNames} more" : "")}. Pods that are made now get none";

    private const int MostNames = 3;

    /// <summary>What makes a webhook that is gone: control planes keep its CA, and do not create it.</summary>
    public static string Again(string context) =>
        $"install again, with the file of this cluster: isthmus install -y --context={context} -f FILE (or isthmus mesh up -f FILE); then restart the "
            + "workloads that have no sidecar";

    public static IEnumerable<InjectorWebhook> Read(JsonObject configuration) =>
        (configuration["webhooks"] as JsonArray ?? []).Select(webhook => webhook?["clientConfig"]).OfType<JsonObject>().Select(client =>
        {
            var path = client["service"]?["path"]?.ToString()
                ?? (Uri.TryCreate(client["url"]?.ToString(), UriKind.Absolute, out var url) ? url.AbsolutePath : "");
            return new InjectorWebhook(configuration["metadata"]?["name"]?.ToString() ?? "", client["service"]?["namespace"]?.ToString() ?? "",
                client["service"]?["name"]?.ToString() ?? "",
                path.Split('/') is ["", "inject", "cluster", var name, ..]
                    ? Uri.UnescapeDataString(name).Replace("--slash--", "/", StringComparison.Ordinal)
                    : "");
        }).Distinct();

    /// <summary>
    /// The system namespace of a cluster: the one whose control plane injects the Pods of this cluster. A namespace that
    /// only runs the control plane of another cluster does not count. Without webhooks it is <paramref name="given"/>.
    /// </summary>
    public static string SystemNamespace(IEnumerable<InjectorWebhook> webhooks, string given)
    {
        var found = webhooks.Select(webhook => webhook.Namespace).Where(ns => ns.Length > 0).Distinct().Order(StringComparer.Ordinal).ToList();
        return found.Count == 0 || found.Contains(given) ? given : found[0];
    }
}
