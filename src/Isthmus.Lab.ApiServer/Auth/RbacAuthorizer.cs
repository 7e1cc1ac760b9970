using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>One subject of a binding, written as in reasons: <c>User "alice"</c>.</summary>
internal sealed record Subject(string Kind, string Name, string Namespace)
{
    /// <summary>What <see cref="RbacAuthorizer"/> indexes by: users and groups; a service account is a user.</summary>
    public string Key => Kind switch
    {
        "Group" => "g:" + Name,
        "ServiceAccount" => $"u:system:serviceaccount:{Namespace}:{Name}",
        _ => "u:" + Name,
    };

    public override string ToString() => Kind == "ServiceAccount" ? $"ServiceAccount \"{Name}/{Namespace}\"" : $"{Kind} \"{Name}\"";

    /// <param name="home">The binding's namespace: where a service account is when the subject does not say.</param>
    public static Subject FromJson(JsonObject subject, string home) => new(
        Json.Text(subject["kind"]), Json.Text(subject["name"]),
        Json.Text(subject["namespace"]) is { Length: > 0 } ns ? ns : home);
}

/// <summary>A RoleBinding, or a ClusterRoleBinding when <paramref name="Namespace"/> is empty.</summary>
internal sealed record Binding(string Namespace, string Name, string RoleKind, string RoleName, ValueList<Subject> Subjects)
{
    public string RoleKey => RoleKind == "ClusterRole" ? RoleName : StoredObject.KeyOf(Namespace, RoleName);

    public static Binding Read(StoredObject stored)
    {
        var tree = stored.Parse();
        return new(stored.Namespace, stored.Name, tree.TextAt("roleRef", "kind"), tree.TextAt("roleRef", "name"),
            Json.Objects(tree["subjects"]).Select(subject => Subject.FromJson(subject, stored.Namespace)).ToValueList());
    }

    public string Reason(Subject subject) => Namespace.Length == 0
        ? $"RBAC: allowed by ClusterRoleBinding \"{Name}\" of ClusterRole \"{RoleName}\" to {subject}"
        : $"RBAC: allowed by RoleBinding \"{Name}/{Namespace}\" of {RoleKind} \"{RoleName}\" to {subject}";
}

/// <summary>Allows what Roles and ClusterRoles bound to the caller grant. Sees a changed role or binding with the next request.</summary>
internal sealed class RbacAuthorizer(IObjectStore store) : IAuthorizer
{
    private readonly LiveView<ValueList<PolicyRule>> _roles = new(store, Resources.Roles, ReadRules);
    private readonly LiveView<ValueList<PolicyRule>> _clusterRoles = new(store, Resources.ClusterRoles, ReadRules);
    private readonly LiveView<Binding> _roleBindings = new(store, Resources.RoleBindings, Binding.Read);
    private readonly LiveView<Binding> _clusterRoleBindings = new(store, Resources.ClusterRoleBindings, Binding.Read);
    private Index _index = Index.Empty;

    private sealed record Index(long Namespaced, long ClusterWide, ILookup<string, (Binding Binding, Subject Subject)> BySubject)
    {
        public static readonly Index Empty =
            new(-1, -1, Array.Empty<(Binding, Subject)>().ToLookup(_ => ""));
    }

    public AuthorizationDecision Authorize(RequestAttributes attributes)
    {
        if (attributes.User.Groups.Contains(Pki.PkiNames.Masters)) return AuthorizationDecision.Allow();
        foreach (var (binding, subject, rules) in Grants(attributes.User, attributes.IsResourceRequest ? attributes.Namespace : ""))
            foreach (var rule in rules)
                if (rule.Allows(attributes)) return AuthorizationDecision.Allow(binding.Reason(subject));
        return AuthorizationDecision.Deny();
    }

    /// <summary>All rules that hold for a user in a namespace; empty namespace: cluster-wide ones only.</summary>
    public IEnumerable<PolicyRule> RulesFor(UserIdentity user, string ns) => Grants(user, ns).SelectMany(grant => grant.Rules);

    /// <summary>The rules of a role that a binding refers to; null when there is no such role.</summary>
    public ValueList<PolicyRule>? RulesOf(string ns, string roleKind, string roleName)
    {
        var (roles, key) = roleKind == "ClusterRole" ? (_clusterRoles, roleName) : (_roles, StoredObject.KeyOf(ns, roleName));
        return roles.Read().Items.TryGetValue(key, out var rules) ? rules : null;
    }

    private IEnumerable<(Binding Binding, Subject Subject, ValueList<PolicyRule> Rules)> Grants(UserIdentity user, string ns)
    {
        var bySubject = Current().BySubject;
        var roles = _roles.Read().Items;
        var clusterRoles = _clusterRoles.Read().Items;
        foreach (var key in user.Groups.Select(group => "g:" + group).Prepend("u:" + user.Name))
            foreach (var (binding, subject) in bySubject[key])
            {
                if (binding.Namespace.Length > 0 && binding.Namespace != ns) continue;
                if ((binding.RoleKind == "ClusterRole" ? clusterRoles : roles).TryGetValue(binding.RoleKey, out var rules))
                    yield return (binding, subject, rules);
            }
    }

    private Index Current()
    {
        var namespaced = _roleBindings.Read();
        var clusterWide = _clusterRoleBindings.Read();
        var index = Volatile.Read(ref _index);
        if (index.Namespaced == namespaced.Version && index.ClusterWide == clusterWide.Version) return index;
        index = new(namespaced.Version, clusterWide.Version, clusterWide.Items.Values.Concat(namespaced.Items.Values)
            .SelectMany(binding => binding.Subjects, (binding, subject) => (binding, subject))
            .ToLookup(grant => grant.subject.Key));
        // Two readers may build it at once: both are right, and the older one is found stale by its versions.
        Volatile.Write(ref _index, index);
        return index;
    }

    private static ValueList<PolicyRule> ReadRules(StoredObject role) => PolicyRule.ListFromJson(role.Parse()["rules"]);
}
