using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission;

/// <summary>Which requests a webhook or a policy concerns.</summary>
/// <param name="Rules">One of them must match.</param>
/// <param name="Excluded">None of them may match.</param>
/// <param name="Equivalent">Rules for another version of the resource count, too.</param>
/// <param name="Namespaces">Null for all.</param>
/// <param name="Objects">Null for all.</param>
internal sealed record AdmissionMatch(ValueList<AdmissionRule> Rules, ValueList<AdmissionRule> Excluded, bool Equivalent, LabelSelector? Namespaces,
    LabelSelector? Objects)
{
    /// <summary>Reads <c>matchConstraints</c> of a policy or <c>matchResources</c> of a binding.</summary>
    public static AdmissionMatch Read(JsonNode? match) => new(
        AdmissionRule.Read(match.At("resourceRules")), AdmissionRule.Read(match.At("excludeResourceRules")), match.TextAt("matchPolicy") != "Exact",
        LabelSelector.Read(match.At("namespaceSelector")), LabelSelector.Read(match.At("objectSelector")));
}

/// <summary>Decides which webhooks and policies a request concerns, and in which version each wants to see the object.</summary>
internal sealed class AdmissionMatcher(IObjectStore store, KindRegistry kinds)
{
    /// <summary>The kind in which the object is to be seen; null when the request is of no concern.</summary>
    public KindDescriptor? Match(AdmissionMatch match, AdmissionRequest request)
    {
        // Configurations must stay repairable when the webhooks and policies that they name are broken.
        if (request.Kind.Group == Resources.AdmissionGroup) return null;
        var kind = MatchRules(match, request);
        return kind is not null && MatchesNamespace(match, request) && MatchesObject(match, request) ? kind : null;
    }

    private KindDescriptor? MatchRules(AdmissionMatch match, AdmissionRequest request)
    {
        if (Kind(match.Excluded, match.Equivalent, request) is not null) return null;
        return Kind(match.Rules, match.Equivalent, request);
    }

    private KindDescriptor? Kind(ValueList<AdmissionRule> rules, bool equivalent, AdmissionRequest request)
    {
        if (Any(rules, request, request.Kind)) return request.Kind;
        if (!equivalent) return null;
        return kinds.All.FirstOrDefault(kind =>
            kind.GroupResource == request.Kind.GroupResource && kind != request.Kind && Any(rules, request, kind));
    }

    private static bool Any(ValueList<AdmissionRule> rules, AdmissionRequest request, KindDescriptor kind)
    {
        foreach (var rule in rules)
            if (rule.Matches(request.Operation, kind, request.Subresource, request.Name)) return true;
        return false;
    }

    private bool MatchesNamespace(AdmissionMatch match, AdmissionRequest request)
    {
        if (match.Namespaces is not { } selector || selector.IsEmpty) return true;
        if (request.Kind is { Group: "", Plural: "namespaces" })
            return selector.Matches(Labels(request.Object ?? request.OldObject).Items);
        if (!request.Kind.Namespaced) return true;
        return store.Find(Resources.Namespaces, "", request.Namespace) is { } ns && selector.Matches(ns.Labels);
    }

    private static bool MatchesObject(AdmissionMatch match, AdmissionRequest request)
    {
        if (match.Objects is not { } selector || selector.IsEmpty) return true;
        return (request.Object is { } now && selector.Matches(Labels(now).Items))
            || (request.OldObject is { } old && selector.Matches(Labels(old).Items));
    }

    private static ValueMap<string> Labels(JsonObject? o) => Json.Map(o.At("metadata", "labels"));
}
