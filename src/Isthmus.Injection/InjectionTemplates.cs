using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Injection.Templates;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Injection;

/// <summary>
/// What an installation says of injection itself (<c>values.sidecarInjectorWebhook</c>): templates beside <c>sidecar</c> and <c>gateway</c>, which
/// are code here, and which Pods get what. A template is text in the language of Go, and makes a part of a Pod
/// (https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/#custom-templates-experimental).
/// </summary>
public sealed class InjectionTemplates
{
    internal const string Sidecar = "sidecar";

    /// <summary>The template of gateways.</summary>
    public const string Gateway = "gateway";

    /// <summary>No templates but our own.</summary>
    public static readonly InjectionTemplates None = new();

    private InjectionTemplates()
    {
    }

    /// <summary>The templates of the installation, by name.</summary>
    internal IReadOnlyDictionary<string, GoTemplate> Custom { get; private init; } = new Dictionary<string, GoTemplate>();

    /// <summary>The templates of a Pod that names none.</summary>
    internal IReadOnlyList<string> Defaults { get; private init; } = [Sidecar];

    /// <summary>Pods that get no proxy, unless they say so themselves.</summary>
    internal IReadOnlyList<LabelSelector> Never { get; private init; } = [];

    /// <summary>What each Pod with a proxy gets in addition.</summary>
    internal IReadOnlyDictionary<string, string> Annotations { get; private init; } = new Dictionary<string, string>();

    internal IEnumerable<string> Names => ((string[])[Sidecar, Gateway]).Concat(Custom.Keys);

    /// <exception cref="ProblemException">Something of it cannot be used; the problem has its path.</exception>
    public static InjectionTemplates Read(JsonObject values)
    {
        if (values["sidecarInjectorWebhook"] is not JsonObject webhook) return None;
        var custom = new Dictionary<string, GoTemplate>(StringComparer.Ordinal);
        foreach (var (name, text) in Map(webhook, "templates"))
        {
            if (name is Sidecar or Gateway)
                throw Fault($"templates.{name}", "cannot replace the template of the proxy",
                    $"give what you add another name, and Pods the annotation inject.istio.io/templates: {name},NAME");
            custom[name] = Parse(name, text);
        }
        var known = ((string[])[Sidecar, Gateway]).Concat(custom.Keys).ToList();
        var defaults = webhook["defaultTemplates"] switch
        {
            null => [Sidecar],
            JsonArray { Count: 0 } => [Sidecar],
            JsonArray list => list.Select(item => item?.ToString() ?? "").ToList(),
            var other => throw Fault("defaultTemplates", $"'{other.ToJsonString()}' is not a list", "give a list of names"),
        };
        if (defaults.Find(name => !known.Contains(name)) is { } unknown)
            throw Fault("defaultTemplates", $"template '{unknown}' does not exist (templates: {string.Join(", ", known)})",
                "correct the name, or add it to templates");
        return new()
        {
            Custom = custom, Defaults = defaults, Never = Selectors(webhook, "neverInjectSelector"),
            Annotations = Map(webhook, "injectedAnnotations").ToDictionary(entry => entry.Name, entry => entry.Text, StringComparer.Ordinal),
        };
    }

    private static GoTemplate Parse(string name, string text)
    {
        try { return GoTemplate.Parse(name, text); }
        catch (ProblemException e) { throw Fault($"templates.{name}", $"{e.Problem.Object}: {e.Problem.Message}", e.Problem.Remedy, e); }
    }

    private static ProblemException Fault(string field, string message, string remedy, Exception? cause = null) =>
        new(new Problem("", "", $"values.sidecarInjectorWebhook.{field}", message, remedy), cause);

    private static IEnumerable<(string Name, string Text)> Map(JsonObject webhook, string field) => webhook[field] switch
    {
        null => [],
        JsonObject map => map.Select(entry => (entry.Key, entry.Value is JsonValue text && text.TryGetValue(out string? value)
            ? value : throw Fault($"{field}.{entry.Key}", $"'{entry.Value?.ToJsonString()}' is not a text", "give a text, as in '|' blocks of YAML"))),
        var other => throw Fault(field, $"'{other.ToJsonString()}' is not a map", "give a map from names to texts"),
    };

    private static IReadOnlyList<LabelSelector> Selectors(JsonObject webhook, string field) => webhook[field] switch
    {
        null => [],
        // An empty selector matches everything; as in Istio, it selects nothing here.
        JsonArray list => [.. list.Select(LabelSelector.Read).OfType<LabelSelector>().Where(selector => !selector.IsEmpty)],
        var other => throw Fault(field, $"'{other.ToJsonString()}' is not a list", "give a list of label selectors"),
    };
}
