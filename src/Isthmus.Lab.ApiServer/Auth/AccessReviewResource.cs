using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.VirtualResources;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>SubjectAccessReview, LocalSubjectAccessReview and SelfSubjectAccessReview: reports whether a user may do something.</summary>
internal sealed class AccessReviewResource(VirtualResourceDescriptor descriptor, IAuthorizer authorizer) : IVirtualResource
{
    public static readonly VirtualResourceDescriptor Subject =
        Review.Descriptor(Resources.AuthorizationGroup, "subjectaccessreviews", "SubjectAccessReview");

    public static readonly VirtualResourceDescriptor Local =
        Review.Descriptor(Resources.AuthorizationGroup, "localsubjectaccessreviews", "LocalSubjectAccessReview", namespaced: true);

    public static readonly VirtualResourceDescriptor Self =
        Review.Descriptor(Resources.AuthorizationGroup, "selfsubjectaccessreviews", "SelfSubjectAccessReview");

    public VirtualResourceDescriptor Descriptor => descriptor;

    public ValueTask<VirtualResponse> HandleAsync(VirtualRequest request, CancellationToken stop)
    {
        var spec = request.Body?["spec"] as JsonObject ?? [];
        var ns = request.Attributes.Namespace;
        var problems = Problems(spec, ns).ToList();
        // The recorded server leaves the kind out of these errors.
        if (problems.Count > 0) throw ApiException.Invalid(Resources.AuthorizationGroup, "", "", problems);
        var user = descriptor == Self ? request.Attributes.User : Review.Subject(spec);
        var decision = authorizer.Authorize(Asked(user, spec));
        var status = new JsonObject { ["allowed"] = decision.Allowed };
        if (decision.Reason.Length > 0) status["reason"] = decision.Reason;
        return new(Review.Answer(descriptor, Cleaned(spec), status, descriptor == Local ? ns : ""));
    }

    private IEnumerable<FieldError> Problems(JsonObject spec, string ns)
    {
        var resource = spec["resourceAttributes"] as JsonObject;
        var path = spec["nonResourceAttributes"] as JsonObject;
        if (resource is not null && path is not null)
            yield return FieldError.Invalid("spec.nonResourceAttributes", "null", "cannot be specified in combination with resourceAttributes");
        if (resource is null && path is null)
            yield return FieldError.Invalid("spec.resourceAttributes", "null", "exactly one of nonResourceAttributes or resourceAttributes must be specified");
        if (descriptor != Self && Json.Text(spec["user"]).Length == 0 && Json.Texts(spec["groups"]).IsEmpty)
            yield return FieldError.Invalid("spec.user", "", "at least one of user or group must be specified");
        if (descriptor == Local && resource is not null && Json.Text(resource["namespace"]) is var asked && asked != ns)
            yield return FieldError.Invalid("spec.resourceAttributes.namespace", asked, "must match metadata.namespace");
    }

    private static RequestAttributes Asked(UserIdentity user, JsonObject spec)
    {
        if (spec["resourceAttributes"] is not JsonObject resource)
        {
            var path = spec["nonResourceAttributes"] as JsonObject;
            return new(user, Json.Text(path?["verb"]), "", "", "", "", "", "", Json.Text(path?["path"]), false);
        }
        return new(user, Json.Text(resource["verb"]), Json.Text(resource["group"]), Json.Text(resource["version"]),
            Json.Text(resource["resource"]), Json.Text(resource["subresource"]), Json.Text(resource["namespace"]),
            Json.Text(resource["name"]), "", true);
    }

    // An empty list of groups is answered as none.
    private static JsonObject Cleaned(JsonObject spec)
    {
        var cleaned = (JsonObject)spec.DeepClone();
        if (cleaned["groups"] is JsonArray { Count: 0 }) cleaned.Remove("groups");
        return cleaned;
    }
}

/// <summary>SelfSubjectRulesReview: everything that the caller may do in a namespace (<c>kubectl auth can-i --list</c>).</summary>
internal sealed class RulesReviewResource(RbacAuthorizer rbac) : IVirtualResource
{
    public VirtualResourceDescriptor Descriptor { get; } =
        Review.Descriptor(Resources.AuthorizationGroup, "selfsubjectrulesreviews", "SelfSubjectRulesReview");

    public ValueTask<VirtualResponse> HandleAsync(VirtualRequest request, CancellationToken stop)
    {
        var ns = request.Body.TextAt("spec", "namespace");
        if (ns.Length == 0) throw ApiException.BadRequest("no namespace on request");
        var rules = rbac.RulesFor(request.Attributes.User, ns).ToList();
        var status = new JsonObject
        {
            ["resourceRules"] = new JsonArray([.. rules.Where(rule => !rule.Resources.IsEmpty).Select(rule => (rule with { NonResourceUrls = [] }).ToJson())]),
            ["nonResourceRules"] = new JsonArray([.. rules.Where(rule => !rule.NonResourceUrls.IsEmpty).Select(PathRule)]),
            ["incomplete"] = false,
        };
        return new(Review.Answer(Descriptor, [], status));
    }

    private static JsonObject PathRule(PolicyRule rule) =>
        new() { ["verbs"] = Json.Array(rule.Verbs), ["nonResourceURLs"] = Json.Array(rule.NonResourceUrls) };
}
