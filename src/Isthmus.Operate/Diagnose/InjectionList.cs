using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Injection;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>What injection does in a namespace.</summary>
/// <param name="Revision">The revision that injects new Pods which say nothing themselves; empty: none does.</param>
/// <param name="Pods">How many running Pods have a sidecar of each revision; without a sidecar: the empty revision. Ordered by revision.</param>
public sealed record InjectedNamespace(string Name, string Revision, IReadOnlyList<KeyValuePair<string, int>> Pods);

/// <summary>A configuration of injection webhooks.</summary>
/// <param name="Namespaces">Those whose new Pods it injects if they say nothing themselves.</param>
/// <param name="Image">The sidecar's image; empty: its control plane is in another cluster, or its ConfigMap cannot be read.</param>
public sealed record InjectionHook(string Name, string Revision, IReadOnlyList<string> Namespaces, string Image);

/// <summary>The injection webhooks of a cluster, and the sidecars that its Pods have.</summary>
public sealed record InjectionList(IReadOnlyList<InjectedNamespace> Namespaces, IReadOnlyList<InjectionHook> Hooks)
{
    public static async Task<InjectionList> ReadAsync(KubeClient client, CancellationToken stop)
    {
        var configurations = client.ListAllAsync<JsonObject>(Kinds.MutatingWebhookConfiguration, null,
            new ListOptions { LabelSelector = "app=sidecar-injector" }, stop);
        var namespaces = client.ListAllAsync<Namespace>(Kinds.Namespace, null, new ListOptions(), stop);
        var pods = client.ListAllAsync<Pod>(Kinds.Pod, null, new ListOptions(), stop);
        await Task.WhenAll(configurations, namespaces, pods);
        var hooks = await Task.WhenAll((await configurations).Select(async hook => (hook, await ImageAsync(client, hook, stop))));
        return Of(hooks, await namespaces, await pods);
    }

    /// <param name="hooks">The configurations, each with the image of its sidecars.</param>
    public static InjectionList Of(IReadOnlyList<(JsonObject Configuration, string Image)> hooks, IReadOnlyList<Namespace> namespaces, IReadOnlyList<Pod> pods)
    {
        var ordered = namespaces.OrderBy(ns => ns.Metadata.Name, StringComparer.Ordinal).ToList();
        var found = hooks.Select(hook => new InjectionHook(Name(hook.Configuration), Revision(hook.Configuration),
            [.. ordered.Where(ns => Injects(hook.Configuration, ns)).Select(ns => ns.Metadata.Name)], hook.Image))
            .OrderBy(hook => hook.Name, StringComparer.Ordinal).ToList();
        var running = pods.Where(pod => pod.Status.Phase is not ("Succeeded" or "Failed")).ToLookup(pod => pod.Metadata.Namespace, StringComparer.Ordinal);
        return new(
            [.. ordered.Select(ns => new InjectedNamespace(ns.Metadata.Name,
                found.FirstOrDefault(hook => hook.Namespaces.Contains(ns.Metadata.Name))?.Revision ?? "", Count(running[ns.Metadata.Name])))
                .Where(ns => ns.Revision.Length > 0 || ns.Pods.Any(pods => pods.Key.Length > 0))],
            found);
    }

    private static List<KeyValuePair<string, int>> Count(IEnumerable<Pod> pods) =>
        [.. pods.GroupBy(InjectedRevision.Of, StringComparer.Ordinal).OrderBy(group => group.Key, StringComparer.Ordinal)
            .Select(group => KeyValuePair.Create(group.Key, group.Count()))];

    /// <summary>Whether it injects Pods of the namespace that have no labels of their own.</summary>
    private static bool Injects(JsonObject configuration, Namespace ns) => (configuration["webhooks"] as JsonArray ?? []).OfType<JsonObject>().Any(webhook =>
        LabelSelector.Read(webhook["namespaceSelector"])?.Matches(ns.Metadata.Labels) != false
        && LabelSelector.Read(webhook["objectSelector"])?.Matches(new Dictionary<string, string>()) != false);

    private static async Task<string> ImageAsync(KubeClient client, JsonObject configuration, CancellationToken stop)
    {
        if (configuration["webhooks"]?[0]?["clientConfig"]?["service"]?["namespace"]?.ToString() is not { } ns) return "";
        var revision = Revision(configuration);
        try
        {
            var map = await client.FindAsync<ConfigMap>(Kinds.ConfigMap, ns,
                revision is "" or "default" ? "istio-sidecar-injector" : $"istio-sidecar-injector-{revision}", stop);
            return map?.Data.GetValueOrDefault("values") is { } values && StrictJson.Parse(values) is JsonObject read
                ? (InjectorValues.Empty with { Values = read }).ProxyImage
                : "";
        }
        catch (Exception e) when (e is KubeException or JsonException)
        {
            return "";
        }
    }

    private static string Name(JsonObject configuration) => configuration["metadata"]?["name"]?.ToString() ?? "";

    private static string Revision(JsonObject configuration) => configuration["metadata"]?["labels"]?[Labels.Revision]?.ToString() ?? "";
}
