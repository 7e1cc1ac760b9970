using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission;

/// <summary>Decides which webhooks a request concerns, and in which version each wants to see the object.</summary>
internal sealed class WebhookMatcher(IObjectStore store, KindRegistry kinds)
{
    /// <summary>The kind in which the webhook is to be called; null when it is not.</summary>
    public KindDescriptor? Match(Webhook hook, AdmissionRequest request)
    {
        // Configurations must stay repairable when the webhooks that they name are broken.
        if (request.Kind.Group == Resources.AdmissionGroup) return null;
        var kind = MatchRules(hook, request);
        return kind is not null && MatchesNamespace(hook, request) && MatchesObject(hook, request) ? kind : null;
    }

    private KindDescriptor? MatchRules(Webhook hook, AdmissionRequest request)
    {
        if (Any(hook, request, request.Kind)) return request.Kind;
        if (!hook.Equivalent) return null;
        return kinds.All.FirstOrDefault(kind =>
            kind.GroupResource == request.Kind.GroupResource && kind != request.Kind && Any(hook, request, kind));
    }

    private static bool Any(Webhook hook, AdmissionRequest request, KindDescriptor kind)
    {
        foreach (var rule in hook.Rules)
            if (rule.Matches(request.Operation, kind, request.Subresource)) return true;
        return false;
    }

    private bool MatchesNamespace(Webhook hook, AdmissionRequest request)
    {
        if (hook.Namespaces is not { } selector || selector.IsEmpty) return true;
        if (request.Kind is { Group: "", Plural: "namespaces" })
            return selector.Matches(Labels(request.Object ?? request.OldObject).Items);
        if (!request.Kind.Namespaced) return true;
        return store.Find(Resources.Namespaces, "", request.Namespace) is { } ns && selector.Matches(ns.Labels);
    }

    private static bool MatchesObject(Webhook hook, AdmissionRequest request)
    {
        if (hook.Objects is not { } selector || selector.IsEmpty) return true;
        return (request.Object is { } now && selector.Matches(Labels(now).Items))
            || (request.OldObject is { } old && selector.Matches(Labels(old).Items));
    }

    private static ValueMap<string> Labels(JsonObject? o) => Json.Map(o.At("metadata", "labels"));
}
