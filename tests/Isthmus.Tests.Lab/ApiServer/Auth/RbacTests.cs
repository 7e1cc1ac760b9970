using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Auth;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Auth;

public sealed class RbacTests : IDisposable
{
    private readonly StoreRig _rig = new();
    private readonly RbacAuthorizer _rbac;

    public RbacTests() => _rbac = new(_rig.Objects);

    private static UserIdentity Alice => Users.Named("alice", "devs", "system:authenticated");

    [Fact]
    public async Task The_reason_names_binding_role_and_subject()
    {
        await BindAsync("""{"kind": "User", "name": "alice"}""", ns: "n", kind: "ClusterRole");
        Assert.Equal("RBAC: allowed by RoleBinding \"b/n\" of ClusterRole \"reader\" to User \"alice\"",
            _rbac.Authorize(Alice.Asks("list", "pods", "n")).Reason);
        Assert.False(_rbac.Authorize(Alice.Asks("list", "pods", "other")).Allowed);
        Assert.False(_rbac.Authorize(Alice.Asks("list", "pods")).Allowed);
    }

    [Fact]
    public async Task A_change_counts_with_the_next_request()
    {
        await BindAsync("""{"kind": "Group", "name": "devs"}""", ns: "", kind: "ClusterRole");
        Assert.True(_rbac.Authorize(Alice.Asks("get", "pods", "any")).Allowed);
        await _rig.DeleteAsync(Resources.ClusterRoleBindings, "", "b");
        Assert.False(_rbac.Authorize(Alice.Asks("get", "pods", "any")).Allowed);
    }

    [Fact]
    public async Task A_service_account_subject_is_a_user()
    {
        await BindAsync("""{"kind": "ServiceAccount", "name": "app", "namespace": "apps"}""", ns: "n", kind: "ClusterRole");
        var account = Users.Named("system:serviceaccount:apps:app", "system:serviceaccounts");
        Assert.Equal("RBAC: allowed by RoleBinding \"b/n\" of ClusterRole \"reader\" to ServiceAccount \"app/apps\"",
            _rbac.Authorize(account.Asks("list", "pods", "n")).Reason);
    }

    [Theory]
    [InlineData("pods", "pods", "", true)]
    [InlineData("pods", "pods", "log", false)]
    [InlineData("pods/log", "pods", "log", true)]
    [InlineData("*/scale", "deployments", "scale", true)]
    [InlineData("*/scale", "deployments", "", false)]
    [InlineData("*", "pods", "exec", true)]
    public void Resources_match_with_their_subresources(string rule, string resource, string subresource, bool allowed)
    {
        var policy = BootstrapRules.Parse($"get | | {rule}")[0];
        Assert.Equal(allowed, policy.Allows(Alice.Asks("get", resource, "n", subresource: subresource)));
    }

    [Fact]
    public void A_rule_with_names_is_silent_about_lists()
    {
        var policy = BootstrapRules.Parse("get,list | | secrets | one")[0];
        Assert.True(policy.Allows(Alice.Asks("get", "secrets", "n", name: "one")));
        Assert.False(policy.Allows(Alice.Asks("get", "secrets", "n", name: "two")));
        Assert.False(policy.Allows(Alice.Asks("list", "secrets", "n")));
    }

    [Fact]
    public void Every_default_rule_covers_its_own_parts() =>
        Assert.All(BootstrapRoles.All.SelectMany(role => role.Rules),
            rule => Assert.All(rule.Split(), part => Assert.True(rule.Covers(part), part.ToString())));

    [Fact]
    public async Task Nobody_grants_more_than_he_has()
    {
        var escalation = new EscalationAdmission(_rbac, _rbac);
        var role = (JsonObject)JsonNode.Parse(
            """{"metadata": {"name": "more"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}""")!;
        var request = _rig.Request(_rig.Kind(Resources.RbacGroup, "v1", "roles"), "CREATE", role, Alice);
        var refused = await Assert.ThrowsAsync<ApiException>(async () => await escalation.ValidateAsync(request, default));
        Assert.Equal(
            "roles.rbac.authorization.k8s.io \"more\" is forbidden: user \"alice\" (groups=[\"devs\" \"system:authenticated\"]) is attempting to grant RBAC "
                + "permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}",
            refused.Message);
        await escalation.ValidateAsync(_rig.Request(_rig.Kind(Resources.RbacGroup, "v1", "roles"), "CREATE", role), default);
    }

