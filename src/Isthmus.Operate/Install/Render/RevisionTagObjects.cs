using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.ObjectLabels;

namespace Isthmus.Operate.Install.Render;

/// <summary>
/// What a revision tag is made of: an injection webhook that calls the revision, and a Service that leads to its Pods, so that whoever is told
/// an address of the control plane can name the tag in it.
/// </summary>
internal static partial class RevisionTagObjects
{
    internal const string TagLabel = "istio.io/tag";

    private const string Path = "spec.values.revisionTags";

    /// <summary>The tags that an installation has (<c>values.revisionTags</c>): the webhooks.</summary>
    /// <param name="injector">The revision's own webhook.</param>
    internal static IEnumerable<JsonObject> Webhooks(OperatorSpec spec, JsonObject injector)
    {
        var client = (JsonObject)injector["webhooks"]![0]!["clientConfig"]!;
        var component = injector["metadata"]!["labels"]![ObjectLabels.Component]!.ToString();
        return TagsOf(spec).Select(tag => Webhook(tag, spec.Namespace, Made(spec, component, tag, ("app", "sidecar-injector")), client,
            WebhookObjects.InjectsByDefault(spec)));
    }

    /// <summary>The tags that an installation has: the Services beside that of its control plane.</summary>
    internal static IEnumerable<JsonObject> Services(OperatorSpec spec, JsonObject control) =>
        TagsOf(spec).Select(tag => Service(tag, Made(spec, "Pilot", tag, ("app", WellKnown.Istiod), ("istio", "pilot")), control));

    /// <param name="byDefault">Whether the tag <c>default</c> is also for namespaces that do not request injection.</param>
    internal static JsonObject Webhook(string tag, string ns, JsonObject labels, JsonObject client, bool byDefault)
    {
        var name = $"istio-revision-tag-{tag}" + (ns == WellKnown.SystemNamespace ? "" : $"-{ns}");
        var webhook = Object("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", name, null, labels);
        webhook["webhooks"] = WebhookObjects.Injectors(tag, tag == RevisionTags.Default, byDefault, client);
        return webhook;
    }

    /// <param name="control">The Service of the revision's control plane: the tag's has its ports, and selects its Pods.</param>
    internal static JsonObject Service(string tag, JsonObject labels, JsonObject control)
    {
        var service = Object("v1", "Service", WellKnown.TagServicePrefix + tag, control["metadata"]!["namespace"]!.ToString(), labels);
        if (control["metadata"]!["annotations"] is { } annotations) service["metadata"]!["annotations"] = annotations.DeepClone();
        var spec = new JsonObject();
        foreach (var field in (string[])["ports", "selector", "ipFamilyPolicy", "ipFamilies"])
        {
            if (control["spec"]?[field] is { } value) spec[field] = value.DeepClone();
        }
        // Ports of Nodes belong to one Service.
        foreach (var port in (spec["ports"] as JsonArray ?? []).OfType<JsonObject>()) port.Remove("nodePort");
        service["spec"] = spec;
        return service;
    }

    /// <exception cref="ProblemException">The name cannot be the value of a label and a part of a Service's name.</exception>
    internal static void Check(string subject, string tag)
    {
        if (WellKnown.TagServicePrefix.Length + tag.Length > 63 || !Name().IsMatch(tag))
            throw new ProblemException(subject, "is not a valid tag name",
                $"use lower-case letters, digits and '-', starting and ending with a letter or digit, at most {63 - WellKnown.TagServicePrefix.Length} "
                    + $"characters");
    }

    private static List<string> TagsOf(OperatorSpec spec)
    {
        if (spec.Value("revisionTags") is not { } value) return [];
        if (value is not JsonArray list) throw new ProblemException(Path, "is not a list", "write it like [prod, canary]");
        var tags = list.Select(item => item?.ToString() ?? "").Distinct(StringComparer.Ordinal).ToList();
        foreach (var tag in tags)
        {
            Check($"{Path}: {tag}", tag);
            if (tag == spec.RevisionOrDefault)
                throw new ProblemException($"{Path}: {tag}", "is the name of the revision itself, whose webhook matches the same namespaces",
                    "remove it, or choose another name");
        }
        return tags;
    }

    private static JsonObject Made(OperatorSpec spec, string component, string tag, params ReadOnlySpan<(string Key, string Value)> more)
    {
        var labels = Make(spec, component, WellKnown.Istiod, more);
        labels[TagLabel] = tag;
        return labels;
    }

    [GeneratedRegex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    private static partial Regex Name();
}
