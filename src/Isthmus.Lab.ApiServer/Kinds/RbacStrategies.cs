using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>Roles and ClusterRoles: <c>rules</c> is always there, if only as null.</summary>
internal sealed class RoleStrategy(bool clusterWide) : ObjectStrategy
{
    public override bool CreateOnUpdate => true;

    public override string? NameProblem(string name) => ObjectNames.PathSegmentProblem(name);

    public override void Default(JsonObject o)
    {
        if (o["rules"] is JsonArray { Count: > 0 }) return;
        o["rules"] = null;
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var i = 0;
        foreach (var rule in Json.Objects(o["rules"]))
        {
            var at = $"rules[{i++}]";
            var (groups, resources, paths) = (Json.Texts(rule["apiGroups"]), Json.Texts(rule["resources"]), Json.Texts(rule["nonResourceURLs"]));
            if (Json.Texts(rule["verbs"]).IsEmpty) yield return FieldError.Required($"{at}.verbs", "verbs must contain at least one value");
            if (!paths.IsEmpty)
            {
                if (!clusterWide)
                    yield return FieldError.Invalid($"{at}.nonResourceURLs", Json.Array(paths), "namespaced rules cannot apply to non-resource URLs");
                if (!groups.IsEmpty || !resources.IsEmpty || !Json.Texts(rule["resourceNames"]).IsEmpty)
                    yield return FieldError.Invalid($"{at}.nonResourceURLs", Json.Array(paths),
                        "rules cannot apply to both regular resources and non-resource URLs");
                continue;
            }
            if (groups.IsEmpty) yield return FieldError.Required($"{at}.apiGroups", "resource rules must supply at least one api group");
            if (resources.IsEmpty) yield return FieldError.Required($"{at}.resources", "resource rules must supply at least one resource");
        }
    }
}

/// <summary>RoleBindings and ClusterRoleBindings: the role that they refer to never changes.</summary>
internal sealed class BindingStrategy(bool clusterWide) : ObjectStrategy
{
    public override bool CreateOnUpdate => true;

    public override string? NameProblem(string name) => ObjectNames.PathSegmentProblem(name);

    public override void Default(JsonObject o)
    {
        o.Ensure("roleRef").Default("apiGroup", Resources.RbacGroup);
        foreach (var subject in Json.Objects(o["subjects"]))
            if (Json.Text(subject["kind"]) is "User" or "Group" && Json.Text(subject["apiGroup"]).Length == 0) subject["apiGroup"] = Resources.RbacGroup;
        if (o["subjects"] is JsonArray { Count: 0 }) o.Remove("subjects");
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        foreach (var error in Check.OneOf("roleRef.apiGroup", o.At("roleRef", "apiGroup"), Resources.RbacGroup)) yield return error;
        foreach (var error in Check.OneOf("roleRef.kind", o.At("roleRef", "kind"), clusterWide ? ["ClusterRole"] : ["Role", "ClusterRole"])) yield return error;
        foreach (var error in Check.Name("roleRef.name", o.At("roleRef", "name"), ObjectNames.PathSegmentProblem)) yield return error;
        var i = 0;
        foreach (var subject in Json.Objects(o["subjects"]))
        {
            var at = $"subjects[{i++}]";
            var kind = Json.Text(subject["kind"]);
            if (Json.Text(subject["name"]).Length == 0) yield return FieldError.Required($"{at}.name");
            if (kind is not ("User" or "Group" or "ServiceAccount"))
                yield return FieldError.NotSupported($"{at}.kind", kind, ["ServiceAccount", "User", "Group"]);
            if (kind == "ServiceAccount" && clusterWide && Json.Text(subject["namespace"]).Length == 0)
                yield return FieldError.Required($"{at}.namespace");
        }
    }

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context)
    {
        if (JsonNode.DeepEquals(old["roleRef"], next["roleRef"])) yield break;
        var role = next["roleRef"];
        yield return new("FieldValueInvalid", "roleRef",
            $"Invalid value: rbac.RoleRef{{APIGroup:{GoText.Quote(role.TextAt("apiGroup"))}, Kind:{GoText.Quote(role.TextAt("kind"))}, "
                + $"Name:{GoText.Quote(role.TextAt("name"))}}}: cannot change roleRef");
    }
}
