using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose;

/// <summary>What keeps a webhook from injecting a Pod.</summary>
/// <param name="Webhook">The configuration and the field, such as <c>MutatingWebhookConfiguration injector, webhooks[0].namespaceSelector</c>.</param>
/// <param name="Term">The term that the labels do not satisfy.</param>
internal sealed record UnmetInjection(string Webhook, string Term);

/// <summary>The labels by which an injection webhook chooses Pods. Pure.</summary>
/// <param name="Index">Its place in the configuration.</param>
internal sealed record InjectionSelectors(string Configuration, int Index, LabelSelector OfNamespace, LabelSelector OfObject)
{
    internal const string Suffix = InjectorWebhook.Suffix;

    /// <summary>The label that the API server gives each namespace.</summary>
    private const string NameLabel = "kubernetes.io/metadata.name";

    public static IEnumerable<InjectionSelectors> Read(JsonObject configuration) =>
        from webhook in (configuration["webhooks"] as JsonArray ?? []).Index()
        where webhook.Item?["name"]?.ToString().EndsWith(Suffix, StringComparison.Ordinal) == true
        select new InjectionSelectors(configuration["metadata"]?["name"]?.ToString() ?? "", webhook.Index,
            LabelSelector.Read(webhook.Item?["namespaceSelector"]) ?? new(), LabelSelector.Read(webhook.Item?["objectSelector"]) ?? new());

    /// <summary>The webhook that chooses by labels of injection that a Pod and its namespace have, and demands something else as well; null when one injects
    /// the Pod, or none comes near.</summary>
    public static UnmetInjection? Unmet(IReadOnlyCollection<InjectionSelectors> all, string ns, IReadOnlyDictionary<string, string> namespaceLabels,
        IReadOnlyDictionary<string, string> podLabels)
    {
        var labels = new Dictionary<string, string>(namespaceLabels, StringComparer.Ordinal) { [NameLabel] = ns };
        var unmet = all.Select(one => one.Unmet(labels, podLabels).ToList()).ToList();
        return unmet.Exists(terms => terms.Count == 0) ? null
            : unmet.Where(terms => terms.TrueForAll(term => !IsOfInjection(term.Key))).OrderBy(terms => terms.Count).FirstOrDefault()?[0].Found;
    }

    private IEnumerable<(string Key, UnmetInjection Found)> Unmet(IReadOnlyDictionary<string, string> ofNamespace,
        IReadOnlyDictionary<string, string> ofObject) =>
        from side in ((LabelSelector Selector, IReadOnlyDictionary<string, string> Labels, string Field)[])
            [(OfNamespace, ofNamespace, "namespaceSelector"), (OfObject, ofObject, "objectSelector")]
        from term in side.Selector.MatchExpressions.Concat(side.Selector.MatchLabels.Select(pair => new LabelSelectorRequirement
        {
            Key = pair.Key, Operator = "In", Values = [pair.Value],
        }))
        where !new LabelSelector { MatchExpressions = [term] }.Matches(side.Labels)
        select (term.Key, new UnmetInjection($"MutatingWebhookConfiguration {Configuration}, webhooks[{Index}].{side.Field}", term.ToString()));

    private static bool IsOfInjection(string key) => key is Labels.Injection or Labels.Revision or Labels.Inject;
}
