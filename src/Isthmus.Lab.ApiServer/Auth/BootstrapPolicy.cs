using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>The RBAC objects that a cluster starts with. Existing objects are left unchanged.</summary>
internal static class BootstrapPolicy
{
    private static readonly KeyValuePair<string, string>[] Labels = [new("kubernetes.io/bootstrapping", "rbac-defaults")];
    private static readonly KeyValuePair<string, string>[] Annotations = [new("rbac.authorization.kubernetes.io/autoupdate", "true")];

    private static readonly (string Role, string Kind, string Name)[] Bindings =
    [
        ("cluster-admin", "Group", "system:masters"),
        ("system:monitoring", "Group", "system:monitoring"),
        ("system:discovery", "Group", "system:authenticated"),
        ("system:basic-user", "Group", "system:authenticated"),
        ("system:public-info-viewer", "Group", "system:authenticated"),
        ("system:public-info-viewer", "Group", "system:unauthenticated"),
        ("system:node-proxier", "User", "system:kube-proxy"),
        ("system:kube-controller-manager", "User", "system:kube-controller-manager"),
        ("system:kube-dns", "ServiceAccount", "kube-dns"),
        ("system:kube-scheduler", "User", "system:kube-scheduler"),
        ("system:volume-scheduler", "User", "system:kube-scheduler"),
        ("system:node", "", ""),
        ("system:service-account-issuer-discovery", "Group", "system:serviceaccounts"),
        ("system:cluster-trust-bundle-discovery", "Group", "system:serviceaccounts"),
    ];

    private static readonly (string Namespace, string Name, string[] Rules, string Binding, (string Kind, string Name)[] Subjects)[] NamespacedRoles =
    [
        ("kube-system", "extension-apiserver-authentication-reader", ["get,list,watch | | configmaps | extension-apiserver-authentication"],
            "system::extension-apiserver-authentication-reader", [("User", "system:kube-controller-manager"), ("User", "system:kube-scheduler")]),
        ("kube-system", "system:controller:bootstrap-signer", ["get,list,watch | | secrets"], "", [("ServiceAccount", "bootstrap-signer")]),
        ("kube-system", "system:controller:cloud-provider", ["create,get,list,watch | | configmaps"], "", [("ServiceAccount", "cloud-provider")]),
        ("kube-system", "system:controller:token-cleaner", ["delete,get,list,watch | | secrets", "create,patch,update | ,events.k8s.io | events"], "",
            [("ServiceAccount", "token-cleaner")]),
        ("kube-system", "system::leader-locking-kube-controller-manager", ["watch | | configmaps", "get,update | | configmaps | kube-controller-manager"], "",
            [("User", "system:kube-controller-manager"), ("ServiceAccount", "kube-controller-manager")]),
        ("kube-system", "system::leader-locking-kube-scheduler", ["watch | | configmaps", "get,update | | configmaps | kube-scheduler"], "",
            [("User", "system:kube-scheduler"), ("ServiceAccount", "kube-scheduler")]),
        ("kube-public", "system:controller:bootstrap-signer",
            ["get,list,watch | | configmaps", "update | | configmaps | cluster-info", "create,patch,update | ,events.k8s.io | events"], "",
            [("ServiceAccount", "bootstrap-signer")]),
    ];

    public static Task EnsureAsync(IObjectStore store, DateTimeOffset now, CancellationToken stop) =>
        Task.WhenAll(All(now)
            .Where(wanted => store.Find(wanted.Resource, wanted.Namespace, wanted.Name) is null)
            .Select(wanted => store.CreateAsync(wanted.Resource, wanted.Make(), stop)));

    private static IEnumerable<(GroupResource Resource, string Namespace, string Name, Func<JsonObject> Make)> All(DateTimeOffset now)
    {
        foreach (var role in BootstrapRoles.All) yield return (Resources.ClusterRoles, "", role.Name, () => ClusterRole(role, now));
        foreach (var byRole in Bindings.GroupBy(binding => binding.Role))
            yield return (Resources.ClusterRoleBindings, "", byRole.Key,
                () => Binding("", byRole.Key, "ClusterRole", byRole.Key, byRole.Select(b => (b.Kind, b.Name)), now));
        foreach (var controller in BootstrapControllers.Names)
        {
            var name = "system:controller:" + controller;
            yield return (Resources.ClusterRoleBindings, "", name,
                () => Binding("", name, "ClusterRole", name, [("ServiceAccount", controller)], now));
        }
        foreach (var (ns, name, rules, binding, subjects) in NamespacedRoles)
        {
            var bindingName = binding.Length > 0 ? binding : name;
            yield return (Resources.Roles, ns, name, () => Role(ns, name, rules, now));
            yield return (Resources.RoleBindings, ns, bindingName, () => Binding(ns, bindingName, "Role", name, subjects, now));
        }
    }

    private static TypeMeta Rbac(string kind) => new("rbac.authorization.k8s.io/v1", kind);

    private static JsonObject ClusterRole(BootstrapRole role, DateTimeOffset now)
    {
        var labels = role.AggregatesTo.Length == 0 ? Labels : [.. Labels, new("rbac.authorization.k8s.io/aggregate-to-" + role.AggregatesTo, "true")];
        var fields = new JsonObject { ["rules"] = Rules(role) };
        if (role.AggregatedFrom.Length > 0)
        {
            var wanted = new JsonObject { ["matchLabels"] = new JsonObject { ["rbac.authorization.k8s.io/aggregate-to-" + role.AggregatedFrom] = "true" } };
            fields["aggregationRule"] = new JsonObject { ["clusterRoleSelectors"] = new JsonArray(wanted) };
        }
        return Stamp.New(Rbac("ClusterRole"), "", role.Name, now, fields, labels, Annotations);
    }

    private static JsonNode? Rules(BootstrapRole role) =>
        role.Rules.IsEmpty ? null : new JsonArray([.. role.Rules.Select(rule => rule.ToJson())]);

    private static JsonObject Role(string ns, string name, string[] rules, DateTimeOffset now)
    {
        var list = new JsonArray([.. BootstrapRules.Parse(rules).Select(rule => rule.ToJson())]);
        return Stamp.New(Rbac("Role"), ns, name, now, new() { ["rules"] = list }, Labels, Annotations);
    }

    private static JsonObject Binding(
        string ns, string name, string roleKind, string role, IEnumerable<(string Kind, string Name)> subjects, DateTimeOffset now)
    {
        var fields = new JsonObject();
        var list = subjects.Where(subject => subject.Kind.Length > 0).Select(Subject).ToArray();
        if (list.Length > 0) fields["subjects"] = new JsonArray(list);
        fields["roleRef"] = new JsonObject { ["apiGroup"] = Resources.RbacGroup, ["kind"] = roleKind, ["name"] = role };
        return Stamp.New(Rbac(ns.Length == 0 ? "ClusterRoleBinding" : "RoleBinding"), ns, name, now, fields, Labels, Annotations);
    }

    private static JsonNode Subject((string Kind, string Name) subject) => subject.Kind == "ServiceAccount"
        ? new JsonObject { ["kind"] = subject.Kind, ["name"] = subject.Name, ["namespace"] = "kube-system" }
        : new JsonObject { ["kind"] = subject.Kind, ["apiGroup"] = Resources.RbacGroup, ["name"] = subject.Name };
}
