using System.Text.Json.Nodes;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.ObjectLabels;

namespace Isthmus.Operate.Install.Render;

/// <summary>Compact builders for rules, roles and bindings.</summary>
internal static class Rbac
{
    private const string Group = "rbac.authorization.k8s.io";
    private const string Version = Group + "/v1";

    /// <summary>One rule from space-separated words.</summary>
    internal static JsonObject Rule(string groups, string resources, string verbs) => new()
    {
        ["apiGroups"] = Strings(groups.Length == 0 ? [""] : groups.Split(' ').Select(group => group == "core" ? "" : group).ToArray()),
        ["resources"] = Strings(resources.Split(' ')),
        ["verbs"] = Strings(verbs.Split(' ')),
    };

    /// <summary>The whole API groups of Istio's kinds.</summary>
    internal static JsonObject IstioRule(string verbs) => Rule(string.Join(' ', MeshApi.IstioGroups), "*", verbs);

    /// <summary>Rules for the described kinds of other groups, one for those of a group with the same verbs.</summary>
    /// <param name="verbs">Empty for a kind that the role does not include.</param>
    /// <param name="status">The same for the status of its objects.</param>
    internal static IEnumerable<JsonObject> KindRules(Func<KindDescriptor, string> verbs, Func<KindDescriptor, string>? status = null) =>
        MeshApi.All.Where(kind => !kind.IsIstio)
            .SelectMany(kind => ((string Group, string Resource, string Verbs)[])
            [
                (kind.Group, kind.Plural, verbs(kind)), (kind.Group, $"{kind.Plural}/status", status?.Invoke(kind) ?? ""),
            ])
            .Where(right => right.Verbs.Length > 0)
            .GroupBy(right => (right.Group, right.Verbs), right => right.Resource)
            .Select(rule => Rule(rule.Key.Group, string.Join(' ', rule), rule.Key.Verbs));

    /// <summary>Adds the credentials with which Pods of the account pull their images (values.global.imagePullSecrets).</summary>
    internal static JsonObject WithPullSecrets(OperatorSpec spec, JsonObject account)
    {
        if (spec.Value("global", "imagePullSecrets") is JsonArray { Count: > 0 } names)
            account["imagePullSecrets"] = new JsonArray([.. names.Select(name => (JsonNode)new JsonObject { ["name"] = name?.ToString() })]);
        return account;
    }

    internal static JsonObject ServiceAccount(string name, string ns, JsonObject labels) => Object("v1", "ServiceAccount", name, ns, labels);

    internal static JsonObject ClusterRole(string name, JsonObject labels,
        params ReadOnlySpan<JsonObject> rules) => Role("ClusterRole", name, null, labels, rules);

    internal static JsonObject Role(string name, string ns, JsonObject labels, params ReadOnlySpan<JsonObject> rules) => Role("Role", name, ns, labels, rules);

    internal static JsonObject ClusterRoleBinding(string name, JsonObject labels, string account, string accountNs) =>
        Binding("ClusterRoleBinding", "ClusterRole", name, null, labels, account, accountNs);

    /// <param name="accountNs">Null: that of the binding.</param>
    internal static JsonObject RoleBinding(string name, string ns, JsonObject labels, string account, string? accountNs = null) =>
        Binding("RoleBinding", "Role", name, ns, labels, account, accountNs ?? ns);

    private static JsonObject Role(string kind, string name, string? ns, JsonObject labels, ReadOnlySpan<JsonObject> rules)
    {
        var list = new JsonArray();
        foreach (var rule in rules) list.Add((JsonNode)rule);
        var role = Object(Version, kind, name, ns, labels);
        role["rules"] = list;
        return role;
    }

    private static JsonObject Binding(string kind, string roleKind, string name, string? ns, JsonObject labels, string account, string accountNs)
    {
        var binding = Object(Version, kind, name, ns, labels);
        binding["roleRef"] = new JsonObject { ["apiGroup"] = Group, ["kind"] = roleKind, ["name"] = name };
        binding["subjects"] = new JsonArray(new JsonObject { ["kind"] = "ServiceAccount", ["name"] = account, ["namespace"] = accountNs });
        return binding;
    }
}