    /// <summary>Rights may be for one signer, or for all of a domain.</summary>
    [Theory]
    [InlineData("example.com/mesh", true)]
    [InlineData("example.com/*", true)]
    [InlineData("example.com/other", false)]
    [InlineData("*/mesh", false)]
    public async Task Who_writes_the_bundle_of_a_signer_needs_the_right_to_speak_for_it(string granted, bool isAllowed)
    {
        var attest = new AttestAdmission(_rbac);
        var kind = _rig.Kind(Resources.CertificatesGroup, "v1beta1", "clustertrustbundles");
        async Task AskAsync(string spec, UserIdentity user) => await attest.ValidateAsync(_rig.Request(kind, "CREATE",
            (JsonObject)JsonNode.Parse($$"""{"metadata": {"name": "example.com:mesh:one"}, "spec": { {{spec}} } }""")!, user), default);
        await _rig.PutAsync(Resources.ClusterRoles, $$"""
            {"metadata": {"name": "reader"}, "rules": [{"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "verbs": ["attest"], "resourceNames": ["{{granted}}"]}]}
            """);
        await BindAsync("""{"kind": "User", "name": "alice"}""", ns: "", kind: "ClusterRole", makeRole: false);
        await AskAsync("", Alice);
        await AskAsync("\"signerName\": \"example.com/mesh\"", Users.Admin);
        var asking = AskAsync("\"signerName\": \"example.com/mesh\"", Alice);
        if (isAllowed) await asking;
        else Assert.Equal("clustertrustbundles.certificates.k8s.io \"example.com:mesh:one\" is forbidden: user not permitted to attest for signerName "
            + "\"example.com/mesh\"", (await Assert.ThrowsAsync<ApiException>(() => asking)).Message);
    }

    [Fact]
    public async Task Aggregated_roles_hold_the_union_of_their_parts()
    {
        await BootstrapPolicy.EnsureAsync(_rig.Objects, _rig.Clock.Now, default);
        await new RoleAggregation(_rig.Objects).ReconcileAsync(default);
        await BindAsync("""{"kind": "User", "name": "alice"}""", ns: "n", kind: "ClusterRole", role: "admin", makeRole: false);
        Assert.True(_rbac.Authorize(Alice.Asks("list", "pods", "n")).Allowed);
        Assert.True(_rbac.Authorize(Alice.Asks("create", "deployments", "n", "apps")).Allowed);
        Assert.True(_rbac.Authorize(Alice.Asks("create", "rolebindings", "n", Resources.RbacGroup)).Allowed);
        Assert.False(_rbac.Authorize(Alice.Asks("update", "nodes")).Allowed);
    }

    [Fact]
    public void A_node_may_do_what_it_needs_and_no_more()
    {
        var nodes = new NodeAuthorizer(_rbac);
        var node = Users.Named("system:node:east-control-plane", "system:nodes", "system:authenticated");
        Assert.True(nodes.Authorize(node.Asks("patch", "pods", "n", subresource: "status")).Allowed);
        Assert.True(nodes.Authorize(node.Asks("update", "leases", "kube-node-lease", "coordination.k8s.io")).Allowed);
        Assert.False(nodes.Authorize(node.Asks("update", "leases", "n", "coordination.k8s.io")).Allowed);
        Assert.False(nodes.Authorize(node.Asks("create", "deployments", "n", "apps")).Allowed);
        Assert.False(nodes.Authorize(Users.Named("system:node:x").Asks("list", "secrets", "n")).Allowed);
    }

    [Fact]
    public void Impersonation_needs_the_right_to_it()
    {
        var headers = new HeaderDictionary { ["Impersonate-User"] = "bob", ["Impersonate-Group"] = "devs", ["Impersonate-Extra-Scopes"] = "a" };
        var refused = Assert.Throws<ApiException>(() => Impersonation.Apply(UserIdentity.Anonymous, headers, _rbac));
        Assert.Equal("users \"bob\" is forbidden: User \"system:anonymous\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
            refused.Message);
        var bob = Impersonation.Apply(Users.Admin, headers, _rbac);
        Assert.Equal("bob", bob.Name);
        Assert.Equal(["devs", "system:authenticated"], bob.Groups.Items);
        Assert.Equal("a", Assert.Single(bob.Extra["scopes"]));
    }

    public void Dispose() => _rig.Dispose();

    private async Task BindAsync(string subject, string ns, string kind, string role = "reader", bool makeRole = true)
    {
        if (makeRole)
            await _rig.PutAsync(Resources.ClusterRoles,
                """{"metadata": {"name": "reader"}, "rules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]}""");
        var metadata = ns.Length == 0 ? """{"name": "b"}""" : $$"""{"name": "b", "namespace": "{{ns}}"}""";
        await _rig.PutAsync(ns.Length == 0 ? Resources.ClusterRoleBindings : Resources.RoleBindings,
            $$"""{"metadata": {{metadata}}, "roleRef": {"kind": "{{kind}}", "name": "{{role}}"}, "subjects": [{{subject}}]}""");
    }
}
