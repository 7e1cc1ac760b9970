using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>Prevents privilege escalation: a Role may contain, and a binding may refer to, only rules that the writer has.</summary>
internal sealed class EscalationAdmission(RbacAuthorizer rbac, IAuthorizer authorizer) : IAdmissionPlugin
{
    public ValueTask MutateAsync(AdmissionRequest request, CancellationToken stop) => default;

    public ValueTask ValidateAsync(AdmissionRequest request, CancellationToken stop)
    {
        if (request.Kind.Group != Resources.RbacGroup || request.Object is not { } o) return default;
        switch (request.Kind.Plural)
        {
            case "roles" or "clusterroles":
                CheckRole(request, o);
                break;
            case "rolebindings" or "clusterrolebindings":
                CheckBinding(request, o);
                break;
        }
        return default;
    }

    private void CheckRole(AdmissionRequest request, JsonObject role)
    {
        if (JsonNode.DeepEquals(role["rules"], request.OldObject?["rules"])
            && JsonNode.DeepEquals(role["aggregationRule"], request.OldObject?["aggregationRule"])) return;
        var asked = request.Attributes with { Verb = "escalate", Subresource = "", Name = request.Name };
        if (authorizer.Authorize(asked).Allowed) return;
        if (role["aggregationRule"] is JsonObject)
            throw Refused(request, "must have cluster-admin privileges to use the aggregationRule");
        Check(request, PolicyRule.ListFromJson(role["rules"]));
    }

    private void CheckBinding(AdmissionRequest request, JsonObject binding)
    {
        if (JsonNode.DeepEquals(binding["roleRef"], request.OldObject?["roleRef"])
            && JsonNode.DeepEquals(binding["subjects"], request.OldObject?["subjects"])) return;
        var (kind, name) = (binding.TextAt("roleRef", "kind"), binding.TextAt("roleRef", "name"));
        var plural = kind == "ClusterRole" ? "clusterroles" : "roles";
        var asked = request.Attributes with { Verb = "bind", Resource = plural, Subresource = "", Name = name };
        if (authorizer.Authorize(asked).Allowed) return;
        var rules = rbac.RulesOf(request.Namespace, kind, name) ?? throw ApiException.NotFound(new(Resources.RbacGroup, plural), name);
        Check(request, rules);
    }

    private void Check(AdmissionRequest request, ValueList<PolicyRule> wanted)
    {
        var held = rbac.RulesFor(request.User, request.Namespace).ToList();
        var missing = Compact(wanted.SelectMany(rule => rule.Split()).Where(part => !held.Any(rule => rule.Covers(part))));
        if (missing.Count == 0) return;
        throw Refused(request,
            $"user \"{request.User.Name}\" (groups={GoText.List(request.User.Groups)}) is attempting to grant RBAC permissions not currently held:\n"
            + string.Join('\n', missing));
    }

    /// <summary>Rules on one resource joined into one with all their verbs, in a fixed order: what the refusal lists.</summary>
    private static List<string> Compact(IEnumerable<PolicyRule> parts) =>
    [
        .. parts.GroupBy(part => part with { Verbs = [] })
            .Select(same => (same.Key with { Verbs = same.SelectMany(part => part.Verbs).Distinct().ToValueList() }).ToString())
            .Order(StringComparer.Ordinal),
    ];

    private static ApiException Refused(AdmissionRequest request, string why) =>
        ApiException.Forbidden(request.Kind.Group, request.Kind.Plural, request.Name, why);
}
